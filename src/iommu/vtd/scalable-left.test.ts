import { expect, test } from 'vitest';
import { Machine } from '../../machine/index.ts';
import { Vtd } from './model.ts';
import { SCALABLE_SLOT_WORDS } from './scalable-slot.ts';

const ROOT = 0x1000n;
const CONTEXT = 0x2000n;
const DIRECTORY = 0x3000n;
const ENTRIES = 0x4000n;
const SECOND = [0x10000n, 0x11000n, 0x12000n, 0x13000n];
const FIRST = [0x20000n, 0x21000n, 0x22000n, 0x23000n];
const PAGE = 0x24000n;
const SID = 0x10;

const PGTT = { first: 1, second: 2, nested: 3 } as const;

interface World {
  readonly machine: Machine;
  readonly unit: Vtd;
  /** Hardware: the unit's agents, and DMA in flight. */
  readonly sum: () => number;
}

/** A device whose PASID-table entry says `pgtt`; its first stage maps page 0 to `PAGE`, its second stage every guest page to itself. */
function world(pgtt: number, dmaSlots: number, pagingStructure = 0): World {
  const machine = new Machine({ dmaSlots, translatorWords: SCALABLE_SLOT_WORDS });
  const tables = machine.owner('tables', 'table', 1);
  const frame = (at: bigint, words: readonly number[]) => machine.frame(`frame ${at}`, at, tables, words);
  const guest = Array.from({ length: 5 }, (_, i) => 0x20 + i);
  frame(ROOT, [0, 1]);
  frame(CONTEXT, [64, 65, 66, 67]);
  frame(DIRECTORY, [0]);
  frame(ENTRIES, [0, 1, 2]);
  SECOND.forEach((at, i) => void frame(at, i === 3 ? guest : [0]));
  for (const at of FIRST) frame(at, [0]);
  frame(PAGE, [0]);
  machine.poke(ROOT, CONTEXT | 1n);
  machine.poke(CONTEXT + 512n, DIRECTORY | 1n);
  machine.poke(DIRECTORY, ENTRIES | 1n);
  machine.poke(ENTRIES, SECOND[0] | 1n | (2n << 2n) | (BigInt(pgtt) << 6n));
  machine.poke(ENTRIES + 8n, 1n | (1n << 23n));
  machine.poke(ENTRIES + 16n, FIRST[0]);
  for (let i = 0; i < 3; i++) {
    machine.poke(SECOND[i], SECOND[i + 1] | 3n);
    machine.poke(FIRST[i], FIRST[i + 1] | 7n);
  }
  for (const page of guest) machine.poke(SECOND[3] + BigInt(page) * 8n, (BigInt(page) << 12n) | 3n);
  machine.poke(FIRST[3], PAGE | 7n);
  const { arena, dma, memory } = machine;
  const capabilities = { SMTS: 1, FSTS: 1, SSTS: 1, NEST: 1, SMPWCS: 1 };
  const unit = new Vtd({ arena, tables: memory, memory, dma }, { ecap: capabilities, caches: { pagingStructure } });
  dma.translator = unit;
  unit.write(0x20, 8, Number(ROOT) | (1 << 10), 0);
  unit.write(0x18, 4, 1 << 30, 0);
  unit.write(0x18, 4, 1 << 31, 0);
  const hardware = [...unit.agents, ...dma.agents];
  const sum = () => hardware.reduce((all, agent) => all + (agent.left?.() ?? -1000), 0);
  return { machine, unit, sum };
}

/** Steps of DMA in flight, in every order and with every choice; each is counted, or `sum` does not fall. */
function everyStep({ machine, sum }: World): { steps: number; uncounted: number; longest: number } {
  const { arena, dma } = machine;
  const seen = new Set<string>();
  const result = { steps: 0, uncounted: 0, longest: 0 };
  const go = (depth: number): void => {
    const here = arena.snapshot();
    result.longest = Math.max(result.longest, depth);
    for (const agent of dma.agents) {
      for (let choice = 0; choice < agent.choices(); choice++) {
        const before = sum();
        agent.step(choice);
        result.steps++;
        if (sum() >= before) result.uncounted++;
        const key = arena.snapshot().join();
        if (!seen.has(key)) {
          seen.add(key);
          go(depth + 1);
        }
        arena.restore(here);
      }
    }
  };
  go(0);
  return result;
}

test.each([
  // The look-up, six entries or parts of one before the tables, four entries; it is performed.
  ['first stage', PGTT.first, 0n, 12],
  ['second stage', PGTT.second, PAGE, 12],
  // Four first-stage entries and the page, each by four of the second stage; the dirty flag.
  ['nested', PGTT.nested, 0n, 33],
])('left() falls with each step of a request: %s', (_, pgtt, iova, longest) => {
  const made = world(pgtt, 1);
  const device = made.machine.dma.declare({ name: 'nic', sid: SID, did: 1 });
  made.machine.dma.issue(device, iova, 2, false);
  const { steps, uncounted, longest: depth } = everyStep(made);
  expect({ uncounted, depth }).toEqual({ uncounted: 0, depth: longest });
  expect(steps).toBeGreaterThanOrEqual(longest);
});

test.each([
  ['first stage', PGTT.first, 0n],
  ['second stage', PGTT.second, PAGE],
  ['nested', PGTT.nested, 0n],
])('left() falls with each step where everything is cached, and serves or is gone: %s', (_, pgtt, iova) => {
  const made = world(pgtt, 1, 8);
  const { dma } = made.machine;
  const device = dma.declare({ name: 'nic', sid: SID, did: 1 });
  dma.issue(device, iova, 2, false);
  while (dma.inFlight(device) > 0) dma.agents[0].step(0);
  dma.issue(device, iova, 2, false);
  const { steps, uncounted } = everyStep(made);
  expect(uncounted).toBe(0);
  // More than the twelve of a request that finds nothing cached: some go on from other caches.
  expect(steps).toBeGreaterThan(20);
});

test('left() of a nested walk counts what a write of other hardware, or of software, makes it read again', () => {
  for (const changes of ['the device', 'software', 'nobody'] as const) {
    const made = world(PGTT.nested, 2, 8);
    const { machine, sum } = made;
    const { dma } = machine;
    const device = dma.declare({ name: 'nic', sid: SID, did: 1 });
    dma.issue(device, 0n, 2, false);
    const { memory } = machine;
    const leaf = memory.locate(Number(FIRST[3] >> 12n), 0);
    // Up to where the leaf was read, and the page is translated by the second stage.
    while (dma.agents[0].left?.() !== undefined && (memory.lo(leaf) & 0x20) === 0) dma.agents[0].step(0);
    if (changes === 'the device') {
      // It writes where the leaf is, by a translation of its own that is over.
      dma.issue(device, 0n, 2, false);
      const slot = dma.at(1);
      dma.translated(slot, 0, Number(FIRST[3] >> 12n));
    } else if (changes === 'software') machine.poke(FIRST[3], 0x20000n | 7n);
    const order = changes === 'the device' ? [1, 0] : [0];
    let again = 0;
    for (const i of order) {
      while (dma.agents[i].choices() > 0) {
        const before = sum();
        dma.agents[i].step(0);
        again++;
        expect(sum(), `${changes}, step ${again}`).toBeLessThan(before);
      }
    }
    // The page's second stage with its look-up, the flag, the write; else the leaf is read again, which is none where the device wrote.
    expect(again).toBe({ 'the device': 1 + 2 + 1 + 1, software: 2 + 1 + 1 + 2 + 1 + 1, nobody: 2 + 1 + 1 }[changes]);
  }
});
