/** A page table as a list of what it maps, for a host whose tables nobody walks. */
import type { Errno } from './errno.ts';
import type { DirtyTracking, Rights } from './hardware.ts';
import type { Stage2Root } from './nested-ste.ts';
import type { Range } from './ranges.ts';
import { overlaps } from './ranges.ts';
import type { HostTable, Unmapped } from './smmu-hardware.ts';
import { PAGE_SIZE } from './user-memory.ts';

interface Mapping extends Range {
  readonly address: bigint;
  readonly rights: Rights;
}

export class MappingTable implements HostTable, DirtyTracking {
  readonly root: Stage2Root = { S2TTB: 0n, S2T0SZ: 16, S2SL0: 2, S2TG: 0, S2PS: 5, S2FWB: 1 };
  readonly pageSizes: bigint;
  readonly bits: number;
  readonly dirty: DirtyTracking;
  readonly mappings: Mapping[] = [];
  tracks = false;
  /** How often what was made clean was invalidated. */
  flushes = 0;
  /** Page numbers that were written while that was tracked. */
  private readonly written = new Set<bigint>();

  constructor(bits = 48, pageSizes = PAGE_SIZE | (2n << 20n) | (1n << 30n)) {
    this.bits = bits;
    this.pageSizes = pageSizes;
    this.dirty = this;
  }

  map(iova: bigint, address: bigint, length: bigint, rights: Rights): Errno | null {
    const range = { start: iova, last: iova + length - 1n };
    if (this.mappings.some((one) => overlaps(one, range))) return 'EEXIST';
    this.mappings.push({ ...range, address, rights });
    return null;
  }

  unmap(iova: bigint, length: bigint): readonly Unmapped[] {
    const range = { start: iova, last: iova + length - 1n };
    for (let i = this.mappings.length - 1; i >= 0; i--)
      if (overlaps(this.mappings[i], range)) this.mappings.splice(i, 1);
    return [{ iova, length, leaf: PAGE_SIZE }];
  }

  free(): void {
    this.mappings.length = 0;
  }

  /** @returns the physical address, or null where DMA faults */
  translate(iova: bigint, write: boolean): bigint | null {
    const found = this.mappings.find(({ last, start }) => start <= iova && iova <= last);
    if (found === undefined || !(write ? found.rights.write : found.rights.read)) return null;
    if (write && this.tracks) this.written.add(iova / PAGE_SIZE);
    return found.address + iova - found.start;
  }

  set(enabled: boolean): Errno | null {
    this.tracks = enabled;
    return null;
  }

  take(
    iova: bigint,
    length: bigint,
    clear: boolean,
    found: ((iova: bigint, length: bigint) => void) | null,
  ): Errno | null {
    for (const page of [...this.written].sort((a, b) => (a < b ? -1 : 1))) {
      const at = page * PAGE_SIZE;
      if (at < iova || at >= iova + length) continue;
      found?.(at, PAGE_SIZE);
      if (clear) this.written.delete(page);
    }
    return null;
  }

  flush(): void {
    this.flushes++;
  }
}
