/** Scripts as text: a line for each operation, its name and its words. Which operations there are, and of what words, is a table. */

/** How a field of an operation is written: as one word of the line, or as several. */
export interface Words<T> {
  /** How many. */
  readonly count: number;
  /** Whether all of them may be left out: of the last field only. */
  readonly optional?: true;
  /** @param words as many as {@link count}. @returns null where they say nothing of the kind */
  read(words: readonly string[]): T | null;
  print(value: T): string;
}

/** Operations by name: their fields in the order of their words. */
export type Operations = Readonly<Record<string, Readonly<Record<string, Words<unknown>>>>>;

type ValueOf<W> = W extends Words<infer T> ? T : never;
type OptionalKey<F> = { [K in keyof F]: F[K] extends { readonly optional: true } ? K : never }[keyof F];
type FieldsOf<F> = { readonly [K in Exclude<keyof F, OptionalKey<F>>]: ValueOf<F[K]> } & {
  readonly [K in OptionalKey<F>]?: ValueOf<F[K]>;
};

/** An operation of a table, as `op` its name. */
export type OpOf<T extends Operations> = {
  [N in keyof T & string]: { readonly op: N } & FieldsOf<T[N]>;
}[keyof T & string];

const hex = (value: bigint | number) => `0x${value.toString(16)}`;
const numberOf = (word: string | undefined) =>
  word !== undefined && /^(0x[0-9a-f]+|\d+)$/.test(word) ? BigInt(word) : null;

/** One word that is a number. */
function numeric<T>(of: (value: bigint) => T, print: (value: T) => string): Words<T> {
  const read = ([word]: readonly string[]) => {
    const value = numberOf(word);
    return value === null ? null : of(value);
  };
  return { count: 1, read, print };
}

/** Numbers may be written either way; these are printed with 16 digits, those with 10. */
export const ADDRESS = numeric(Number, hex);
export const COUNT = numeric(Number, String);
/** 64 bits. */
export const WORD = numeric((value) => value, hex);
/** Bytes of an access. */
export const SIZE = numeric<4 | 8>((value) => (value === 8n ? 8 : 4), String);

/** `read` or `write`, as whether it is the second. */
export const DIRECTION: Words<boolean> = {
  count: 1,
  read: ([word]) => (word === 'read' || word === 'write' ? word === 'write' : null),
  print: (isWrite) => (isWrite ? 'write' : 'read'),
};

/** So many words of 64 bits. */
export function several<T extends readonly bigint[]>(count: T['length']): Words<T> {
  const read = (words: readonly string[]) => {
    const values = words.map(numberOf);
    return values.includes(null) ? null : (values as readonly (bigint | null)[] as T);
  };
  return { count, read, print: (values) => values.map(hex).join(' ') };
}

export const optional = <T>(words: Words<T>): Words<T> & { readonly optional: true } => ({ ...words, optional: true });

/** Both ways between operations and their lines. */
export interface ScriptText<O> {
  print(op: O): string;
  /** The reverse of {@link print}. Empty lines and lines that begin with `#` are nothing. @throws Error that names the line */
  parse(text: string): O[];
}

export function scriptText<T extends Operations>(operations: T): ScriptText<OpOf<T>> {
  const print = (op: OpOf<T>) => {
    const values: Readonly<Record<string, unknown>> = op;
    const fields = Object.entries(operations[op.op] as T[string]).filter(([name]) => values[name] !== undefined);
    return [op.op, ...fields.map(([name, words]) => words.print(values[name]))].join(' ');
  };
  const parse = (text: string) =>
    text.split('\n').flatMap((line, i) => {
      const [name = '', ...words] = line.trim().split(/\s+/);
      if (name === '' || name.startsWith('#')) return [];
      const fields = Object.hasOwn(operations, name)
        ? read(Object.entries(operations[name] as T[string]), words)
        : null;
      if (fields === null) throw new Error(`line ${i + 1}: not an operation: ${line.trim()}`);
      return [{ op: name, ...fields } as OpOf<T>];
    });
  return { print, parse };
}

function read(fields: readonly (readonly [string, Words<unknown>])[], words: readonly string[]): object | null {
  const values: Record<string, unknown> = {};
  let at = 0;
  for (const [name, field] of fields) {
    if (field.optional && at === words.length) continue;
    if (at + field.count > words.length) return null;
    const value = field.read(words.slice(at, at + field.count));
    if (value === null) return null;
    values[name] = value;
    at += field.count;
  }
  return at === words.length ? values : null;
}
