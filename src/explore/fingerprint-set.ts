/** A set of 64-bit fingerprints, open addressing, 8 bytes a slot. Exact over fingerprints: nothing is ever dropped. */
export class FingerprintSet {
  size = 0;
  private slots: Int32Array;
  private mask: number;

  constructor(capacity = 1 << 10) {
    this.slots = new Int32Array(capacity * 2);
    this.mask = capacity - 1;
  }

  /** Adds it. @returns false if it was there */
  add(a: number, b: number): boolean {
    if (this.size * 4 > (this.mask + 1) * 3) this.grow();
    return this.insert(a, a === 0 && b === 0 ? 1 : b);
  }

  private insert(a: number, b: number): boolean {
    const { slots, mask } = this;
    for (let i = (a ^ (b >>> 7)) & mask; ; i = (i + 1) & mask) {
      const slotA = slots[2 * i];
      const slotB = slots[2 * i + 1];
      if (slotA === a && slotB === b) return false;
      if (slotA === 0 && slotB === 0) {
        slots[2 * i] = a;
        slots[2 * i + 1] = b;
        this.size++;
        return true;
      }
    }
  }

  private grow(): void {
    const old = this.slots;
    this.slots = new Int32Array(old.length * 2);
    this.mask = this.mask * 2 + 1;
    this.size = 0;
    for (let i = 0; i < old.length; i += 2) if (old[i] !== 0 || old[i + 1] !== 0) this.insert(old[i], old[i + 1]);
  }

  /** Expected number of states lost because two had one fingerprint: n² / 2^65. */
  get expectedCollisions(): number {
    return this.size ** 2 / 2 ** 65;
  }

  get bytes(): number {
    return this.slots.byteLength;
  }
}
