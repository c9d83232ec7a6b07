/** An SMMU's programming interface alone: what it asks of caches and of requests in flight is written down, and nothing is translated. */
import type { Fields, Layout, Values } from '../../../src/bits/index.ts';
import { decode, encode } from '../../../src/bits/index.ts';
import type { SmmuOptions, SmmuParts } from '../../../src/iommu/smmuv3/core.ts';
import { SmmuCore } from '../../../src/iommu/smmuv3/core.ts';
import type { EventSource } from '../../../src/iommu/smmuv3/event-record.ts';
import { CLASS, EVENT, eventSource } from '../../../src/iommu/smmuv3/event-record.ts';
import { EVENTS } from '../../../src/iommu/smmuv3/events.ts';
import type { InterfaceOptions } from '../../../src/iommu/smmuv3/programming-interface.ts';
import { ProgrammingInterface } from '../../../src/iommu/smmuv3/programming-interface.ts';
import type { InvalidatedCaches, RequestMarks, TlbScope } from '../../../src/iommu/smmuv3/tlb-scope.ts';
import { Arena, RamMemory } from '../../../src/machine/index.ts';

/** Offsets as the specification's table 6.2 has them, and not as the declarations do. */
export const REG = {
  IDR0: 0x0,
  IDR1: 0x4,
  IDR2: 0x8,
  IDR3: 0xc,
  IDR4: 0x10,
  IDR5: 0x14,
  IIDR: 0x18,
  AIDR: 0x1c,
  CR0: 0x20,
  CR0ACK: 0x24,
  CR1: 0x28,
  CR2: 0x2c,
  STATUSR: 0x40,
  GBPA: 0x44,
  AGBPA: 0x48,
  IRQ_CTRL: 0x50,
  IRQ_CTRLACK: 0x54,
  GERROR: 0x60,
  GERRORN: 0x64,
  GERROR_IRQ_CFG0: 0x68,
  GERROR_IRQ_CFG1: 0x70,
  GERROR_IRQ_CFG2: 0x74,
  STRTAB_BASE: 0x80,
  STRTAB_BASE_CFG: 0x88,
  CMDQ_BASE: 0x90,
  CMDQ_PROD: 0x98,
  CMDQ_CONS: 0x9c,
  EVENTQ_BASE: 0xa0,
  EVENTQ_IRQ_CFG0: 0xb0,
  EVENTQ_IRQ_CFG1: 0xb8,
  EVENTQ_IRQ_CFG2: 0xbc,
  PRIQ_BASE: 0xc0,
  PRIQ_IRQ_CFG0: 0xd0,
  PRIQ_IRQ_CFG1: 0xd8,
  PRIQ_IRQ_CFG2: 0xdc,
  EVENTQ_PROD: 0x100a8,
  EVENTQ_CONS: 0x100ac,
  PRIQ_PROD: 0x100c8,
  PRIQ_CONS: 0x100cc,
} as const;

/** CR0 (6.3.9), GERROR (6.3.19). */
export const [SMMUEN, PRIQEN, EVENTQEN, CMDQEN, ATSCHK] = [1, 2, 4, 8, 16];
export const [CMDQ_ERR, EVENTQ_ABT_ERR, PRIQ_ABT_ERR] = [1, 4, 8];
export const [MSI_CMDQ_ABT_ERR, MSI_EVENTQ_ABT_ERR, MSI_PRIQ_ABT_ERR, MSI_GERROR_ABT_ERR] = [0x10, 0x20, 0x40, 0x80];

/** Where the queues are. */
export const [CMDQ, EVENTQ, PRIQ] = [0x4000, 0x8000, 0xc000];

/** Memory ends here: nothing decodes beyond. */
export const MEMORY_END = 0x40000;

export type Options = SmmuOptions & InterfaceOptions & { readonly ppar?: number } & Partial<SmmuParts>;

/** Another one than the model's: halves of the words of commands as chapter 4 has them. */
export type Command = readonly [bigint, bigint];

export function command<F extends Fields>(of: Layout<F>, values: Partial<Values<F>> = {}): Command {
  const [first, second] = encode(of, values);
  return [first, second];
}

