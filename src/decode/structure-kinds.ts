/** Words in memory and in registers, by the name of their kind: `vtd.context` and the like. */
import type { Fields, Layout, Register } from '../bits/index.ts';

export type AnyLayout = Layout<Fields>;

/** A kind of structure that can be decoded. */
export interface StructureKind {
  /** `model.name` in lower case, words joined by hyphens. */
  readonly id: string;
  /** Of several, the one that the words themselves tell (a descriptor's type); null where they are of none. */
  readonly layout: AnyLayout | ((halves: Int32Array) => AnyLayout | null);
  /** Numbers of words that it may have; where there are several, what is beyond its layout is zero or reserved. */
  readonly words: readonly number[];
  readonly wordBits: 32 | 64;
  /** Words as users have them, for tests and help. */
  readonly example: readonly string[];
  /** What is odd about the words beyond reserved bits, each a sentence. */
  readonly notes?: (halves: Int32Array, layout: AnyLayout) => string[];
}

/** A kind of one layout. */
export function kindOf(id: string, layout: AnyLayout, ...example: string[]): StructureKind {
  return { id, layout, example, wordBits: layout.width === 32 ? 32 : 64, words: [Math.ceil(layout.width / 64)] };
}

/** Every register of a module's exports, by the name of the export: EVENT_LOG_BASE is `amdvi.event-log-base`. Of an array of equal ones, the first. */
export function registerKinds(model: string, exported: object): StructureKind[] {
  return Object.entries(exported).flatMap(([key, value]) => {
    const register: unknown = Array.isArray(value) && areEqual(value) ? value[0] : value;
    return isRegister(register) ? [kindOf(idOf(model, key), register, '0x0')] : [];
  });
}

/** The kind of the register at each offset; of an array of equal ones, at the offsets of all. */
export function kindsByOffset(model: string, exported: object): ReadonlyMap<number, { id: string; name: string }> {
  return new Map(
    Object.entries(exported).flatMap(([key, value]) =>
      (Array.isArray(value) ? (areEqual(value) ? value : []) : [value])
        .filter(isRegister)
        .map(({ name, offset }) => [offset, { id: idOf(model, key), name }] as const),
    ),
  );
}

function idOf(model: string, key: string): string {
  return `${model}.${key.toLowerCase().replaceAll('_', '-')}`;
}

/** A paging entry above the lowest level, where a field tells a page from a table. */
export function entryOf(
  id: string,
  isPage: (halves: Int32Array) => boolean,
  page: AnyLayout,
  table: AnyLayout,
  example: string,
): StructureKind {
  const wordBits = page.width === 32 ? 32 : 64;
  return { id, words: [1], wordBits, example: [example], layout: (halves) => (isPage(halves) ? page : table) };
}

function isRegister(value: unknown): value is Register<Fields> {
  return typeof value === 'object' && value !== null && 'offset' in value && 'masks' in value;
}

/** Registers that differ in their place alone: of a vector, a counter, a segment. */
function areEqual(values: readonly unknown[]): boolean {
  const fields = values.map((value) => (isRegister(value) ? Object.keys(value.fields).join() : ''));
  return fields.length > 1 && fields.every((of) => of !== '' && of === fields[0]);
}
