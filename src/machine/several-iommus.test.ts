import { expect, test } from 'vitest';
import { ACCESS, PHASE, SLOT } from './dma.ts';
import { Machine } from './machine.ts';
import { MARK } from './marks.ts';
import type { Translator } from './translator.ts';

const IOVA = 0x5008n;
const PFN = 0x10;

/** Takes one step to look at a transaction, another to translate it, or to refuse it. */
function fake(machine: Machine, refuses = false): Translator {
  const { dma } = machine;
  const immediate = (slot: number) => (refuses ? dma.abort(slot) : dma.translated(slot, 0, PFN));
  return {
    choices: () => 1,
    step(slot) {
      if (dma.get(slot, SLOT.phase) === PHASE.issued) dma.set(slot, SLOT.phase, PHASE.translating);
      else immediate(slot);
    },
    immediate,
  };
}

/** Two devices, each behind an IOMMU of its own, with a read of each on its way. */
function two() {
  const machine = new Machine({ dmaSlots: 2 });
  machine.frame('buf', BigInt(PFN) << 12n, machine.owner('buffer', 'buffer', 1), [0, 1]);
  const { dma } = machine;
  dma.translator = fake(machine);
  const translator = fake(machine, true);
  const near = machine.device('near', 0x0200, 1, [IOVA]);
  const far = machine.device('far', 0x0300, 1, [IOVA], { translator });
  for (const { index } of [near, far]) dma.issue(index, IOVA, ACCESS.read, true);
  return { machine, dma, translator, near, far };
}

test('each IOMMU translates for its own devices, in steps and at once', () => {
  const { dma, near, far } = two();
  for (const agent of dma.agents) for (let n = 0; n < 2; n++) agent.step(0);
  const phases = () => dma.agents.map((_, i) => dma.get(dma.at(i), SLOT.phase));
  expect(phases()).toEqual([PHASE.translated, PHASE.aborted]);
  const again = two();
  for (let i = 0; i < 2; i++) again.dma.performAtOnce(again.dma.at(i));
  expect([near, far].map(({ index }) => again.dma.finished(index) >= 0)).toEqual([true, true]);
  expect(again.dma.collect(again.dma.finished(near.index))).toBe(1);
  expect(again.dma.collect(again.dma.finished(far.index))).toBe(0);
});

test('and waits for those alone', () => {
  const { dma, near, far } = two();
  dma.mark(dma.at(1), MARK.holdWalk);
  expect(dma.anyMarked(MARK.holdWalk)).toBe(true);
  expect(dma.anyMarked(MARK.holdWalk, (requester) => requester === near.index)).toBe(false);
  expect(dma.anyMarked(MARK.holdWalk, (requester) => requester === far.index)).toBe(true);
});

test('devices behind two of them are no twins', () => {
  const { machine, translator } = two();
  const devices = [machine.device('a', 0x0401, 1, [IOVA]), machine.device('b', 0x0402, 1, [IOVA], { translator })];
  expect(() => machine.twins(devices, function* () {})).toThrow('they are behind two IOMMUs; put them behind one');
});
