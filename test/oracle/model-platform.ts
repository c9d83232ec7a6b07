/** The machine of platform.ts out of this repository's parts. */
import type { DmaPort } from '../../src/devices/dma-port.ts';
import { Edu } from '../../src/devices/edu.ts';
import { IommuTestdev } from '../../src/devices/iommu-testdev.ts';
import type { RequestKind, VtdCore, VtdEmulatorOptions } from '../../src/iommu/vtd/index.ts';
import { REQUEST, VtdEmulator } from '../../src/iommu/vtd/index.ts';
import { RIGHT } from '../../src/iommu/vtd/scalable-entries.ts';
import type { Access, Platform, Value } from './platform.ts';
import { CLEARED, MAP, messageText, SID } from './platform.ts';

const PAGE = 4096;

export class ModelPlatform implements Platform {
  readonly name = 'model';
  readonly unit: VtdEmulator;
  /** Requests that were translated since the platform was made. */
  translations = 0;
  /** Accesses of `edu` since the reset, counted from 0, for which the IOTLB had a translation without the right that was wanted. */
  readonly lacking = new Set<number>();
  private elapsed = 0;
  /** Interrupts that nobody has asked for yet. */
  private messages: string[] = [];
  private readonly ram = new Uint8Array(MAP.ramBytes);
  private readonly view = new DataView(this.ram.buffer);
  private readonly edu: Edu;
  private readonly testdevs: readonly IommuTestdev[];

  constructor(options: Omit<VtdEmulatorOptions, 'memory'>) {
    const message = (hi: number, lo: number, data: number) =>
      this.messages.push(messageText((BigInt(hi) << 32n) | BigInt(lo), data));
    this.unit = new VtdEmulator({ ...options, memory: this.ram, message });
    const memory: DmaPort = {
      write: (hi, lo, bytes) => this.memoryWrite(hi * 2 ** 32 + lo, bytes),
      read: (hi, lo, into) => this.memoryRead(hi * 2 ** 32 + lo, into),
    };
    this.edu = new Edu(this.through(SID.edu));
    this.testdevs = SID.testdev.map((sid) => new IommuTestdev(this.through(sid), memory));
  }

  reset(): Promise<void> {
    this.unit.reset();
    this.ram.fill(0, CLEARED.from, CLEARED.from + CLEARED.bytes);
    for (const each of this.testdevs) each.reset();
    this.edu.write64(0x80, CLEARED.from, 0);
    this.edu.write64(0x88, 0x40000, 0);
    this.edu.write64(0x90, PAGE, 0);
    this.edu.write64(0x98, 1, 0);
    this.edu.elapse();
    this.lacking.clear();
    this.messages = [];
    this.elapsed = 0;
    return Promise.resolve();
  }

