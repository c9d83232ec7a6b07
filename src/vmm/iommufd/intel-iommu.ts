/** Linux's driver of VT-d in scalable mode as iommufd meets it: page tables of any unit, guests' first stages behind a parent (drivers/iommu/intel of Linux 6.18). */
import { decodeHalves, encodeHalves } from '../../bits/index.ts';
import type { Errno } from './errno.ts';
import { refused } from './errno.ts';
import { HW_INFO_TYPE, HWPT_ALLOC_FLAGS, HWPT_DATA, VTD_S1_FLAGS } from './flags.ts';
import type { HostDevice, HostDomain, HostIommu, NestedDomain, PagingDomain, Rights } from './hardware.ts';
import { invalidateVtd } from './intel-nested.ts';
import { IdAllocator } from './smmu-ids.ts';
import { HW_INFO_VTD, HWPT_VTD_S1 } from './structures.ts';
import type { UserArray, UserData } from './user-array.ts';
import { bytesOf, copyUserData, halvesOf } from './user-array.ts';
import type { UserMemory } from './user-memory.ts';
import type { GuestFirstStage, VtdHardware, VtdTranslation } from './vtd-hardware.ts';
import type { VtdTable } from './vtd-table.ts';

const { NEST_PARENT, PASID } = HWPT_ALLOC_FLAGS;

/** Domain id 1 is the driver's own. */
const RESERVED_DIDS = 1;

/** Address widths of a guest's tables, by what its data say. */
const LEVELS: Readonly<Record<number, 4 | 5 | undefined>> = { 48: 4, 57: 5 };

/** A unit on which a domain has devices, and its id there. */
interface Attachment {
  readonly did: number;
  devices: number;
}

/** What both kinds of domains have: an id on each unit, as long as there are devices. */
abstract class IntelDomain {
  readonly iommu: IntelIommu;
  readonly attachments = new Map<IntelIommu, Attachment>();

  constructor(iommu: IntelIommu) {
    this.iommu = iommu;
  }

  /** Why it cannot be a unit's; null: it can. */
  abstract refusal(unit: IntelIommu): Errno | null;

  abstract translation(did: number): VtdTranslation;
}

/** The kernel's tables: of the first stage where there is one, of the second as parents. */
export class IntelPaging extends IntelDomain implements PagingDomain {
  readonly kind = 'paging';
  readonly isParent: boolean;
  readonly table: VtdTable;
  readonly dirty = null;
  /** Guests' tables in front of it. */
  readonly children = new Set<IntelNested>();

  constructor(iommu: IntelIommu, stage: 1 | 2, isParent: boolean) {
    super(iommu);
    this.isParent = isParent;
    this.table = iommu.hardware.table(stage);
  }

  get pageSizes(): bigint {
    return this.table.pageSizes;
  }

  /** First-stage addresses are sign-extended: the upper half is not the kernel's. */
  get aperture() {
    const bits = this.table.stage === 1 ? this.table.bits - 1 : this.table.bits;
    return { start: 0n, last: (1n << BigInt(bits)) - 1n };
  }

  refusal({ hardware: { features } }: IntelIommu): Errno | null {
    return (this.table.stage === 1 ? features.firstStage : features.secondStage) ? null : 'EINVAL';
  }

  translation(did: number): VtdTranslation {
    return { kind: 'paging', table: this.table, did };
  }

  map(iova: bigint, address: bigint, length: bigint, rights: Rights): Errno | null {
    return this.table.map(iova, address, length, rights);
  }

  /** On each unit; and for each guest's domain in front of it. */
  unmap(iova: bigint, length: bigint): void {
    for (const run of this.table.unmap(iova, length)) {
      for (const [{ hardware }, { did }] of this.attachments)
        if (this.table.stage === 1) hardware.flushFirstStage(did, run.iova, run.iova + run.length - 1n, true);
        else hardware.flushSecondStage(did, run);
      for (const child of this.children)
        for (const [{ hardware }, { did }] of child.attachments) hardware.flushSecondStage(did, run);
    }
  }

  free(): void {
    this.table.free();
  }
}

/** A guest's first stage, on its parent. */
export class IntelNested extends IntelDomain implements NestedDomain {
  readonly kind = 'nested';
  private readonly parent: IntelPaging;
  private readonly guest: GuestFirstStage | null;

  /** @param guest null: of an address width that there is not; no device can be attached */
  constructor(parent: IntelPaging, guest: GuestFirstStage | null) {
    super(parent.iommu);
    this.parent = parent;
    this.guest = guest;
    parent.children.add(this);
  }

  refusal(unit: IntelIommu): Errno | null {
    const { features } = unit.hardware;
    if (this.guest === null || (this.guest.levels === 5 && !features.fiveLevels)) return 'EINVAL';
    if ((this.guest.sre && !features.supervisor) || (this.guest.eafe && !features.extendedAccessed)) return 'EINVAL';
    return features.nested ? this.parent.refusal(unit) : 'EINVAL';
  }

