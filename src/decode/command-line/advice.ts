/** A kernel's command line: what its parameters about IOMMUs do, which are misspelt or misplaced, and which contradict each other. */
import { nearest } from '../nearest.ts';
import type { Parameter } from './parameters.ts';
import { MEANT, PARAMETERS } from './parameters.ts';

export interface Advice {
  /** As it is written, or several of them. */
  readonly what: string;
  readonly says: string;
  /** It does not do what it seems to. */
  readonly wrong: boolean;
}

/** One value of a parameter. */
interface Given {
  readonly parameter: Parameter;
  /** Null where it has none. */
  readonly value: string | null;
}

/** Parameters that are looked at: a line has 4 KiB at most. */
const MAX_WORDS = 2048;
/** Names that are about IOMMUs, known or not. */
const LOOKS_LIKE = /iom+u|ommu|smmu|intremap|swiotlb|^ivrs|acs_override/i;

const same = (name: string) => name.toLowerCase().replaceAll('-', '_');
const BY_NAME = new Map(PARAMETERS.map((parameter) => [same(parameter.name), parameter]));

/** @returns what is said of each parameter about IOMMUs, in their order, and then of what contradicts; nothing where there is none */
export function adviceOf(commandLine: string): Advice[] {
  const advice: Advice[] = [];
  const given: Given[] = [];
  for (const word of wordsOf(commandLine)) {
    const equals = word.indexOf('=');
    const [name, value] = equals < 0 ? [word, null] : [word.slice(0, equals), word.slice(equals + 1)];
    // Indexed ones: ivrs_ioapic[4]=00:14.0, the older form.
    const parameter = BY_NAME.get(same(name.replace(/\[[^\]]{0,16}\]$/, '')));
    if (parameter === undefined) {
      if (LOOKS_LIKE.test(name)) advice.push(unknownName(name, word));
      continue;
    }
    const values =
      value === null ? [null] : parameter.list === true ? value.split(',').filter((v) => v !== '') : [value];
    for (const one of values) {
      const said = valueAdvice(parameter, name, one);
      if (said === null) continue;
      advice.push(said);
      given.push({ parameter, value: one === null ? null : canonical(parameter, one) });
    }
  }
  return [...advice, ...conflictsOf(given)];
}

