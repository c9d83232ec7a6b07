/** Sees when a request finds cached translations of several page sizes: any of them may serve it (VT-d 6.2.4.1). */
import type { Vtd } from '../iommu/vtd/index.ts';
import { TAG } from '../iommu/vtd/index.ts';
import type { Machine } from '../machine/index.ts';
import { FACT, SLOT } from '../machine/index.ts';
import { observe } from './observe.ts';

export function watchTwoSizes(machine: Machine, unit: Vtd): void {
  const { dma, facts } = machine;
  const findsTwo = (slot: number): boolean => {
    const { sid } = dma.requesters[dma.get(slot, SLOT.device)];
    const [hi, lo, access] = [dma.get(slot, SLOT.vpnHi), dma.get(slot, SLOT.vpnLo), dma.get(slot, SLOT.access)];
    let sizes = 0;
    for (let n = 0; ; n++) {
      const at = unit.caches.nthTranslation(sid, hi, lo, access, n);
      if (at < 0) break;
      sizes |= 1 << ((unit.caches.tag(at) >>> TAG.level) & 7);
    }
    return (sizes & (sizes - 1)) !== 0;
  };
  observe(machine, unit, {
    before: (slot) => {
      // Step 0 is the look-up.
      if (dma.get(slot, SLOT.step) !== 0 || !findsTwo(slot)) return;
      facts.bits |= FACT.leftOpen;
      if (machine.log.on) machine.log.say('iommu', 'the IOTLB has translations of two page sizes: any may be used');
    },
  });
}
