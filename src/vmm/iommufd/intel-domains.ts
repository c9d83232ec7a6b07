/** Page tables as Linux's driver of VT-d has them: an id on each unit, the kernel's own, and guests' first stages in front of those. */
import type { Errno } from './errno.ts';
import { GatheredDirty } from './gathered-dirty.ts';
import type { DirtyTracking, NestedDomain, PagingDomain, Rights } from './hardware.ts';
import type { IntelIommu } from './intel-iommu.ts';
import { invalidateVtd } from './intel-nested.ts';
import type { Unmapped } from './smmu-hardware.ts';
import type { UserArray } from './user-array.ts';
import type { UserMemory } from './user-memory.ts';
import type { GuestFirstStage, VtdTranslation } from './vtd-hardware.ts';
import type { VtdTable } from './vtd-table.ts';

/** A unit on which a domain has devices, and its id there. */
export interface Attachment {
  readonly did: number;
  devices: number;
}

/** What both kinds of domains have: an id on each unit, as long as there are devices. */
export abstract class IntelDomain {
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
  readonly dirty: DirtyTracking | null;
  private tracksDirty = false;
  /** Guests' tables in front of it. */
  readonly children = new Set<IntelNested>();

  constructor(iommu: IntelIommu, stage: 1 | 2, { canTrackDirty = false, isParent = false } = {}) {
    super(iommu);
    this.isParent = isParent;
    this.table = iommu.hardware.table(stage);
    this.dirty = canTrackDirty ? this.dirtyTracking() : null;
  }

  private dirtyTracking(): DirtyTracking {
    const { table } = this;
    const take: DirtyTracking['take'] = (iova, length, clear, found) => {
      table.takeDirty(iova, length, clear, found ?? (() => {}));
      return null;
    };
    const set = (enabled: boolean) => this.track(enabled);
    const gathered = new GatheredDirty({ set, take, flush: () => {} }, (run) => this.flush(run));
    return {
      set,
      // Nothing can be told of a time in which nothing was tracked.
      take: (iova, length, clear, found) =>
        found !== null && !this.tracksDirty ? 'EINVAL' : gathered.take(iova, length, clear, found),
      flush: () => gathered.flush(),
    };
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
    if (this.dirty !== null && !features.dirty) return 'EINVAL';
    return (this.table.stage === 1 ? features.firstStage : features.secondStage) ? null : 'EINVAL';
  }

  /** In the PASID-table entries of all devices. */
  private track(enabled: boolean): null {
    this.tracksDirty = enabled;
    for (const unit of this.attachments.keys()) unit.reinstall(this);
    return null;
  }

  translation(did: number): VtdTranslation {
    return { kind: 'paging', table: this.table, did, tracksDirty: this.tracksDirty };
  }

  map(iova: bigint, address: bigint, length: bigint, rights: Rights): Errno | null {
    return this.table.map(iova, address, length, rights);
  }

  unmap(iova: bigint, length: bigint): void {
    for (const run of this.table.unmap(iova, length)) this.flush(run);
  }

  /** On each unit; and for each guest's domain in front of it. */
  private flush(run: Unmapped): void {
    for (const [{ hardware }, { did }] of this.attachments)
      if (this.table.stage === 1) hardware.flushFirstStage(did, run.iova, run.iova + run.length - 1n, true);
      else hardware.flushSecondStage(did, run);
    for (const child of this.children)
      for (const [{ hardware }, { did }] of child.attachments) hardware.flushSecondStage(did, run);
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
