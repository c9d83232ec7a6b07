/** A walk as hardware does it, through what dumps say of memory: every entry that is read is a step, up to a page or to what stops it. */
import type { Code } from '../finding.ts';
import type { DecodedStructure } from '../structure.ts';
import { Reader, untilEnded } from './reader.ts';
import type { Tables } from './tables.ts';

/** An entry that was read. */
export interface WalkStep {
  /** `context entry of 00:02.0`, `PDE of 0x200000`. */
  readonly what: string;
  /** Physical address of its first word; null where the dump says the words and not where they are. */
  readonly address: bigint | null;
  readonly structure: DecodedStructure;
  /** 1 where a second stage translates an address of a first one. */
  readonly depth: number;
}

/** How it ended. */
export type WalkEnd =
  | { readonly kind: 'page'; readonly address: bigint; readonly bytes: number }
  /** Not translated: pass-through. */
  | { readonly kind: 'passed'; readonly address: bigint }
  /** An interrupt, and what becomes of it. */
  | { readonly kind: 'interrupt'; readonly text: string }
  /** Refused, and recorded nowhere. */
  | { readonly kind: 'refused'; readonly text: string }
  /** `why`: which of the reasons that the code stands for; null where it stands for one. */
  | { readonly kind: 'fault'; readonly code: Code; readonly why: string | null }
  /** The inputs have not this word. */
  | { readonly kind: 'missing'; readonly address: bigint; readonly what: string };

/** A request of user privilege that reads, and one that writes: both are told. */
export type WalkAccess = 'read' | 'write';

export interface WalkQuestion {
  readonly address: bigint;
  /** `bus:device.function`, or a number (StreamID, device_id) as `0x…`; null: the only one that the inputs have. */
  readonly device: string | null;
  /** Null: none, which is what the device's entry makes of it. */
  readonly pasid: number | null;
  /** What an interrupt writes, where the entry is found by it; null where it is not said. */
  readonly data?: number | null;
}

export interface WalkResult {
  /** `00:02.0`, with its PASID. */
  readonly of: string;
  readonly address: bigint;
  /** Of the access that comes further. */
  readonly steps: readonly WalkStep[];
  readonly read: WalkEnd;
  readonly write: WalkEnd;
  /** What was taken for granted, because no input tells. */
  readonly assumed: readonly string[];
  /** What the inputs may leave out without loss; null where they should have every word. */
  readonly leavesOut: string | null;
}

/** The inputs have not enough to begin; the message says what is missing. */
export class WalkRefused extends Error {
  override readonly name = 'WalkRefused';
}

/**
 * Walks for a read and for a write.
 * @param of whose address it is
 * @param run one access @throws WalkRefused
 */
export function walkBoth(
  tables: Tables,
  { address, pasid }: WalkQuestion,
  of: string,
  run: (reader: Reader, access: WalkAccess) => WalkEnd,
  leavesOut: string | null = null,
): WalkResult {
  const assumed = new Set<string>();
  const [read, write] = (['read', 'write'] as const).map((access) => {
    const reader = new Reader(tables, assumed);
    return { end: untilEnded(() => run(reader, access)), steps: reader.steps };
  }) as [{ end: WalkEnd; steps: WalkStep[] }, { end: WalkEnd; steps: WalkStep[] }];
  return {
    ...{ address, leavesOut, read: read.end, write: write.end, assumed: [...assumed] },
    of: pasid === null ? of : `${of} PASID 0x${pasid.toString(16)}`,
    steps: write.steps.length > read.steps.length ? write.steps : read.steps,
  };
}
