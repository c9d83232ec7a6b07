/** Puts an observer between the machine and its unit: what it sees of a translation is a fact, and changes nothing. */
import type { Vtd } from '../iommu/vtd/index.ts';
import type { Machine, Translator } from '../machine/index.ts';

export interface Observer {
  /** Before a step of the transaction in a slot. */
  readonly before?: (slot: number) => void;
  /** After it. */
  readonly after?: (slot: number) => void;
}

export function observe(machine: Machine, unit: Vtd, { before, after }: Observer): void {
  const inner: Translator = machine.dma.translator ?? unit;
  machine.dma.translator = {
    choices: (slot) => inner.choices(slot),
    ...(inner.left === undefined ? {} : { left: (slot: number) => inner.left?.(slot) ?? -1 }),
    ...(inner.most === undefined ? {} : { most: () => inner.most?.() ?? -1 }),
    step: (slot, choice) => {
      before?.(slot);
      inner.step(slot, choice);
      after?.(slot);
    },
    immediate: (slot) => inner.immediate(slot),
  };
}
