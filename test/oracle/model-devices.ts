/** The devices of a machine around a model: an `edu` and `iommu-testdev`s, at the BARs that the back end gives them. */
import type { DmaPort } from '../../src/devices/dma-port.ts';
import { EDU, EDU_BUFFER, EDU_BUFFER_BYTES, EDU_COMMAND, Edu } from '../../src/devices/edu.ts';
import { IommuTestdev } from '../../src/devices/iommu-testdev.ts';
import type { Bars } from './platform.ts';

/** Pages of the smallest granule: no translation is of less. */
const PAGE = 4096;

/** What memory is to whom an address is physical. */
export interface Memory {
  /** @returns whether all of it is there */
  read(at: number, into: Uint8Array): boolean;
  write(at: number, bytes: Uint8Array): boolean;
}

/**
 * What a device asks for, of bytes within one page.
 * @param bytes are written, or read into. @returns whether it was done
 */
export type Access = (iova: bigint, bytes: Uint8Array, isWrite: boolean) => boolean;

export class ModelDevices {
  private readonly bars: Bars;
  private readonly edu: Edu;
  private readonly testdevs: readonly IommuTestdev[];

  /** @param bars that of `edu` is the lowest. @param sid requester ids. @param access of a device, through the IOMMU */
  constructor(bars: Bars, sid: Bars, memory: Memory, access: (sid: number) => Access) {
    this.bars = bars;
    const direct: DmaPort = {
      write: (hi, lo, bytes) => memory.write(hi * 2 ** 32 + lo, bytes),
      read: (hi, lo, into) => memory.read(hi * 2 ** 32 + lo, into),
    };
    this.edu = new Edu(pageByPage(access(sid.edu)));
    this.testdevs = sid.testdev.map((each) => new IommuTestdev(pageByPage(access(each)), direct));
  }

  /** @param zeros address of a page of them, which untranslated requests reach: the buffer of `edu` outlives a reset of its own */
  reset(zeros: number): void {
    for (const each of this.testdevs) each.reset();
    this.edu.write64(EDU.SOURCE, zeros, 0);
    this.edu.write64(EDU.DESTINATION, EDU_BUFFER, 0);
    this.edu.write64(EDU.COUNT, EDU_BUFFER_BYTES, 0);
    this.edu.write64(EDU.COMMAND, EDU_COMMAND.start, 0);
    this.elapse();
  }

  elapse(): void {
    this.edu.elapse();
  }

  /** Of `edu` 64 bits, of the others 32. @throws Error where nothing has its BAR */
  store(at: number, value: bigint | number): void {
    const wide = BigInt(value);
    if (at < this.bars.testdev[0])
      return this.edu.write64(at - this.bars.edu, Number(wide & 0xffffffffn), Number((wide >> 32n) & 0xffffffffn));
    this.testdev(at).write32(at & 0xfff, Number(value));
  }

  load(at: number): bigint | number {
    if (at >= this.bars.testdev[0]) return this.testdev(at).read32(at & 0xfff);
    const { lo, hi } = this.edu.read64(at - this.bars.edu);
    return (BigInt(hi) << 32n) | BigInt(lo);
  }

  private testdev(at: number): IommuTestdev {
    const found = this.bars.testdev.findIndex((bar) => bar === (at & ~0xfff) >>> 0);
    if (found < 0) throw new Error(`nothing decodes 0x${at.toString(16)}`);
    return this.testdevs[found];
  }
}

/** A device's way to memory. What cannot be reached is skipped, and read as zeros; the rest is done. */
function pageByPage(access: Access): DmaPort {
  const each = (hi: number, lo: number, bytes: Uint8Array, isWrite: boolean) => {
    const start = (BigInt(hi) << 32n) | BigInt(lo);
    let done = true;
    for (let from = 0; from < bytes.length; ) {
      const iova = BigInt.asUintN(64, start + BigInt(from));
      const part = bytes.subarray(from, from + Math.min(bytes.length - from, PAGE - Number(iova & 0xfffn)));
      if (!isWrite) part.fill(0);
      done = access(iova, part, isWrite) && done;
      from += part.length;
    }
    return done;
  };
  return {
    write: (hi, lo, bytes) => each(hi, lo, bytes, true),
    read: (hi, lo, into) => each(hi, lo, into, false),
  };
}
