import type { AtcOrder } from '../guest/index.ts';
import { settledOwners } from '../guest/index.ts';
import type { Machine } from '../machine/index.ts';
import { A8 } from './a8.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import { IOVA, PAGE, race } from './reclaim-race.ts';
import { SmmuScene, STREAM } from './smmu-scene.ts';

const DID = 1;

const ORDERS: Readonly<Record<string, AtcOrder>> = { 'no-atc-inv': 'tlbi-only', swapped: 'atc-first' };

/** As on VT-d: a page is unmapped and given to somebody else while its device writes to it, by a translation that it has cached or asks for. */
function build({ variant, profile, mutant }: Setup<'smmuv3'>): Machine {
  const scene = new SmmuScene({
    profile,
    unit: { idr0: { ATS: 1 }, atcInvalidations: 1 },
    machine: { atcEntries: 1 },
  });
  const { machine, cpu, unit } = scene;
  const space = scene.space({ did: DID, tag: { stage: 1, asid: 1 }, l3Entries: [Number(IOVA >> 12n)] });
  unit.stream(STREAM, space.ste({ ats: true }));
  const page = scene.buffer(DID, 'P', PAGE, [0]);
  scene.premap(space, IOVA, PAGE);
  machine.device('nic', STREAM, DID, [IOVA], { ats: true }).stray([IOVA], 'write', 2);
  const order = (mutant === null ? undefined : ORDERS[mutant]) ?? (variant as AtcOrder);
  const setup = {
    atc: settledOwners(STREAM),
    order,
    noUnmapFlush: mutant === 'no-flush',
    noTlbi: mutant === 'no-tlbi',
  };
  race(machine, cpu, scene.domain(space, setup), page);
  return machine;
}

export const A8_SMMU = defineCase({
  id: A8.id,
  title: A8.title,
  thread: '000',
  model: 'smmuv3',
  invariants: ['I3', 'I1'],
  variants: {
    'tlbi-only': 'violated',
    // The device asks again before the TLB is invalidated, and is answered from it.
    'atc-first': 'violated',
    // IHI 0070, 3.9.1, 4.5.1. QEMU and gem5 have no ATS, and ignore CMD_ATC_INV.
    'tlbi-first': { spec: 'holds', 'qemu-10': 'violated', gem5: 'violated' },
  },
  mutants: {
    'no-atc-inv': { variant: 'tlbi-first', title: "the device's cache is not invalidated" },
    swapped: { variant: 'tlbi-first', title: "the device's cache is invalidated before the TLB" },
    'no-tlbi': { variant: 'tlbi-first', title: "the device's cache alone is invalidated" },
    'no-flush': { variant: 'tlbi-first', title: 'the unmap does not invalidate' },
  },
  build,
});
