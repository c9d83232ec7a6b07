import { describe, expect, test } from 'vitest';
import { FACT } from '../../../src/machine/index.ts';
import { entry, InterruptBench, IRT, remappable } from './interrupt-bench.ts';
import { AT, CONTEXT, entryWords, PGTT, SID, World } from './scalable-world.ts';
import { Bench, CONTEXT as LEGACY_CONTEXT } from './unit.ts';

/** Look-up, root entry, context entry twice, directory, first quarter of the PASID-table entry: the others come next. */
const BEFORE_REST = 6;
/** Look-up, root entry, first half of the context entry. */
const BEFORE_HIGH = 3;

const ENTRY = AT.entries + 64n;
const OLD = entryWords(PGTT.first, 1);
const NEW = entryWords(PGTT.first, 2, AT.second[0]);

function words(world: World, at: bigint, values: readonly (readonly [number, bigint])[]): void {
  for (const [i, value] of values) world.machine.poke(at + BigInt(8 * i), value);
}

/** A request with PASID 1, so many steps of it; then `change`, then one more. @returns facts of that one */
function between(steps: number, change: (world: World) => void, world = new World()): number {
  const { dma, facts } = world.machine;
  const nic = world.device({ pasid: 1 });
  dma.issue(nic, 0n, 1, false);
  for (let i = 0; i < steps; i++) dma.agents[0]?.step(0);
  change(world);
  facts.bits = 0;
  dma.agents[0]?.step(0);
  return facts.bits & FACT.tornEntry;
}