export class InterfaceBench {
  readonly memory = new RamMemory(MEMORY_END / 4096);
  readonly core: SmmuCore;
  readonly unit: ProgrammingInterface;
  /** What was asked of caches and of requests in flight, in order. */
  readonly calls: string[] = [];
  readonly scopes: TlbScope[] = [];
  readonly pulses: string[] = [];
  readonly messages: number[][] = [];
  readonly responses: number[][] = [];
  readonly atcRequests: object[] = [];
  readonly resolved: number[][] = [];
  sentEvents = 0;
  /** Whether a device completes an ATC invalidation. */
  completes = true;
  /** Whether accesses are followed by all that they set off. */
  settles = true;

  constructor(options: Options = {}) {
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

  read32(offset: number): number {
    return this.unit.read(offset, 4).lo >>> 0;
  }

  read64(offset: number): bigint {
    const { lo, hi } = this.unit.read(offset, 8);
    return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
  }

  write32(offset: number, value: number): void {
    this.unit.write(offset, 4, value | 0, 0);
    if (this.settles) this.unit.settle();
  }

  write64(offset: number, value: bigint): void {
    this.unit.write(offset, 8, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
    if (this.settles) this.unit.settle();
  }

  peek(address: number): bigint {
    const at = this.memory.locate(Math.floor(address / 4096), (address % 4096) >>> 3);
    return (BigInt(this.memory.hi(at) >>> 0) << 32n) | BigInt(this.memory.lo(at) >>> 0);
  }

  poke(address: number, value: bigint): void {
    const at = this.memory.locate(Math.floor(address / 4096), (address % 4096) >>> 3);
    this.memory.write(at, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
  }

  /** Sets up and enables the queues. @param log2 of the command queue's entries; events and page requests have as many */
  start(log2 = 4, cr0 = SMMUEN | EVENTQEN | CMDQEN | PRIQEN): this {
    this.write64(REG.CMDQ_BASE, BigInt(CMDQ | log2));
    this.write64(REG.EVENTQ_BASE, BigInt(EVENTQ | log2));
    this.write64(REG.PRIQ_BASE, BigInt(PRIQ | log2));
    this.write32(REG.CR0, cr0);
    return this;
  }

  private slot = 0;

  /** Writes commands behind the last one, and tells of them. */
  submit(...commands: readonly Command[]): void {
    const log2 = this.read32(REG.CMDQ_BASE) & 0x1f;
    for (const [first, second] of commands) {
      const at = CMDQ + 16 * (this.slot % 2 ** log2);
      this.poke(at, first);
      this.poke(at + 8, second);
      this.slot = (this.slot + 1) % 2 ** (log2 + 1);
    }
    this.write32(REG.CMDQ_PROD, this.slot);
  }

  /** CMDQ_CONS.RD and ERR, and whether GERROR.CMDQ_ERR is active. */
  get commandState(): { rd: number; err: number; active: boolean } {
    const cons = this.read32(REG.CMDQ_CONS);
    const active = ((this.read32(REG.GERROR) ^ this.read32(REG.GERRORN)) & CMDQ_ERR) !== 0;
    return { rd: cons & 0xfffff, err: (cons >>> 24) & 0x7f, active };
  }

  /** A fault of a transaction, a write of 0x1234_5678 by stream 5 if not said otherwise. @returns see OUTCOME */
  fault(of: Partial<EventSource> = {}): number {
    return this.core.events.record({
      ...eventSource(),
      ...{ event: EVENT.F_TRANSLATION, sid: 5, class: CLASS.IN, lo: 0x12345678, r: 1, a: 1 },
      ...of,
    });
  }

  /** The words of event `n` of the queue. */
  eventWords(n: number): bigint[] {
    return [0, 8, 16, 24].map((at) => this.peek(EVENTQ + 32 * n + at));
  }

  /** Event `n`, decoded by its declaration. */
  event(n: number): Record<string, number | bigint> {
    const words = this.eventWords(n);
    return decode(EVENTS[Number(words[0] & 0xffn)].record, ...words);
  }
}

/** A bench that has done some commands. */
export function benchAfter(commands: readonly Command[], options: Options = {}): InterfaceBench {
  const bench = new InterfaceBench(options).start();
  bench.submit(...commands);
  return bench;
}
