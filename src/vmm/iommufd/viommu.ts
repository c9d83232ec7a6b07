/** Virtual IOMMUs and the devices behind them (drivers/iommu/iommufd/viommu.c of Linux). */
import type { Values } from '../../bits/index.ts';
import type { Iommufd } from './context.ts';
import { Device } from './device.ts';
import type { Errno } from './errno.ts';
import { refused } from './errno.ts';
import { VIOMMU_TYPE } from './flags.ts';
import type { HostIommu, HostViommu } from './hardware.ts';
import { HwptPaging } from './hwpt.ts';
import { IommufdObject } from './objects.ts';
import type * as uapi from './structures.ts';
import type { VeventQueue } from './vevent-queue.ts';
import { reportEvent } from './vevent-queue.ts';

/** A slice of a physical IOMMU for one guest. */
export class Viommu extends IommufdObject {
  readonly type = 'VIOMMU';
  readonly kind: number;
  readonly iommu: HostIommu;
  readonly parent: HwptPaging;
  readonly host: HostViommu;
  /** By virtual id. */
  readonly vdevices = new Map<bigint, Vdevice>();
  readonly eventQueues: VeventQueue[] = [];

  constructor(kind: number, iommu: HostIommu, parent: HwptPaging, host: HostViommu) {
    super();
    this.kind = kind;
    this.iommu = iommu;
    this.parent = parent;
    this.host = host;
    parent.users++;
    host.listener = (type, event) => reportEvent(this, type, event);
  }

  release(): void {
    this.host.listener = null;
    this.host.free();
    this.parent.users--;
  }
}

/** A device as the guest sees it: under an id of the vIOMMU (vStreamID, vRID). */
export class Vdevice extends IommufdObject {
  readonly type = 'VDEVICE';
  readonly viommu: Viommu;
  readonly device: Device;
  readonly virtId: bigint;
  private readonly undo: () => void;

  constructor(viommu: Viommu, device: Device, virtId: bigint, undo: () => void) {
    super();
    this.viommu = viommu;
    this.device = device;
    this.virtId = virtId;
    this.undo = undo;
    viommu.users++;
    viommu.vdevices.set(virtId, this);
    device.vdevice = this;
  }

  release(): void {
    this.undo();
    this.viommu.vdevices.delete(this.virtId);
    this.viommu.users--;
    this.device.vdevice = null;
  }
}

export function allocateViommu(fd: Iommufd, cmd: Values<typeof uapi.VIOMMU_ALLOC.fields>): Errno | null {
  if (cmd.flags !== 0 || cmd.type === VIOMMU_TYPE.DEFAULT) return 'EOPNOTSUPP';
  const device = fd.objects.get(cmd.dev_id, Device);
  if (refused(device)) return device;
  const { iommu } = device.host;
  if (!iommu.supportsViommu(cmd.type)) return 'EOPNOTSUPP';
  const parent = fd.objects.get(cmd.hwpt_id, HwptPaging);
  if (refused(parent)) return parent;
  if (!parent.isParent) return 'EINVAL';
  const data = cmd.data_len === 0 ? null : { type: cmd.type, at: cmd.data_uptr, bytes: cmd.data_len };
  const host = iommu.createViommu(cmd.type, parent.domain, fd.memory, data);
  if (refused(host)) return host;
  if (host.answer !== null && !fd.memory.write(cmd.data_uptr, host.answer.subarray(0, cmd.data_len))) {
    host.free();
    return 'EFAULT';
  }
  cmd.out_viommu_id = fd.objects.add(new Viommu(cmd.type, iommu, parent, host)).id;
  return null;
}

export function allocateVdevice(fd: Iommufd, cmd: Values<typeof uapi.VDEVICE_ALLOC.fields>): Errno | null {
  const viommu = fd.objects.get(cmd.viommu_id, Viommu);
  if (refused(viommu)) return viommu;
  const device = fd.objects.get(cmd.dev_id, Device);
  if (refused(device)) return device;
  if (viommu.iommu !== device.host.iommu) return 'EINVAL';
  if (device.vdevice !== null || viommu.vdevices.has(cmd.virt_id)) return 'EEXIST';
  const undo = viommu.host.addDevice(device.host, cmd.virt_id);
  if (refused(undo)) return undo;
  cmd.out_vdevice_id = fd.objects.add(new Vdevice(viommu, device, cmd.virt_id, undo)).id;
  return null;
}
