/**
 * What the guests of the translation benchmarks have in common: a driver has mapped many pages of 4 KiB, one after the other, by tables of 512
 * entries. Input addresses begin at {@link FIRST_GIB}, output addresses at 4 GiB.
 */

/** Where the mapped addresses begin, in GiB: away from what IOMMUs treat in a way of its own. */
export const FIRST_GIB = 16;
/** Frame of the first page: from 4 GiB on, so that the upper half of an entry counts. */
const FIRST_FRAME = 2 ** 20;
/** Entries of a table. */
const ENTRIES = 512;

/** Lower halves of entries without their addresses. Flags are set that a walk would set: a translation is measured where nothing is to be written. */
export interface EntryBits {
  readonly table: number;
  readonly leaf: number;
}

/** What tables are made of, and how many are to be made. */
export interface TableSizes {
  /** Frames before the first table, for structures. */
  readonly frames: number;
  readonly levels: number;
  /** Whether there may be a second stage: see {@link TableGuest.mapThrough}. */
  readonly stages: 1 | 2;
}

/** Tables that map the frames of the guest's own ones in a second stage, and some to spare. */
const OWN_TABLES = 32;

export abstract class TableGuest {
  readonly pages: number;
  /** Memory, from address 0 on: 1024 words a frame. */
  readonly words: Int32Array<ArrayBuffer>;
  private readonly levels: number;
  private nextTable: number;
  /** Frames of tables of the lowest level. */
  protected readonly leaves: number[] = [];

  /** @param pages 4 KiB pages that are mapped, one after the other: up to 2^20 */
  constructor(pages: number, { frames, levels, stages }: TableSizes) {
    this.pages = pages;
    this.levels = levels;
    this.nextTable = frames;
    const tables = Math.ceil(pages / ENTRIES) + Math.ceil(pages / ENTRIES ** 2) + levels;
    this.words = new Int32Array((frames + stages * tables + (stages - 1) * OWN_TABLES) * 1024);
  }

  /** @returns the frame of an empty table */
  protected newTable(): number {
    return this.nextTable++;
  }

  /** Maps all pages. @param top frame of the table of the highest level */
  protected mapPages(top: number, bits: EntryBits): void {
    for (let page = 0; page < this.pages; page++) this.map(top, FIRST_GIB * 0x40000 + page, FIRST_FRAME + page, bits);
  }

  /** Maps what the pages lead to, and the guest's structures and tables so far, each to itself: a second stage below a first one. */
  protected mapThrough(top: number, bits: EntryBits): void {
    for (let page = 0; page < this.pages; page++) this.map(top, FIRST_FRAME + page, FIRST_FRAME + page, bits);
    const end = this.nextTable;
    for (let frame = 0; frame < end; frame++) this.map(top, frame, frame, bits);
  }

  private map(top: number, vpn: number, frame: number, { table: tableBits, leaf }: EntryBits): void {
    const { words } = this;
    let table = top;
    for (let level = this.levels; level > 1; level--) {
      const at = table * 1024 + (Math.floor(vpn / ENTRIES ** (level - 1)) % ENTRIES) * 2;
      if (words[at] === 0) {
        if (level === 2) this.leaves.push(this.nextTable);
        words[at] = (this.newTable() << 12) | tableBits;
      }
      table = (words[at] as number) >>> 12;
    }
    const at = table * 1024 + (vpn % ENTRIES) * 2;
    words[at] = (frame << 12) | leaf;
    words[at + 1] = Math.floor(frame / 2 ** 20);
  }

  /** Puts a structure into memory. @param at word of the frame */
  protected put(frame: number, at: number, halves: Int32Array): void {
    this.words.set(halves, frame * 1024 + at);
  }

  /** Translates the pages of `order`, again and again, for reads; every answer is checked. @param from number of the first, goes on where the last call ended */
  translate(order: Int32Array, from: number, count: number): number {
    const wrong = this.translateEach(order, from, count);
    if (wrong > 0) throw new Error(`${wrong} of ${count} translations went wrong`);
    return (from + count) % order.length;
  }

  /**
   * What is measured: translates so many pages of `order` in turn. A loop of its own for each guest, as one that all shared would call another unit each
   * time, which no compiler looks into; with constants of the guest's own module, as imported ones made a hit of VT-d 5 % slower (V8 11.3).
   * @returns how many answers were wrong
   */
  protected abstract translateEach(order: Int32Array, from: number, count: number): number;

  /** Makes every page not present, behind the back of what is cached. */
  clearLeaves(): void {
    for (const table of this.leaves) this.words.fill(0, table * 1024, (table + 1) * 1024);
  }
}
