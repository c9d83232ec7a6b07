/** A guest with an SMMU whose driver has mapped many pages of 4 KiB by stage 1, alone or through a stage 2 of 4 KiB pages: see {@link VtdGuest}. */
import { encodeHalves } from '../bits/index.ts';
import type { CacheSizes } from '../iommu/smmuv3/index.ts';
import {
  CD,
  CR0,
  REQUEST,
  SmmuEmulator,
  STAGE1,
  STAGE2,
  STE,
  STE_CONFIG,
  STRTAB_BASE,
  STRTAB_BASE_CFG,
} from '../iommu/smmuv3/index.ts';

const STREAM = 2;
const LEVELS = 4;
/** Where the mapped addresses begin, in GiB. */
const FIRST_GIB = 16;
/** Upper half of the output addresses: from 4 GiB on. */
const PAGES_HI = 1;

const STREAMS = 1;
const CONTEXT = 2;
const FIRST_TABLE = 3;

const PAGE1 = STAGE1[4].leaf[3];
const PAGE2 = STAGE2[4].leaf[3];
const lower = (halves: Int32Array): number => halves[0] as number;
const TABLE = lower(encodeHalves(STAGE1[4].table, {}));
/** Flags that are set already: what a translation costs where nothing is to be written. AP 1: for everybody, read and write. */
const PAGE1_BITS = lower(encodeHalves(PAGE1, { AF: 1, AP: 1, nG: 1 }));
const PAGE2_BITS = lower(encodeHalves(PAGE2, { AF: 1, S2AP: 3, MemAttr: 15 }));
const bitOf = ({ lo }: { readonly lo: number }) => 1 << lo;

export class SmmuGuest {
  readonly pages: number;
  private readonly iommu: SmmuEmulator;
  private readonly words: Int32Array;
  private nextTable = FIRST_TABLE;
  private readonly leaves: number[] = [];

  /** @param pages of 4 KiB that are mapped, one after the other. @param nested whether everything goes through stage 2 */
  constructor(pages: number, nested: boolean, caches: Partial<CacheSizes> = {}) {
    this.pages = pages;
    const tables = 2 * (Math.ceil(pages / 512) + Math.ceil(pages / (512 * 512)) + LEVELS) + 32;
    this.words = new Int32Array((FIRST_TABLE + tables) * 1024);
    const [first, second] = [this.nextTable++, this.nextTable++];
    for (let page = 0; page < pages; page++) this.map(first, FIRST_GIB * 0x40000 + page, page, PAGES_HI, PAGE1_BITS);
    if (nested) {
      for (let page = 0; page < pages; page++) this.map(second, PAGES_HI * 0x100000 + page, page, PAGES_HI, PAGE2_BITS);
      // The guest's tables and its CD, which stage 1 refers to by IPAs.
      const end = this.nextTable;
      for (let frame = 0; frame < end; frame++) this.map(second, frame, frame, 0, PAGE2_BITS);
    }
    const put = (frame: number, at: number, halves: Int32Array) => this.words.set(halves, frame * 1024 + at);
    put(
      STREAMS,
      STREAM * 16,
      encodeHalves(STE, {
        ...{ V: 1, Config: nested ? STE_CONFIG.s1s2 : STE_CONFIG.s1, S1ContextPtr: BigInt(CONTEXT * 4096), S2VMID: 7 },
        ...{ S2T0SZ: 16, S2SL0: 2, S2PS: 5, S2AA64: 1, S2R: 1, S2TTB: nested ? BigInt(second * 4096) : 0n },
      }),
    );
    put(
      CONTEXT,
      0,
      encodeHalves(CD, {
        ...{ V: 1, AA64: 1, T0SZ: 16, EPD1: 1, IPS: 5, R: 1, A: 1, ASID: 3, TTB0: BigInt(first * 4096) },
      }),
    );
    this.iommu = new SmmuEmulator({ memory: this.words.buffer, caches });
    this.iommu.write(STRTAB_BASE.offset, 8, STREAMS * 4096);
    this.iommu.write(STRTAB_BASE_CFG.offset, 4, 4);
    this.iommu.write(CR0.offset, 4, bitOf(CR0.SMMUEN));
  }

  private map(top: number, vpn: number, frameLo: number, hi: number, bits: number): void {
    let table = top;
    for (let level = LEVELS; level > 1; level--) {
      const at = table * 1024 + (Math.floor(vpn / 512 ** (level - 1)) % 512) * 2;
      if (this.words[at] === 0) {
        if (level === 2) this.leaves.push(this.nextTable);
        this.words[at] = (this.nextTable++ << 12) | TABLE;
      }
      table = (this.words[at] as number) >>> 12;
    }
    this.words[table * 1024 + (vpn % 512) * 2] = (frameLo << 12) | bits;
    this.words[table * 1024 + (vpn % 512) * 2 + 1] = hi;
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
      const event = iommu.translateHalves(STREAM, -1, FIRST_GIB >>> 2, page << 12, read);
      if (event !== 0 || iommu.outLo !== page << 12) wrong++;
    }
    if (wrong > 0) throw new Error(`${wrong} of ${count} translations went wrong`);
    return at;
  }

  /** Makes every page invalid, behind the TLB's back. */
  clearLeaves(): void {
    for (const table of this.leaves) this.words.fill(0, table * 1024, (table + 1) * 1024);
  }
}
