/** VT-d 6.2 in scalable mode, in steps: an entry that a request was about to use may be gone by then. */
import { expect, test } from 'vitest';
import { ACCESS, PHASE, SLOT } from '../../../src/machine/index.ts';
import { AT, PGTT, World } from './scalable-world.ts';

/** Descriptors that drop the context cache, and the PASID cache. */
const CONTEXT_CACHE = [1n | (1n << 4n)];
const PASID_CACHE = [7n | (3n << 4n)];

/** A request is over, and what it has filled is there; of two more, both have seen that the IOTLB has nothing. */
function twoInFlight() {
  const world = new World({ pgtt: PGTT.second, machine: { dmaSlots: 2 } });
  const { dma } = world.machine;
  world.machine.poke(AT.second[3] + 0n, AT.page | 3n);
  const device = world.device();
  const agentOf = (slot: number) => dma.agents[(slot - dma.at(0)) / (dma.at(1) - dma.at(0))];
  const issue = () => dma.issue(device, 0n, ACCESS.read, true);
  const toEnd = (slot: number) => {
    while (agentOf(slot).choices() > 0) agentOf(slot).step(0);
    return dma.get(slot, SLOT.phase);
  };
  const first = issue();
  expect(toEnd(first)).toBe(PHASE.completed);
  dma.collect(first);
  const [one, other] = [issue(), issue()];
  // The second choice is that the translation is gone; then there is none for the other.
  agentOf(one).step(1);
  agentOf(other).step(0);
  return { world, one, other, agentOf, toEnd };
}

test('the context-cache entry: another request has evicted it', () => {
  const { agentOf, one, other, toEnd } = twoInFlight();
  expect([agentOf(one).choices(), agentOf(other).choices()]).toEqual([2, 2]);
  agentOf(one).step(1);
  expect(agentOf(other).choices()).toBe(1);
  expect([toEnd(other), toEnd(one)]).toEqual([PHASE.completed, PHASE.completed]);
});

test('the PASID-cache entry: another request has evicted it', () => {
  const { agentOf, one, other, toEnd } = twoInFlight();
  agentOf(one).step(0);
  agentOf(other).step(0);
  agentOf(one).step(1);
  expect(agentOf(other).choices()).toBe(1);
  expect([toEnd(other), toEnd(one)]).toEqual([PHASE.completed, PHASE.completed]);
});

test.each([
  ['context cache', CONTEXT_CACHE, 0],
  ['PASID cache', PASID_CACHE, 1],
])('an invalidation of the %s has dropped it', (_, descriptor, hits) => {
  const { world, agentOf, one, other, toEnd } = twoInFlight();
  for (let i = 0; i < hits; i++) for (const slot of [one, other]) agentOf(slot).step(0);
  world.queue(descriptor);
  const queue = world.machine.hardware.find((agent) => agent.name === 'VT-d invalidation queue');
  queue?.step(0);
  expect([agentOf(one).choices(), agentOf(other).choices()]).toEqual([1, 1]);
  expect([toEnd(other), toEnd(one)]).toEqual([PHASE.completed, PHASE.completed]);
});
