/** The way down through tables of tables, whatever they are of: page tables by address, directories by a device's or a process's number. */
import type { DecodedStructure } from '../structure.ts';
import type { Reader } from './reader.ts';

/** A level, as data. */
export interface Level {
  /** Of its entries, see StructureKind. */
  readonly kind: string;
  /** `PDE`, `level-1 PTE`. */
  readonly name: string;
  /** Of the key: the lowest bit that indexes it, and the number of these bits. */
  readonly shift: number;
  readonly bits: number;
  /** Of an entry. */
  readonly bytes: number;
  /** Field of an entry without which its other bits mean nothing. */
  readonly valid?: string;
  /** Words of an entry, where its kind may have several numbers of them. */
  readonly words?: number;
}

/** What an entry leads to: a table, `skip` levels below the next one, or the end of the way. */
export type Next<T> = { readonly table: bigint; readonly skip?: number } | { readonly end: T };

export interface Descent<T> {
  /** Top first. */
  readonly levels: readonly Level[];
  /** Address of the top table. */
  readonly table: bigint;
  /** What the indices are cut from. */
  readonly key: bigint;
  /** Whose entries they are, in words; an address where it is left out. */
  readonly of?: string;
  readonly depth?: number;
  readonly bigEndian?: boolean;
  /** Physical address of an entry, if it lies at one that has to be translated. */
  readonly place?: (at: bigint, i: number) => bigint;
  /** @param i number of the level, 0 the top one's @param at where the entry is, before `place` */
  readonly visit: (entry: DecodedStructure, level: Level, i: number, at: bigint) => Next<T>;
}

/** @throws Ended */
export function descend<T>(reader: Reader, descent: Descent<T>): T {
  const { bigEndian, depth, key, levels, of, place, visit } = descent;
  let { table } = descent;
  for (let i = 0; ; ) {
    const level = levels[i];
    if (level === undefined) throw new Error('a table below the last level');
    const { bytes, kind, name, shift, valid, words } = level;
    const at = table + BigInt(bytes) * indexOf(key, level);
    const from = BigInt(shift);
    const what = `${name} of ${of ?? `0x${((key >> from) << from).toString(16)}`}`;
    const entry = reader.read(kind, what, place === undefined ? at : place(at, i), {
      ...{ depth, bigEndian, valid, words },
    });
    const next = visit(entry, level, i, at);
    if ('end' in next) return next.end;
    table = next.table;
    i += 1 + (next.skip ?? 0);
  }
}

/** The bits of the key that index a level. */
export function indexOf(key: bigint, { bits, shift }: Level): bigint {
  return (key >> BigInt(shift)) & ((1n << BigInt(bits)) - 1n);
}

/** Bytes that an entry of the level stands for. */
export function sizeOf({ shift }: Level): bigint {
  return 1n << BigInt(shift);
}
