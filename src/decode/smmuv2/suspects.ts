/** SMMUv2: what each fault of a context bank (SMMUv2 16.5.9) and of the SMMU as a whole (9.6.15) makes likely. */
import type { Suspect } from '../causes.ts';
import { suspects } from '../causes.ts';
import type { Missing } from '../suspects.ts';
import { BLOCKED, missingPage, UNREADABLE, WIDTH } from '../suspects.ts';

/** What a context bank says of a transaction. */
export interface Transaction extends Missing {
  /** It was the walk that faulted: in two stages, the second one refused a table of the first. */
  readonly inWalk: boolean;
}

const TABLE: readonly Suspect[] = suspects({
  likely: ['table-unreadable'],
  possible: ['stale-structure-cache', 'kdump'],
});

/** By bit of SMMU_CBn_FSR. */
const OF_CONTEXT_FAULT: Readonly<Record<number, readonly Suspect[] | ((of: Transaction) => readonly Suspect[])>> = {
  1: (of) => (of.inWalk ? TABLE : missingPage({ ...of, own: ['dma-ranges', 'enabled-before', 'resume'] })),
  2: suspects({ likely: ['corrupt-entry'], possible: ['process-memory'] }),
  3: (of) => (of.inWalk ? TABLE : missingPage({ ...of, present: true })),
  4: UNREADABLE,
  5: suspects({ likely: ['break-before-make'], possible: ['mapped-twice'] }),
  6: suspects({ possible: ['hardware-error'] }),
  7: WIDTH,
  8: BLOCKED,
};

/** @param bit that says why, see `CONTEXT_FAULTS` */
export function contextSuspects(bit: number, of: Transaction): Suspect[] {
  const known = OF_CONTEXT_FAULT[bit] ?? [];
  return [...(typeof known === 'function' ? known(of) : known)];
}

const UNMAPPED_STREAM = suspects({
  likely: ['firmware-ids', 'not-attached'],
  possible: ['enabled-before', 'wrong-requester-id', 'kdump'],
});
const BAD_CONTEXT = suspects({ likely: ['not-attached'], possible: ['firmware-ids', 'kdump', 'corrupt-entry'] });

/** By bit of SMMU_sGFSR. */
const OF_GLOBAL_FAULT: Readonly<Record<number, readonly Suspect[]>> = {
  0: BAD_CONTEXT,
  1: UNMAPPED_STREAM,
  2: suspects({ likely: ['firmware-ids'], possible: ['enabled-before'] }),
  3: BAD_CONTEXT,
  4: suspects({ likely: ['firmware-ids'] }),
  5: suspects({ likely: ['register-access'] }),
  6: UNREADABLE,
  7: suspects({ possible: ['not-attached', 'register-access'] }),
  8: BLOCKED,
};

/** Those of several bits, each once. */
export function globalSuspects(bits: readonly number[]): Suspect[] {
  const all = bits.flatMap((bit) => OF_GLOBAL_FAULT[bit] ?? []);
  return all.filter(({ id }, i) => all.findIndex((other) => other.id === id) === i);
}
