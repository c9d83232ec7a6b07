/** A virtual SMMUv3: what a guest's commands and STEs become on one physical SMMU (arm-smmu-v3-iommufd.c, tegra241-cmdqv.c of Linux). */
import { decodeHalves, encodeHalves } from '../../bits/index.ts';
import type { ArmDomain, ArmSmmu } from './arm-smmu.ts';
import type { VsmmuIds } from './convert.ts';
import type { Errno } from './errno.ts';
import { refused } from './errno.ts';
import { HWPT_DATA, VEVENTQ_TYPE, VIOMMU_TYPE } from './flags.ts';
import type { HostDevice, HostViommu, NestedDomain } from './hardware.ts';
import type { Invalidated } from './invalidate.ts';
import { invalidateVsmmu } from './invalidate.ts';
import { validateGuestSte } from './nested-ste.ts';
import type { CmdqvHardware } from './smmu-hardware.ts';
import { HWPT_ARM_SMMUV3, VIOMMU_TEGRA241_CMDQV } from './structures.ts';
import type { CommandFeatures, CommandMasks } from './supported-bits.ts';
import { commandMasks } from './supported-bits.ts';
import type { UserArray, UserData } from './user-array.ts';
import { bytesOf, copyUserData, halvesOf } from './user-array.ts';
import type { UserMemory } from './user-memory.ts';
import { VcmdqInterface } from './vcmdq-interface.ts';

const UINT_MAX = 0xffff_ffffn;

/** The page of an interface that a guest has: 64 KiB. */
const MMAP_BYTES = 0x1_0000n;

export class ArmVsmmu implements HostViommu, VsmmuIds {
  readonly smmu: ArmSmmu;
  readonly parent: ArmDomain;
  /** That of stage 2, as it was when the vIOMMU was made. */
  readonly vmid: number;
  readonly masks: CommandMasks;
  readonly queues: VcmdqInterface | null;
  readonly answer: Uint8Array | null;
  listener: HostViommu['listener'] = null;
  /** By virtual id. */
  private readonly devices = new Map<bigint, HostDevice>();

  private constructor(smmu: ArmSmmu, parent: ArmDomain, queues: VcmdqInterface | null) {
    this.smmu = smmu;
    this.parent = parent;
    this.vmid = parent.tag;
    this.masks = commandMasks(smmu.hardware.features);
    this.queues = queues;
    this.answer = queues === null ? null : mmapAnswer(queues.mmapOffset);
  }

  static create(
    smmu: ArmSmmu,
    type: number,
    parent: ArmDomain,
    memory: UserMemory,
    data: UserData | null,
  ): ArmVsmmu | Errno {
    if (type !== VIOMMU_TYPE.TEGRA241_CMDQV) return new ArmVsmmu(smmu, parent, null);
    const cmdqv = smmu.hardware.cmdqv as CmdqvHardware;
    if (data === null) return 'EINVAL';
    const bytes = VIOMMU_TEGRA241_CMDQV.width / 8;
    const given = copyUserData(memory, data, VIOMMU_TYPE.TEGRA241_CMDQV, bytes, bytes);
    if (refused(given)) return given;
    let created: ArmVsmmu | null = null;
    const vintf = cmdqv.open(parent.tag, (errors) => {
      created?.listener?.(VEVENTQ_TYPE.TEGRA241_CMDQV, bytesOf(errors));
    });
    if (vintf < 0) return 'ENOSPC';
    created = new ArmVsmmu(smmu, parent, new VcmdqInterface(cmdqv, vintf));
    return created;
  }

  get features(): CommandFeatures {
    return this.smmu.hardware.features;
  }

  sidOf(vsid: number): number {
    return this.devices.get(BigInt(vsid))?.sid ?? -1;
  }

  /** The guest's StreamID of a device, of 32 bits; −1 where it has none. */
  vsidOf(device: HostDevice): number {
    const found = [...this.devices].find(([, one]) => one === device);
    return found === undefined ? -1 : Number(BigInt.asUintN(32, found[0]));
  }

  readonly invalidate = (memory: UserMemory, array: UserArray): Invalidated =>
    invalidateVsmmu(memory, array, this, this.smmu.hardware.queue, this.smmu.host.kernel);

  allocateNested(flags: number, memory: UserMemory, data: UserData): NestedDomain | Errno {
    if (flags !== 0) return 'EOPNOTSUPP';
    const bytes = HWPT_ARM_SMMUV3.width / 8;
    const given = copyUserData(memory, data, HWPT_DATA.ARM_SMMUV3, bytes, bytes);
    if (refused(given)) return given;
    const { ste0, ste1 } = decodeHalves(HWPT_ARM_SMMUV3, halvesOf(given));
    const guest = validateGuestSte(ste0, ste1);
    if (refused(guest)) return guest;
    const domain: NestedDomain = { kind: 'nested', iommu: this.smmu, invalidate: null, free: () => {} };
    this.smmu.addNested(domain, { vsmmu: this, guest });
    return domain;
  }

  /** A vIOMMU with queues of its own has the StreamID in hardware, too. */
  addDevice(device: HostDevice, virtId: bigint): (() => void) | Errno {
    let undo = (): void => {};
    if (this.queues !== null) {
      if (virtId > UINT_MAX) return 'EINVAL';
      const slot = this.queues.addStream(Number(virtId), device.sid);
      if (slot < 0) return 'ENOSPC';
      undo = () => this.queues?.removeStream(slot);
    }
    this.devices.set(virtId, device);
    return () => {
      this.devices.delete(virtId);
      undo();
    };
  }

  free(): void {
    this.queues?.close();
  }
}

function mmapAnswer(offset: bigint): Uint8Array {
  const values = { out_vintf_mmap_offset: offset, out_vintf_mmap_length: MMAP_BYTES };
  return bytesOf(encodeHalves(VIOMMU_TEGRA241_CMDQV, values));
}