describe('chapter 9: entries of more than 128 bits are read in parts of 128', () => {
  test.each([
    ['nothing changes', [], false],
    [
      'the first part, then the others',
      [
        [0, NEW[0]],
        [1, NEW[1]],
        [2, NEW[2]],
      ],
      true,
    ],
    [
      'the others, then the first part: for a time both were there',
      [
        [2, NEW[2]],
        [1, NEW[1]],
      ],
      false,
    ],
    ['the first part alone', [[1, NEW[1]]], false],
    ['the others alone', [[2, NEW[2]]], false],
    [
      'the first part, and the others to what they were',
      [
        [1, NEW[1]],
        [2, OLD[2]],
      ],
      false,
    ],
    [
      'the first part and back, then the others',
      [
        [1, NEW[1]],
        [1, OLD[1]],
        [2, NEW[2]],
      ],
      false,
    ],
    [
      'the last word, behind the first part',
      [
        [1, NEW[1]],
        [7, 1n],
      ],
      true,
    ],
  ] as [string, [number, bigint][], boolean][])('9.6: %s', (_, changes, torn) => {
    expect(between(BEFORE_REST, (world) => words(world, ENTRY, changes))).toBe(torn ? FACT.tornEntry : 0);
  });

  test.each([
    [BEFORE_REST - 1, 'before its first part is read'],
    [BEFORE_REST + 1, 'when all of it was read'],
  ])('9.6: after %i steps, %s, a change tears nothing', (steps) => {
    const all = NEW.map((value, i) => [i, value] as const);
    expect(between(steps, (world) => words(world, ENTRY, all))).toBe(0);
  });

  test('9.6: the entry of another PASID does not matter', () => {
    const all = NEW.map((value, i) => [i, value] as const);
    expect(between(BEFORE_REST, (world) => words(world, ENTRY + 64n, all))).toBe(0);
  });

  test('9.6: what is torn may be cached, and the fact is shown once', () => {
    const world = new World();
    const { dma, facts } = world.machine;
    expect(
      between(
        BEFORE_REST,
        () =>
          words(world, ENTRY, [
            [1, NEW[1] as bigint],
            [2, NEW[2] as bigint],
          ]),
        world,
      ),
    ).not.toBe(0);
    expect(world.unit.scalableCaches?.pasid.isEmpty()).toBe(false);
    facts.bits = 0;
    while ((dma.agents[0]?.choices() ?? 0) > 0) dma.agents[0]?.step(0);
    expect(facts.bits & FACT.tornEntry).toBe(0);
  });

  test.each([
    [
      'the lower half, then the upper',
      [
        [1, 5n],
        [2, 1n],
      ],
      true,
    ],
    ['the upper half alone', [[2, 1n]], false],
  ] as [string, [number, bigint][], boolean][])('9.4: %s', (_, changes, torn) => {
    expect(between(BEFORE_HIGH, (world) => words(world, CONTEXT, changes))).toBe(torn ? FACT.tornEntry : 0);
  });

  test('a walk that does not snoop sees a change when it is written back', () => {
    const change = (world: World, writesBack: boolean) => {
      const { memory } = world.machine;
      for (const i of [1, 2]) {
        const at = memory.locate(Number(ENTRY >> 12n), 8 + i);
        const value = NEW[i] as bigint;
        memory.store(at, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
        if (writesBack) memory.writeBack(at);
      }
    };
    const made = () => new World({ machine: { coherentWalker: false }, unit: { ecap: { C: 0 } } });
    const first = made();
    expect(between(BEFORE_REST, () => change(first, true), first)).not.toBe(0);
    const second = made();
    expect(between(BEFORE_REST, () => change(second, false), second)).toBe(0);
  });

  test('the story tells of it', () => {
    const world = new World();
    world.machine.log.on = true;
    between(
      BEFORE_REST,
      () =>
        words(world, ENTRY, [
          [1, NEW[1] as bigint],
          [2, NEW[2] as bigint],
        ]),
      world,
    );
    expect(
      world.machine.log
        .take()
        .map(({ text }) => text)
        .join('\n'),
    ).toContain('never in memory together');
  });
});

describe('6.2.2.1, 6.2.3.1: versions of an entry that software declares', () => {
  test.each([
    ['the old version', [], false],
    ['all of the new one', NEW.map((value, i) => [i, value]), false],
    ['a mix of both, in memory at one time', [[1, NEW[1]]], true],
    [
      'one that is not present',
      [
        [0, 0n],
        [1, NEW[1]],
      ],
      false,
    ],
  ] as [string, [number, bigint][], boolean][])('%s', (_, changes, torn) => {
    const world = new World();
    world.machine.dma.versions.declare('entry', ENTRY, [OLD, NEW]);
    words(world, ENTRY, changes);
    const { dma, facts } = world.machine;
    dma.issue(world.device({ pasid: 1 }), 0n, 1, false);
    facts.bits = 0;
    let shown = 0;
    while ((dma.agents[0]?.choices() ?? 0) > 0) {
      dma.agents[0]?.step(0);
      shown |= facts.bits & FACT.tornEntry;
    }
    expect(shown).toBe(torn ? FACT.tornEntry : 0);
  });

  test('a scalable-mode context entry, too; another device has its own', () => {
    const world = new World();
    world.machine.dma.versions.declare('context entry', CONTEXT, [[AT.directory | 1n, 0n, 0n, 0n]]);
    const { dma, facts } = world.machine;
    dma.issue(world.device({ sid: SID }), 0n, 1, false);
    for (let i = 0; i < 4; i++) dma.agents[0]?.step(0);
    expect(facts.bits & FACT.tornEntry).not.toBe(0);
  });

  test('versions of different lengths are refused', () => {
    const { versions } = new World().machine.dma;
    expect(() => versions.declare('entry', ENTRY, [OLD, OLD.slice(1)])).toThrow('number of words');
  });

  /** A context entry of legacy mode and an interrupt remapping entry are read at once: what software has made of them by then counts. */
  test.each([
    ['old', 0, 0, false],
    ['new', 1, 1, false],
    ['half of each', 1, 0, true],
  ])('a context entry of legacy mode: %s', (_, lower, upper, torn) => {
    const bench = new Bench({ dmaSlots: 1 }).start();
    const trees = [bench.tree(), bench.tree()];
    const versions = trees.map(({ top }, i) => [top | 1n, 2n | (BigInt(i + 1) << 8n)] as const);
    const { dma, facts } = bench.machine as NonNullable<typeof bench.machine>;
    dma.versions.declare('context entry', LEGACY_CONTEXT + BigInt(SID * 16), versions);
    const [lo, hi] = [versions[lower]?.[0] as bigint, versions[upper]?.[1] as bigint];
    bench.setContext(SID, lo, hi);
    const flight = bench.issue(SID, 0x1000n);
    for (let i = 0; i < 3; i++) flight.step();
    expect(facts.bits & FACT.tornEntry).toBe(torn ? FACT.tornEntry : 0);
  });

  test.each([
    ['old', 0, 0, false],
    ['new', 1, 1, false],
    ['half of each', 1, 0, true],
    ['half of each, and not present', -1, 0, false],
  ])('an interrupt remapping entry: %s', (_, lower, upper, torn) => {
    const bench = new InterruptBench({ dmaSlots: 1 }).remap();
    const versions = [entry({ vector: 0x11, sid: 1, svt: 0 }), entry({ vector: 0x22, sid: 2, svt: 0 })];
    const { dma, facts } = bench.machine as NonNullable<typeof bench.machine>;
    dma.versions.declare('entry 5', IRT + 80n, versions);
    bench.setEntry(5, [versions[lower]?.[0] ?? 0n, versions[upper]?.[1] as bigint]);
    const flight = bench.send(SID, remappable(5));
    for (let i = 0; i < 2; i++) flight.step();
    expect(facts.bits & FACT.tornEntry).toBe(torn ? FACT.tornEntry : 0);
  });
});
