/** The machine of platform.ts out of this repository's parts. */
import type { RequestKind, VtdCore, VtdEmulatorOptions } from '../../src/iommu/vtd/index.ts';
import { REQUEST, VtdEmulator } from '../../src/iommu/vtd/index.ts';
import { RIGHT } from '../../src/iommu/vtd/scalable-entries.ts';
import { ModelBus } from './model-bus.ts';
import { ModelDevices } from './model-devices.ts';
import { ModelRam } from './model-ram.ts';
import type { Access, Platform, Value } from './platform.ts';
import { CLEARED, MAP, messageText, SID } from './platform.ts';

export class ModelPlatform implements Platform {
  readonly name = 'model';
  readonly unit: VtdEmulator;
  /** Accesses of `edu` since the reset, counted from 0, for which the IOTLB had a translation without the right that was wanted. */
  readonly lacking = new Set<number>();
  private elapsed = 0;
  /** Interrupts that nobody has asked for yet. */
  private messages: string[] = [];
  private readonly ram = new ModelRam(0, MAP.ramBytes);
  private readonly devices: ModelDevices;
  private readonly bus: ModelBus;

  constructor(options: Omit<VtdEmulatorOptions, 'memory'>) {
    const message = (hi: number, lo: number, data: number) =>
      this.messages.push(messageText((BigInt(hi) << 32n) | BigInt(lo), data));
    this.unit = new VtdEmulator({ ...options, memory: this.ram.bytes, message });
    this.devices = new ModelDevices(
      MAP,
      SID,
      this.ram,
      (sid) => (iova, bytes, isWrite) => this.access(sid, iova, bytes, isWrite),
    );
    this.bus = new ModelBus(this.ram, this.devices, {
      has: (at) => at >= MAP.iommu,
      read: (at, size) => this.unit.read(at - MAP.iommu, size),
      write: (at, size, value) => this.unit.write(at - MAP.iommu, size, value),
    });
  }

  reset(): Promise<void> {
    this.unit.reset();
    this.ram.clear(CLEARED.from, CLEARED.bytes);
    this.devices.reset(CLEARED.from);
    this.lacking.clear();
    this.messages = [];
    this.elapsed = 0;
    return Promise.resolve();
  }

  run(program: readonly Access[]): Promise<Value[]> {
    return Promise.resolve(this.bus.run(program, (access) => this.other(access)));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private other(access: Access): Value | null {
    if (access.do === 'messages') return this.messages.splice(0).join(' ');
    if (access.do === 'msi') this.unit.interrupt(SID.sender[access.sender], access.address, access.data);
    if (access.do === 'elapse') this.elapsed++;
    return null;
  }

  /** A device's access through the unit. */
  private access(sid: number, iova: bigint, bytes: Uint8Array, isWrite: boolean): boolean {
    const isDword = bytes.length === 4 && iova % 4n === 0n;
    const kind = !isWrite ? REQUEST.read : isDword ? REQUEST.write : REQUEST.longWrite;
    if (this.isLacking(sid, iova, kind)) this.lacking.add(this.elapsed);
    const to = this.unit.translate(sid, iova, kind);
    if (to < 0) return false;
    if (!isWrite) return this.ram.read(to, bytes);
    // A write of a DWORD to 0xFEEx_xxxx is an interrupt, and others there are nothing: neither arrives in memory.
    if (isInterrupt(to)) return !isDword || this.unit.interrupt(sid, to, dword(bytes)) === 0;
    return this.ram.write(to, bytes);
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
}

function dword(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}

function isInterrupt(at: number): boolean {
  return at >= 0xfee00000 && at < 0xfef00000;
}
