/** The model as a driver of the conformance tests: a unit over plain memory. */
import { SCALABLE_SLOT_WORDS, Vtd } from '../../../../src/iommu/vtd/index.ts';
import { Arena, Machine, RamMemory } from '../../../../src/machine/index.ts';
import type { Answer, Asked, BenchOptions, Driver, Outcome } from './driver.ts';
import { WRITE } from './driver.ts';

export class ModelDriver implements Driver {
  readonly stepped = true;
  readonly lastPage: bigint;
  readonly ram: RamMemory;
  readonly arena: Arena;
  readonly machine: Machine | null;
  readonly unit: Vtd;
  readonly messages: [number, number, number][] = [];
  /** How often it had the write buffers flushed. */
  flushes = 0;

  constructor(options: BenchOptions) {
    const { frames = 256, dmaSlots = 0, atcEntries, pageRequests, ...rest } = options;
    const { interruptEntriesChanged, invalidateDeviceTlb, pageGroupResponse, ...unit } = rest;
    this.ram = new RamMemory(frames);
    this.lastPage = BigInt(frames - 1) << 12n;
    this.machine =
      dmaSlots === 0
        ? null
        : new Machine({
            dmaSlots,
            translatorWords: unit.ecap?.SMTS === 1 ? SCALABLE_SLOT_WORDS : 0,
            ...(atcEntries === undefined ? {} : { atcEntries }),
            ...(pageRequests === undefined ? {} : { pageRequests }),
          });
    this.arena = this.machine?.arena ?? new Arena(1 << 15);
    const { arena, ram } = this;
    // MGAW is at least the host address width (11.4.2); most tests do not say so.
    const cap = { ...(unit.haw !== undefined && unit.haw > 48 ? { MGAW: unit.haw - 1 } : {}), ...unit.cap };
    const caches = { context: 16, iotlbSets: 1, iotlbWays: 16, pagingStructure: 16, ...unit.caches };
    const parts = {
      arena,
      tables: ram,
      memory: ram,
      message: (hi: number, lo: number, data: number) => void this.messages.push([hi, lo, data]),
      flushWriteBuffers: () => void this.flushes++,
      ...(interruptEntriesChanged === undefined ? {} : { interruptEntriesChanged }),
      ...(invalidateDeviceTlb === undefined ? {} : { invalidateDeviceTlb }),
      ...(pageGroupResponse === undefined ? {} : { pageGroupResponse }),
    };
    this.unit = new Vtd(this.machine === null ? parts : { ...parts, dma: this.machine.dma }, { ...unit, cap, caches });
    if (this.machine !== null) this.machine.dma.translator = this.unit;
  }

  read(offset: number, size: number): { readonly lo: number; readonly hi: number } {
    return this.unit.read(offset, size);
  }

  write(offset: number, size: number, lo: number, hi: number): void {
    this.unit.write(offset, size, lo, hi);
  }

  poke(addr: bigint, value: bigint): void {
    const at = this.ram.locate(Number(addr >> 12n), Number(addr & 0xfffn) >> 3);
    if (at < 0) throw new RangeError(`no memory at 0x${addr.toString(16)}`);
    this.ram.write(at, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
  }

  peek(addr: bigint): bigint {
    const at = this.ram.locate(Number(addr >> 12n), Number(addr & 0xfffn) >> 3);
    return (BigInt(this.ram.hi(at) >>> 0) << 32n) | BigInt(this.ram.lo(at) >>> 0);
  }

  run(limit: number): number {
    let steps = 0;
    for (let moved = true; moved && steps < limit; ) {
      moved = false;
      for (const agent of this.unit.agents) {
        if (agent.choices() === 0) continue;
        agent.step(0);
        steps++;
        moved = true;
      }
    }
    return steps;
  }

  request({ sid, address, kind, pasid = -1, prefix = 0 }: Asked): Answer {
    const { unit } = this;
    const vpn = address >> 12n;
    const [hi, lo] = [Number(vpn >> 18n), Number(vpn & 0x3ffffn)];
    const fault =
      pasid >= 0
        ? unit.requestWithPasid(sid, pasid, hi, lo, kind, prefix)
        : kind <= WRITE
          ? unit.translate(sid, hi, lo, kind)
          : unit.request(sid, hi, lo, kind);
    if (fault !== 0) return { fault };
    return { page: ((BigInt(unit.frameHi) << 20n) | BigInt(unit.frameLo)) << 12n };
  }

  interrupt(sid: number, address: number, data: number): Outcome {
    const fault = this.unit.interrupt(sid, address, data);
    if (fault !== 0) return { fault };
    const { addressHi, addressLo, data: sent } = this.unit.remapped;
    return { address: (BigInt(addressHi) << 32n) | BigInt(addressLo), data: sent };
  }

  reasonFor(reason: number): number {
    return reason;
  }

  needs(): void {}
}
