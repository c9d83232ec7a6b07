import { encode } from '../bits/index.ts';
import type { FlushOrder } from '../guest/index.ts';
import { AtsInvalidation } from '../guest/index.ts';
import { CONTEXT_ENTRY } from '../iommu/vtd/index.ts';
import type { Machine } from '../machine/index.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import { IOVA, PAGE, race } from './reclaim-race.ts';
import { ADDRESS, DID, SID, VtdScene } from './vtd-scene.ts';

/** Context TT: requests are translated, and a device may ask for translations. */
const WITH_DEVICE_TLB = 1;

const ORDERS: Readonly<Record<string, FlushOrder>> = {
  'no-device-tlb-flush': 'iotlb-only',
  'flushes-swapped': 'device-tlb-first',
};

/**
 * A page is unmapped and given to somebody else while its device writes to it, through a translation that it has cached (ATS) or asks for. The
 * unmap invalidates the IOTLB, the device's cache, or both.
 */
function build({ variant, profile, mutant }: Setup): Machine {
  const scene = new VtdScene({
    profile,
    pdEntries: [0],
    ptEntries: [1],
    mutation: { noUnmapFlush: mutant === 'no-flush' },
    unit: { ecap: { DT: 1 }, itags: 1 },
    machine: { atcEntries: 1 },
  });
  const { machine, cpu, queue } = scene;
  if (queue === null) throw new Error('device-TLB invalidations go by the queue');
  const context = { P: 1, FPD: 1, TT: WITH_DEVICE_TLB, SSPTPTR: ADDRESS.pml4, AW: 2, DID };
  encode(CONTEXT_ENTRY, context).forEach((word, i) => {
    machine.poke(ADDRESS.context + BigInt((SID & 0xff) * 16 + 8 * i), word);
  });
  const page = scene.buffer('P', PAGE, [0]);
  scene.premap(IOVA, PAGE, 1);
  machine.device('nic', SID, DID, [IOVA], { ats: true }).stray([IOVA], 'write', 2);
  const order = mutant === null ? undefined : ORDERS[mutant];
  const domain = scene.domainOn(cpu, new AtsInvalidation(queue, SID, order ?? (variant as FlushOrder)));
  race(machine, cpu, domain, page);
  return machine;
}

export const A8 = defineCase({
  id: 'A8',
  title: 'a device with ATS: which caches are invalidated, and in which order',
  thread: '000',
  model: 'vtd',
  invariants: ['I3', 'I1'],
  variants: {
    'iotlb-only': 'violated',
    // The device asks again before the IOTLB is invalidated, and is answered from it.
    'device-tlb-first': 'violated',
    'iotlb-first': 'holds',
  },
  mutants: {
    'no-device-tlb-flush': { variant: 'iotlb-first', title: "the device's cache is not invalidated" },
    'flushes-swapped': { variant: 'iotlb-first', title: "the device's cache is invalidated before the IOTLB" },
    'no-flush': { variant: 'iotlb-first', title: 'the unmap does not invalidate' },
  },
  unfired: {
    'paging.survive-hint': 'the unmap frees no table',
    'invalidation.held':
      'what is in flight goes to addresses that its device has translated, which no IOTLB invalidation drains; and no walk has read but the leaf',
  },
  build,
});
