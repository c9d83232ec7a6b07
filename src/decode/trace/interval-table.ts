/**
 * Ranges of pages that do not overlap, in order, in typed arrays: what is mapped, or waits for a flush.
 *
 * One level of leaves below a list of them. A slot takes 56 bytes; two neighbours that together fill half a leaf, or less, are merged, so
 * that a range takes 224 bytes on average at most, whatever came before.
 */

/** Slots of a leaf. */
const SLOTS = 64;

/** Where a range came from. */
export interface Origin {
  /** Seconds. */
  time: number;
  /** Line of the trace. */
  line: number;
  /** Physical page that the first page leads to; -1 where the event has none. */
  target: number;
  /** Whatever the owner of the table keeps with it, a whole number. */
  tag: number;
  /** Line of another event that it belongs to; 0 for none. */
  other: number;
}

/** Numbers of a slot: first page, page behind the last, time, line, target, tag, other. */
const WIDTH = 7;

class Leaf {
  count = 0;
  readonly slots = new Float64Array(SLOTS * WIDTH);

  /** Slots from `from` on move by `by`. */
  shift(from: number, by: number): void {
    this.slots.copyWithin((from + by) * WIDTH, from * WIDTH, this.count * WIDTH);
    this.count += by;
  }

  /** The slots of another from `from` on become the last of this one. */
  take(leaf: Leaf, from: number): void {
    this.slots.set(leaf.slots.subarray(from * WIDTH, leaf.count * WIDTH), this.count * WIDTH);
    this.count += leaf.count - from;
    leaf.count = from;
  }
}

export class IntervalTable {
  /** Ranges that are in it. */
  size = 0;
  private leaves: Leaf[] = [];
  /** First page of each leaf. */
  private firsts: number[] = [];
  private leafAt = 0;
  private slotAt = 0;
  /** The slot that was found. */
  private slots = new Float64Array(WIDTH);
  private place = 0;
  /** What was sought last, if nothing has changed since; and whether there is a range behind it. */
  private sought = -1;
  private isThere = false;

  /** What {@link find} found: its first page. */
  get foundStart(): number {
    return this.slots[this.place];
  }

  /** The page behind its last. */
  get foundEnd(): number {
    return this.slots[this.place + 1];
  }

  get foundTime(): number {
    return this.slots[this.place + 2];
  }

  get foundLine(): number {
    return this.slots[this.place + 3];
  }

  /** A copy of all that is known of it. */
  get found(): Origin {
    const { place, slots } = this;
    const [time, line, target, tag, other] = slots.subarray(place + 2, place + WIDTH);
    return { time, line, target, tag, other };
  }

  /** Bytes of the leaves. */
  get bytes(): number {
    return this.leaves.length * SLOTS * WIDTH * Float64Array.BYTES_PER_ELEMENT;
  }

  clear(): void {
    this.leaves.length = 0;
    this.firsts.length = 0;
    this.size = 0;
    this.sought = -1;
  }

  /** The first range that ends behind `start`, if it begins before `end`; its fields are then in `found…`. */
  find(start: number, end: number): boolean {
    if (!this.seek(start)) return false;
    const { slots } = this.leaves[this.leafAt];
    const place = this.slotAt * WIDTH;
    if (slots[place] >= end) return false;
    this.slots = slots;
    this.place = place;
    return true;
  }

  /** Pages of `start` … `end` that are in it. */
  covered(start: number, end: number): number {
    let pages = 0;
    for (let at = start; at < end && this.find(at, end); at = this.foundEnd) {
      pages += Math.min(end, this.foundEnd) - Math.max(start, this.foundStart);
    }
    return pages;
  }

  /** Nothing of the range may be in it. */
  insert(start: number, end: number, of: Readonly<Origin>): void {
    const { leaves } = this;
    if (leaves.length === 0) {
      leaves.push(new Leaf());
      this.firsts.push(start);
    }
    if (!this.seek(start)) {
      this.leafAt = leaves.length - 1;
      this.slotAt = leaves[this.leafAt].count;
    } else if (this.slotAt === 0 && this.leafAt > 0 && leaves[this.leafAt - 1].count < SLOTS) {
      this.leafAt--;
      this.slotAt = leaves[this.leafAt].count;
    }
    let leaf = leaves[this.leafAt];
    if (leaf.count === SLOTS) leaf = this.split(leaf);
    const slot = this.slotAt;
    leaf.shift(slot, 1);
    const { slots } = leaf;
    const to = slot * WIDTH;
    slots[to] = start;
    slots[to + 1] = end;
    slots[to + 2] = of.time;
    slots[to + 3] = of.line;
    slots[to + 4] = of.target;
    slots[to + 5] = of.tag;
    slots[to + 6] = of.other;
    if (slot === 0) this.firsts[this.leafAt] = start;
    this.size++;
    this.sought = -1;
  }

