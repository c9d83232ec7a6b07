/** Reads a program's values on both back ends and compares them: what of it is the same for every IOMMU. */
import type { Lowered } from './common-operations.ts';
import type { Platform, Value } from './platform.ts';
import { Tally } from './tally.ts';

/** What runs the same program. */
export interface Pair<C, M extends Platform = Platform> {
  readonly configuration: C;
  readonly model: M;
  readonly qemu: Platform;
}

/** What was read once, by both. */
export interface Reading {
  readonly label: string;
  /** Index of the operation after which it was read; the script's length at the end. */
  readonly op: number;
  readonly model: Value;
  readonly qemu: Value;
  /** Address of a dump; −1 for a value. */
  readonly dumpedAt: number;
}

/** One value that is not the same. */
export interface Difference {
  /** Index of the operation after which it was read; the script's length at the end. */
  readonly op: number;
  /** Its name: `RESULT`, `FSTS`, `register 0x28`, `memory 0x200000`, … */
  readonly field: string;
  readonly model: string;
  readonly qemu: string;
  /** The model's IOTLB had a translation of the request's page without the right that was wanted. */
  readonly lacking?: boolean;
}

export interface Comparison {
  /** The first difference that no deviation explains. */
  readonly unexplained: Difference | null;
  /** DMA requests of devices, values that were compared, and which deviations explain those that differ. */
  readonly tally: Tally;
}

/** What is said of the readings of an IOMMU. */
export interface Judge<D> {
  /** Label of what is read after an access of `edu`, which tells of its outcome. */
  readonly outcomeOfEdu: string;
  /** Address of the registers, where they are dumped. */
  readonly registers?: number;
  /** The difference as deviations take it. */
  complete?(difference: Difference): Difference;
  /** @returns the deviation that a difference is due to */
  explain(difference: Difference, reading: Reading): D | undefined;
  /** Whether behind a reading that a deviation explains the two are in different states. */
  ends(why: D, reading: Reading): boolean;
}

async function read(platform: Platform, { program }: Lowered): Promise<Value[]> {
  await platform.reset();
  return platform.run(program.accesses);
}

/** All that is read, but for what nobody compares. */
export async function readBoth({ model, qemu }: Pair<unknown>, lowered: Lowered): Promise<Reading[]> {
  // QEMU works while the model does.
  const [theirs, ours] = await Promise.all([read(qemu, lowered), read(model, lowered)]);
  const { labels, dumpedAt } = lowered.program;
  return labels.flatMap((label, i) =>
    label === '' ? [] : [{ label, op: lowered.ops[i], model: ours[i], qemu: theirs[i], dumpedAt: dumpedAt[i] }],
  );
}

/** What the fields named are read as on a platform, in order. */
export async function readFields(platform: Platform, lowered: Lowered, fields: readonly string[]) {
  const values = await read(platform, lowered);
  const of = (field: string) => values.filter((_, i) => lowered.program.labels[i] === field);
  return Object.fromEntries(fields.map((field) => [field, of(field)])) as Record<string, string[]>;
}

/** @param script what the readings are of */
export function judge<D extends { readonly name: string }>(
  script: readonly { readonly op: string }[],
  readings: readonly Reading[],
  {
    outcomeOfEdu,
    registers = Number.POSITIVE_INFINITY,
    complete = (difference) => difference,
    explain,
    ends,
  }: Judge<D>,
): Comparison {
  const tally = new Tally();
  for (const reading of readings) {
    const { label, dumpedAt, model, qemu } = reading;
    const after = script[reading.op]?.op;
    if (label === 'RESULT' || (label === outcomeOfEdu && after === 'edu')) tally.translations++;
    if (label === 'messages' && after === 'msi') tally.interrupts++;
    // Each register of a dump counts by itself, a page of memory as one.
    if (dumpedAt < registers) tally.compare(label);
    else
      for (let i = 0; i < qemu.length / 2; i += 4)
        tally.compare(`register 0x${(dumpedAt - registers + i).toString(16)}`);
    if (qemu === model) continue;
    const explained = new Set<string>();
    let end = false;
    for (const part of parts(reading, registers)) {
      const difference = complete(part);
      const why = explain(difference, reading);
      if (why === undefined) return { unexplained: difference, tally };
      // One comparison is exempted once, though many words of a page differ.
      const field = fieldOf(difference.field);
      if (!explained.has(`${why.name} ${field}`)) tally.exempt(why.name, field);
      explained.add(`${why.name} ${field}`);
      end ||= ends(why, reading);
    }
    // Nothing behind it can be compared any more.
    if (end) break;
  }
  return { unexplained: null, tally };
}

/** The name in a tally of a field of a {@link Difference}. */
function fieldOf(field: string): string {
  return field.startsWith('register') ? field : field.split(' ')[0];
}

/** A value that differs, or the words of a dump that do. */
function parts({ label, op, dumpedAt, model, qemu }: Reading, registers: number): Difference[] {
  if (dumpedAt < 0) return [{ op, field: label, model, qemu }];
  const [name, base] = dumpedAt < registers ? [label, dumpedAt] : ['register', dumpedAt - registers];
  const differences: Difference[] = [];
  for (let i = 0; i < qemu.length; i += 8) {
    const [ours, theirs] = [model.slice(i, i + 8), qemu.slice(i, i + 8)];
    const field = `${name} 0x${(base + i / 2).toString(16)}`;
    if (ours !== theirs) differences.push({ op, field, model: number(ours), qemu: number(theirs) });
  }
  return differences;
}

/** Bytes, lowest first, as a number. */
function number(bytes: string): string {
  return Buffer.from(bytes, 'hex').readUInt32LE().toString(16);
}
