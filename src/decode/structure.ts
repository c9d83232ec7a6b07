/** Words decoded: field by field, with what must not be set marked. */
import type { Field, Fields } from '../bits/index.ts';
import { get, getAddress, high, low } from '../bits/index.ts';
import { STRUCTURE_KINDS } from './kinds.ts';
import type { AnyLayout, StructureKind } from './structure-kinds.ts';

export interface DecodedField {
  readonly name: string;
  /** Bits `hi:lo`, counted over all words. */
  readonly hi: number;
  readonly lo: number;
  /** A number, or a byte address. */
  readonly value: bigint;
  /** The bits themselves. */
  readonly stored: bigint;
  /** Name of the value, null where the declaration gives none. */
  readonly meaning: string | null;
  /** Hardware does not look at it. */
  readonly ignored: boolean;
}

/** A run of bits that are set. */
export interface BitRun {
  readonly hi: number;
  readonly lo: number;
}

export interface DecodedStructure {
  readonly kind: string;
  /** As the specification calls it. */
  readonly name: string;
  readonly clause: string;
  /** First word first. */
  readonly words: readonly bigint[];
  readonly wordBits: 32 | 64;
  readonly fields: readonly DecodedField[];
  /** Reserved bits that are set. */
  readonly reserved: readonly BitRun[];
  /** What is odd about the words, each a sentence. */
  readonly notes: readonly string[];
}

/** What is wrong with words that were to be decoded, in one line. */
export class StructureError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'StructureError';
  }
}

/** @param id see {@link StructureKind}; null if there is no such kind */
export function kindNamed(id: string): StructureKind | null {
  return STRUCTURE_KINDS.find((kind) => kind.id === id.toLowerCase()) ?? null;
}

/**
 * Decodes words.
 * @param words first word first
 * @throws StructureError where their number, or their size, does not fit, or they are of no layout of the kind
 */
export function decodeStructure(kind: StructureKind, words: readonly bigint[]): DecodedStructure {
  const { id, wordBits } = kind;
  const tooLarge = words.find((word) => word < 0n || word >> BigInt(wordBits) !== 0n);
  if (tooLarge !== undefined)
    throw new StructureError(
      `0x${tooLarge.toString(16)} has more than ${wordBits} bits; ${id} is of ${wordBits}-bit words`,
    );
  if (!kind.words.includes(words.length)) {
    throw new StructureError(
      `${id} has ${kind.words.join(' or ')} words of ${wordBits} bits, not ${words.length}; give the lowest first, or pairs as HIGH:LOW`,
    );
  }
  const halves = halvesOf(words, wordBits);
  const layout = typeof kind.layout === 'function' ? kind.layout(halves) : kind.layout;
  if (layout === null)
    throw new StructureError(`${id}: no type that the specification has (${wordsText(words, wordBits)})`);
  return {
    ...{ kind: id, name: layout.name, clause: layout.clause, words: [...words], wordBits },
    fields: fieldsOf(layout, halves),
    reserved: reservedRuns(layout, halves),
    notes: kind.notes?.(halves, layout) ?? [],
  };
}

/** The same for words out of a log, where damage is none of our errors; null where they are no such structure. */
export function decodedOrNull(kind: StructureKind, words: readonly bigint[]): DecodedStructure | null {
  try {
    return decodeStructure(kind, words);
  } catch (error) {
    if (error instanceof StructureError) return null;
    throw error;
  }
}

/** Words of a kind that this code itself names. @param id see {@link StructureKind} */
export function decodeNamed(id: string, words: readonly bigint[]): DecodedStructure {
  const kind = kindNamed(id);
  if (kind === null) throw new Error(`no kind ${id}`);
  return decodeStructure(kind, words);
}

/** Value of a field; 0 if there is no such field. */
export function fieldOf({ fields }: DecodedStructure, name: string): bigint {
  return fields.find((field) => field.name === name)?.value ?? 0n;
}

export function wordsText(words: readonly bigint[], wordBits: number): string {
  return words.map((word) => `0x${word.toString(16).padStart(wordBits / 4, '0')}`).join(' ');
}

function halvesOf(words: readonly bigint[], wordBits: 32 | 64): Int32Array {
  return Int32Array.from(wordBits === 32 ? words.map(low) : words.flatMap((word) => [low(word), high(word)]));
}

function fieldsOf({ fields }: AnyLayout, halves: Int32Array): DecodedField[] {
  return Object.entries(fields as Fields).map(([name, field]) => {
    const value = field.kind === 'address' ? getAddress(field, halves) : BigInt(get(field, halves));
    const stored = field.kind === 'address' ? value >> BigInt((field.lo & 63) + field.shift) : value;
    return {
      name,
      hi: field.hi,
      lo: field.lo,
      value,
      stored,
      meaning: meaningOf(field, value),
      ignored: field.ignored,
    };
  });
}

function meaningOf({ values }: Field, value: bigint): string | null {
  return values === null ? null : (values[Number(value)] ?? 'reserved value');
}

/** Reserved bits of the layout that are set, and whatever is set beyond it. */
function reservedRuns(layout: AnyLayout, halves: Int32Array): BitRun[] {
  const runs: { hi: number; lo: number }[] = [];
  for (let n = 0; n < halves.length * 32; n++) {
    const isReserved = n >= layout.width || ((layout.reserved[n >> 5] >>> (n & 31)) & 1) === 1;
    if (!isReserved || ((halves[n >> 5] >>> (n & 31)) & 1) === 0) continue;
    const last = runs.at(-1);
    if (last !== undefined && last.hi === n - 1) last.hi = n;
    else runs.push({ hi: n, lo: n });
  }
  return runs;
}

/** `3:2`, or `7` for one bit. */
export function bitsText({ hi, lo }: BitRun): string {
  return hi === lo ? String(lo) : `${hi}:${lo}`;
}

/** Reserved bits that are set, in words: `bits 59, 3:2 are`; null where there are none. */
export function reservedText({ reserved }: DecodedStructure): string | null {
  const [first] = reserved;
  if (first === undefined) return null;
  const one = reserved.length === 1 && first.hi === first.lo;
  return `${one ? 'bit' : 'bits'} ${reserved.map(bitsText).join(', ')} ${one ? 'is' : 'are'}`;
}