  run(program: readonly Access[]): Promise<Value[]> {
    const values: Value[] = [];
    for (const access of program) {
      if (access.do === 'write') this.store(access.at, access.size, access.value);
      else if (access.do === 'read') values.push(this.load(access.at, access.size));
      else if (access.do === 'dump') values.push(this.dump(access.at, access.bytes));
      else if (access.do === 'msi') this.unit.interrupt(SID.sender[access.sender], access.address, access.data);
      else if (access.do === 'messages') values.push(this.messages.splice(0).join(' '));
      else {
        this.edu.elapse();
        this.elapsed++;
      }
    }
    return Promise.resolve(values);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private store(at: number, size: 4 | 8, value: bigint | number): void {
    if (at < MAP.ramBytes) {
      if (size === 4) this.view.setUint32(at, Number(value), true);
      else this.view.setBigUint64(at, BigInt(value), true);
      return;
    }
    if (at >= MAP.iommu) return this.unit.write(at - MAP.iommu, size, value);
    const wide = BigInt(value);
    if (at < MAP.testdev[0])
      return this.edu.write64(at - MAP.edu, Number(wide & 0xffffffffn), Number((wide >> 32n) & 0xffffffffn));
    this.testdev(at).write32(at & 0xfff, Number(value));
  }

  private load(at: number, size: 4 | 8): Value {
    if (at < MAP.ramBytes)
      return size === 4 ? this.view.getUint32(at, true).toString(16) : this.view.getBigUint64(at, true).toString(16);
    if (at >= MAP.iommu) return this.unit.read(at - MAP.iommu, size as number).toString(16);
    if (at < MAP.testdev[0]) {
      const { lo, hi } = this.edu.read64(at - MAP.edu);
      return ((BigInt(hi) << 32n) | BigInt(lo)).toString(16);
    }
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

  private dump(at: number, bytes: number): Value {
    if (at < MAP.ramBytes) return Buffer.from(this.ram.buffer, at, bytes).toString('hex');
    const registers = Buffer.alloc(bytes);
    for (let i = 0; i < bytes; i += 4) registers.writeUInt32LE(Number(this.unit.read(at - MAP.iommu + i, 4)), i);
    return registers.toString('hex');
  }

  /** A device's way to memory: page by page through the unit. What cannot be reached is skipped, the rest is done. */
  private through(sid: number): DmaPort {
    const each = (hi: number, lo: number, bytes: Uint8Array, kind: (length: number, at: number) => RequestKind) => {
      let done = true;
      const start = (BigInt(hi) << 32n) | BigInt(lo);
      for (let from = 0; from < bytes.length; ) {
        const iova = BigInt.asUintN(64, start + BigInt(from));
        const offset = Number(iova & 0xfffn);
        const part = bytes.subarray(from, from + Math.min(bytes.length - from, PAGE - offset));
        const how = kind(part.length, offset);
        this.translations++;
        if (this.isLacking(sid, iova, how)) this.lacking.add(this.elapsed);
        const to = this.unit.translate(sid, iova, how);
        if (to < 0) done = false;
        else if (how === REQUEST.read) done = this.memoryRead(to, part) && done;
        // A write of a DWORD to 0xFEEx_xxxx is an interrupt, and others there are nothing: neither arrives in memory.
        else if (isInterrupt(to))
          done = (how !== REQUEST.write || this.unit.interrupt(sid, to, dword(part)) === 0) && done;
        else done = this.memoryWrite(to, part) && done;
        if (to < 0 && how === REQUEST.read) part.fill(0);
        from += part.length;
      }
      return done;
    };
    return {
      write: (hi, lo, bytes) =>
        each(hi, lo, bytes, (length, at) => (length === 4 && at % 4 === 0 ? REQUEST.write : REQUEST.longWrite)),
      read: (hi, lo, into) => each(hi, lo, into, () => REQUEST.read),
    };
  }

  private isLacking(sid: number, iova: bigint, kind: RequestKind): boolean {
    const { caches, scalable } = (this.unit.unit as unknown as { readonly core: VtdCore }).core;
    const vpnHi = Number(BigInt.asIntN(32, BigInt.asIntN(64, iova) >> 30n));
    const vpnLo = Number((iova >> 12n) & 0x3ffffn);
    const wanted = kind === REQUEST.read ? RIGHT.read : RIGHT.write;
    const has = (rights: number) =>
      caches.nthTranslation(sid, vpnHi, vpnLo, rights, 0) >= 0 ||
      (scalable !== null && scalable.caches.nthTranslation(sid, -1, vpnHi, vpnLo, rights, true, 0) >= 0);
    return !has(wanted) && has(RIGHT.read | RIGHT.write);
  }

  private memoryWrite(at: number, bytes: Uint8Array): boolean {
    if (at + bytes.length > MAP.ramBytes) return false;
    this.ram.set(bytes, at);
    return true;
  }

  private memoryRead(at: number, into: Uint8Array): boolean {
    into.fill(0);
    if (at + into.length > MAP.ramBytes) return false;
    into.set(this.ram.subarray(at, at + into.length));
    return true;
  }
}

function dword(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}

function isInterrupt(at: number): boolean {
  return at >= 0xfee00000 && at < 0xfef00000;
}
