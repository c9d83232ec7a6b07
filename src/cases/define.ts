import type { VtdProfile } from '../iommu/vtd/profiles.ts';
import { PROFILES } from '../iommu/vtd/profiles.ts';
import type { Machine } from '../machine/index.ts';
import type { InvariantId } from './invariants.ts';
import { INVARIANTS } from './invariants.ts';

const VERDICTS = ['holds', 'violated', 'bounded', 'undefined', 'measured'] as const;

export type Verdict = (typeof VERDICTS)[number];

/** What is expected of a variant: one verdict, or one for each profile that differs from `spec`. */
export type Expected = Verdict | ({ readonly spec: Verdict } & Readonly<Record<string, Verdict>>);

/** What a case is built for. */
export interface Setup {
  readonly variant: string;
  readonly profile: VtdProfile;
  /** Name of the mutation to make, null for none. */
  readonly mutant: string | null;
}

export interface Mutant {
  /** Variant that must hold without it, and be violated with it. */
  readonly variant: string;
  readonly title: string;
}

export interface CaseDefinition {
  readonly id: string;
  readonly title: string;
  /** Seed thread that it settles, `000` to `004`. */
  readonly thread?: '000' | '001' | '002' | '003' | '004';
  readonly tags?: readonly string[];
  /** IOMMU model. */
  readonly model: 'vtd';
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
  build(setup: Setup): Machine;
}

/** A part of the hardware that a model may lack. */
export type Feature = 'paging-structure cache' | 'drain';

/** A case that was checked to be complete. */
export type Case = CaseDefinition & { readonly kind: 'pinhole case' };

/** Thrown where a definition is wrong; one line: what, and how to mend it. */
export class DefinitionError extends Error {
  override readonly name = 'DefinitionError';
}

/** Declares a case. */
export function defineCase(definition: CaseDefinition): Case {
  const { id, invariants, variants, mutants = {} } = definition;
  if (!/^[A-Za-z][\w-]*$/.test(id ?? ''))
    throw new DefinitionError(`case id '${id}' is not a word; use letters, digits and -`);
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
export function expectedOf(definition: Pick<CaseDefinition, 'variants'>, variant: string, profile: string): Verdict {
  const expected = definition.variants[variant];
  if (typeof expected === 'string') return expected;
  return expected[profile] ?? expected[profileNamed(profile)?.basis ?? 'spec'] ?? expected.spec;
}

/** The profile with this name. */
export function profileNamed(name: string): VtdProfile | undefined {
  return PROFILES.find((p) => p.name === name);
}

/** Parts that the hardware of a profile lacks. */
export function lacking(profile: VtdProfile): Feature[] {
  const lacks: Feature[] = [];
  if (!profile.pagingStructureCaches) lacks.push('paging-structure cache');
  if (!profile.drains) lacks.push('drain');
  return lacks;
}
