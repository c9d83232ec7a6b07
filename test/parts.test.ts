/**
 * A search that is cut into parts must find what it finds as a whole: two searches over one set of states that give branches to each other, as
 * threads do, are saved and gone on with by one, as a checkpoint is. Here in one thread, in an order that a seed decides, with each reduction.
 */
import { expect, test } from 'vitest';
import type { Reduction } from '../src/explore/index.ts';
import { DepthFirst, FingerprintSet, Instance, OpenStates, REDUCTIONS, randomFrom } from '../src/explore/index.ts';
import type { Found } from './finding.ts';
import { findOf, PROPERTIES } from './finding.ts';
import type { Subject } from './random-programs.ts';
import { randomSoftware, randomVtd } from './random-programs.ts';

interface InParts extends Found {
  /** Branches that were given away. */
  readonly given: number;
}

function findInParts(build: () => Subject, without: readonly Reduction[], seed: number): InParts {
  const random = randomFrom(seed);
  const ends = new Set<string>();
  const begun = (more: { visited?: FingerprintSet }): DepthFirst => {
    const { machine, outcome } = build();
    const ample = !without.includes('ample');
    const onEnd = () => ends.add(outcome());
    return new DepthFirst(new Instance(machine, { without }), { properties: PROPERTIES, ample, onEnd, ...more });
  };
  const visited = new FingerprintSet();
  const open = new OpenStates(new ArrayBuffer(OpenStates.BYTES));
  const searches = [begun({ visited }), begun({ visited })];
  for (const search of searches) search.follow(open);
  searches[0].begin();
  const pieces: number[][] = [];
  let given = 0;
  for (let turns = 1 + random(80); turns > 0; turns--) {
    const search = searches[random(2)];
    if (search.isDone) {
      if (pieces.length === 0) continue;
      search.resume(pieces.splice(random(pieces.length), 1)[0]);
    }
    search.advance(1 + random(12));
    const piece = random(2) === 0 ? search.give() : null;
    if (piece === null) continue;
    pieces.push(piece);
    given++;
  }
  const [one, other] = searches.map((search) => search.whole());
  const last = begun({});
  last.restore({ ...one, stacks: [...one.stacks, ...other.stacks, ...pieces], violations: [] });
  while (!last.advance(10_000)) {}
  const violations = [...one.violations, ...other.violations, ...last.violations];
  return {
    broken: [...new Set(violations.map((v) => v.property))].sort(),
    ends: [...ends].sort(),
    states: last.states,
    transitions: last.transitions + other.transitions,
    reduced: last.reduced + other.reduced,
    given,
  };
}

const PROGRAMS: readonly (readonly [string, number, (seed: number) => Subject])[] = [
  ['software', 60, (seed) => randomSoftware(seed)],
  ['software whose waits have captured what they wait for', 60, (seed) => randomSoftware(seed, true)],
  ['VT-d', 25, randomVtd],
];

test.each(PROGRAMS)('random programs: %s', (_, count, build) => {
  let given = 0;
  let broken = 0;
  for (let seed = 0; seed < count; seed++) {
    for (const without of [[], ...REDUCTIONS.map((r) => [r]), REDUCTIONS]) {
      const name = `seed ${seed}, without ${without.join() || 'nothing'}`;
      const subject = build(seed);
      const whole = findOf(subject.machine, without, subject.outcome);
      const parts = findInParts(() => build(seed), without, seed);
      expect({ broken: parts.broken, ends: parts.ends }, name).toEqual({ broken: whole.broken, ends: whole.ends });
      // Without partial-order reduction, what is expanded of a state does not depend on who came there first.
      if (without.includes('ample'))
        expect([parts.states, parts.transitions], name).toEqual([whole.states, whole.transitions]);
      given += parts.given;
      broken += parts.broken.length;
    }
  }
  expect(given).toBeGreaterThan(count * 10);
  expect(broken).toBeGreaterThan(count);
});
