import type { Requester } from './requester.ts';

/** Units of state that belong to a requester, and where they say to which: a DMA slot, a cached translation, a fault record. */
export interface Naming {
  /** Offset of the first unit's first word; units follow each other. */
  readonly base: number;
  readonly units: number;
  /** Words of a unit. */
  readonly length: number;
  /** Which of them names the requester, and by what: its index in `Dma.requesters`, or its source id. */
  readonly owner: number;
  readonly by: 'device' | 'sid';
  /** What the word is for a requester, where it is more than that. */
  readonly name?: (requester: Requester) => number;
  /** Word that is 0 in a unit that is nobody's; −1 where the name alone tells. */
  readonly valid: number;
  /** Units cannot change places among themselves. */
  readonly ordered: boolean;
  /** Words that the others and the name determine. */
  readonly implied: readonly number[];
  /** Gives a unit to another requester, where more than the name has to change. */
  readonly rename?: (unit: number, requester: number) => void;
}
