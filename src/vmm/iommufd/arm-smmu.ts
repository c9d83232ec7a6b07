/** Linux's driver of SMMUv3 as iommufd meets it: its page tables, attachments and vSMMUs (drivers/iommu/arm/arm-smmu-v3 of Linux 6.18). */
import { encodeHalves } from '../../bits/index.ts';
import { CMD_TLBI_NH_ALL, CMD_TLBI_NH_ASID, CMD_TLBI_S12_VMALL } from '../../iommu/smmuv3/commands.ts';
import { ArmVsmmu } from './arm-vsmmu.ts';
import type { Errno } from './errno.ts';
import { refused } from './errno.ts';
import { HW_INFO_TYPE, HWPT_ALLOC_FLAGS, VIOMMU_TYPE } from './flags.ts';
import { GatheredDirty } from './gathered-dirty.ts';
import type { DirtyTracking, HostDevice, HostDomain, HostIommu, HostViommu, PagingDomain, Rights } from './hardware.ts';
import type { Kernel } from './kernels.ts';
import type { GuestSte } from './nested-ste.ts';
import { countOf, rangeCommands } from './range-commands.ts';
import type { Master } from './smmu-events.ts';
import { handleEvent } from './smmu-events.ts';
import type { HostTable, SmmuHardware, Stream, Unmapped } from './smmu-hardware.ts';
import { IdAllocator } from './smmu-ids.ts';
import { HW_INFO_ARM_SMMUV3 } from './structures.ts';
import type { UserData } from './user-array.ts';
import { bytesOf } from './user-array.ts';
import type { UserMemory } from './user-memory.ts';

const { DIRTY_TRACKING, NEST_PARENT, PASID } = HWPT_ALLOC_FLAGS;

/** What all SMMUs of a host share. */
export class ArmSmmuHost {
  /** ASIDs of the kernel's own stage-1 tables are of all SMMUs; VMIDs are of each (arm_smmu_asid_xa, smmu.vmid_map). */
  readonly asids = new IdAllocator(16);
  readonly kernel: Kernel;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }
}

interface ArmDomainOptions {
  readonly isParent?: boolean;
  readonly tracksDirty?: boolean;
}

/** A table of the kernel's on one SMMU. */
export class ArmDomain implements PagingDomain {
  readonly kind = 'paging';
  readonly iommu: ArmSmmu;
  readonly stage: 1 | 2;
  readonly isParent: boolean;
  readonly table: HostTable;
  /** ASID of stage 1, VMID of stage 2. */
  readonly tag: number;
  readonly dirty: DirtyTracking | null;

  constructor(iommu: ArmSmmu, stage: 1 | 2, { isParent = false, tracksDirty = false }: ArmDomainOptions, tag: number) {
    this.iommu = iommu;
    this.stage = stage;
    this.isParent = isParent;
    this.tag = tag;
    this.table = iommu.hardware.table(stage, isParent, tracksDirty);
    const { dirty } = this.table;
    const invalidate = iommu.host.kernel.flushesCleaned ? (run: Unmapped) => this.invalidate(run) : () => {};
    this.dirty = tracksDirty && dirty !== null ? new GatheredDirty(dirty, invalidate) : null;
  }

  get pageSizes(): bigint {
    return this.table.pageSizes;
  }

  get aperture() {
    return { start: 0n, last: (1n << BigInt(this.table.bits)) - 1n };
  }

  map(iova: bigint, address: bigint, length: bigint, rights: Rights): Errno | null {
    return this.table.map(iova, address, length, rights);
  }

  /** What is cached by guests' ASIDs goes as well: nobody knows which of them used the range. */
  unmap(iova: bigint, length: bigint): void {
    for (const run of this.table.unmap(iova, length)) this.invalidate(run);
    if (this.isParent) this.iommu.run(encodeHalves(CMD_TLBI_NH_ALL, { VMID: this.tag }));
  }

  private invalidate(run: Unmapped): void {
    const { features } = this.iommu.hardware;
    const scope = this.stage === 1 ? { vmid: 0, asid: this.tag } : { vmid: this.tag, asid: null };
    this.iommu.run(rangeCommands(scope, run, features.rangeInvalidation));
  }

  /** Its tag may mean something else afterwards: nothing with it stays in the caches. */
  free(): void {
    this.table.free();
    const { host, vmids } = this.iommu;
    if (this.stage === 1) {
      this.iommu.run(encodeHalves(CMD_TLBI_NH_ASID, { ASID: this.tag }));
      host.asids.free(this.tag);
    } else {
      this.iommu.run(encodeHalves(CMD_TLBI_S12_VMALL, { VMID: this.tag }));
      vmids.free(this.tag);
    }
  }
}

/** A guest's STE behind a stage 2. */
export interface ArmNested {
  readonly vsmmu: ArmVsmmu;
  readonly guest: GuestSte;
}

export class ArmSmmu implements HostIommu {
  readonly driver = 'arm-smmu-v3';
  readonly host: ArmSmmuHost;
  readonly hardware: SmmuHardware;
  readonly vmids: IdAllocator;
  /** Nesting is by vIOMMU. */
  readonly allocateNested = null;
  /** By StreamID. */
  private readonly masters = new Map<number, Master>();
  /** By nested domain. */
  private readonly nested = new WeakMap<HostDomain, ArmNested>();

