/** A guest with a VT-d unit whose driver has mapped many pages: what the translation benchmarks measure, through the public interface. */
import { encodeHalves } from '../bits/index.ts';
import type { CacheSizes } from '../iommu/vtd/index.ts';
import { CONTEXT_ENTRY, GCMD, REQUEST, ROOT_ENTRY, RTADDR, SS_PAGE, VtdEmulator } from '../iommu/vtd/index.ts';

/** 00:02.0. */
export const DEVICE = 0x10;
export const DOMAIN = 7;
/** Where the mapped addresses begin, in GiB: away from the interrupt range. */
const FIRST_GIB = 16;

const ROOT = 1;
const CONTEXT = 2;
/** Frames of the invalidation queue and of its status word. */
export const QUEUE = 3;
export const STATUS = 4;
const FIRST_TABLE = 5;

const READ_WRITE = (1 << SS_PAGE.R.lo) | (1 << SS_PAGE.W.lo);

export const ENABLE = 2 ** GCMD.TE.lo;

export class VtdGuest {
  readonly iommu: VtdEmulator;
  readonly words: Int32Array;
  readonly pages: number;
  private nextTable = FIRST_TABLE;
  private readonly leaves: number[] = [];

  /** @param pages 4 KiB pages that are mapped, one after the other */
  constructor(pages: number, levels: 3 | 4, caches: Partial<CacheSizes> = {}) {
    this.pages = pages;
    const tables = Math.ceil(pages / 512) + Math.ceil(pages / (512 * 512)) + levels;
    this.words = new Int32Array((FIRST_TABLE + tables) * 1024);
    const top = this.nextTable++;
    this.words.set(encodeHalves(ROOT_ENTRY, { P: 1, CTP: BigInt(CONTEXT * 4096) }), ROOT * 1024);
    const context = { P: 1, AW: levels - 2, DID: DOMAIN, SSPTPTR: BigInt(top * 4096) };
    this.words.set(encodeHalves(CONTEXT_ENTRY, context), CONTEXT * 1024 + DEVICE * 4);
    for (let page = 0; page < pages; page++) this.map(top, levels, page);
    this.iommu = new VtdEmulator({ memory: this.words.buffer, caches });
    this.iommu.write(RTADDR.offset, 8, ROOT * 4096);
    this.iommu.write(GCMD.offset, 4, 2 ** GCMD.SRTP.lo);
    this.iommu.write(GCMD.offset, 4, ENABLE);
  }

  private map(top: number, levels: number, page: number): void {
    let table = top;
    const vpn = FIRST_GIB * 0x40000 + page;
    for (let level = levels; level > 1; level--) {
      const at = table * 1024 + (Math.floor(vpn / 512 ** (level - 1)) % 512) * 2;
      if (this.words[at] === 0) {
        if (level === 2) this.leaves.push(this.nextTable);
        this.words[at] = (this.nextTable++ << 12) | READ_WRITE;
      }
      table = (this.words[at] as number) >>> 12;
    }
    // Frames from 4 GiB on, in the order of the pages.
    this.words[table * 1024 + (vpn % 512) * 2] = (page << 12) | READ_WRITE;
    this.words[table * 1024 + (vpn % 512) * 2 + 1] = 1 + (page >>> 20);
  }

  /** Translates the pages of `order`, again and again, for reads; every answer is checked. @param from number of the first, goes on where the last call ended */
  translate(order: Int32Array, from: number, count: number): number {
    const { iommu } = this;
    const { length } = order;
    const { read } = REQUEST;
    let at = from;
    let wrong = 0;
    for (let i = 0; i < count; i++) {
      const page = order[at] as number;
      at++;
      if (at === length) at = 0;
      const reason = iommu.translatePage(DEVICE, FIRST_GIB + (page >>> 18), page & 0x3ffff, read);
      if (reason !== 0 || iommu.frameLo !== (page & 0xfffff)) wrong++;
    }
    if (wrong > 0) throw new Error(`${wrong} of ${count} translations went wrong`);
    return at;
  }

  /** Makes every page not present, behind the IOTLB's back. */
  clearLeaves(): void {
    for (const table of this.leaves) this.words.fill(0, table * 1024, (table + 1) * 1024);
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
