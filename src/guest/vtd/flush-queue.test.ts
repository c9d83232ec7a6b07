import { expect, test } from 'vitest';
import { K2 } from '../../cases/k2.ts';
import { Instance, runPrompt } from '../../explore/index.ts';
import { PROFILES } from '../../iommu/vtd/index.ts';

/** Invalidations of a run in which everything is done at once, by their granularity. */
function invalidations(variant: string): string[] {
  const machine = K2.build({ variant, profile: PROFILES[0], mutant: null });
  const instance = new Instance(machine);
  machine.log.on = true;
  machine.log.take();
  // The last actor that can step is the flush queue's timer, as soon as it is armed.
  runPrompt(instance, (n) => n - 1);
  expect(instance.hasWaiting()).toBe(false);
  const lines = machine.log.take().map((line) => line.text);
  machine.log.on = false;
  return lines.flatMap((line) => /^IOTLB invalidated \((\w+)/.exec(line)?.[1] ?? []);
}

test('what 29b32839725f is about: a flush queue flushes whole domains, strict unmapping the pages alone', () => {
  // Both invalidate for the new mapping as well, as CAP.CM is 1.
  expect(invalidations('fixed')).toEqual(['page', 'page', 'page']);
  const lazy = invalidations('buggy');
  expect(lazy.filter((what) => what === 'page')).toHaveLength(1);
  expect(lazy.filter((what) => what === 'domain').length).toBeGreaterThanOrEqual(1);
  expect(lazy.filter((what) => what === 'domain').length).toBeLessThanOrEqual(2);
});
