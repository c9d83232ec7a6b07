/** Words of a slot: both halves of the fingerprint, the value plus 1 (so that 0 is a free slot). */
const SLOT = 3;

/** Numbers (0 to 2^31 − 2) by 64-bit fingerprints; open addressing, 12 bytes a slot. Nothing is ever dropped. */
export class FingerprintMap {
  size = 0;
  private slots: Int32Array;
  private mask: number;

  /** @param capacity slots to begin with, a power of two */
  constructor(capacity = 1 << 10) {
    this.slots = new Int32Array(capacity * SLOT);
    this.mask = capacity - 1;
  }

  /** The number of a fingerprint, −1 if it has none. */
  get(a: number, b: number): number {
    return this.slots[this.find(a, b) + 2] - 1;
  }

  /** Gives it a number, in place of the one that it may have. */
  set(a: number, b: number, value: number): void {
    const at = this.find(a, b);
    const isNew = this.slots[at + 2] === 0;
    this.slots[at] = a;
    this.slots[at + 1] = b;
    this.slots[at + 2] = value + 1;
    if (!isNew) return;
    this.size++;
    if (this.size * 4 > (this.mask + 1) * 3) this.grow();
  }

  /** Offset of the fingerprint's slot, or of the free one where it would go. */
  private find(a: number, b: number): number {
    const { slots, mask } = this;
    for (let i = (a ^ (b >>> 7)) & mask; ; i = (i + 1) & mask) {
      const at = i * SLOT;
      if (slots[at + 2] === 0 || (slots[at] === a && slots[at + 1] === b)) return at;
    }
  }

  private grow(): void {
    const old = this.slots;
    this.mask = this.mask * 2 + 1;
    this.slots = new Int32Array((this.mask + 1) * SLOT);
    for (let i = 0; i < old.length; i += SLOT) {
      if (old[i + 2] === 0) continue;
      const at = this.find(old[i], old[i + 1]);
      for (let k = 0; k < SLOT; k++) this.slots[at + k] = old[i + k];
    }
  }
}
