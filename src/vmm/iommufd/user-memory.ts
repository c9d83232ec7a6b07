/** The memory of the process that has iommufd open: what ioctls point to, and what is mapped for DMA. */

/** `PAGE_SIZE` of the host. */
export const PAGE_SIZE = 4096n;

/** `ULONG_MAX` of a kernel of 64 bits. */
export const ULONG_MAX = 0xffff_ffff_ffff_ffffn;

export interface UserMemory {
  /** The bytes from a user address on; null where not all of them are mapped (−EFAULT). */
  read(at: bigint, bytes: number): Uint8Array | null;
  /** @returns false where not all of them are mapped for writing (−EFAULT); then nothing need be written */
  write(at: bigint, bytes: Uint8Array): boolean;
  /** Page frame number behind a user address; −1 where nothing is mapped, or not for writing and that is asked for. */
  frameOf(at: bigint, write: boolean): number;
}

/** User memory of frames that follow one another, for tests and cases: one range, at a user address that is a multiple of the page. */
export class FlatUserMemory implements UserMemory {
  readonly bytes: Uint8Array;
  readonly at: bigint;
  /** By page: its frame. */
  readonly frames: number[];

  /** @param frame of the first page */
  constructor(at: bigint, pages: number, frame: number) {
    this.at = at;
    this.bytes = new Uint8Array(pages * Number(PAGE_SIZE));
    this.frames = Array.from({ length: pages }, (_, i) => frame + i);
  }

  read(at: bigint, bytes: number): Uint8Array | null {
    const offset = this.offsetOf(at, bytes);
    return offset < 0 ? null : this.bytes.slice(offset, offset + bytes);
  }

  write(at: bigint, bytes: Uint8Array): boolean {
    const offset = this.offsetOf(at, bytes.length);
    if (offset < 0) return false;
    this.bytes.set(bytes, offset);
    return true;
  }

  frameOf(at: bigint, _write: boolean): number {
    const offset = this.offsetOf(at, 1);
    return offset < 0 ? -1 : this.frames[Math.floor(offset / Number(PAGE_SIZE))];
  }

  private offsetOf(at: bigint, bytes: number): number {
    const offset = at - this.at;
    return offset < 0n || offset + BigInt(bytes) > BigInt(this.bytes.length) ? -1 : Number(offset);
  }
}
