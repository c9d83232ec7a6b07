/** What iommufd drives: the IOMMU drivers of the host with their devices. The model of an IOMMU, or a record of calls, stands behind it. */
import type { Errno } from './errno.ts';
import type { Invalidated } from './invalidate.ts';
import type { Range } from './ranges.ts';
import type { UserArray, UserData } from './user-array.ts';
import type { UserMemory } from './user-memory.ts';

/** What DMA may do with a mapping. */
export interface Rights {
  readonly read: boolean;
  readonly write: boolean;
}

/** Dirty tracking of a page table in hardware. */
export interface DirtyTracking {
  set(enabled: boolean): Errno | null;
  /**
   * Finds what was written in a mapped range.
   * @param clear whether what is found is clean afterwards, once {@link flush} was called
   * @param found is told of each dirty leaf in the range; null where nobody wants to know
   */
  take(
    iova: bigint,
    length: bigint,
    clear: boolean,
    found: ((iova: bigint, length: bigint) => void) | null,
  ): Errno | null;
  /** Invalidates what {@link take} made clean (iommu_iotlb_sync). */
  flush(): void;
}

/** One page request. */
export interface PageFault {
  /** null: without. */
  readonly pasid: number | null;
  readonly address: bigint;
  /** READ 1, WRITE 2, EXEC 4, PRIV 8. */
  readonly perm: number;
}

/** Page requests that a device waits for and that are answered together (`iopf_group`). */
export interface FaultReport {
  readonly device: HostDevice;
  /** Page request group index; of an SMMU, the STAG. */
  readonly index: number;
  readonly faults: readonly PageFault[];
  /** What hardware is told: success, so that it tries again, or not. */
  readonly respond: (success: boolean) => void;
}

/** What page tables of all kinds have. */
interface Faulting {
  /** Takes page requests of devices that are attached (`iopf_handler`); set with a fault queue. @returns whether it has taken them */
  faultHandler?: (report: FaultReport) => boolean;
}

/** A page table that the kernel fills (`iommu_domain` of a paging type). */
export interface PagingDomain extends Faulting {
  readonly kind: 'paging';
  /** Whose driver has made it. */
  readonly iommu: HostIommu;
  /** A bit for each page size. */
  readonly pageSizes: bigint;
  readonly aperture: Range;
  readonly dirty: DirtyTracking | null;
  map(iova: bigint, address: bigint, length: bigint, rights: Rights): Errno | null;
  /** Unmaps, and returns when nothing of it is cached or under way any more. */
  unmap(iova: bigint, length: bigint): void;
  free(): void;
}

/** A page table that the guest fills, behind one that the kernel fills. */
export interface NestedDomain extends Faulting {
  readonly kind: 'nested';
  readonly iommu: HostIommu;
  /** IOMMU_HWPT_INVALIDATE; null where the driver has none (SMMUv3: on the vIOMMU instead). */
  readonly invalidate: ((memory: UserMemory, array: UserArray) => Invalidated) | null;
  free(): void;
}

export type HostDomain = PagingDomain | NestedDomain;

/** A reserved region of a device (`IOMMU_RESV_*`). */
export interface ReservedRegion extends Range {
  readonly type: 'direct' | 'direct-relaxable' | 'reserved' | 'msi' | 'sw-msi';
}

/** A device of the host, with what decides whether it may be given away. */
export interface HostDevice {
  readonly name: string;
  readonly iommu: HostIommu;
  /** Devices of one IOMMU group share their attachment. */
  readonly group: number;
  /** Its first StreamID, requester id or the like. */
  readonly sid: number;
  /** IOMMU_CAP_CACHE_COHERENCY. */
  readonly coherent: boolean;
  /** Nothing but interrupt remapping lets its writes to the MSI window pass. */
  readonly isolatedMsi: boolean;
  readonly dirtyTracking: boolean;
  /** A virtual function with PRI, which it shares with its physical function: no fault queue for it. */
  readonly sharedPri: boolean;
  /** Transactions of it may stall for as long as software likes (`dma-can-stall` of firmware: no PCI device); not if absent. */
  readonly stalls?: boolean;
  readonly reserved: readonly ReservedRegion[];
}

/** The driver's part of a vIOMMU; what it cannot do is null. */
export interface HostViommu {
  /** Who is told of events for the guest, by type of vEVENTQ; set by the vIOMMU itself. */
  listener: ((type: number, event: Uint8Array) => Errno | null) | null;
  allocateNested(flags: number, memory: UserMemory, data: UserData): NestedDomain | Errno;
  readonly invalidate: ((memory: UserMemory, array: UserArray) => Invalidated) | null;
  /** A device got a virtual id. The undoing is returned. */
  addDevice(device: HostDevice, virtId: bigint): (() => void) | Errno;
  readonly queues: HostQueues | null;
  /** What stands in the data that VIOMMU_ALLOC pointed to afterwards; null if nothing. */
  readonly answer: Uint8Array | null;
  free(): void;
}

/** Queues of a vIOMMU that hardware reads from the guest's memory. */
export interface HostQueues {
  supports(type: number): boolean;
  /** @returns the end of it, and the queue that must not end before it, as a handle that {@link add} returned */
  add(index: number, address: bigint, bytes: bigint): HostQueue | Errno;
}

export interface HostQueue {
  /** Which queue has to outlive this one. */
  readonly after: HostQueue | null;
  free(): void;
}

/** One IOMMU of the host. */
export interface HostIommu {
  readonly name: string;
  /** Page tables of one driver are of use to all of its IOMMUs, as far as they take them. */
  readonly driver: string;
  allocatePaging(device: HostDevice, flags: number, data: UserData | null): PagingDomain | Errno;
  /** On a parent, without vIOMMU; null where the driver has no such thing. */
  readonly allocateNested:
    | ((parent: PagingDomain, flags: number, memory: UserMemory, data: UserData) => NestedDomain | Errno)
    | null;
  /** Whether it has vIOMMUs of a type. */
  supportsViommu(type: number): boolean;
  createViommu(type: number, parent: PagingDomain, memory: UserMemory, data: UserData | null): HostViommu | Errno;
  /** Attaches a group's devices to a domain, or to none: DMA is blocked then. On refusal nothing has changed. */
  attach(devices: readonly HostDevice[], domain: HostDomain | null): Errno | null;
  /** What GET_HW_INFO tells of it. */
  info(type: number): { readonly type: number; readonly bytes: Uint8Array } | Errno;
}
