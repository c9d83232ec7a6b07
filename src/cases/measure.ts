/** Cases that seek no verdict: what something costs, in figures. */
import { DefinitionError } from './define.ts';
import type { ModelName, ProfileOf } from './models.ts';

/** A column of {@link Figures}. */
export interface FigureColumn {
  readonly key: string;
  /** What people read above it, with the unit where it is no count. */
  readonly title: string;
}

/** A table of figures: a row each thing that was measured. */
export interface Figures {
  readonly columns: readonly FigureColumn[];
  /** By key of a column. */
  readonly rows: readonly Readonly<Record<string, string | number>>[];
}

/** What a measurement is made for. */
export interface MeasureSetup<M extends ModelName = ModelName> {
  readonly variant: string;
  readonly profile: ProfileOf[M];
}

export interface MeasureDefinition<M extends ModelName = ModelName> {
  readonly id: string;
  readonly title: string;
  /** Seed thread that it belongs to. */
  readonly thread?: '000' | '001' | '002' | '003' | '004';
  readonly tags?: readonly string[];
  readonly model: M;
  /** By name: what is measured. */
  readonly variants: Readonly<Record<string, string>>;
  /** What the figures mean, and what they leave out; a line each. */
  readonly notes?: readonly string[];
  measure(setup: MeasureSetup<M>): Figures;
}

/** A measured case that was checked to be complete. */
export type Measure = MeasureDefinition & { readonly kind: 'pinhole measure' };

/** Declares a case whose result is figures. */
export function defineMeasure<M extends ModelName>(definition: MeasureDefinition<M>): Measure {
  if (Object.keys(definition.variants).length === 0)
    throw new DefinitionError(`case ${definition.id} has no variants; name what is measured`);
  return Object.freeze({ ...definition, kind: 'pinhole measure' as const });
}