  /** Takes the range out that was found. */
  removeFound(): void {
    this.drop(this.leaves[this.leafAt], this.slotAt);
  }

  /** Takes `start` … `end` out; a range that goes beyond keeps the rest, or both rests. */
  remove(start: number, end: number): void {
    while (this.seek(start)) {
      const leaf = this.leaves[this.leafAt];
      const slot = this.slotAt;
      const { slots } = leaf;
      const place = slot * WIDTH;
      const from = slots[place];
      const to = slots[place + 1];
      if (from >= end) return;
      if (from >= start && to <= end) {
        this.drop(leaf, slot);
        continue;
      }
      if (from < start) {
        slots[place + 1] = start;
        this.sought = -1;
        if (to <= end) continue;
        this.find(from, start);
        const { found } = this;
        this.sought = -1;
        this.insert(end, to, { ...found, target: moved(found.target, end - from) });
      } else {
        slots[place] = end;
        slots[place + 4] = moved(slots[place + 4], end - from);
        if (slot === 0) this.firsts[this.leafAt] = end;
        this.sought = -1;
      }
      return;
    }
  }

  /** The last range that begins before `page`; false if there is none. */
  findBefore(page: number): boolean {
    if (!this.seek(page)) {
      this.sought = -1;
      this.leafAt = this.leaves.length - 1;
      if (this.leafAt < 0) return false;
      this.slotAt = this.leaves[this.leafAt].count - 1;
    } else if (this.leaves[this.leafAt].slots[this.slotAt * WIDTH] >= page) {
      this.sought = -1;
      if (this.slotAt > 0) this.slotAt--;
      else if (this.leafAt > 0) this.slotAt = this.leaves[--this.leafAt].count - 1;
      else return false;
    }
    const { slots } = this.leaves[this.leafAt];
    return this.find(slots[this.slotAt * WIDTH], page);
  }

  /** Each range in order, in `found…`. */
  each(visit: () => void): void {
    for (let at = 0; this.find(at, Infinity); at = this.foundEnd) visit();
  }

  /** Finds the first range that ends behind `page`. */
  private seek(page: number): boolean {
    if (page !== this.sought) {
      this.isThere = this.search(page);
      this.sought = page;
    }
    return this.isThere;
  }

  private search(page: number): boolean {
    const { firsts, leaves } = this;
    let low = 0;
    let high = firsts.length;
    if (high === 0) return false;
    while (low < high) {
      const mid = (low + high) >>> 1;
      if (firsts[mid] <= page) low = mid + 1;
      else high = mid;
    }
    let at = low === 0 ? 0 : low - 1;
    let { count, slots } = leaves[at];
    if (slots[count * WIDTH - WIDTH + 1] <= page) {
      if (++at === leaves.length) return false;
      ({ count, slots } = leaves[at]);
    }
    low = 0;
    high = count - 1;
    while (low < high) {
      const mid = (low + high) >>> 1;
      if (slots[mid * WIDTH + 1] <= page) low = mid + 1;
      else high = mid;
    }
    this.leafAt = at;
    this.slotAt = low;
    return true;
  }

  /** Makes room in a full leaf: at its end for what comes in order, which leaves it full. @returns where the slot is now */
  private split(leaf: Leaf): Leaf {
    const next = new Leaf();
    const keep = this.slotAt === SLOTS ? SLOTS : SLOTS / 2;
    next.take(leaf, keep);
    const inNext = this.slotAt >= keep && (this.slotAt > keep || keep === SLOTS);
    this.leaves.splice(this.leafAt + 1, 0, next);
    this.firsts.splice(this.leafAt + 1, 0, next.slots[0]);
    if (!inNext) return leaf;
    this.leafAt++;
    this.slotAt -= keep;
    return next;
  }

  private drop(leaf: Leaf, slot: number): void {
    const at = this.leafAt;
    leaf.shift(slot + 1, -1);
    this.size--;
    this.sought = -1;
    if (leaf.count === 0) {
      this.leaves.splice(at, 1);
      this.firsts.splice(at, 1);
      return;
    }
    if (slot === 0) this.firsts[at] = leaf.slots[0];
    if (at + 1 < this.leaves.length && leaf.count + this.leaves[at + 1].count <= SLOTS / 2) this.merge(at);
    else if (at > 0 && leaf.count + this.leaves[at - 1].count <= SLOTS / 2) this.merge(at - 1);
  }

  private merge(at: number): void {
    this.leaves[at].take(this.leaves[at + 1], 0);
    this.leaves.splice(at + 1, 1);
    this.firsts.splice(at + 1, 1);
  }
}

function moved(target: number, pages: number): number {
  return target < 0 ? target : target + pages;
}
