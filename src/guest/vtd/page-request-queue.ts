/** The page request queue as software reads it (`prq_event_thread`), answers to page requests, and their drain (`intel_iommu_drain_pasid_prq`). */
import { decode, encode, hex } from '../../bits/index.ts';
import { PAGE_GRP_RESP_DSC, PASID_IOTLB_GRANULARITY, PASID_IOTLB_INV_DSC, WAIT_DSC } from '../../iommu/vtd/commands.ts';
import { PAGE_REQ_DSC } from '../../iommu/vtd/page-request-structures.ts';
import { PQH, PQT } from '../../iommu/vtd/registers.ts';
import type { Cpu, Machine, MmioBlock, Program, SoftwareWord } from '../../machine/index.ts';
import { bdf } from '../../machine/index.ts';
import { waitForEntry } from '../kit/queue-wait.ts';
import type { InvalidationQueue } from './invalidation.ts';
import { deviceTlbOfPasid } from './pasid-invalidation.ts';

/** Bytes of a descriptor, and of a queue of one page. */
const BYTES = 32;
const QUEUE = 4096;

/** What a page request says. */
export interface PageRequestRecord {
  readonly sid: number;
  /** −1 for one without. */
  readonly pasid: number;
  readonly group: number;
  /** Byte address of the page. */
  readonly address: bigint;
}

/** Answers to a page request (VT-d table 32). */
export const RESPONSE_CODE = { success: 0, invalid: 1 } as const;

export class PageRequestQueue {
  private readonly machine: Machine;
  private readonly cpu: Cpu;
  private readonly unit: MmioBlock;
  private readonly queue: InvalidationQueue;
  private readonly base: bigint;
  /** `PQH`, which software alone moves. */
  private readonly head: SoftwareWord;

  /** @param cpu that handles page requests. @param queue as it submits to it. @param base byte address of the queue's page */
  constructor(machine: Machine, cpu: Cpu, unit: MmioBlock, queue: InvalidationQueue, base: bigint) {
    this.machine = machine;
    this.cpu = cpu;
    this.unit = unit;
    this.queue = queue;
    this.base = base;
    this.head = machine.word('PQH');
  }

  /** Waits for a page request and reads it; it stays in the queue until {@link done}. @returns null when `over` is 1 and none is there */
  *next(over: SoftwareWord): Program<PageRequestRecord | null> {
    const { cpu, head, unit } = this;
    const isEmpty = () => tailOf(unit) === head.value;
    if (!(yield* waitForEntry('wait for a page request', isEmpty, over))) return null;
    const at = this.base + BigInt(yield* head.getOwn());
    const words = [yield* cpu.readOwn64(at), yield* cpu.readOwn64(at + 8n), 0n, 0n];
    const { ADDR, PASID, PP, PRGI, RID } = decode(PAGE_REQ_DSC, ...words);
    const record = { sid: RID, pasid: PP === 1 ? PASID : -1, group: PRGI, address: ADDR };
    yield* this.machine.note(`reads the page request of ${named(record)}`);
    return record;
  }

  /** Answers (7.6.1). @param code see {@link RESPONSE_CODE} */
  *respond(record: PageRequestRecord, code: number): Program {
    const { sid, pasid, group } = record;
    const words = encode(PAGE_GRP_RESP_DSC, {
      PP: pasid < 0 ? 0 : 1,
      RC: code,
      RID: sid,
      PASID: Math.max(pasid, 0),
      PRGI: group,
    });
    const what = code === RESPONSE_CODE.success ? 'success' : 'invalid request';
    yield* this.queue.submit(words, `queues page group response: ${named(record)}, ${what}; a wait behind it; IQT`);
  }

  /** Takes the request out of the queue: who waits for that sees it. */
  *done(): Program {
    const { cpu, head, unit } = this;
    const next = ((yield* head.getOwn()) + BYTES) % QUEUE;
    yield* head.set(next, true);
    yield* cpu.mmioWrite(unit, PQH.offset, 8, BigInt(next), ': the page request is done');
  }
}

/** Where the queue ends, without what a read of the register pushes. */
function tailOf(unit: MmioBlock): number {
  return (unit.peek ?? unit.read).call(unit, PQT.offset, 4).lo & (QUEUE - 1);
}

function named({ address, group, pasid, sid }: PageRequestRecord): string {
  return `${bdf(sid)}${pasid < 0 ? '' : ` PASID ${hex(pasid)}`} group ${group} for ${hex(address)}`;
}

export interface DrainOptions {
  readonly sid: number;
  readonly did: number;
  /** Mutants: a part that is left out. */
  readonly leaves?: 'handling' | 'hardware';
}

/** Waits until no page request of a PASID is under way any more (VT-d 7.10, 7.11), as another CPU than the one that handles them does. */
export class PageRequestDrain {
  private readonly cpu: Cpu;
  private readonly unit: MmioBlock;
  private readonly queue: InvalidationQueue;
  private readonly options: DrainOptions;

  constructor(cpu: Cpu, unit: MmioBlock, queue: InvalidationQueue, options: DrainOptions) {
    this.cpu = cpu;
    this.unit = unit;
    this.queue = queue;
    this.options = options;
  }

  *drain(pasid: number): Program {
    const { leaves } = this.options;
    if (leaves !== 'handling') yield* this.handled();
    if (leaves !== 'hardware') yield* this.hardware(pasid);
  }

  /** What is in the queue has been handled. The read of PQT pushes what was accepted (7.5). */
  private *handled(): Program {
    const { cpu, unit } = this;
    const tail = (yield* cpu.mmioRead32(unit, PQT.offset)) & (QUEUE - 1);
    yield* cpu.mmioWait(
      unit,
      PQH.offset,
      4,
      `the page requests up to ${hex(tail)} are handled`,
      (lo) => (lo & (QUEUE - 1)) === tail,
    );
  }

  /** Steps a to c of 7.10. */
  private *hardware(pasid: number): Program {
    const { did, sid } = this.options;
    const fence = encode(WAIT_DSC, { FN: 1 });
    const iotlb = encode(PASID_IOTLB_INV_DSC, { G: PASID_IOTLB_GRANULARITY.pasid, DID: did, PASID: pasid });
    const device = deviceTlbOfPasid(sid, pasid);
    const what = `a fence, PASID-based IOTLB and device-TLB invalidate: PASID ${hex(pasid)} of ${bdf(sid)}`;
    yield* this.queue.submitAll(
      [fence, iotlb, device],
      `queues ${what}; a wait behind them that drains page requests; IQT`,
      true,
    );
  }
}
