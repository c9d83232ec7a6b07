/** `--as KIND WORD…`: words from the command line. */
import type { DecodedStructure, StructureKind } from '../../decode/index.ts';
import {
  decodeStructure,
  kindNamed,
  STRUCTURE_KINDS,
  StructureError,
  WordError,
  wordsOfText,
} from '../../decode/index.ts';
import { nearest } from '../nearest.ts';
import { UsageError } from '../usage-error.ts';

/** @param words see {@link wordsOfText} */
export function decodeAs(id: string, words: readonly string[]): DecodedStructure {
  const kind = kindAsked(id);
  try {
    const values = wordsOfText(words.join(' '));
    if (values.length > 0) return decodeStructure(kind, values);
  } catch (error) {
    if (error instanceof StructureError || error instanceof WordError) throw new UsageError(error.message);
    throw error;
  }
  throw new UsageError(`--as ${kind.id}: its words are missing; for example ${kind.example.join(' ')}`);
}

/** Of what follows `--as KIND` beside a walk: the words of the kind come first, then the inputs. */
export function wordsAndInputs(id: string, names: readonly string[]): { words: string[]; inputs: string[] } {
  const most = Math.max(...kindAsked(id).words);
  let [count, at] = [0, 0];
  for (; at < names.length && count < most; at++) {
    const name = names[at] as string;
    if (!/^(?:(?:0x)?[0-9a-f]{1,16}[,:;\s]*)+$/i.test(name)) break;
    count += name.split(/[\s,;:]+/).filter((token) => token !== '').length;
  }
  return { words: names.slice(0, at), inputs: names.slice(at) };
}

function kindAsked(id: string): StructureKind {
  const kind = kindNamed(id);
  if (kind === null) throw new UsageError(unknownKind(id));
  return kind;
}

function unknownKind(id: string): string {
  const ids = STRUCTURE_KINDS.map((kind) => kind.id);
  const near = nearest(id.toLowerCase(), ids).slice(0, 5);
  const hint = near.length > 0 ? `did you mean ${near.join(', ')}?` : `'pinhole explain --kinds' lists them`;
  return `no kind of structure '${id}'; ${hint}`;
}
