/** What a search finds, as far as reductions and threads must not change it. */
import { expect } from 'vitest';
import type { Property, Reduction } from '../src/explore/index.ts';
import { DepthFirst, Instance, Search } from '../src/explore/index.ts';
import type { Machine } from '../src/machine/index.ts';
import { FACT } from '../src/machine/index.ts';

/** Every fact is a property; and one more, which never breaks, so that no search ends before it has seen all. */
export const PROPERTIES: readonly Property[] = [
  ...Object.entries(FACT).map(([id, fact]) => ({ id, broken: (facts: number) => (facts & fact) !== 0 })),
  { id: 'never', broken: () => false },
];

/** The state at hand as text: units that can change places in sorted order, without where actors are (reductions number that differently). */
export function stateOf(machine: Machine): string {
  const { words, regions } = machine.arena;
  return regions
    .filter((region) => region.name !== 'actors' && region.name !== 'actor nodes')
    .map((region) => {
      const size = region.fields.length;
      const units = Array.from({ length: region.units }, (_, u) =>
        words.subarray(region.base + u * size, region.base + (u + 1) * size).join(),
      );
      return (region.interchangeable ? units.sort() : units).join(';');
    })
    .join('|');
}

export interface Found {
  readonly broken: readonly string[];
  readonly ends: readonly string[];
  readonly states: number;
  readonly transitions: number;
  /** States of which only one agent was expanded. */
  readonly reduced: number;
}

/** @param without reductions to do without; null for the breadth-first search */
export function findOf(machine: Machine, without: readonly Reduction[] | null, endOf = () => stateOf(machine)): Found {
  const ends = new Set<string>();
  const options = { properties: PROPERTIES, onEnd: () => ends.add(endOf()) };
  const instance = new Instance(machine, { without: without ?? [] });
  const search =
    without === null
      ? new Search(instance, options)
      : new DepthFirst(instance, { ...options, ample: !without.includes('ample') });
  if (search instanceof DepthFirst) search.begin();
  while (!search.advance(100_000)) {}
  expect(search.exhausted).toBe(true);
  return {
    broken: search.violations.map((v) => v.property).sort(),
    ends: [...ends].sort(),
    states: search.states,
    transitions: search.transitions,
    reduced: search instanceof DepthFirst ? search.reduced : 0,
  };
}