  constructor(host: ArmSmmuHost, hardware: SmmuHardware) {
    this.host = host;
    this.hardware = hardware;
    this.vmids = new IdAllocator(hardware.vmidBits);
  }

  get name(): string {
    return this.hardware.name;
  }

  /** Issues commands in batches, each with a CMD_SYNC. */
  run(commands: Int32Array): void {
    const errno = this.hardware.queue.issue(commands, 0, countOf(commands));
    if (errno !== null) throw new Error(`${this.name}: a command of the kernel's was not completed: ${errno}`);
  }

  allocatePaging(_device: HostDevice, flags: number, data: UserData | null): PagingDomain | Errno {
    const { s1, s2 } = this.hardware.stages;
    if (data !== null) return 'EOPNOTSUPP';
    if (flags === 0) return this.allocate(s1 ? 1 : 2, {});
    if (flags === NEST_PARENT) return s1 && s2 ? this.allocate(2, { isParent: true }) : 'EOPNOTSUPP';
    const known = flags === DIRTY_TRACKING || flags === PASID || flags === (DIRTY_TRACKING | PASID);
    const tracksDirty = (flags & DIRTY_TRACKING) !== 0;
    return known && s1 ? this.allocate(1, { tracksDirty }) : 'EOPNOTSUPP';
  }

  private allocate(stage: 1 | 2, options: ArmDomainOptions): ArmDomain | Errno {
    const tag = (stage === 1 ? this.host.asids : this.vmids).allocate();
    return tag === 0 ? 'ENOSPC' : new ArmDomain(this, stage, options, tag);
  }

  supportsViommu(type: number): boolean {
    const { cmdqv, forcesCoherency, stages } = this.hardware;
    if (!stages.s1 || !stages.s2 || !forcesCoherency) return false;
    return type === VIOMMU_TYPE.ARM_SMMUV3 || (type === VIOMMU_TYPE.TEGRA241_CMDQV && cmdqv !== null);
  }

  /** Stage 2 belongs to one SMMU: EINVAL for a parent of another. */
  createViommu(type: number, parent: PagingDomain, memory: UserMemory, data: UserData | null): HostViommu | Errno {
    if (!(parent instanceof ArmDomain) || parent.iommu !== this) return 'EINVAL';
    return ArmVsmmu.create(this, type, parent, memory, data);
  }

  /** Keeps what a nested domain is made of. */
  addNested(domain: HostDomain, nested: ArmNested): void {
    this.nested.set(domain, nested);
  }

  attach(devices: readonly HostDevice[], domain: HostDomain | null): Errno | null {
    if (domain !== null && domain.iommu !== this) return 'EINVAL';
    const streams: Stream[] = [];
    for (const device of devices) {
      const stream = this.streamFor(device, domain);
      if (refused(stream)) return stream;
      streams.push(stream);
    }
    devices.forEach((device, i) => {
      this.hardware.install(device.sid, streams[i]);
      this.setMaster(device, domain);
    });
    return null;
  }

  /** Whom events of a device are told to. */
  private setMaster(device: HostDevice, domain: HostDomain | null): void {
    const vsmmu = domain === null ? undefined : this.nested.get(domain)?.vsmmu;
    const vsid = vsmmu?.vsidOf(device) ?? -1;
    const guest = vsmmu === undefined || vsid < 0 ? null : { vsmmu, vsid };
    this.masters.set(device.sid, { device, domain, guest });
  }

  /** An event that the SMMU has recorded, as halves; see {@link handleEvent}. */
  reportEvent(event: Int32Array): Errno | null {
    return handleEvent(event, this.masters.get(event[1] >>> 0), (command) => this.run(command));
  }

  private streamFor(device: HostDevice, domain: HostDomain | null): Stream | Errno {
    if (domain === null) return { kind: 'abort' };
    if (domain instanceof ArmDomain) {
      const { stage, table, tag } = domain;
      return stage === 1
        ? { kind: 'stage 1', table, asid: tag, stalls: device.stalls === true }
        : { kind: 'stage 2', table, vmid: tag };
    }
    const nested = this.nested.get(domain);
    if (nested === undefined) throw new Error(`${this.name}: a domain that is nobody's`);
    const { guest, vsmmu } = nested;
    // Without a vStreamID neither invalidations nor events would find the device.
    if (vsmmu.vsidOf(device) < 0 && !guest.isUntranslated) return 'ENOENT';
    return { kind: 'nested', table: vsmmu.parent.table, vmid: vsmmu.vmid, guest };
  }

  info(type: number): { type: number; bytes: Uint8Array } | Errno {
    if (type !== HW_INFO_TYPE.NONE && type !== HW_INFO_TYPE.ARM_SMMUV3) return 'EOPNOTSUPP';
    const [idr0, idr1, idr2, idr3, idr4, idr5, iidr, aidr] = this.hardware.registers;
    const halves = encodeHalves(HW_INFO_ARM_SMMUV3, { idr0, idr1, idr2, idr3, idr4, idr5, iidr, aidr });
    return { type: HW_INFO_TYPE.ARM_SMMUV3, bytes: bytesOf(halves) };
  }
}
