/** Page tables in hardware: the kernel's, and a guest's behind one of those (drivers/iommu/iommufd/hw_pagetable.c of Linux). */
import type { Values } from '../../bits/index.ts';
import type { Iommufd } from './context.ts';
import type { Device } from './device.ts';
import { Device as DeviceObject } from './device.ts';
import type { Errno } from './errno.ts';
import { refused } from './errno.ts';
import { FaultQueue } from './fault-queue.ts';
import { HWPT_ALLOC_FLAGS, HWPT_DATA } from './flags.ts';
import type { HostDomain, NestedDomain, PagingDomain } from './hardware.ts';
import { Ioas } from './ioas.ts';
import { IommufdObject } from './objects.ts';
import type * as uapi from './structures.ts';
import type { UserData } from './user-array.ts';
import { Viommu } from './viommu.ts';

const { DIRTY_TRACKING, FAULT_ID_VALID, NEST_PARENT, PASID } = HWPT_ALLOC_FLAGS;

/** What all page tables have. */
abstract class Hwpt extends IommufdObject {
  /** Where its devices' faults are reported; null: nowhere. */
  faults: FaultQueue | null = null;

  abstract readonly domain: HostDomain;

  setFaults(fd: Iommufd, faults: FaultQueue): void {
    faults.users++;
    this.faults = faults;
    this.domain.faultHandler = (report) => {
      const device = fd.objects.all().find((one) => one instanceof DeviceObject && one.host === report.device);
      if (device === undefined) return false;
      faults.report({ ...report, device: device as Device });
      return true;
    };
  }

  protected releaseFaults(): void {
    if (this.faults !== null) this.faults.users--;
  }
}

/** Has what its IOAS maps. */
export class HwptPaging extends Hwpt {
  readonly type = 'HWPT_PAGING';
  readonly ioas: Ioas;
  readonly domain: PagingDomain;
  /** May be stage 2 behind a guest's tables. */
  readonly isParent: boolean;
  /** Was made for an attachment to the IOAS, and goes with its last device. */
  isAutomatic = false;

  /** Of a domain that the IOAS has filled. */
  constructor(ioas: Ioas, domain: PagingDomain, isParent: boolean) {
    super();
    this.ioas = ioas;
    this.domain = domain;
    this.isParent = isParent;
    ioas.users++;
    ioas.hwpts.push(this);
  }

  release(): void {
    this.ioas.hwpts.splice(this.ioas.hwpts.indexOf(this), 1);
    this.ioas.table.removeDomain(this.domain);
    this.domain.free();
    this.releaseFaults();
    this.ioas.users--;
  }
}

/** A guest's. */
export class HwptNested extends Hwpt {
  readonly type = 'HWPT_NESTED';
  readonly parent: HwptPaging;
  readonly viommu: Viommu | null;
  readonly domain: NestedDomain;

  constructor(parent: HwptPaging, viommu: Viommu | null, domain: NestedDomain) {
    super();
    this.parent = parent;
    this.viommu = viommu;
    this.domain = domain;
    (viommu ?? parent).users++;
  }

  release(): void {
    this.domain.free();
    this.releaseFaults();
    (this.viommu ?? this.parent).users--;
  }
}

/** Makes a page table for a device and fills it with what the IOAS maps; it is not an object yet. */
export function allocatePaging(ioas: Ioas, device: Device, flags: number, data: UserData | null): HwptPaging | Errno {
  if ((flags & ~(NEST_PARENT | DIRTY_TRACKING | FAULT_ID_VALID | PASID)) !== 0) return 'EOPNOTSUPP';
  if ((flags & DIRTY_TRACKING) !== 0 && !device.host.dirtyTracking) return 'EOPNOTSUPP';
  if ((flags & FAULT_ID_VALID) !== 0 && (flags & NEST_PARENT) !== 0) return 'EOPNOTSUPP';
  const domain = device.host.iommu.allocatePaging(device.host, flags & ~FAULT_ID_VALID, data);
  if (refused(domain)) return domain;
  const errno = ioas.table.addDomain(domain);
  if (errno !== null) {
    domain.free();
    return errno;
  }
  return new HwptPaging(ioas, domain, (flags & NEST_PARENT) !== 0);
}

function allocateOnParent(fd: Iommufd, parent: HwptPaging, device: Device, flags: number, data: UserData) {
  const { iommu } = device.host;
  if ((flags & ~(FAULT_ID_VALID | PASID)) !== 0 || data.bytes === 0 || iommu.allocateNested === null)
    return 'EOPNOTSUPP';
  if (parent.isAutomatic || !parent.isParent || parent.domain.iommu.driver !== iommu.driver) return 'EINVAL';
  const domain = iommu.allocateNested(parent.domain, flags & ~FAULT_ID_VALID, fd.memory, data);
  return refused(domain) ? domain : new HwptNested(parent, null, domain);
}

function allocateOnViommu(fd: Iommufd, viommu: Viommu, device: Device, flags: number, data: UserData) {
  if (viommu.iommu !== device.host.iommu) return 'EINVAL';
  if ((flags & ~(FAULT_ID_VALID | PASID)) !== 0 || data.bytes === 0) return 'EOPNOTSUPP';
  const domain = viommu.host.allocateNested(flags & ~FAULT_ID_VALID, fd.memory, data);
  return refused(domain) ? domain : new HwptNested(viommu.parent, viommu, domain);
}

function allocateOn(fd: Iommufd, on: IommufdObject, device: Device, flags: number, data: UserData) {
  if (on instanceof Ioas) return allocatePaging(on, device, flags, data.bytes === 0 ? null : data);
  if (on instanceof HwptPaging) return allocateOnParent(fd, on, device, flags, data);
  return on instanceof Viommu ? allocateOnViommu(fd, on, device, flags, data) : 'EINVAL';
}

export function allocateHwpt(fd: Iommufd, cmd: Values<typeof uapi.HWPT_ALLOC.fields>): Errno | null {
  if (cmd.__reserved !== 0) return 'EOPNOTSUPP';
  if ((cmd.data_type === HWPT_DATA.NONE) !== (cmd.data_len === 0)) return 'EINVAL';
  const device = fd.objects.get(cmd.dev_id, DeviceObject);
  if (refused(device)) return device;
  const on = fd.objects.get(cmd.pt_id, IommufdObject);
  if (refused(on)) return 'EINVAL';
  const data = { type: cmd.data_type, at: cmd.data_uptr, bytes: cmd.data_len };
  const hwpt = allocateOn(fd, on, device, cmd.flags, data);
  if (refused(hwpt)) return hwpt;
  if ((cmd.flags & FAULT_ID_VALID) !== 0) {
    const faults = fd.objects.get(cmd.fault_id, FaultQueue);
    if (refused(faults)) {
      hwpt.release();
      return faults;
    }
    hwpt.setFaults(fd, faults);
  }
  cmd.out_hwpt_id = fd.objects.add(hwpt).id;
  return null;
}
