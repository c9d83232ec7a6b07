import { expect, test } from 'vitest';
import { DepthFirst } from '../src/explore/depth-first.ts';
import { Instance } from '../src/explore/instance.ts';
import { entryWords, PGTT, SID, World } from './conformance/vtd/scalable-world.ts';

const NEVER = [{ id: 'never', broken: () => false }];

/** Two equal devices, each of which sends one read with a PASID, or without. */
function world(pasid: number | null, areTwins: boolean): World {
  const made = new World({ pgtt: PGTT.first, machine: { dmaSlots: 2 }, unit: { caches: { pagingStructure: 4 } } });
  const { machine } = made;
  made.attach(SID + 1);
  made.setEntry(1, entryWords(PGTT.first));
  const more = pasid === null ? {} : { pasid };
  const devices = [0, 1].map((i) => machine.device(`nic${i}`, SID + i, 1, [0n], more));
  if (areTwins) machine.twins(devices, (device) => device.issue(0n, 'read'));
  else for (const device of devices) machine.actor(device.name, () => device.issue(0n, 'read'), 'device');
  return made;
}

function statesOf({ machine }: World): number {
  const found = new DepthFirst(new Instance(machine), { properties: NEVER });
  found.begin();
  while (!found.advance(5000)) {}
  return found.states;
}

test.each([1, null])('equal devices in scalable mode, PASID %s, may change places: half the states', (pasid) => {
  const [apart, twins] = [statesOf(world(pasid, false)), statesOf(world(pasid, true))];
  expect(twins).toBeGreaterThan(apart / 2 - 1);
  expect(twins).toBeLessThan(apart * 0.6);
});

/** Each of the unit's caches, by its place among the namings, is needed: what names devices and is not told of makes them no twins. */
test.each(['vtd.sm-context', 'vtd.pasid', 'vtd.sm-iotlb'])('%s names devices', (region) => {
  const made = world(1, true);
  const { arena, dma } = made.machine;
  const at = dma.namings.findIndex(({ base }) => arena.nameOf(base).startsWith(`${region}[`));
  expect(at).toBeGreaterThanOrEqual(0);
  dma.namings.splice(at, 1);
  expect(() => statesOf(made)).toThrow('no twins');
});
