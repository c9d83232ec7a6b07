/** A list of 32-bit numbers that grows. Read and write `at` directly below `length`. */
export class IntList {
  at: Int32Array<ArrayBuffer>;
  length = 0;

  constructor(capacity = 1 << 8) {
    this.at = new Int32Array(capacity);
  }

  push(value: number): void {
    if (this.length === this.at.length) {
      const bigger = new Int32Array(this.at.length * 2);
      bigger.set(this.at);
      this.at = bigger;
    }
    this.at[this.length++] = value;
  }

  /** Takes the last one off. */
  pop(): number {
    return this.at[--this.length];
  }
}
