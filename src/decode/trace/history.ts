/** What was unmapped last: for faults, which come after the unmap that made them. A ring of fixed size, 56 bytes an entry. */

/** Unmaps that are kept. */
export const KEPT = 65_536;
const WIDTH = 7;

export class History {
  /** Of the entry that was found. */
  start = 0;
  end = 0;
  mapTime = 0;
  mapLine = 0;
  time = 0;
  line = 0;
  maker = 0;
  /** Unmaps so far. */
  count = 0;
  private slots = new Float64Array(64 * WIDTH);

  add(start: number, end: number, mapTime: number, mapLine: number, time: number, line: number, maker: number): void {
    const { length } = this.slots;
    if (this.count * WIDTH >= length && length < KEPT * WIDTH) {
      const larger = new Float64Array(length * 2);
      larger.set(this.slots);
      this.slots = larger;
    }
    const at = (this.count % KEPT) * WIDTH;
    const { slots } = this;
    slots[at] = start;
    slots[at + 1] = end;
    slots[at + 2] = mapTime;
    slots[at + 3] = mapLine;
    slots[at + 4] = time;
    slots[at + 5] = line;
    slots[at + 6] = maker;
    this.count++;
  }

  /** The last unmap, of those before entry `from`, of a range that has something of `start` … `end`. @returns its number; -1 for none */
  find(start: number, end: number, from = this.count): number {
    const { slots } = this;
    const oldest = Math.max(0, this.count - KEPT);
    for (let i = from - 1; i >= oldest; i--) {
      const at = (i % KEPT) * WIDTH;
      if (slots[at] >= end || slots[at + 1] <= start) continue;
      this.start = slots[at];
      this.end = slots[at + 1];
      this.mapTime = slots[at + 2];
      this.mapLine = slots[at + 3];
      this.time = slots[at + 4];
      this.line = slots[at + 5];
      this.maker = slots[at + 6];
      return i;
    }
    return -1;
  }
}