  translation(did: number): VtdTranslation {
    return { kind: 'nested', parent: this.parent.table, guest: this.guest as GuestFirstStage, did };
  }

  readonly invalidate = (memory: UserMemory, array: UserArray) =>
    invalidateVtd(memory, array, ({ from, last, leafOnly }) => {
      for (const [{ hardware }, { did }] of this.attachments) hardware.flushFirstStage(did, from, last, leafOnly);
    });

  free(): void {
    this.parent.children.delete(this);
  }
}

export class IntelIommu implements HostIommu {
  readonly driver = 'intel-iommu';
  readonly hardware: VtdHardware;
  private readonly dids: IdAllocator;
  /** By requester id. */
  private readonly attached = new Map<number, IntelDomain>();

  constructor(hardware: VtdHardware) {
    this.hardware = hardware;
    this.dids = new IdAllocator(hardware.didBits);
    for (let i = 0; i < RESERVED_DIDS; i++) this.dids.allocate();
  }

  get name(): string {
    return this.hardware.name;
  }

  /** The first stage is preferred. */
  allocatePaging(_device: HostDevice, flags: number, data: UserData | null): PagingDomain | Errno {
    const { firstStage, nested, secondStage } = this.hardware.features;
    if (data !== null) return 'EOPNOTSUPP';
    if ((flags & ~PASID) === 0 && firstStage) return new IntelPaging(this, 1, false);
    if ((flags & ~(NEST_PARENT | PASID)) !== 0 || !secondStage) return 'EOPNOTSUPP';
    const isParent = (flags & NEST_PARENT) !== 0;
    return isParent && !nested ? 'EOPNOTSUPP' : new IntelPaging(this, 2, isParent);
  }

  readonly allocateNested = (parent: PagingDomain, flags: number, memory: UserMemory, data: UserData) => {
    if ((flags & ~PASID) !== 0 || data.type !== HWPT_DATA.VTD_S1) return 'EOPNOTSUPP';
    if (!(parent instanceof IntelPaging) || !parent.isParent) return 'EINVAL';
    const bytes = HWPT_VTD_S1.width / 8;
    const given = copyUserData(memory, data, HWPT_DATA.VTD_S1, bytes, bytes);
    if (refused(given)) return given;
    const { addr_width, flags: how, pgtbl_addr } = decodeHalves(HWPT_VTD_S1, halvesOf(given));
    const has = (flag: number) => (how & BigInt(flag)) !== 0n;
    const levels = LEVELS[addr_width];
    // An address width is looked at when a device is attached.
    const guest = {
      table: pgtbl_addr,
      sre: has(VTD_S1_FLAGS.SRE),
      eafe: has(VTD_S1_FLAGS.EAFE),
      wpe: has(VTD_S1_FLAGS.WPE),
    };
    return new IntelNested(parent, levels === undefined ? null : { ...guest, levels });
  };

  supportsViommu(): boolean {
    return false;
  }

  createViommu(): Errno {
    return 'EOPNOTSUPP';
  }

  attach(devices: readonly HostDevice[], domain: HostDomain | null): Errno | null {
    if (domain !== null && !(domain instanceof IntelPaging || domain instanceof IntelNested)) return 'EINVAL';
    const refusal = domain?.refusal(this) ?? null;
    if (refusal !== null) return refusal;
    const known = domain?.attachments.get(this);
    const did = known?.did ?? (domain === null ? 0 : this.dids.allocate());
    if (domain !== null && did === 0) return 'ENOSPC';
    if (domain !== null && known === undefined) domain.attachments.set(this, { did, devices: 0 });
    for (const { sid } of devices) {
      const old = this.attached.get(sid);
      const before = old?.attachments.get(this)?.did ?? null;
      this.hardware.install(sid, domain === null ? { kind: 'blocked' } : domain.translation(did), before);
      if (domain === null) this.attached.delete(sid);
      else {
        this.attached.set(sid, domain);
        (domain.attachments.get(this) as Attachment).devices++;
      }
      if (old !== undefined) this.leave(old);
    }
    return null;
  }

  /** The last device of a domain takes its id with it. */
  private leave(domain: IntelDomain): void {
    const attachment = domain.attachments.get(this) as Attachment;
    if (--attachment.devices > 0) return;
    domain.attachments.delete(this);
    this.hardware.flushSecondStage(attachment.did, null);
    this.dids.free(attachment.did);
  }

  info(type: number): { type: number; bytes: Uint8Array } | Errno {
    if (type !== HW_INFO_TYPE.NONE && type !== HW_INFO_TYPE.INTEL_VTD) return 'EOPNOTSUPP';
    const { cap, ecap } = this.hardware;
    const halves = encodeHalves(HW_INFO_VTD, { cap_reg: cap, ecap_reg: ecap });
    return { type: HW_INFO_TYPE.INTEL_VTD, bytes: bytesOf(halves) };
  }
}
