/** How the driver asks a VT-d unit to invalidate: by the queue (`qi_submit_sync`) or by registers (`__iommu_flush_iotlb`). */
import { encode, encode64 } from '../../bits/index.ts';
import { CONTEXT_INV_DSC, IOTLB_INV_DSC, WAIT_DSC } from '../../iommu/vtd/commands.ts';
import { CONTEXT_GRANULARITY, IOTLB, IOTLB_GRANULARITY, IQT, IVA } from '../../iommu/vtd/registers.ts';
import type { Cpu, Machine, MmioBlock, Program, SoftwareWord } from '../../machine/index.ts';
import { atomic, bdf } from '../../machine/index.ts';
import { spinLock, spinUnlock } from '../kit/lock.ts';

/** Whether DMA in flight is to be drained before the invalidation counts as complete. */
export interface Drain {
  readonly reads: boolean;
  readonly writes: boolean;
}

export interface PageFlush {
  readonly did: number;
  /** First input page; its low `am` bits are ignored by hardware. */
  readonly pfn: number;
  /** 2^am pages. */
  readonly am: number;
  /** Only leaf entries were changed. */
  readonly hint: boolean;
}

/** One of the two ways to invalidate. */
export interface Invalidator {
  /** Invalidates pages and returns when the unit says that it is done. */
  flushPages(flush: PageFlush): Program;
  /** Invalidates all of a domain. */
  flushDomain(did: number): Program;
}

/** Values of a status word in the kernel. */
const QI_IN_USE = 1n;
const QI_DONE = 2;

/** Bytes of a queue of one page. */
const QUEUE = 4096;

export interface QueueOptions {
  readonly unit: MmioBlock;
  /** Byte address of the queue's page. */
  readonly base: bigint;
  /** What IOTLB invalidations ask for. */
  readonly drain: Drain;
  /** Bits of a descriptor (IQA.DW): 256 in scalable mode; 128 if absent. */
  readonly width?: 128 | 256;
}

/** Queued invalidation (VT-d 6.5.2). Every submission ends in a wait descriptor with a status write, as Linux's do. */
export class InvalidationQueue implements Invalidator {
  private readonly machine: Machine;
  private readonly cpu: Cpu;
  private readonly status: bigint;
  private readonly options: QueueOptions;
  private readonly tail: SoftwareWord;
  /** 64-bit words of a descriptor. */
  private readonly words: number;
  /** `qi->q_lock`, held while descriptors are posted; null while one CPU alone submits. */
  private lock: SoftwareWord | null = null;

  /** @param status byte address of the status word. @param tail absent, if nobody has it yet */
  constructor(
    machine: Machine,
    cpu: Cpu,
    status: bigint,
    options: QueueOptions,
    tail: SoftwareWord = machine.word('queue tail'),
  ) {
    this.machine = machine;
    this.cpu = cpu;
    this.status = status;
    this.options = options;
    this.words = (options.width ?? 128) / 64;
    this.tail = tail;
  }

  /** The same queue as another CPU submits to it and waits, each at its own status word. Only before the machine starts. */
  on(cpu: Cpu, status: bigint): InvalidationQueue {
    const { machine, options, tail } = this;
    this.lock ??= machine.word('q_lock');
    const other = new InvalidationQueue(machine, cpu, status, options, tail);
    other.lock = this.lock;
    return other;
  }

  /** Invalidates what the context cache has of one function. @param did domain id that the entry is tagged by (6.2.2: 0 for one that faults) */
  flushContext(did: number, sid: number): Program {
    const words = encode(CONTEXT_INV_DSC, { G: CONTEXT_GRANULARITY.device, DID: did, SID: sid });
    return this.submit(words, `queues context-cache invalidate: ${bdf(sid)}, DID ${did}; a wait behind it; IQT`);
  }

  flushPages(flush: PageFlush): Program {
    const { did, pfn, am, hint } = flush;
    const words = encode(IOTLB_INV_DSC, {
      G: IOTLB_GRANULARITY.page,
      ...this.drainBits(),
      DID: did,
      ADDR: BigInt(pfn) << 12n,
      AM: am,
      IH: hint ? 1 : 0,
    });
    const what = `IOTLB invalidate: pages 0x${(pfn * 4096).toString(16)} AM ${am} IH=${hint ? 1 : 0}, DID ${did}`;
    return this.submit(words, `queues ${what}${this.drainText()}; a wait behind it; IQT`);
  }

