/** The flush queue of lazy unmapping (`queue_iova`, `fq_flush_timeout`, `fq_ring_free`; drivers/iommu/iova.c of v5.11, one ring). */
import type { Machine, Program, SoftwareWord } from '../../machine/index.ts';
import { atomic } from '../../machine/index.ts';
import { spinLock, spinUnlock } from '../kit/lock.ts';

export interface FlushQueueOptions {
  readonly did: number;
  /** Entries of the ring. */
  readonly entries: number;
  /** Input pages that are handed out while they are mapped, one word each: 1 in use, 0 free. */
  readonly iovas: ReadonlyMap<number, SoftwareWord>;
  /** `flush_iotlb_all` of the domain, as each CPU that flushes calls it. */
  readonly flushAll: () => Program;
  /** Mutants: the flush is left out; an entry is freed whenever it was queued. */
  readonly leavesFlushOut?: boolean;
  readonly ignoresCounter?: boolean;
}

interface Entry {
  /** Input page plus 1; 0 for none. */
  readonly page: SoftwareWord;
  /** {@link FlushQueue.started} when it was queued. */
  readonly counter: SoftwareWord;
}

/**
 * Unmapped input pages that wait for one flush of the whole domain. An entry is free once a flush that began after it was queued has
 * finished: its counter is less than the number of finished flushes.
 */
export class FlushQueue {
  /** The timer is armed (`fq_timer_on`). */
  private readonly armed: SoftwareWord;
  private readonly machine: Machine;
  private readonly options: FlushQueueOptions;
  private readonly started: SoftwareWord;
  private readonly finished: SoftwareWord;
  private readonly lock: SoftwareWord;
  private readonly ring: readonly Entry[];

  constructor(machine: Machine, options: FlushQueueOptions) {
    this.machine = machine;
    this.options = options;
    this.armed = machine.word('fq_timer_on');
    this.started = machine.word('fq_flush_start_cnt');
    this.finished = machine.word('fq_flush_finish_cnt');
    this.lock = machine.word('fq.lock');
    this.ring = Array.from({ length: options.entries }, (_, i) => ({
      page: machine.word(`fq[${i}].page`),
      counter: machine.word(`fq[${i}].counter`),
    }));
  }

  /** Queues an input page whose entry is out of the tables, and arms the timer (`queue_iova`). The ring never gets full here. */
  *queue(page: number): Program {
    const { lock, machine } = this;
    const add = () => {
      const entry = this.ring.find((e) => e.page.value === 0);
      if (entry === undefined) throw new Error('the ring of the flush queue is full; give it more entries');
      entry.page.value = page + 1;
      entry.counter.value = this.started.value;
      this.armed.value = 1;
    };
    yield* atomic(function* () {
      yield* spinLock(lock);
      yield* machine.note(`queues IOVA 0x${(page * 4096).toString(16)}, to be free after the next flush`, 'after', add);
      yield* spinUnlock(lock);
    });
  }

  /** Waits until the timer is armed or `over` is 1; once it runs out, flushes and frees (`fq_flush_timeout`). @returns 0 if it is not armed */
  *timer(over: SoftwareWord): Program<number> {
    const { armed, machine, options } = this;
    const runsOut = yield {
      name: 'the timer of the flush queue runs out, or is never armed again',
      ready: () => armed.value === 1 || over.value === 1,
      returns: 'number',
      results: [0, 1],
      run: () => {
        const was = armed.value;
        armed.value = 0;
        this.started.value += was;
        if (machine.log.on)
          machine.log.say('driver', was === 1 ? 'the timer runs out: a flush begins' : 'no timer is armed');
        return was;
      },
    };
    if (runsOut === 0) return 0;
    if (options.leavesFlushOut !== true) yield* options.flushAll();
    const { lock } = this;
    // The flush counts as finished as the lock is taken: what is queued between has the number of a later flush either way.
    const free = () => this.free();
    yield* atomic(function* () {
      yield* spinLock(lock);
      yield* machine.note('the flush has finished', 'after', free);
      yield* spinUnlock(lock);
    });
    return 1;
  }

  /** `fq_flush_finish_cnt`, then `fq_ring_free`: what was queued before the last finished flush began. From now on the promise of the unmap holds. */
  private free(): void {
    const { options, finished, machine } = this;
    finished.value++;
    for (const { page, counter } of this.ring) {
      if (page.value === 0) continue;
      if (counter.value >= finished.value && options.ignoresCounter !== true) continue;
      const at = page.value - 1;
      machine.grants.revoked(options.did, at, 1);
      (options.iovas.get(at) as SoftwareWord).value = 0;
      if (machine.log.on) machine.log.say('driver', `IOVA 0x${(at * 4096).toString(16)} is free`);
      page.value = 0;
      counter.value = 0;
    }
  }
}
