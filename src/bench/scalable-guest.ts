/** As {@link VtdGuest}, in scalable mode: a PASID whose first stage maps many pages, alone or through a second stage of 4 KiB pages. */
import { encodeHalves } from '../bits/index.ts';
import {
  FS_PAGE,
  GCMD,
  PASID_DIRECTORY_ENTRY,
  PASID_TABLE_ENTRY,
  PGTT,
  REQUEST,
  ROOT_ENTRY,
  RTADDR,
  SM_CONTEXT_ENTRY,
  SS_PAGE,
  VtdEmulator,
} from '../iommu/vtd/index.ts';
import { FIRST_GIB, TableGuest } from './table-guest.ts';
import { DEVICE, ENABLE } from './vtd-guest.ts';

const PASID = 3;

const ROOT = 1;
const CONTEXT = 2;
const DIRECTORY = 3;
const PASID_TABLE = 4;
const FIRST_TABLE = 5;

const bitsOf = (...fields: readonly { readonly lo: number }[]) => fields.reduce((sum, { lo }) => sum | (1 << lo), 0);
const FIRST_BITS = bitsOf(FS_PAGE.P, FS_PAGE.RW, FS_PAGE.US, FS_PAGE.A, FS_PAGE.D);
const SECOND_BITS = bitsOf(SS_PAGE.R, SS_PAGE.W);

/** See {@link TableGuest.translateEach}. */
const FIRST = FIRST_GIB;

export class ScalableGuest extends TableGuest {
  private readonly iommu: VtdEmulator;

  /** @param pages 4 KiB pages that are mapped, one after the other. @param nested whether everything goes through a second stage */
  constructor(pages: number, nested: boolean) {
    super(pages, { frames: FIRST_TABLE, levels: 4, stages: 2 });
    const [first, second] = [this.newTable(), this.newTable()];
    this.mapPages(first, { table: FIRST_BITS, leaf: FIRST_BITS });
    if (nested) this.mapThrough(second, { table: SECOND_BITS, leaf: SECOND_BITS });
    this.put(ROOT, 0, encodeHalves(ROOT_ENTRY, { P: 1, CTP: BigInt(CONTEXT * 4096) }));
    const context = { P: 1, PASIDE: 1, PASIDDIRPTR: BigInt(DIRECTORY * 4096) };
    this.put(CONTEXT, DEVICE * 8, encodeHalves(SM_CONTEXT_ENTRY, context));
    const directory = { P: 1, SMPTBLPTR: BigInt(PASID_TABLE * 4096) };
    this.put(DIRECTORY, 0, encodeHalves(PASID_DIRECTORY_ENTRY, directory));
    const pointers = { FSPTPTR: BigInt(first * 4096), SSPTPTR: nested ? BigInt(second * 4096) : 0n };
    const type = nested ? PGTT.nested : PGTT.firstStage;
    const entry = { P: 1, PGTT: type, AW: 2, DID: 7, PWSNP: 1, ...pointers };
    this.put(PASID_TABLE, PASID * 16, encodeHalves(PASID_TABLE_ENTRY, entry));
    const ecap = { SMTS: 1, FSTS: 1, SSTS: 1, NEST: 1, PASID: 1, PSS: 19, RPS: 1, SMPWCS: 1 };
    this.iommu = new VtdEmulator({ memory: this.words.buffer, ecap });
    this.iommu.write(RTADDR.offset, 8, ROOT * 4096 + 2 ** RTADDR.TTM.lo);
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
      const reason = iommu.translatePageWithPasid(DEVICE, PASID, FIRST + (page >>> 18), page & 0x3ffff, read);
      if (reason !== 0 || iommu.frameLo !== (page & 0xfffff)) wrong++;
    }
    return wrong;
  }
}
