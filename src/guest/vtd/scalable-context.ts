/** A context entry of scalable mode is taken away and another put in its place (`domain_context_clear_one`, `domain_context_mapping_one`). */
import { hex } from '../../bits/index.ts';
import type { Cpu, Program } from '../../machine/index.ts';
import { bdf } from '../../machine/index.ts';
import type { InvalidationQueue } from './invalidation.ts';
import type { PasidInvalidation } from './pasid-invalidation.ts';

/** What is invalidated behind a change of a context entry. */
export type ContextFlush = 'context' | 'pasid' | 'iotlb';

/**
 * The order that VT-d asks for (6.2.2.1, 6.5.2.1): what a cache has may tag what the next one is filled with. Linux left `pasid` out before
 * c0474a606ecb, v5.13.
 */
export const CONTEXT_FLUSHES: readonly ContextFlush[] = ['context', 'pasid', 'iotlb'];

export interface ScalableContextOptions {
  readonly sid: number;
  /** Byte address of the context entry. */
  readonly at: bigint;
  readonly flushes: readonly ContextFlush[];
}

export class ScalableContext {
  private readonly cpu: Cpu;
  private readonly queue: InvalidationQueue;
  private readonly invalidation: PasidInvalidation;
  private readonly options: ScalableContextOptions;

  constructor(cpu: Cpu, queue: InvalidationQueue, invalidation: PasidInvalidation, options: ScalableContextOptions) {
    this.cpu = cpu;
    this.queue = queue;
    this.invalidation = invalidation;
    this.options = options;
  }

  /** Clears the entry, then invalidates. @param did domain id of what the function could reach by it */
  *clear(did: number): Program {
    for (const word of [0, 1]) yield* this.store(word, 0n, word === 0 ? ': not present' : '');
    for (const flush of this.options.flushes) yield* this.flush(flush, did);
  }

  /** Fills an entry that is not present: the word with P comes last. With CAP.CM = 0 nothing has to be invalidated. */
  *set(words: readonly bigint[]): Program {
    yield* this.store(1, words[1], '');
    yield* this.store(0, words[0], ': present');
  }

  private flush(what: ContextFlush, did: number): Program {
    if (what === 'context') return this.queue.flushContext(did, this.options.sid);
    return what === 'pasid' ? this.invalidation.pasidCacheOfDomain(did) : this.queue.flushDomain(did);
  }

  private *store(word: number, value: bigint, what: string): Program {
    const { at, sid } = this.options;
    const addr = at + BigInt(8 * word);
    yield* this.cpu.write64(addr, value, `context entry of ${bdf(sid)}, word ${word} = ${hex(value)}${what}`);
    yield* this.cpu.clflush(addr);
  }
}
