/** A guest with a VT-d unit whose driver has mapped many pages: what the translation benchmarks measure, through the public interface. */
import { encodeHalves } from '../bits/index.ts';
import type { CacheSizes } from '../iommu/vtd/index.ts';
import { CONTEXT_ENTRY, GCMD, REQUEST, ROOT_ENTRY, RTADDR, SS_PAGE, VtdEmulator } from '../iommu/vtd/index.ts';
import { FIRST_GIB, TableGuest } from './table-guest.ts';

/** 00:02.0. */
export const DEVICE = 0x10;
export const DOMAIN = 7;

const ROOT = 1;
const CONTEXT = 2;
/** Frames of the invalidation queue and of its status word. */
export const QUEUE = 3;
export const STATUS = 4;
const FIRST_TABLE = 5;

const READ_WRITE = (1 << SS_PAGE.R.lo) | (1 << SS_PAGE.W.lo);

/** See {@link TableGuest.translateEach}. */
const FIRST = FIRST_GIB;

export const ENABLE = 2 ** GCMD.TE.lo;

export class VtdGuest extends TableGuest {
  readonly iommu: VtdEmulator;

  /** @param pages 4 KiB pages that are mapped, one after the other */
  constructor(pages: number, levels: 3 | 4, caches: Partial<CacheSizes> = {}) {
    super(pages, { frames: FIRST_TABLE, levels, stages: 1 });
    const top = this.newTable();
    this.put(ROOT, 0, encodeHalves(ROOT_ENTRY, { P: 1, CTP: BigInt(CONTEXT * 4096) }));
    const context = { P: 1, AW: levels - 2, DID: DOMAIN, SSPTPTR: BigInt(top * 4096) };
    this.put(CONTEXT, DEVICE * 4, encodeHalves(CONTEXT_ENTRY, context));
    this.mapPages(top, { table: READ_WRITE, leaf: READ_WRITE });
    this.iommu = new VtdEmulator({ memory: this.words.buffer, caches });
    this.iommu.write(RTADDR.offset, 8, ROOT * 4096);
    this.iommu.write(GCMD.offset, 4, 2 ** GCMD.SRTP.lo);
    this.iommu.write(GCMD.offset, 4, ENABLE);
  }

  protected translateEach(order: Int32Array, from: number, count: number): number {
    const { iommu } = this;
    const { read } = REQUEST;
    const { length } = order;
    let at = from;
    let wrong = 0;
    for (let i = 0; i < count; i++) {
      const page = order[at] as number;
      at++;
      if (at === length) at = 0;
      const reason = iommu.translatePage(DEVICE, FIRST + (page >>> 18), page & 0x3ffff, read);
      if (reason !== 0 || iommu.frameLo !== (page & 0xfffff)) wrong++;
    }
    return wrong;
  }

  /** Index in {@link words} of the entry of the page, whose walk reads it last. */
  leafAt(page: number): number {
    return (this.leaves[page >>> 9] as number) * 1024 + (page & 511) * 2;
  }

  /** Byte address of a mapped page. */
  address(page: number): number {
    return FIRST_GIB * 2 ** 30 + page * 4096;
  }
}
