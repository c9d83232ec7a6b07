/** `--as KIND WORD…`: words from the command line. */
import type { DecodedStructure } from '../../decode/index.ts';
import { decodeStructure, hexNumber, kindNamed, STRUCTURE_KINDS, StructureError } from '../../decode/index.ts';
import { nearest } from '../nearest.ts';
import { UsageError } from '../usage-error.ts';

/** @param words hexadecimal, lowest first, or `HIGH:LOW` (and longer) as Linux prints entries; commas and spaces may separate */
export function decodeAs(id: string, words: readonly string[]): DecodedStructure {
  const kind = kindNamed(id);
  if (kind === null) throw new UsageError(unknownKind(id));
  const tokens = words.flatMap((word) => word.split(/[\s,;]+/)).filter((token) => token !== '');
  const values = tokens.flatMap((token) => token.split(':').reverse()).map((token) => wordOf(token));
  if (values.length === 0)
    throw new UsageError(`--as ${kind.id}: its words are missing; for example ${kind.example.join(' ')}`);
  try {
    return decodeStructure(kind, values);
  } catch (error) {
    if (error instanceof StructureError) throw new UsageError(error.message);
    throw error;
  }
}

function wordOf(token: string): bigint {
  const value = hexNumber(token);
  if (value === null) throw new UsageError(`'${token.slice(0, 40)}' is no hexadecimal word of up to 64 bits`);
  return value;
}

function unknownKind(id: string): string {
  const ids = STRUCTURE_KINDS.map((kind) => kind.id);
  const near = nearest(id.toLowerCase(), ids).slice(0, 5);
  const hint = near.length > 0 ? `did you mean ${near.join(', ')}?` : `'pinhole explain --kinds' lists them`;
  return `no kind of structure '${id}'; ${hint}`;
}
