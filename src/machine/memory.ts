/**
 * Guest memory as an IOMMU sees it: find a 64-bit word by page frame and index, then read or write its halves.
 * Implementations: {@link RamMemory} and the sparse memory of a case.
 */
export interface Memory {
  /**
   * @param pfn page frame number (byte address / 4096), below 2^52
   * @param word index of the 64-bit word in its page, 0..511
   * @returns a handle for {@link lo}, {@link hi} and {@link write}, or −1 where nothing decodes the address
   */
  locate(pfn: number, word: number): number;
  lo(at: number): number;
  hi(at: number): number;
  write(at: number, lo: number, hi: number): void;
  /** Has `changed` called after each change of a word, with its handle; absent where nobody can be told. */
  watch?(changed: (at: number) => void): void;
}

/** Memory over one buffer that starts at address 0. */
export class RamMemory implements Memory {
  readonly words: Int32Array;
  readonly frames: number;

  /** @param frames size in 4 KiB pages */
  constructor(frames: number) {
    this.frames = frames;
    this.words = new Int32Array(frames * 1024);
  }

  locate(pfn: number, word: number): number {
    return pfn < this.frames ? pfn * 1024 + word * 2 : -1;
  }

  lo(at: number): number {
    return this.words[at];
  }

  hi(at: number): number {
    return this.words[at + 1];
  }

  write(at: number, lo: number, hi: number): void {
    this.words[at] = lo;
    this.words[at + 1] = hi;
  }
}
