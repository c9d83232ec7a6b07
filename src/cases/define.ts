import type { Machine } from '../machine/index.ts';
import type { InvariantId } from './invariants.ts';
import { INVARIANTS } from './invariants.ts';
import type { Feature, ModelName, ProfileOf } from './models.ts';
import { MODELS, profileNamed } from './models.ts';

const VERDICTS = ['holds', 'violated', 'bounded', 'undefined', 'measured'] as const;

export type Verdict = (typeof VERDICTS)[number];

/** What is expected of a variant: one verdict, or one for each profile that differs from `spec`. */
export type Expected = Verdict | ({ readonly spec: Verdict } & Readonly<Record<string, Verdict>>);

/** What a case is built for. */
export interface Setup<M extends ModelName = 'vtd'> {
  readonly variant: string;
  readonly profile: ProfileOf[M];
  /** Name of the mutation to make, null for none. */
  readonly mutant: string | null;
}

export interface Mutant {
  /** Variant that must hold without it, and be violated with it. */
  readonly variant: string;
  readonly title: string;
}

/** Of a case there may be one definition a model, with variants of different names. */
export interface CaseDefinition<M extends ModelName = ModelName> {
  readonly id: string;
  readonly title: string;
  /** Seed thread that it settles, `000` to `004`. */
  readonly thread?: '000' | '001' | '002' | '003' | '004';
  readonly tags?: readonly string[];
  /** IOMMU model. */
  readonly model: M;
  /** What must hold; the first one that breaks in fewest steps is the verdict's. I9 (nothing waits for ever) is always among them. */
  readonly invariants: readonly InvariantId[];
  readonly variants: Readonly<Record<string, Expected>>;
  /** Changes that must break a variant that holds. */
  readonly mutants?: Readonly<Record<string, Mutant>>;
  /** Rules of the hardware (ids) that cannot fire here, and why that does not matter. */
  readonly unfired?: Readonly<Record<string, string>>;
  /** What the machine of this case must have for its verdict to mean anything. */
  readonly needs?: readonly Feature[];
  /** Parts that the machine of this case lacks on purpose, whatever the profile. */
  readonly lacks?: readonly Feature[];
  /** Builds the machine with its actors. */
  build(setup: Setup<M>): Machine;
}

/** A case that was checked to be complete. */
export type Case = CaseDefinition & { readonly kind: 'pinhole case' };

/** Thrown where a definition is wrong; one line: what, and how to mend it. */
export class DefinitionError extends Error {
  override readonly name = 'DefinitionError';
}

/** Declares a case. */
export function defineCase<M extends ModelName>(definition: CaseDefinition<M>): Case {
  const { id, invariants, variants, mutants = {} } = definition;
  if (!/^[A-Za-z][\w-]*$/.test(id ?? ''))
    throw new DefinitionError(`case id '${id}' is not a word; use letters, digits and -`);
  if (MODELS[definition.model] === undefined)
    throw new DefinitionError(`case ${id}: no model '${definition.model}'; there are ${Object.keys(MODELS).join(' ')}`);
  if (typeof definition.build !== 'function')
    throw new DefinitionError(`case ${id} has no build(); it makes the machine`);
  if (Object.keys(variants ?? {}).length === 0)
    throw new DefinitionError(`case ${id} has no variants; give at least one with its expected verdict`);
  for (const [variant, expected] of Object.entries(variants)) {
    const verdicts: readonly string[] = typeof expected === 'string' ? [expected] : Object.values(expected ?? {});
    const unknown = verdicts.find((verdict) => !(VERDICTS as readonly string[]).includes(verdict));
    if (unknown !== undefined || verdicts.length === 0)
      throw new DefinitionError(
        `case ${id}: of variant ${variant}, '${unknown}' is expected, which is no verdict; write 'holds' or 'violated'`,
      );
  }
  for (const i of invariants ?? []) {
    if (INVARIANTS[i] === undefined)
      throw new DefinitionError(`case ${id}: no invariant ${i}; there are ${Object.keys(INVARIANTS).join(' ')}`);
  }
  if ((invariants ?? []).length === 0)
    throw new DefinitionError(`case ${id} has no invariants; say what must hold, such as 'I1'`);
  for (const [name, mutant] of Object.entries(mutants)) {
    if (variants[mutant.variant] === undefined)
      throw new DefinitionError(`case ${id}: mutant ${name} is of variant '${mutant.variant}', which there is not`);
  }
  return Object.freeze({ ...definition, kind: 'pinhole case' as const });
}

/** The verdict that is expected under a profile. */
export function expectedOf(
  { model, variants }: Pick<CaseDefinition, 'model' | 'variants'>,
  variant: string,
  profile: string,
): Verdict {
  const expected = variants[variant];
  if (typeof expected === 'string') return expected;
  return expected[profile] ?? expected[profileNamed(profile, model)?.basis ?? 'spec'] ?? expected.spec;
}
