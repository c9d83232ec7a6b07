/** Which runs a command line asks for. */
import { existsSync } from 'node:fs';
import type { Case, Measure, Sample } from '../cases/index.ts';
import { CASES, MEASURES, MODELS, PROFILE_NAMES, profileNamed } from '../cases/index.ts';
import type { Reduction } from '../explore/index.ts';
import type { Job } from './job.ts';
import { DEFAULT_MAX_STATES } from './job.ts';
import type { Measurement } from './measured.ts';
import { measured } from './measured.ts';
import { nearest, unknownName } from './nearest.ts';
import { UsageError } from './usage-error.ts';
import { failureOf, watched } from './user-case/failure.ts';
import { loadUserCase } from './user-case/load.ts';

export interface Selection {
  readonly variant?: string | undefined;
  readonly model?: string | undefined;
  readonly profile?: string | undefined;
  readonly mutant?: string | undefined;
  readonly tag?: string | undefined;
  readonly maxStates?: number | undefined;
  readonly without?: readonly Reduction[] | undefined;
  readonly sample?: Sample | undefined;
}

interface Chosen {
  readonly definition: Case;
  readonly file: string | null;
}

/** What a command line asks for. */
export interface Selected {
  readonly jobs: readonly Job[];
  /** Measured already: that takes no search. */
  readonly measurements: readonly Measurement[];
}

/** What the named cases and files come to, all cases if none is named. Names that there are not are refused. */
export async function select(names: readonly string[], selection: Selection): Promise<Selected> {
  const measures = names.length === 0 ? MEASURES : [...new Set(names.flatMap((name) => named(name, MEASURES)))];
  const { model, mutant, profile, tag, variant } = selection;
  const wanted = measures.filter(
    (m) => mutant === undefined && (tag === undefined || m.tags?.includes(tag)) && (model ?? m.model) === m.model,
  );
  const measurements = wanted.flatMap((m) => measuredVariants(m, variant, profile ?? 'spec'));
  return { jobs: await selectJobs(names, selection, measurements.length > 0), measurements };
}

function measuredVariants(definition: Measure, variant: string | undefined, profileName: string): Measurement[] {
  const profile = profileNamed(profileName, definition.model);
  if (profile === undefined) return [];
  const names = Object.keys(definition.variants).filter((name) => name === (variant ?? name));
  return names.map((name) => measured(definition, name, profile));
}

/**
 * The jobs of the named cases and files, of all cases if none is named. Names that there are not are refused.
 * @param mayBeNone there is something else to do
 */
export async function selectJobs(
  names: readonly string[],
  selection: Selection,
  mayBeNone = false,
): Promise<readonly Job[]> {
  const profileName = selection.profile ?? 'spec';
  if (!PROFILE_NAMES.includes(profileName)) throw new UsageError(unknownName('profile', profileName, PROFILE_NAMES));
  const chosen = ofModel(await chosenCases(names, selection.tag), selection.model);
  const jobs: Job[] = [];
  const maxStates = selection.maxStates ?? DEFAULT_MAX_STATES;
  const without = selection.without ?? [];
  const sample = selection.sample === undefined ? {} : { sample: selection.sample };
  for (const { definition, file } of chosen) {
    // What has no such profile is not asked for.
    const profile = profileNamed(profileName, definition.model);
    if (profile === undefined) continue;
    for (const variant of Object.keys(definition.variants)) {
      if (selection.variant !== undefined && variant !== selection.variant) continue;
      const mutants = definition.mutants ?? {};
      if (selection.mutant !== undefined && mutants[selection.mutant]?.variant !== variant) continue;
      jobs.push({
        definition,
        file,
        variant,
        profile,
        mutant: selection.mutant ?? null,
        maxStates,
        without,
        ...sample,
      });
    }
  }
  if (jobs.length === 0 && !mayBeNone) throw nothingFits(chosen, selection);
  return jobs;
}

function ofModel(chosen: readonly Chosen[], model: string | undefined): readonly Chosen[] {
  if (model === undefined) return chosen;
  const models = Object.keys(MODELS);
  if (!models.includes(model)) throw new UsageError(unknownName('model', model, models));
  const found = chosen.filter(({ definition }) => definition.model === model);
  if (found.length > 0) return found;
  const ids = [...new Set(chosen.map(({ definition }) => definition.id))].join(', ');
  throw new UsageError(`${ids}: nothing of it is about ${model}; leave --model out`);
}

