/** Guest memory that somebody else owns, a VMM or an emulator, as an IOMMU reads it. */
import type { Memory } from '../../machine/index.ts';

/** Guest memory by calls. Addresses are byte addresses below 2^52 and multiples of 8, or of 4 where 32 bits are meant. */
export interface GuestMemory {
  /** Whether memory decodes the 8 bytes at an address. Asked before anything is read or written there. */
  has(address: number): boolean;
  /** The 32-bit word at an address, signed or unsigned. */
  read32(address: number): number;
  write32(address: number, value: number): void;
}

/** Memory from address 0 on, in one buffer: of a SharedArrayBuffer, too. Little-endian, as the host has to be. */
export type GuestBuffer = Uint8Array | ArrayBufferLike;

/** @throws RangeError where a view does not begin at a multiple of 4 bytes of its buffer */
export function guestMemory(of: GuestBuffer | GuestMemory): Memory {
  if (of instanceof Uint8Array) return new BufferMemory(of.buffer, of.byteOffset, of.byteLength);
  return 'has' in of ? new CalledMemory(of) : new BufferMemory(of, 0, of.byteLength);
}

class BufferMemory implements Memory {
  private readonly words: Int32Array;
  /** A 64-bit word begins below this index. */
  private readonly limit: number;

  constructor(buffer: ArrayBufferLike, offset: number, bytes: number) {
    if (offset % 4 !== 0) throw new RangeError(`guest memory begins at byte ${offset} of its buffer; a multiple of 4`);
    this.words = new Int32Array(buffer, offset, Math.floor(bytes / 4));
    this.limit = this.words.length - 1;
  }

  locate(pfn: number, word: number): number {
    const at = pfn * 1024 + word * 2;
    return at < this.limit ? at : -1;
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

/** Its handles are byte addresses. */
class CalledMemory implements Memory {
  private readonly guest: GuestMemory;

  constructor(guest: GuestMemory) {
    this.guest = guest;
  }

  locate(pfn: number, word: number): number {
    const at = pfn * 4096 + word * 8;
    return this.guest.has(at) ? at : -1;
  }

  lo(at: number): number {
    return this.guest.read32(at) | 0;
  }

  hi(at: number): number {
    return this.guest.read32(at + 4) | 0;
  }

  write(at: number, lo: number, hi: number): void {
    this.guest.write32(at, lo);
    this.guest.write32(at + 4, hi);
  }
}
