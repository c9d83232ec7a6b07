/** The event queue as software reads it (`arm_smmu_evtq_thread`), and the answer to a transaction that is stalled (`arm_smmu_page_response`). */
import { decode, encode, hex } from '../../bits/index.ts';
import { CMD_RESUME } from '../../iommu/smmuv3/commands.ts';
import {
  EVENT_BYTES,
  EVENT_ID,
  F_ACCESS,
  F_ADDR_SIZE,
  F_PERMISSION,
  F_TRANSLATION,
} from '../../iommu/smmuv3/event-structures.ts';
import { EVENTQ_CONS, EVENTQ_PROD } from '../../iommu/smmuv3/queue-registers.ts';
import type { Cpu, Machine, MmioBlock, Program, SoftwareWord } from '../../machine/index.ts';
import { atomic, bdf } from '../../machine/index.ts';
import { waitForEntry } from '../kit/queue-wait.ts';
import type { CommandQueue } from './command-queue.ts';

/** An event that says of a transaction that it is stalled. */
export interface StalledTransaction {
  readonly sid: number;
  readonly stag: number;
  /** Byte address that it goes to. */
  readonly address: bigint;
}

export interface EventQueueOptions {
  readonly smmu: MmioBlock;
  /** Byte address of its first entry. */
  readonly base: bigint;
  readonly log2size: number;
}

/** Bits of EVENTQ_PROD and EVENTQ_CONS that are an index. */
const INDEX = 0xfffff;
const CAN_STALL: readonly number[] = [F_TRANSLATION, F_ADDR_SIZE, F_ACCESS, F_PERMISSION].map(
  ({ ID }) => ID.fixed as number,
);
const ID_MASK = (1n << BigInt(EVENT_ID.hi + 1)) - 1n;

export class EventQueueReader {
  private readonly machine: Machine;
  private readonly cpu: Cpu;
  private readonly queue: CommandQueue;
  private readonly options: EventQueueOptions;
  /** EVENTQ_CONS, which software alone moves. */
  private readonly cons: SoftwareWord;

  /** @param cpu that handles events. @param queue by which it answers */
  constructor(machine: Machine, cpu: Cpu, queue: CommandQueue, options: EventQueueOptions) {
    this.machine = machine;
    this.cpu = cpu;
    this.queue = queue;
    this.options = options;
    this.cons = machine.word(`EVENTQ_CONS of ${options.smmu.name}`);
  }

  /**
   * Waits for a stalled transaction, and takes its event out of the queue; other events are taken out and told of.
   * @returns null when `over` is 1 and there is none
   */
  *next(over: SoftwareWord): Program<StalledTransaction | null> {
    for (;;) {
      const words = yield* atomic(() => this.take(over));
      if (words === null) return null;
      // The four faults that can stall have their fields in the same places (7.3.13 to 7.3.16).
      const { InputAddr, Stall, STAG, StreamID } = decode(F_TRANSLATION, ...words);
      const id = Number(words[0] & ID_MASK);
      const stalls = CAN_STALL.includes(id) && Stall === 1;
      const what = stalls ? `${bdf(StreamID)} is stalled at ${hex(InputAddr)}, STAG ${STAG}` : `of ${bdf(StreamID)}`;
      yield* this.machine.note(`reads event ${hex(id)}: ${what}`);
      if (stalls) return { sid: StreamID, stag: STAG, address: InputAddr };
    }
  }

  private *take(over: SoftwareWord): Program<bigint[] | null> {
    if (!(yield* this.isThere(over))) return null;
    const words = yield* this.read();
    yield* this.consume();
    return words;
  }

  private isThere(over: SoftwareWord): Program<boolean> {
    const { cons } = this;
    const { log2size, smmu } = this.options;
    const isEmpty = () => ((prodOf(smmu) ^ cons.value) & ((2 << log2size) - 1)) === 0;
    return waitForEntry(`wait for an event of ${smmu.name}`, isEmpty, over);
  }

  private *read(): Program<bigint[]> {
    const { base, log2size } = this.options;
    const index = yield* this.cons.getOwn();
    const at = base + BigInt((index & ((1 << log2size) - 1)) * EVENT_BYTES);
    const words: bigint[] = [];
    for (let i = 0; i < EVENT_BYTES / 8; i++) words.push(yield* this.cpu.readOwn64(at + BigInt(8 * i)));
    return words;
  }

  private *consume(): Program {
    const { cons } = this;
    const { log2size, smmu } = this.options;
    const next = ((yield* cons.getOwn()) + 1) & ((2 << log2size) - 1);
    yield* cons.set(next, true);
    yield* this.cpu.mmioWrite(smmu, EVENTQ_CONS.offset, 4, BigInt(next), null);
  }

  /** CMD_RESUME. Nothing waits for it: there is nothing that a CMD_SYNC would add (4.7.1). @param retry otherwise it ends with an abort */
  *resume({ sid, stag }: StalledTransaction, retry: boolean): Program {
    const command = encode(CMD_RESUME, { StreamID: sid, STAG: stag, Ac: retry ? 1 : 0, Ab: retry ? 0 : 1 });
    yield* this.queue.issue([command], `RESUME ${bdf(sid)} STAG ${stag}: ${retry ? 'retry' : 'abort'}`);
  }
}

/** EVENTQ_PROD as a read finds it. */
function prodOf(smmu: MmioBlock): number {
  return (smmu.peek ?? smmu.read).call(smmu, EVENTQ_PROD.offset, 4).lo & INDEX;
}
