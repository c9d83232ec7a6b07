/**
 * What makes a search smaller must not change what it finds (DESIGN §4): every case and random programs, breadth-first, depth-first with
 * every reduction, and depth-first without each. They must agree on what is broken and on every state in which nothing happens any more.
 */
import { describe, expect, test } from 'vitest';
import { profileNamed } from '../src/cases/models.ts';
import { CASES } from '../src/cases/registry.ts';
import type { Reduction } from '../src/explore/index.ts';
import { REDUCTIONS } from '../src/explore/index.ts';
import type { Found } from './finding.ts';
import { findOf } from './finding.ts';
import { randomSoftware, randomVtd } from './random-programs.ts';

interface Agreed {
  /** With every reduction, and without partial-order reduction. */
  readonly all: Found;
  readonly full: Found;
}

/** All searches of one program agree. */
function agree(what: string, find: (without: readonly Reduction[] | null) => Found): Agreed {
  const breadthFirst = find(null);
  const same = ({ broken, ends }: Found) => ({ broken, ends });
  const finds = [[], ...REDUCTIONS.map((r) => [r])].map((without) => {
    const found = find(without);
    const name = `${what}, without ${without.join() || 'nothing'}`;
    expect(same(found), name).toEqual(same(breadthFirst));
    if (without.includes('ample')) {
      expect(found.reduced, name).toBe(0);
      // Breadth-first has the other two, too.
      expect(found.states, name).toBeGreaterThanOrEqual(breadthFirst.states);
    }
    return found;
  });
  const [all, , , full] = finds;
  expect([full.states, full.transitions], what).toEqual([breadthFirst.states, breadthFirst.transitions]);
  expect(all.states, what).toBeLessThanOrEqual(full.states);
  return { all, full };
}

/** States up to which a case is searched under both profiles: six searches of a larger one take ten seconds. */
const MOST_TWICE = 8000;

describe.each(['spec', 'qemu-10'])('cases under %s', (profileName) => {
  let withoutSymmetry = 0;
  let withAll = 0;
  for (const definition of CASES) {
    const profile = profileNamed(profileName, definition.model);
    if (profile === undefined) continue;
    for (const variant of Object.keys(definition.variants)) {
      // More than three seconds; its other variant differs in one invalidation alone.
      if (definition.id === 'vtd-psi-unaligned-mask' && variant === 'buggy') continue;
      test(`${definition.id} ${variant}`, ({ skip }) => {
        const name = `${definition.id} ${variant}`;
        const isLarge = () => findOf(definition.build({ variant, profile, mutant: null }), []).states > MOST_TWICE;
        if (profileName !== 'spec' && isLarge()) skip(`more than ${MOST_TWICE} states: under spec it is searched`);
        agree(name, (without) => {
          const found = findOf(definition.build({ variant, profile, mutant: null }), without);
          if (without?.join() === 'symmetry') withoutSymmetry += found.states;
          if (without?.length === 0) withAll += found.states;
          return found;
        });
      });
    }
  }
  test('symmetry makes them smaller', () => {
    expect(withoutSymmetry).toBeGreaterThan(withAll * 1.2);
  });
});

describe('random programs', () => {
  test('200 of VT-d', () => {
    let ends = 0;
    for (let seed = 0; seed < 200; seed++) {
      const { all } = agree(`seed ${seed}`, (without) => findOf(randomVtd(seed).machine, without));
      ends += all.ends.length;
    }
    expect(ends).toBeGreaterThan(400);
  });

  test('300 of software whose waits have one name and differ in what they have captured', () => {
    let [ends, deadlocks, merged] = [0, 0, 0];
    for (let seed = 0; seed < 300; seed++) {
      const find = (without: readonly Reduction[] | null) => {
        const { machine, outcome } = randomSoftware(seed, true);
        return findOf(machine, without, outcome);
      };
      const { all, full } = agree(`seed ${seed}`, find);
      ends += all.ends.length;
      deadlocks += all.broken.length;
      if (find(['automata', 'ample']).states > full.states) merged++;
    }
    expect(ends).toBeGreaterThan(600);
    expect(deadlocks).toBeGreaterThan(100);
    expect(deadlocks).toBeLessThan(300);
    expect(merged).toBeGreaterThan(100);
  });

  test('300 of software alone, of which partial-order reduction leaves much out, and automata make some smaller', () => {
    let [ends, deadlocks, reduced, saved, merged] = [0, 0, 0, 0, 0];
    for (let seed = 0; seed < 300; seed++) {
      const find = (without: readonly Reduction[] | null) => {
        const { machine, outcome } = randomSoftware(seed);
        return findOf(machine, without, outcome);
      };
      const { all, full } = agree(`seed ${seed}`, find);
      ends += all.ends.length;
      deadlocks += all.broken.length;
      if (all.reduced > 0) reduced++;
      saved += full.states - all.states;
      const plain = find(REDUCTIONS);
      expect([plain.broken, plain.ends], `seed ${seed}, without any`).toEqual([all.broken, all.ends]);
      if (plain.states > full.states) merged++;
    }
    expect(ends).toBeGreaterThan(1000);
    expect(deadlocks).toBeGreaterThan(50);
    expect(deadlocks).toBeLessThan(250);
    expect(reduced).toBeGreaterThan(250);
    expect(saved).toBeGreaterThan(20_000);
    expect(merged).toBeGreaterThan(100);
  });
});
