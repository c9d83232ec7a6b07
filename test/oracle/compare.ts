/** Runs a script on both back ends and compares everything that was read. */
import type { Configuration } from './configurations.ts';
import type { Deviation } from './deviation.ts';
import { OUTCOME } from './deviation.ts';
import { DEVIATIONS } from './deviations.ts';
import type { ModelPlatform } from './model-platform.ts';
import type { Platform } from './platform.ts';
import { MAP } from './platform.ts';
import type { Script } from './script.ts';
import { lower } from './script.ts';
import { Tally } from './tally.ts';

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

export interface Pair {
  readonly configuration: Configuration;
  readonly model: ModelPlatform;
  readonly qemu: Platform;
}

/** @param deviations what may differ; {@link DEVIATIONS} if absent */
export async function compare(
  pair: Pair,
  script: Script,
  deviations: readonly Deviation[] = DEVIATIONS,
): Promise<Comparison> {
  const { program, ops } = lower(script);
  const each = async (platform: Platform) => {
    await platform.reset();
    return platform.run(program.accesses);
  };
  // QEMU works while the model does.
  const [theirs, ours] = await Promise.all([each(pair.qemu), each(pair.model)]);
  const tally = new Tally();
  let ends = false;
  for (let i = 0; i < program.labels.length && !ends; i++) {
    const label = program.labels[i];
    if (label === '') continue;
    if (label === 'RESULT' || (label === 'FSTS' && script[ops[i]]?.op === 'edu')) tally.translations++;
    if (label === 'messages' && script[ops[i]]?.op === 'msi') tally.interrupts++;
    for (const name of names(label, program.dumpedAt[i], theirs[i].length)) tally.compare(name);
    if (theirs[i] === ours[i]) continue;
    const explained = new Set<string>();
    for (const [field, model, qemu] of split(label, ours[i], theirs[i], program.dumpedAt[i])) {
      const difference = { op: ops[i], field, model, qemu, lacking: wasLacking(pair.model, script, ops[i]) };
      const why =
        deviations.find((each) => each.explains(difference, script, pair.configuration)) ??
        deviations.find((each) => explainsLater(each, difference, script, pair));
      if (why === undefined) return { unexplained: difference, tally };
      // One comparison is exempted once, though many words of a page differ.
      const exemption = `${why.name} ${fieldOf(field)}`;
      if (!explained.has(exemption)) tally.exempt(why.name, fieldOf(field));
      explained.add(exemption);
      // Behind it the two are in different states, and nothing can be compared any more.
      ends ||= why.ends;
    }
  }
  return { unexplained: null, tally };
}

/** What a value that is read counts as: each register of a dump by itself, a page of memory as one. */
function names(label: string, at: number, digits: number): readonly string[] {
  if (at < MAP.iommu) return [label];
  const names: string[] = [];
  for (let i = 0; i < digits / 2; i += 4) names.push(`register 0x${(at - MAP.iommu + i).toString(16)}`);
  return names;
}

/** The name in a tally of a field of a {@link Difference}. */
function fieldOf(field: string): string {
  return field.startsWith('register') ? field : field.split(' ')[0];
}

/**
 * A request before may have come out otherwise without a trace: that of `edu` while the fault record is in use, one that is passed on to where
 * nothing decodes and is refused by the other side. Requests and memory behind it are explained as its own outcome would be.
 */
function explainsLater(deviation: Deviation, { op, field }: Difference, script: Script, pair: Pair): boolean {
  if (!deviation.ends || !(OUTCOME.includes(field) || /^(tables|memory)/.test(field))) return false;
  return script.slice(0, op).some((each, at) => {
    if (each.op !== 'edu' && each.op !== 'dma') return false;
    const traceless = { op: at, field: each.op === 'dma' ? 'RESULT' : 'FSTS', model: '0', qemu: '0' };
    const difference = { ...traceless, lacking: wasLacking(pair.model, script, at) };
    return deviation.explains(difference, script, pair.configuration);
  });
}

/** Of an access of `edu`; the others want one right only. */
function wasLacking(model: ModelPlatform, script: Script, op: number): boolean {
  if (script[op]?.op !== 'edu') return false;
  return model.lacking.has(script.slice(0, op).filter((each) => each.op === 'edu').length);
}

function split(label: string, ours: string, theirs: string, at: number): [string, string, string][] {
  if (at < 0) return [[label, ours, theirs]];
  const isRegister = at >= MAP.iommu;
  return isRegister ? splitDump('register', ours, theirs, at - MAP.iommu) : splitDump(label, ours, theirs, at);
}

/** The words of a dump that differ: which, the model's, QEMU's. @param base what the dump's first byte is called */
export function splitDump(name: string, ours: string, theirs: string, base: number): [string, string, string][] {
  const parts: [string, string, string][] = [];
  for (let i = 0; i < theirs.length; i += 8) {
    const [a, b] = [ours.slice(i, i + 8), theirs.slice(i, i + 8)];
    if (a !== b) parts.push([`${name} 0x${(base + i / 2).toString(16)}`, number(a), number(b)]);
  }
  return parts;
}

/** Bytes, lowest first, as a number. */
function number(bytes: string): string {
  return Buffer.from(bytes, 'hex').readUInt32LE().toString(16);
}

/** What the fields named are read as on a platform, in order. */
export async function readFields(platform: Platform, script: Script, fields: readonly string[]) {
  const { program } = lower(script);
  await platform.reset();
  const values = await platform.run(program.accesses);
  return Object.fromEntries(
    fields.map((field) => [field, values.filter((_, i) => program.labels[i] === field)]),
  ) as Record<string, string[]>;
}
