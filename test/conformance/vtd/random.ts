/** A small generator of random numbers, the same everywhere (mulberry32). */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed | 0;
  }

  /** 0 … 2^32 − 1. */
  word(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** 0 … n − 1. */
  below(n: number): number {
    return Math.floor((this.word() / 0x100000000) * n);
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  /** `bits` random bits. */
  big(bits: number): bigint {
    const all = (BigInt(this.word()) << 32n) | BigInt(this.word());
    return BigInt.asUintN(bits, all);
  }
}
