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
import { DEVICE, ENABLE } from './vtd-guest.ts';

const PASID = 3;
const LEVELS = 4;
/** Where the mapped addresses begin, in GiB. */
const FIRST_GIB = 16;
/** Upper part of the frames of the pages: from 4 GiB on. */
const PAGES_HI = 1;

const ROOT = 1;
const CONTEXT = 2;
const DIRECTORY = 3;
const PASID_TABLE = 4;
const FIRST_TABLE = 5;

const bitsOf = (...fields: readonly { readonly lo: number }[]) => fields.reduce((sum, { lo }) => sum | (1 << lo), 0);
/** Flags that are set already: what a translation costs where nothing is to be written. */
const FIRST_BITS = bitsOf(FS_PAGE.P, FS_PAGE.RW, FS_PAGE.US, FS_PAGE.A, FS_PAGE.D);
const SECOND_BITS = bitsOf(SS_PAGE.R, SS_PAGE.W);

export class ScalableGuest {
  readonly pages: number;
  private readonly iommu: VtdEmulator;
  private readonly words: Int32Array;
  private nextTable = FIRST_TABLE;

  /** @param pages 4 KiB pages that are mapped, one after the other. @param nested whether everything goes through a second stage */
  constructor(pages: number, nested: boolean) {
    this.pages = pages;
    const tables = 2 * (Math.ceil(pages / 512) + Math.ceil(pages / (512 * 512)) + LEVELS) + 32;
    this.words = new Int32Array((FIRST_TABLE + tables) * 1024);
    const [first, second] = [this.nextTable++, this.nextTable++];
    for (let page = 0; page < pages; page++) this.map(first, FIRST_GIB * 0x40000 + page, page, PAGES_HI, FIRST_BITS);
    if (nested) {
      for (let page = 0; page < pages; page++)
        this.map(second, PAGES_HI * 0x100000 + page, page, PAGES_HI, SECOND_BITS);
      // The guest's tables, which the first stage refers to by its own addresses.
      const end = this.nextTable;
      for (let frame = 0; frame < end; frame++) this.map(second, frame, frame, 0, SECOND_BITS);
    }
    const put = (frame: number, at: number, halves: Int32Array) => this.words.set(halves, frame * 1024 + at);
    put(ROOT, 0, encodeHalves(ROOT_ENTRY, { P: 1, CTP: BigInt(CONTEXT * 4096) }));
    put(
      CONTEXT,
      DEVICE * 8,
      encodeHalves(SM_CONTEXT_ENTRY, { P: 1, PASIDE: 1, PASIDDIRPTR: BigInt(DIRECTORY * 4096) }),
    );
    put(DIRECTORY, 0, encodeHalves(PASID_DIRECTORY_ENTRY, { P: 1, SMPTBLPTR: BigInt(PASID_TABLE * 4096) }));
    const pointers = { FSPTPTR: BigInt(first * 4096), SSPTPTR: nested ? BigInt(second * 4096) : 0n };
    const PGTT_OF = nested ? PGTT.nested : PGTT.firstStage;
    put(
      PASID_TABLE,
      PASID * 16,
      encodeHalves(PASID_TABLE_ENTRY, { P: 1, PGTT: PGTT_OF, AW: 2, DID: 7, PWSNP: 1, ...pointers }),
    );
    const ecap = { SMTS: 1, FSTS: 1, SSTS: 1, NEST: 1, PASID: 1, PSS: 19, RPS: 1, SMPWCS: 1 };
    this.iommu = new VtdEmulator({ memory: this.words.buffer, ecap });
    this.iommu.write(RTADDR.offset, 8, ROOT * 4096 + 2 ** RTADDR.TTM.lo);
    this.iommu.write(GCMD.offset, 4, 2 ** GCMD.SRTP.lo);
    this.iommu.write(GCMD.offset, 4, ENABLE);
  }

  private map(top: number, vpn: number, frameLo: number, frameHi: number, bits: number): void {
    let table = top;
    for (let level = LEVELS; level > 1; level--) {
      const at = table * 1024 + (Math.floor(vpn / 512 ** (level - 1)) % 512) * 2;
      if (this.words[at] === 0) this.words[at] = (this.nextTable++ << 12) | bits;
      table = (this.words[at] as number) >>> 12;
    }
    this.words[table * 1024 + (vpn % 512) * 2] = (frameLo << 12) | bits;
    this.words[table * 1024 + (vpn % 512) * 2 + 1] = frameHi;
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
      const reason = iommu.translatePageWithPasid(DEVICE, PASID, FIRST_GIB + (page >>> 18), page & 0x3ffff, read);
      if (reason !== 0 || iommu.frameLo !== (page & 0xfffff)) wrong++;
    }
    if (wrong > 0) throw new Error(`${wrong} of ${count} translations went wrong`);
    return at;
  }
}
