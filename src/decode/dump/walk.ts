/** A walk as hardware does it, through what dumps say of memory: every entry that is read is a step, up to a page or to what stops it. */
import type { Code } from '../finding.ts';
import type { DecodedStructure } from '../structure.ts';

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
  | { readonly kind: 'fault'; readonly code: Code }
  /** The inputs have not this word. */
  | { readonly kind: 'missing'; readonly address: bigint; readonly what: string };

/** A request of user privilege that reads, and one that writes: both are told. */
export type WalkAccess = 'read' | 'write';

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
}

/** The inputs have not enough to begin; the message says what is missing. */
export class WalkRefused extends Error {
  override readonly name = 'WalkRefused';
}