  flushDomain(did: number): Program {
    const words = encode(IOTLB_INV_DSC, { G: IOTLB_GRANULARITY.domain, ...this.drainBits(), DID: did });
    return this.submit(words, `queues IOTLB invalidate: domain ${did}${this.drainText()}; a wait behind it; IQT`);
  }

  /** Submits one descriptor with its wait, and waits. Nobody sees the descriptors before the tail moves. */
  submit(descriptor: readonly bigint[], note: string): Program {
    return this.submitAll([descriptor], note);
  }

  /** As {@link submit}, several with one wait. @param drains the wait is behind page requests as well (PD) */
  *submitAll(descriptors: readonly (readonly bigint[])[], note: string, drains = false): Program {
    if (this.cpu.isSequential) yield* atomic(() => this.post(descriptors, note, drains));
    else yield* this.post(descriptors, note, drains);
    yield* this.cpu.waitFor32(this.status, QI_DONE, 'the status word says: the invalidation is complete');
  }

  private *post(descriptors: readonly (readonly bigint[])[], note: string, drains: boolean): Program {
    const { cpu, status } = this;
    const { base, unit } = this.options;
    const wait = encode(WAIT_DSC, { SW: 1, PD: drains ? 1 : 0, DATA: QI_DONE, ADDR: status });
    if (this.lock !== null) yield* spinLock(this.lock);
    const words = [...descriptors, wait].flatMap((descriptor) => this.padded(descriptor));
    yield* cpu.write64(status, QI_IN_USE, note);
    // Read in the step of the first store: before it, another CPU may move the tail.
    const first = yield* this.tail.getOwn();
    for (let i = 0; i < words.length; i++) {
      yield* cpu.write64(base + BigInt((first + 8 * i) % QUEUE), words[i], '');
    }
    const tail = (first + 8 * words.length) % QUEUE;
    yield* this.tail.set(tail, true);
    yield* cpu.mmioWrite(unit, IQT.offset, 8, BigInt(tail), null);
    if (this.lock !== null) yield* spinUnlock(this.lock);
  }

  /** A descriptor of 128 bits in a queue of 256-bit ones has an upper half of zeros (6.5.2). */
  private padded(descriptor: readonly bigint[]): bigint[] {
    return Array.from({ length: this.words }, (_, i) => descriptor[i] ?? 0n);
  }

  private drainBits(): { DR: number; DW: number } {
    return { DR: this.options.drain.reads ? 1 : 0, DW: this.options.drain.writes ? 1 : 0 };
  }

  private drainText(): string {
    return `, DR=${this.options.drain.reads ? 1 : 0} DW=${this.options.drain.writes ? 1 : 0}`;
  }
}

/** Register-based invalidation (VT-d 6.5.1): IVA, IOTLB_REG, then waiting for IVT to clear. */
export class RegisterInvalidation implements Invalidator {
  private readonly cpu: Cpu;
  private readonly unit: MmioBlock;
  private readonly drain: Drain;

  constructor(cpu: Cpu, unit: MmioBlock, drain: Drain) {
    this.cpu = cpu;
    this.unit = unit;
    this.drain = drain;
  }

  *flushPages(flush: PageFlush): Program {
    const iva = encode64(IVA, { ADDR: BigInt(flush.pfn) << 12n, AM: flush.am, IH: flush.hint ? 1 : 0 });
    // As in the kernel, IVA is not written when it would be 0.
    if (iva !== 0n) {
      const note = `: pages 0x${(flush.pfn * 4096).toString(16)} AM ${flush.am} IH=${flush.hint ? 1 : 0}`;
      yield* this.cpu.mmioWrite(this.unit, IVA.offset, 8, iva, note);
    }
    yield* this.request(IOTLB_GRANULARITY.page, flush.did);
  }

  *flushDomain(did: number): Program {
    yield* this.request(IOTLB_GRANULARITY.domain, did);
  }

  private *request(granularity: number, did: number): Program {
    const { reads, writes } = this.drain;
    const value = encode64(IOTLB, { IVT: 1, IIRG: granularity, DR: reads ? 1 : 0, DW: writes ? 1 : 0, DID: did });
    const note = `: IVT, ${granularity === IOTLB_GRANULARITY.page ? 'page' : 'domain'}-selective, DID ${did}, DR=${reads ? 1 : 0} DW=${writes ? 1 : 0}`;
    yield* this.cpu.mmioWrite(this.unit, IOTLB.offset, 8, value, note);
    yield* this.cpu.mmioWait(this.unit, IOTLB.offset, 8, 'IVT is clear', (_, hi) => hi >= 0);
  }
}
