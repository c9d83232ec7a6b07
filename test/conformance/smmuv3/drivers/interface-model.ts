/** The model's programming interface alone: what it asks of caches and of requests in flight is written down, and nothing is translated. */
import type { SmmuOptions, SmmuParts } from '../../../../src/iommu/smmuv3/core.ts';
import { SmmuCore } from '../../../../src/iommu/smmuv3/core.ts';
import type { EventSource } from '../../../../src/iommu/smmuv3/event-record.ts';
import type { InterfaceOptions } from '../../../../src/iommu/smmuv3/programming-interface.ts';
import { ProgrammingInterface } from '../../../../src/iommu/smmuv3/programming-interface.ts';
import type { InvalidatedCaches, RequestMarks, TlbScope } from '../../../../src/iommu/smmuv3/tlb-scope.ts';
import { Arena, RamMemory } from '../../../../src/machine/index.ts';
import type { Wire } from './driver.ts';
import type { InterfaceDriver } from './interface.ts';

export type Options = SmmuOptions & InterfaceOptions & { readonly ppar?: number } & Partial<SmmuParts>;

/** Memory ends here: nothing decodes beyond. */
const MEMORY_END = 0x40000;

const low = (value: bigint): number => Number(BigInt.asIntN(32, value));
const join = (hi: number, lo: number): bigint => (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);

export class ModelInterface implements InterfaceDriver {
  readonly memory = new RamMemory(MEMORY_END / 4096);
  readonly core: SmmuCore;
  readonly unit: ProgrammingInterface;
  /** What was asked of caches and of requests in flight, in order. */
  readonly calls: string[] = [];
  readonly scopes: TlbScope[] = [];
  readonly pulses: Wire[] = [];
  readonly messages: number[][] = [];
  readonly responses: number[][] = [];
  readonly atcRequests: object[] = [];
  readonly resolved: number[][] = [];
  sentEvents = 0;
  /** Whether a device completes an ATC invalidation. */
  completes = true;
  /** Whether accesses are followed by all that they set off. */
  settles = true;

  constructor(options: Options) {
    const caches: InvalidatedCaches = {
      dropSte: (sid, leafOnly) => void this.calls.push(`ste ${sid}${leafOnly ? ' leaf' : ''}`),
      dropSteRange: (sid, log2) => void this.calls.push(`stes ${sid} 2^${log2}`),
      dropAllConfig: () => void this.calls.push('all configuration'),
      dropCd: (sid, ssid, leafOnly) => void this.calls.push(`cd ${sid} ${ssid}${leafOnly ? ' leaf' : ''}`),
      dropCdAll: (sid) => void this.calls.push(`cds ${sid}`),
      dropTlb: (scope) => {
        this.calls.push('tlb');
        this.scopes.push({ ...scope });
      },
      describe: () => [],
    };
    const marks: RequestMarks = {
      forTlb: () => void this.calls.push('mark tlb'),
      forConfig: (sid, log2, ssid) => void this.calls.push(`mark ${sid} 2^${log2} ${ssid}`),
    };
    const parts: SmmuParts = {
      arena: options.arena ?? new Arena(1 << 12),
      tables: this.memory,
      memory: this.memory,
      message: (hi, lo, data) => {
        // An interrupt controller is at 0x8000_0000 + 64 KiB, and nowhere else.
        if (hi !== 0 || lo < 0x80000000 || lo >= 0x80010000) return false;
        this.messages.push([lo, data]);
        return true;
      },
      wire: (line) => void this.pulses.push(line),
      sendEvent: () => void this.sentEvents++,
      pageResponse: (...response) => void this.responses.push(response),
      invalidateAtc: ({ address, size, sid, pasid }) => {
        this.atcRequests.push({ sid, pasid, address, size });
        return this.completes;
      },
      stallResolved: (stag, becomes) => void this.resolved.push([stag, becomes]),
      ...options,
    };
    this.core = new SmmuCore(parts, options, () => caches);
    this.unit = new ProgrammingInterface(this.core, marks, () => options.ppar ?? -1, options);
  }

  get asked(): number {
    return this.calls.length + this.atcRequests.length + this.responses.length;
  }

  read(offset: number, size: number): bigint {
    const { lo, hi } = this.unit.read(offset, size);
    return size === 8 ? join(hi, lo) : BigInt(lo >>> 0);
  }

  write(offset: number, size: number, value: bigint): void {
    this.unit.write(offset, size, low(value), low(value >> 32n));
    if (this.settles) this.unit.settle();
  }

  peek(address: bigint): bigint {
    const at = this.memory.locate(Number(address >> 12n), Number(address & 0xfffn) >>> 3);
    return join(this.memory.hi(at), this.memory.lo(at));
  }

  poke(address: bigint, value: bigint): void {
    const at = this.memory.locate(Number(address >> 12n), Number(address & 0xfffn) >>> 3);
    this.memory.write(at, low(value), low(value >> 32n));
  }

  /** Forgets what it has been asked. */
  forget(): void {
    for (const list of [
      this.calls,
      this.scopes,
      this.pulses,
      this.messages,
      this.responses,
      this.atcRequests,
      this.resolved,
    ])
      list.length = 0;
  }

  passes(): boolean {
    return !this.core.aborts;
  }

  fault(of: EventSource): number {
    return this.core.events.record(of);
  }
}