async function chosenCases(names: readonly string[], tag: string | undefined): Promise<Chosen[]> {
  const chosen: Chosen[] = [];
  const all = names.length === 0;
  for (const definition of all ? CASES : []) chosen.push({ definition, file: null });
  for (const name of names) {
    if (/[\\/]|\.[mc]?[jt]s$/.test(name) || (existsSync(name) && !named(name, [...CASES, ...MEASURES]).length)) {
      chosen.push(...(await userCases(name)));
      continue;
    }
    const found = named(name, CASES);
    if (found.length === 0 && named(name, MEASURES).length > 0) continue;
    if (found.length === 0)
      throw new UsageError(unknownName('case', name, [...new Set([...CASES, ...MEASURES].map((c) => c.id))]));
    for (const definition of found) {
      if (!chosen.some((c) => c.definition === definition)) chosen.push({ definition, file: null });
    }
  }
  if (tag === undefined) return chosen;
  const tagged = chosen.filter(({ definition }) => definition.tags?.includes(tag));
  const tags = [...new Set(chosen.flatMap(({ definition }) => definition.tags ?? []))];
  if (tagged.length === 0) throw new UsageError(unknownName('tag', tag, tags));
  return tagged;
}

/** A whole id, or the letter of an argument: all cases with that letter and a number. */
function named<T extends { readonly id: string }>(name: string, among: readonly T[]): readonly T[] {
  const whole = among.filter((c) => c.id === name);
  if (whole.length > 0 || !/^[A-Z]$/.test(name)) return whole;
  return among.filter((c) => c.id[0] === name && /^\d+$/.test(c.id.slice(1)));
}

/** The cases that a user's file exports by default: one, or an array of them. */
async function userCases(file: string): Promise<Chosen[]> {
  // Errors of a user's are found by the line of his file, however deep they are thrown.
  Error.stackTraceLimit = 100;
  try {
    const module = await loadUserCase(file);
    const exported: readonly unknown[] = Array.isArray(module.default) ? module.default : [module.default];
    if (exported.length === 0) throw new UsageError(`${file}: exports an empty list of cases; put one in`);
    return exported.map((definition) => {
      if ((definition as Partial<Case> | null)?.kind !== 'pinhole case') {
        throw new UsageError(`${file}:1: its default export is no case; write 'export default defineCase({ … })'`);
      }
      return { definition: watched(definition as Case, file), file };
    });
  } catch (error) {
    throw failureOf(error instanceof UsageError && error.cause !== undefined ? definitionCause(error) : error, file);
  }
}

/** A wrong definition throws while the file is loaded; what it says is all there is to say. */
function definitionCause(error: UsageError): unknown {
  return (error.cause as Error | undefined)?.name === 'DefinitionError' ? error.cause : error;
}

function nothingFits(chosen: readonly Chosen[], { variant, mutant, profile }: Selection): UsageError {
  const ids = [...new Set(chosen.map((c) => c.definition.id))].join(', ');
  const mutants = chosen.flatMap((c) => Object.keys(c.definition.mutants ?? {}));
  if (mutant !== undefined && !mutants.includes(mutant))
    return new UsageError(unknownName('mutant', mutant, mutants, ` of ${ids}`));
  const variants = [...new Set(chosen.flatMap((c) => Object.keys(c.definition.variants)))];
  if (variant !== undefined && !variants.includes(variant)) {
    return new UsageError(
      unknownName('variant', variant, nearest(variant, variants).length > 0 ? variants : [], ` of ${ids}`),
    );
  }
  const models = [...new Set(chosen.map((c) => c.definition.model))];
  const profiles = [...new Set(models.flatMap((model) => MODELS[model].profiles.map(({ name }) => name)))];
  if (profile !== undefined && !profiles.includes(profile))
    return new UsageError(unknownName('profile', profile, profiles, ` of ${models.join(', ')}`));
  return new UsageError(`mutant '${mutant}' is not of variant '${variant}'; leave --variant out`);
}
