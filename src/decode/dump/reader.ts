/** Reads entries of tables out of dumps, each as a step of a walk, up to what ends the walk. */
import type { Code } from '../finding.ts';
import type { DecodedStructure } from '../structure.ts';
import { decodeStructure, kindNamed, StructureError } from '../structure.ts';
import type { StructureKind } from '../structure-kinds.ts';
import type { Tables } from './tables.ts';
import type { WalkEnd, WalkStep } from './walk.ts';

/** Something deep in a walk has ended it. */
export class Ended {
  readonly end: WalkEnd;

  constructor(end: WalkEnd) {
    this.end = end;
  }
}

/** Does what `run` does, up to what ends it. */
export function untilEnded(run: () => WalkEnd): WalkEnd {
  try {
    return run();
  } catch (error) {
    if (error instanceof Ended) return error.end;
    throw error;
  }
}

/** @param why which of the reasons that the code stands for, where it stands for several */
export function fail(code: Code, why: string | null = null): never {
  throw new Ended({ kind: 'fault', code, why });
}

export interface ReadOptions {
  /** Words, where the kind may have several numbers of them. */
  readonly words?: number | undefined;
  /** Words at the end that dumps may leave out: they are 0 then. */
  readonly zeros?: number | undefined;
  /** 1 where a second stage translates an address of a first one. */
  readonly depth?: number | undefined;
  readonly bigEndian?: boolean | undefined;
  /** Field without which the other bits mean nothing. */
  readonly valid?: string | undefined;
}

/** One access. */
export class Reader {
  readonly tables: Tables;
  readonly steps: WalkStep[] = [];
  /** What was taken for granted, because no input tells. */
  readonly assumed: Set<string>;

  constructor(tables: Tables, assumed: Set<string>) {
    this.tables = tables;
    this.assumed = assumed;
  }

  /** @param at physical @throws Ended where a word is missing */
  read(kind: string, what: string, at: bigint, options: ReadOptions = {}): DecodedStructure {
    const of = kindOfName(kind);
    const { depth = 0, words = of.words[0] as number, zeros = 0 } = options;
    const values = Array.from({ length: words }, (_, i) =>
      this.word(of, at + BigInt((i * of.wordBits) / 8), what, i >= words - zeros, options.bigEndian === true),
    );
    const structure = decodedAtLeast(of, values, options.valid);
    this.steps.push({ what, address: at, structure, depth });
    return structure;
  }

  /** An entry that an input tells without its place. */
  told(what: string, structure: DecodedStructure, depth = 0): DecodedStructure {
    this.steps.push({ what, address: null, structure, depth });
    return structure;
  }

  private word({ wordBits }: StructureKind, at: bigint, what: string, mayLack: boolean, swap: boolean): bigint {
    const whole = at & ~7n;
    const found = this.tables.words.get(whole) ?? (mayLack ? 0n : undefined);
    if (found === undefined) throw new Ended({ kind: 'missing', address: whole, what });
    const own = wordBits === 64 ? found : (found >> ((at & 4n) * 8n)) & 0xffffffffn;
    return swap ? swapped(own, wordBits / 8) : own;
  }
}

function kindOfName(id: string): StructureKind {
  const kind = kindNamed(id);
  if (kind === null) throw new Error(`no kind ${id}`);
  return kind;
}

/** Words that are of no layout are an entry all the same: hardware reads it, and faults. */
function decodedAtLeast(kind: StructureKind, words: readonly bigint[], valid: string | undefined): DecodedStructure {
  try {
    const decoded = decodeStructure(kind, words);
    const field = decoded.fields.find(({ name }) => name === valid);
    return field?.value === 0n ? { ...decoded, reserved: [] } : decoded;
  } catch (error) {
    if (!(error instanceof StructureError)) throw error;
    const { id, wordBits } = kind;
    const bare = { kind: id, name: 'not valid', clause: 'of no type that the specification has', wordBits };
    return { ...bare, words: [...words], fields: [], reserved: [], notes: [] };
  }
}

function swapped(word: bigint, bytes: number): bigint {
  let out = 0n;
  for (let i = 0; i < bytes; i++) out = (out << 8n) | ((word >> BigInt(8 * i)) & 0xffn);
  return out;
}
