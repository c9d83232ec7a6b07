/**
 * Sees when a request of a function is translated by tables of a domain that the function is not in: an entry that was cached for one domain
 * serves another (invariant I6). Tables are known by the domain id that hardware has found them under.
 */
import type { Vtd } from '../iommu/vtd/index.ts';
import type { Machine, SoftwareWord } from '../machine/index.ts';
import { FACT, PHASE, SLOT } from '../machine/index.ts';
import { observe } from './observe.ts';

/** The function changes its domain: any translation is legal. */
const CHANGING = -1;

export class DomainWatch {
  private readonly domain: SoftwareWord;

  /** @param did domain id of the one function's domain at the start */
  constructor(machine: Machine, unit: Vtd, did: number) {
    const { dma, facts, log } = machine;
    this.domain = machine.word('domain of the function', did);
    observe(machine, unit, {
      after: (slot) => {
        if (dma.get(slot, SLOT.phase) !== PHASE.translated || this.domain.value === CHANGING) return;
        const by = dma.get(slot, SLOT.did);
        if (by === this.domain.value) return;
        facts.bits |= FACT.crossedDomain;
        if (log.on) log.say('iommu', `translated for DID ${by}, and the function is in DID ${this.domain.value}`);
      },
    });
  }

  /** To be called in a note of the driver's. */
  changes(): void {
    this.domain.value = CHANGING;
  }

  /** The change is over. */
  isIn(did: number): void {
    this.domain.value = did;
  }
}
