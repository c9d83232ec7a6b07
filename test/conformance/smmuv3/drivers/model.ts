/** The model as a driver of the conformance tests: a unit over plain memory. */
import { SMMU_SLOT_WORDS, Smmu } from '../../../../src/iommu/smmuv3/index.ts';
import { Arena, Machine, RamMemory } from '../../../../src/machine/index.ts';
import type { Answer, Asked, BenchOptions, Driver } from './driver.ts';

const low = (value: bigint): number => Number(BigInt.asIntN(32, value));
const join = (hi: number, lo: number): bigint => (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);

export class ModelDriver implements Driver {
  readonly ram: RamMemory;
  readonly arena: Arena;
  readonly unit: Smmu;
  /** Null where requests are translated at once. */
  readonly machine: Machine | null;

  constructor(options: BenchOptions) {
    const { frames = 1024, dmaSlots = 0, ...unit } = options;
    this.ram = new RamMemory(frames);
    this.machine = dmaSlots === 0 ? null : new Machine({ dmaSlots, translatorWords: SMMU_SLOT_WORDS });
    this.arena = this.machine?.arena ?? new Arena(1 << 17);
    const caches = { ste: 16, cd: 16, tlbWays: 64, ipaWays: 64, walk: 32, ...unit.caches };
    const parts = { arena: this.arena, tables: this.ram, memory: this.ram };
    this.unit = new Smmu(this.machine === null ? parts : { ...parts, dma: this.machine.dma }, { ...unit, caches });
    if (this.machine !== null) this.machine.dma.translator = this.unit;
  }

  read(offset: number, size: number): bigint {
    const { lo, hi } = this.unit.read(offset, size);
    return size === 8 ? join(hi, lo) : BigInt(lo >>> 0);
  }

  write(offset: number, size: number, value: bigint): void {
    this.unit.write(offset, size, low(value), low(value >> 32n));
  }

  private locate(address: bigint): number {
    const at = this.ram.locate(Number(address >> 12n), Number(address & 0xfffn) >> 3);
    if (at < 0) throw new RangeError(`no memory at 0x${address.toString(16)}`);
    return at;
  }

  poke(address: bigint, value: bigint): void {
    this.ram.write(this.locate(address), low(value), low(value >> 32n));
  }

  peek(address: bigint): bigint {
    const at = this.locate(address);
    return join(this.ram.hi(at), this.ram.lo(at));
  }

  run(): void {
    this.unit.settle();
  }

  request({ sid, ssid = -1, address, kind }: Asked): Answer {
    const event = this.unit.translate(sid, ssid, low(address >> 32n), low(address), kind);
    if (event !== 0) return { event: Math.max(event, 0) };
    return { address: join(this.unit.outHi, this.unit.outLo) };
  }
}