/** Words with quotes taken as the kernel takes them; what is behind `--` is init's. */
function wordsOf(line: string): string[] {
  const words: string[] = line.match(/(?:[^\s"]|"[^"]*"?)+/g) ?? [];
  const end = words.indexOf('--');
  return words.slice(0, end < 0 ? MAX_WORDS : Math.min(end, MAX_WORDS)).map((word) => word.replaceAll('"', ''));
}

function unknownName(name: string, word: string): Advice {
  const meant = MEANT[same(name)];
  const near = nearest(
    name,
    PARAMETERS.map((parameter) => parameter.name),
  ).slice(0, 2);
  const instead = near.length > 0 && near.length < PARAMETERS.length ? `: ${near.join(' or ')} is meant` : '';
  return { what: word, wrong: true, says: meant ?? `no such parameter, and it does nothing${instead}` };
}

const TRUE = /^(?:1|y|yes|on|t|true)$/i;
const FALSE = /^(?:0|n|no|off|f|false)$/i;

function canonical({ boolean }: Parameter, value: string): string {
  if (boolean !== true) return value;
  return TRUE.test(value) ? '1' : FALSE.test(value) ? '0' : value;
}

/** @returns null for values that are none of ours */
function valueAdvice(parameter: Parameter, name: string, value: string | null): Advice | null {
  const { bare, deprecated, form, meaning, others, values } = parameter;
  if (value === null || value === '') {
    if (bare !== undefined) return { what: name, says: bare, wrong: false };
    return others === true ? null : { what: name, says: `wants a value${example(parameter)}`, wrong: true };
  }
  const what = `${name}=${value}`;
  const meant = MEANT[`${same(parameter.name)}=${value.toLowerCase()}`];
  if (meant !== undefined) return { what, says: meant, wrong: true };
  const instead = deprecated?.[value];
  const does = values?.[canonical(parameter, value)];
  if (instead !== undefined)
    return { what, says: `${does === undefined ? '' : `${does}; `}old: use ${instead}`, wrong: does === undefined };
  if (does !== undefined) return { what, says: does, wrong: false };
  if (form !== undefined && !form.test(value))
    return { what, says: 'not of the form that the kernel reads', wrong: true };
  if (others === true) return meaning === undefined ? null : { what, says: meaning, wrong: false };
  if (values === null) return { what, says: meaning ?? bare ?? '', wrong: false };
  const near = nearest(value, Object.keys(values)).slice(0, 1);
  const known = near.length > 0 ? `: ${near[0]} is meant` : `; it takes ${Object.keys(values).slice(0, 6).join(', ')}`;
  return { what, says: `no such value, and it does nothing${known}`, wrong: true };
}

function example({ values }: Parameter): string {
  return values === null ? '' : `: ${Object.keys(values).slice(0, 4).join(', ')}`;
}

/** What two parameters make of each other. */
interface Conflict {
  readonly first: readonly string[];
  readonly second: readonly string[];
  readonly says: string;
}

const CONFLICTS: readonly Conflict[] = [
  {
    first: ['iommu.passthrough=1', 'iommu=pt'],
    second: ['iommu.strict=1', 'iommu.strict=0', 'amd_iommu=fullflush', 'intel_iommu=strict'],
    says: 'what is not translated is not unmapped either: strict or lazy holds for untrusted devices and those that a driver asks to translate only',
  },
  {
    first: ['iommu=pt', 'iommu.passthrough=1'],
    second: ['iommu=nopt', 'iommu.passthrough=0'],
    says: 'they contradict each other: the last one holds',
  },
  {
    first: ['iommu=off'],
    second: ['intel_iommu=on', 'iommu=pt', 'iommu.strict=1', 'iommu.passthrough=0', 'amd_iommu=force_enable'],
    says: 'iommu=off leaves all units off on x86: the other does nothing',
  },
  {
    first: ['iommu.strict=0'],
    second: ['amd_iommu=fullflush', 'intel_iommu=strict'],
    says: 'they contradict each other: strict wins',
  },
  { first: ['intel_iommu=on'], second: ['intel_iommu=off'], says: 'they contradict each other: the last one holds' },
  {
    first: ['intel_iommu=off'],
    second: ['intel_iommu=sm_on', 'intel_iommu=igfx_off', 'intel_iommu=sp_off'],
    says: 'units that are off do nothing of it',
  },
  { first: ['amd_iommu=off'], second: ['amd_iommu=force_enable'], says: 'they contradict each other: off wins' },
  {
    first: ['intel_iommu=sm_on'],
    second: ['intel_iommu=sm_off'],
    says: 'they contradict each other: the last one holds',
  },
  {
    first: ['vfio.enable_unsafe_noiommu_mode=1'],
    second: ['intel_iommu=on', 'iommu=pt', 'iommu.passthrough=1'],
    says: 'with a unit that is on, VFIO does not need to go without one',
  },
  {
    first: ['swiotlb=force'],
    second: ['swiotlb=noforce'],
    says: 'they contradict each other: the last one holds',
  },
];

function conflictsOf(given: readonly Given[]): Advice[] {
  const all = given.map(({ parameter, value }) => `${parameter.name}=${value}`);
  const found = CONFLICTS.flatMap(({ first, says, second }) => {
    const a = all.find((one) => first.includes(one));
    const b = all.find((one) => second.includes(one));
    return a === undefined || b === undefined ? [] : [{ what: `${a} ${b}`, says, wrong: true }];
  });
  const values = new Map<Parameter, Set<string | null>>();
  for (const { parameter, value } of given) {
    if (parameter.list === true || parameter.values === null) continue;
    values.set(parameter, (values.get(parameter) ?? new Set()).add(value));
  }
  const repeated = [...values].filter(([, different]) => different.size > 1);
  return [
    ...found,
    ...repeated.map(([{ name }, different]) => ({
      what: [...different].map((value) => `${name}=${value}`).join(' '),
      says: 'given with different values: the last one holds',
      wrong: true,
    })),
  ];
}
