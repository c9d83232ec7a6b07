/** The memory of a machine around a model. Addresses are physical ones, values unsigned. */
import type { Value } from './platform.ts';

export class ModelRam {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  private readonly from: number;
  private readonly end: number;

  /** @param from where it begins */
  constructor(from: number, bytes: number) {
    this.from = from;
    this.end = from + bytes;
    this.bytes = new Uint8Array(bytes);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Whether so many bytes are all there. */
  has(at: number, bytes: number): boolean {
    return at >= this.from && at + bytes <= this.end;
  }

  clear(at: number, bytes: number): void {
    this.bytes.fill(0, at - this.from, at - this.from + bytes);
  }

  store(at: number, size: 4 | 8, value: bigint | number): void {
    if (size === 4) this.view.setUint32(at - this.from, Number(value), true);
    else this.view.setBigUint64(at - this.from, BigInt(value), true);
  }

  load(at: number, size: 4 | 8): number | bigint {
    return size === 4 ? this.view.getUint32(at - this.from, true) : this.view.getBigUint64(at - this.from, true);
  }

  dump(at: number, bytes: number): Value {
    return Buffer.from(this.bytes.buffer, at - this.from, bytes).toString('hex');
  }

  /** @returns whether all of it is there; nothing is done if not */
  write(at: number, bytes: Uint8Array): boolean {
    if (!this.has(at, bytes.length)) return false;
    this.bytes.set(bytes, at - this.from);
    return true;
  }

  /** @returns as of {@link write}; what is not there is read as zeros */
  read(at: number, into: Uint8Array): boolean {
    into.fill(0);
    if (!this.has(at, into.length)) return false;
    into.set(this.bytes.subarray(at - this.from, at - this.from + into.length));
    return true;
  }
}
