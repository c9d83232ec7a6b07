/** `--walk`: every entry that hardware would read, and where it ends. */
import type { WalkEnd, WalkResult } from '../../decode/index.ts';
import { hexNumber, pciRequester, Tables, WalkRefused, walkVtd } from '../../decode/index.ts';
import type { Colours } from '../story.ts';
import { UsageError } from '../usage-error.ts';
import { sayStructure } from './say.ts';
import { structureToJson } from './to-json.ts';

export interface WalkFlags {
  readonly walk?: string;
  readonly device?: string;
  readonly pasid?: string;
}

const hex = (value: bigint) => `0x${value.toString(16)}`;

/** What is to be walked, checked before anything is read; null if nothing is. */
export class Walk {
  readonly tables = new Tables();
  private readonly address: bigint;
  private readonly device: string | null;
  private readonly pasid: number | null;

  static of(flags: WalkFlags): Walk | null {
    if (flags.walk !== undefined) return new Walk(flags.walk, flags);
    if ((flags.device ?? flags.pasid) !== undefined)
      throw new UsageError('--device and --pasid are of --walk; say which address');
    return null;
  }

  private constructor(address: string, { device, pasid }: WalkFlags) {
    const value = hexNumber(address);
    if (value === null) throw new UsageError(`--walk ${address}: give a hexadecimal address`);
    if (device !== undefined && pciRequester(device) === null)
      throw new UsageError(`--device ${device}: give BUS:DEVICE.FUNCTION`);
    const number = pasid === undefined ? null : Number(pasid);
    if (number !== null && (!Number.isInteger(number) || number < 0 || number >= 2 ** 20)) {
      throw new UsageError(`--pasid ${pasid}: give a number of up to 20 bits`);
    }
    [this.address, this.device, this.pasid] = [value, device ?? null, number];
  }

  /** @throws UsageError where the inputs have not what it needs to begin */
  result(): WalkResult {
    const { address, device, pasid, tables } = this;
    try {
      return walkVtd(tables, { address, device, pasid });
    } catch (error) {
      if (error instanceof WalkRefused) throw new UsageError(error.message);
      throw error;
    }
  }
}

export function sayWalk(result: WalkResult, contradictions: number, colours: Colours): string[] {
  const { address, assumed, of, read, steps, write } = result;
  const told = endText(read, colours);
  const ends =
    told === endText(write, colours)
      ? [`reads and writes ${told}`]
      : [`reads  ${told}`, `writes ${endText(write, colours)}`];
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

function endText(end: WalkEnd, { green, red, yellow }: Colours): string {
  if (end.kind === 'passed') return green(`→ ${hex(end.address)}: passed through, not translated`);
  if (end.kind === 'page') {
    const size = end.bytes >= 2 ** 30 ? '1 GiB' : end.bytes >= 2 ** 21 ? '2 MiB' : '4 KiB';
    return green(`→ ${hex(end.address)}, in a page of ${size}`);
  }
  if (end.kind === 'missing') {
    const at = hex(end.address);
    return yellow(
      `→ the inputs have no word at ${at} (${end.what}). domain_translation_struct leaves out what is not mapped; else fetch it: crash 'rd -p ${at}', QEMU's monitor 'xp /1gx ${at}'`,
    );
  }
  const { clause, meaning, value } = end.code;
  return red(`→ fault: reason 0x${value.toString(16)}, ${meaning} (${clause})`);
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
