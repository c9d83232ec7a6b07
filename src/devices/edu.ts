/**
 * QEMU's `edu` (docs/specs/edu.rst), as far as it does DMA: a buffer of 4 KiB in the device that is read from memory or written to it.
 * Its registers of 64 bits are accessed by 8 bytes here.
 */
import type { DmaPort } from './dma-port.ts';

/** Offsets in the BAR. */
export const EDU = { SOURCE: 0x80, DESTINATION: 0x88, COUNT: 0x90, COMMAND: 0x98 } as const;
/** COMMAND: start, which reads as 1 while the transfer has not run; direction, 1 is to memory. The interrupt (bit 2) is not modelled. */
export const EDU_COMMAND = { start: 1, toMemory: 2 } as const;
/** Where the device's own buffer is, in the addresses that SOURCE and DESTINATION take. */
export const EDU_BUFFER = 0x40000;
export const EDU_BUFFER_BYTES = 4096;

export class Edu {
  private readonly dma: DmaPort;
  private readonly buffer = new Uint8Array(EDU_BUFFER_BYTES);
  /** SOURCE, DESTINATION, COUNT, COMMAND: lower and upper half each. */
  private readonly values = new Uint32Array(8);

  constructor(dma: DmaPort) {
    this.dma = dma;
  }

  /** QEMU keeps the buffer over a reset, and the registers. */
  read64(offset: number): { lo: number; hi: number } {
    const at = indexOf(offset);
    return at < 0 ? { lo: 0, hi: 0 } : { lo: this.values[at], hi: this.values[at + 1] };
  }

  /** Registers are the device's own while a transfer waits for its time: writes are dropped. */
  write64(offset: number, lo: number, hi: number): void {
    const at = indexOf(offset);
    if (at < 0 || (this.values[6] & EDU_COMMAND.start) !== 0) return;
    // A command without start is no command.
    if (offset === EDU.COMMAND && (lo & EDU_COMMAND.start) === 0) return;
    this.values[at] = lo;
    this.values[at + 1] = hi;
  }

  /**
   * The time of a transfer has come: 100 ms after its start, in QEMU.
   * @throws RangeError where it leaves the buffer; QEMU copies from beside it
   */
  elapse(): void {
    const { values, buffer } = this;
    const command = values[6];
    if ((command & EDU_COMMAND.start) === 0) return;
    const toMemory = (command & EDU_COMMAND.toMemory) !== 0;
    const [inside, insideHi] = toMemory ? [values[0], values[1]] : [values[2], values[3]];
    const [lo, hi] = toMemory ? [values[2], values[3]] : [values[0], values[1]];
    const from = inside - EDU_BUFFER;
    const count = values[4];
    if (insideHi !== 0 || values[5] !== 0 || from < 0 || from + count > buffer.length)
      throw new RangeError(`edu: ${count} bytes at 0x${inside.toString(16)} leave its buffer`);
    const part = buffer.subarray(from, from + count);
    if (toMemory) this.dma.write(hi, lo, part);
    else this.dma.read(hi, lo, part);
    values[6] &= ~EDU_COMMAND.start;
  }
}

function indexOf(offset: number): number {
  return offset >= EDU.SOURCE && offset <= EDU.COMMAND && offset % 8 === 0 ? (offset - EDU.SOURCE) / 4 : -1;
}
