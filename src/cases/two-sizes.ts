/** Sees when a request finds cached translations of several page sizes: any of them may serve it (VT-d 6.2.4.1). */
import type { Vtd } from '../iommu/vtd/index.ts';
import { levelOf, rightsFor } from '../iommu/vtd/index.ts';
import type { Machine } from '../machine/index.ts';
import { FACT, MARK, SLOT } from '../machine/index.ts';
import { observe } from './observe.ts';

export function watchTwoSizes(machine: Machine, unit: Vtd): void {
  const { dma, facts } = machine;
  const { caches, scalableCaches } = unit;
  /** Page size, as a level, of the `n`th cached translation that may serve; 0 where there are no more. */
  const nthSize = (slot: number, n: number): number => {
    const { pasid = -1, sid } = dma.requesters[dma.get(slot, SLOT.device)];
    const [hi, lo, access] = [dma.get(slot, SLOT.vpnHi), dma.get(slot, SLOT.vpnLo), dma.get(slot, SLOT.access)];
    if (scalableCaches === null) {
      const at = caches.nthTranslation(sid, hi, lo, access, n);
      return at < 0 ? 0 : levelOf(caches.tag(at));
    }
    const at = scalableCaches.nthTranslation(sid, pasid, hi, lo, rightsFor(access, false), false, n);
    return at < 0 ? 0 : levelOf(scalableCaches.tag(at));
  };
  const findsTwo = (slot: number): boolean => {
    let sizes = 0;
    for (let n = 0; ; n++) {
      const size = nthSize(slot, n);
      if (size === 0) return (sizes & (sizes - 1)) !== 0;
      sizes |= 1 << size;
    }
  };
  observe(machine, unit, {
    before: (slot) => {
      // Step 0 is the look-up, but for a request that goes to an address which its device has.
      if (dma.get(slot, SLOT.step) !== 0 || (dma.get(slot, SLOT.flags) & MARK.direct) !== 0 || !findsTwo(slot)) return;
      facts.bits |= FACT.leftOpen;
      if (machine.log.on) machine.log.say('iommu', 'the IOTLB has translations of two page sizes: any may be used');
    },
  });
}
