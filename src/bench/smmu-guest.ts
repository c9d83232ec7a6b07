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
import { FIRST_GIB, TableGuest } from './table-guest.ts';

const STREAM = 2;

/** Frames. */
const STREAMS = 1;
const CONTEXT = 2;
const FIRST_TABLE = 3;

const PAGE1 = STAGE1[4].leaf[3];
const PAGE2 = STAGE2[4].leaf[3];
const lower = (halves: Int32Array): number => halves[0] as number;
const TABLE = lower(encodeHalves(STAGE1[4].table, {}));
/** AP 1: for everybody, read and write. */
const STAGE1_BITS = { table: TABLE, leaf: lower(encodeHalves(PAGE1, { AF: 1, AP: 1, nG: 1 })) };
const STAGE2_BITS = { table: TABLE, leaf: lower(encodeHalves(PAGE2, { AF: 1, S2AP: 3, MemAttr: 15 })) };
const bitOf = ({ lo }: { readonly lo: number }) => 1 << lo;

/** Upper half of the input addresses. */
const UPPER = FIRST_GIB >>> 2;

export class SmmuGuest extends TableGuest {
  private readonly iommu: SmmuEmulator;

  /** @param pages of 4 KiB that are mapped, one after the other. @param nested whether everything goes through stage 2 */
  constructor(pages: number, nested: boolean, caches: Partial<CacheSizes> = {}) {
    super(pages, { frames: FIRST_TABLE, levels: 4, stages: 2 });
    const [first, second] = [this.newTable(), this.newTable()];
    this.mapPages(first, STAGE1_BITS);
    if (nested) this.mapThrough(second, STAGE2_BITS);
    this.put(
      STREAMS,
      STREAM * 16,
      encodeHalves(STE, {
        ...{ V: 1, Config: nested ? STE_CONFIG.s1s2 : STE_CONFIG.s1, S1ContextPtr: BigInt(CONTEXT * 4096), S2VMID: 7 },
        ...{ S2T0SZ: 16, S2SL0: 2, S2PS: 5, S2AA64: 1, S2R: 1, S2TTB: nested ? BigInt(second * 4096) : 0n },
      }),
    );
    this.put(
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
      const event = iommu.translateHalves(STREAM, -1, UPPER, page << 12, read);
      if (event !== 0 || iommu.outLo !== page << 12) wrong++;
    }
    return wrong;
  }
}
