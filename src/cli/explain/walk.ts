/** `--walk`: every entry that hardware would read, and where it ends. */
import type { Code, Model, WalkEnd, WalkResult } from '../../decode/index.ts';
import { hexNumber, requesterNumber, Tables, WalkRefused, walkAny } from '../../decode/index.ts';
import type { Colours } from '../story.ts';
import { UsageError } from '../usage-error.ts';
import { decodeAs } from './as-words.ts';
import { sayStructure } from './say.ts';
import { sizeText } from './size-text.ts';
import { structureToJson } from './to-json.ts';

export interface WalkFlags {
  readonly walk?: string;
  readonly device?: string;
  readonly pasid?: string;
  readonly data?: string;
}

const hex = (value: bigint) => `0x${value.toString(16)}`;

/** What is to be walked, checked before anything is read; null if nothing is. */
export class Walk {
  readonly tables = new Tables();
  private readonly address: bigint;
  private readonly device: string | null;
  private readonly pasid: number | null;
  private readonly data: number | null;
  /** Whose register or entry was given on the command line. */
  private model: Model | null = null;

  static of(flags: WalkFlags): Walk | null {
    if (flags.walk !== undefined) return new Walk(flags.walk, flags);
    if ((flags.device ?? flags.pasid ?? flags.data) !== undefined)
      throw new UsageError('--device, --pasid and --data are of --walk; say which address');
    return null;
  }

  private constructor(address: string, { data, device, pasid }: WalkFlags) {
    const value = hexNumber(address);
    if (value === null) throw new UsageError(`--walk ${address}: give a hexadecimal address`);
    if (device !== undefined && requesterNumber(device) === null)
      throw new UsageError(`--device ${device}: give BUS:DEVICE.FUNCTION, or a StreamID or device_id as 0x…`);
    [this.address, this.device] = [value, device ?? null];
    this.pasid = numberOf('--pasid', pasid, 20);
    this.data = numberOf('--data', data, 32);
  }

  /** Begins at words of the command line. @throws UsageError where they are none of the kind */
  beginAt(kind: string, words: readonly string[]): void {
    const structure = decodeAs(kind, words);
    this.model = structure.kind.slice(0, structure.kind.indexOf('.')) as Model;
    this.tables.give(structure);
  }

  /** @throws UsageError where the inputs have not what it needs to begin */
  result(): WalkResult {
    const { address, data, device, model, pasid, tables } = this;
    try {
      return walkAny(tables, { address, data, device, pasid }, model);
    } catch (error) {
      if (error instanceof WalkRefused) throw new UsageError(error.message);
      throw error;
    }
  }
}

function numberOf(flag: string, text: string | undefined, bits: number): number | null {
  if (text === undefined) return null;
  const number = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isInteger(number) || number < 0 || number >= 2 ** bits)
    throw new UsageError(`${flag} ${text}: give a number of up to ${bits} bits`);
  return number;
}

export function sayWalk(result: WalkResult, contradictions: number, colours: Colours): string[] {
  const { address, assumed, leavesOut, of, read, steps, write } = result;
  const told = endText(read, leavesOut, colours);
  const ends =
    told === endText(write, leavesOut, colours)
      ? [`reads and writes ${told}`]
      : [`reads  ${told}`, `writes ${endText(write, leavesOut, colours)}`];
  return [
    colours.bold(`Walk of ${hex(address)} for ${of}`),
    ...steps.flatMap(({ address: at, depth, structure, what }, i) => {
      const indent = '  '.repeat(depth + 1);
      const place = at === null ? '' : ` at ${hex(at)}`;
      return [`${indent}${i + 1}. ${what}${place}`, ...sayStructure(structure, colours, `${indent}   `)];
    }),
    ...ends.map((end) => `  ${end}`),
    ...assumed.map((what) => `  ${colours.yellow(`assumed: ${what}`)}`),
    ...(contradictions > 0
      ? [`  ${colours.yellow(`${contradictions} words are said in two ways by the inputs; the later one was taken`)}`]
      : []),
    '',
  ];
}

function endText(end: WalkEnd, leavesOut: string | null, { green, red, yellow }: Colours): string {
  switch (end.kind) {
    case 'passed':
      return green(`→ ${hex(end.address)}: passed through, not translated`);
    case 'page':
      return green(`→ ${hex(end.address)}, in a page of ${sizeText(BigInt(end.bytes))}`);
    case 'interrupt':
      return green(`→ ${end.text}`);
    case 'refused':
      return red(`→ ${end.text}`);
    case 'missing': {
      const at = hex(end.address);
      const why = leavesOut === null ? '' : ` ${leavesOut}; else`;
      return yellow(
        `→ the inputs have no word at ${at} (${end.what}).${why} fetch it: crash 'rd -p ${at}', QEMU's monitor 'xp /1gx ${at}'`,
      );
    }
    case 'fault':
      return red(`→ fault: ${codeText(end.code)}${end.why === null ? '' : `: ${end.why}`}`);
  }
}

/** The name stands beside the number, unless it is the register's field that holds it. */
function codeText({ clause, meaning, name, value }: Code): string {
  const number = `reason 0x${value.toString(16)}`;
  return `${name === 'FR' ? number : `${number} ${name}`}, ${meaning} (${clause ?? 'not in the specification'})`;
}

export function walkToJson({ address, assumed, of, read, steps, write }: WalkResult) {
  const ended = (end: WalkEnd) => ('address' in end ? { ...end, address: hex(end.address) } : end);
  return {
    ...{ of, address: hex(address), assumed },
    steps: steps.map(({ address: at, structure, ...step }) => ({
      ...step,
      address: at === null ? null : hex(at),
      structure: structureToJson(structure),
    })),
    read: ended(read),
    write: ended(write),
  };
}
