import { expect, test } from 'vitest';
import { AT, PGTT, SID, World } from './scalable-world.ts';

const PAGE = AT.page;
const FIRST = AT.first;

function world(pgtt: number, dmaSlots: number, pagingStructure = 0): World {
  return new World({ pgtt, machine: { dmaSlots }, unit: { caches: { pagingStructure } } });
}

/** Steps of the unit and of DMA in flight, in every order and with every choice; each is counted, or `left` does not fall. */
function everyStep(world: World): { steps: number; uncounted: number; longest: number } {
  const { arena, dma } = world.machine;
  const seen = new Set<string>();
  const result = { steps: 0, uncounted: 0, longest: 0 };
  const go = (depth: number): void => {
    const here = arena.snapshot();
    result.longest = Math.max(result.longest, depth);
    for (const agent of [...world.machine.hardware, ...dma.agents]) {
      for (let choice = 0; choice < agent.choices(); choice++) {
        const before = world.left();
        agent.step(choice);
        result.steps++;
        if (world.left() >= before) result.uncounted++;
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

test.each([
  ['first stage', PGTT.first, 0n, 0],
  ['first stage, and everything is cached', PGTT.first, 0n, 1],
  ['second stage', PGTT.second, PAGE, 0],
  ['nested', PGTT.nested, 0n, 0],
  ['nested, and everything is cached', PGTT.nested, 0n, 1],
])('left() falls with each step of a device that asks for translations: %s', (_, pgtt, iova, before) => {
  const made = new World({
    pgtt,
    machine: { dmaSlots: 1, atcEntries: 1 },
    unit: { ecap: { DT: 1 }, caches: { pagingStructure: 8 }, itags: 1 },
    context: 4n,
  });
  const { dma } = made.machine;
  const device = made.device({ pasid: 1, ats: true });
  for (let i = 0; i < before; i++) {
    dma.issue(device, iova, 2, false);
    while (dma.inFlight(device) > 0) dma.agents[0].step(0);
  }
  dma.issue(device, iova, 2, false);
  made.queue([8n | (1n << 32n) | (BigInt(SID) << 16n), iova]);
  const { steps, uncounted } = everyStep(made);
  expect(uncounted).toBe(0);
  expect(steps).toBeGreaterThan(15);
});

test.each([
  ['waits for one page', 1, 0n, 16n],
  ['waits twice', 2, 0n, 16n],
  ['and the queue overflows', 2, 0x20n, 16n],
  ['and PRE = 0', 2, 0n, 0n],
])(
  'left() falls with each step of a device that waits for pages, and is answered: %s',
  (_, pageRequests, head, pre) => {
    const made = new World({
      pgtt: PGTT.first,
      machine: { dmaSlots: 1, atcEntries: 1, pageRequests: 1 },
      unit: { ecap: { DT: 1, PRS: 1, PDS: 1 }, caches: { pagingStructure: 0 }, itags: 1 },
      context: 4n | pre,
    });
    made.write64(0xc0, head);
    made.machine.poke(FIRST[3], 0n);
    const { dma } = made.machine;
    dma.issue(made.device({ pasid: 1, ats: true, pageRequests }), 0n, 2, false);
    // Answers to the first request, and to a second one, are in the queue already: each may come before or after it is waited for.
    const response = 9n | 16n | (BigInt(SID) << 16n) | (1n << 32n);
    made.queue([response], [8n | (1n << 32n) | (BigInt(SID) << 16n), 0n], [response], [5n | 32n | 128n, AT.status]);
    const { steps, uncounted } = everyStep(made);
    expect(uncounted).toBe(0);
    expect(steps).toBeGreaterThan(15);
  },
);

test('left() of a nested walk counts what a write of other hardware, or of software, makes it read again', () => {
  for (const changes of ['the device', 'software', 'nobody'] as const) {
    const made = world(PGTT.nested, 2, 8);
    const { machine } = made;
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
        const before = made.left();
        dma.agents[i].step(0);
        again++;
        expect(made.left(), `${changes}, step ${again}`).toBeLessThan(before);
      }
    }
    // The page's second stage with its look-up, the flag, the write; else the leaf is read again, which is none where the device wrote.
    expect(again).toBe({ 'the device': 1 + 2 + 1 + 1, software: 2 + 1 + 1 + 2 + 1 + 1, nobody: 2 + 1 + 1 }[changes]);
  }
});
