/** The machine of machine.ts out of this repository's parts. */
import type { DmaPort } from '../../../src/devices/dma-port.ts';
import { Edu } from '../../../src/devices/edu.ts';
import { IommuTestdev } from '../../../src/devices/iommu-testdev.ts';
import type { SmmuUnitOptions } from '../../../src/iommu/smmuv3/index.ts';
import { REQUEST, SmmuEmulator } from '../../../src/iommu/smmuv3/index.ts';
import type { Access, Platform, Value } from '../platform.ts';
import { CLEARED, FLASH_BYTES, MAP, SID } from './machine.ts';

/** Pages of the smallest granule: no translation is of less. */
const PAGE = 4096;
const RAM_END = MAP.ram + MAP.ramBytes;

/** Whether an address is in the upper window of PCI Express, where nothing has a BAR: reads are all ones, and no error. */
const isWindow = (at: number) => at >= 512 * 2 ** 30 && at < 1024 * 2 ** 30;

export class ModelPlatform implements Platform {
  readonly name = 'model';
  readonly smmu: SmmuEmulator;
  private readonly ram = new Uint8Array(MAP.ramBytes);
  private readonly view = new DataView(this.ram.buffer);
  private readonly edu: Edu;
  private readonly testdevs: readonly IommuTestdev[];

  constructor(options: SmmuUnitOptions) {
    const memory = {
      has: (at: number) => at < FLASH_BYTES || (at >= MAP.ram && at + 8 <= RAM_END),
      read32: (at: number) => (at < FLASH_BYTES ? 0 : this.view.getInt32(at - MAP.ram, true)),
      write32: (at: number, value: number) => {
        if (at >= MAP.ram) this.view.setInt32(at - MAP.ram, value, true);
      },
    };
    this.smmu = new SmmuEmulator({ ...options, memory });
    const direct: DmaPort = {
      write: (hi, lo, bytes) => this.memoryWrite(hi * 2 ** 32 + lo, bytes),
      read: (hi, lo, into) => this.memoryRead(hi * 2 ** 32 + lo, into),
    };
    this.edu = new Edu(this.through(SID.edu));
    this.testdevs = SID.testdev.map((sid) => new IommuTestdev(this.through(sid), direct));
  }

  reset(): Promise<void> {
    this.smmu.reset();
    this.ram.fill(0, CLEARED.from - MAP.ram, CLEARED.from - MAP.ram + CLEARED.bytes);
    for (const each of this.testdevs) each.reset();
    this.edu.write64(0x80, CLEARED.from, 0);
    this.edu.write64(0x88, 0x40000, 0);
    this.edu.write64(0x90, PAGE, 0);
    this.edu.write64(0x98, 1, 0);
    this.edu.elapse();
    return Promise.resolve();
  }

  run(program: readonly Access[]): Promise<Value[]> {
    const values: Value[] = [];
    for (const access of program) {
      if (access.do === 'write') this.store(access.at, access.size, access.value);
      else if (access.do === 'read') values.push(this.load(access.at, access.size));
      else if (access.do === 'dump') {
        values.push(Buffer.from(this.ram.buffer, access.at - MAP.ram, access.bytes).toString('hex'));
      } else if (access.do === 'elapse') this.edu.elapse();
    }
    return Promise.resolve(values);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private store(at: number, size: 4 | 8, value: bigint | number): void {
    if (at >= MAP.ram) {
      if (size === 4) this.view.setUint32(at - MAP.ram, Number(value), true);
      else this.view.setBigUint64(at - MAP.ram, BigInt(value), true);
      return;
    }
    if (at < MAP.edu) return this.smmu.write(at - MAP.smmu, size, value);
    const wide = BigInt(value);
    if (at < MAP.testdev[0])
      return this.edu.write64(at - MAP.edu, Number(wide & 0xffffffffn), Number((wide >> 32n) & 0xffffffffn));
    this.testdev(at).write32(at & 0xfff, Number(value));
  }

  private load(at: number, size: 4 | 8): Value {
    if (at >= MAP.ram) {
      const from = at - MAP.ram;
      return size === 4
        ? this.view.getUint32(from, true).toString(16)
        : this.view.getBigUint64(from, true).toString(16);
    }
    if (at < MAP.edu) return this.smmu.read(at - MAP.smmu, size as number).toString(16);
    return this.testdev(at)
      .read32(at & 0xfff)
      .toString(16);
  }

  /** @throws Error where none has its BAR */
  private testdev(at: number): IommuTestdev {
    const found = MAP.testdev.findIndex((bar) => bar === (at & ~0xfff) >>> 0);
    if (found < 0) throw new Error(`nothing decodes 0x${at.toString(16)}`);
    return this.testdevs[found];
  }

  /** A device's way to memory: page by page through the SMMU. */
  private through(sid: number): DmaPort {
    const each = (hi: number, lo: number, bytes: Uint8Array, kind: number): boolean => {
      let done = true;
      const start = (BigInt(hi) << 32n) | BigInt(lo);
      for (let from = 0; from < bytes.length; ) {
        const iova = BigInt.asUintN(64, start + BigInt(from));
        const part = bytes.subarray(from, from + Math.min(bytes.length - from, PAGE - Number(iova & 0xfffn)));
        const to = this.smmu.translate(sid, -1, iova, kind);
        const moved = to < 0 ? false : kind === REQUEST.read ? this.memoryRead(to, part) : this.memoryWrite(to, part);
        if (to < 0 && kind === REQUEST.read) part.fill(0);
        done = moved && done;
        from += part.length;
      }
      return done;
    };
    return {
      write: (hi, lo, bytes) => each(hi, lo, bytes, REQUEST.write),
      read: (hi, lo, into) => each(hi, lo, into, REQUEST.read),
    };
  }

  private memoryWrite(at: number, bytes: Uint8Array): boolean {
    // Flash takes writes for commands.
    if (at + bytes.length <= FLASH_BYTES || isWindow(at)) return true;
    if (at < MAP.ram || at + bytes.length > RAM_END) return false;
    this.ram.set(bytes, at - MAP.ram);
    return true;
  }

  private memoryRead(at: number, into: Uint8Array): boolean {
    into.fill(0);
    if (at + into.length <= FLASH_BYTES) return true;
    if (isWindow(at)) {
      into.fill(0xff);
      return true;
    }
    if (at < MAP.ram || at + into.length > RAM_END) return false;
    into.set(this.ram.subarray(at - MAP.ram, at - MAP.ram + into.length));
    return true;
  }
}
