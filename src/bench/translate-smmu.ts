/** How long the SMMU's translations take: from the TLB, and by walks of tables in memory. The same work as VT-d's rows, so that the two compare. */
import type { CacheSizes } from '../iommu/smmuv3/index.ts';
import type { Benchmark, Clock } from './measure.ts';
import { nanoseconds, shuffled } from './measure.ts';
import { SmmuGuest } from './smmu-guest.ts';

const CALLS = 500_000;
const RUNS = 15;
const WARM_UP = 3;
const MILLION = 1 << 20;

function runner(clock: Clock, guest: SmmuGuest): () => number {
  const order = shuffled(guest.pages);
  let at = 0;
  return () =>
    nanoseconds(clock, CALLS, (count) => {
      at = guest.translate(order, at, count);
    });
}

/** Translations that the TLB answers: the tables are emptied once everything was translated, so that a miss would be refused. */
function hitAmong(name: string, what: string, pages: number, caches: Partial<CacheSizes>): Benchmark {
  return {
    rows: [{ name: `translate/smmuv3/${name}`, unit: 'ns', what }],
    runs: RUNS,
    warmUp: WARM_UP,
    prepare(clock) {
      const guest = new SmmuGuest(pages, false, caches);
      guest.translate(shuffled(pages), 0, pages);
      guest.clearLeaves();
      const hit = runner(clock, guest);
      return () => [hit()];
    },
  };
}

function miss(name: string, what: string, nested: boolean, caches: Partial<CacheSizes>): Benchmark {
  return {
    rows: [
      { name: `translate/smmuv3/${name}`, unit: 'ns', what },
      { name: `translate/smmuv3/${name}-16k`, unit: 'ns', what: 'the same among 16,384 pages' },
    ],
    runs: RUNS,
    warmUp: WARM_UP,
    prepare(clock) {
      const far = runner(clock, new SmmuGuest(MILLION, nested, caches));
      const near = runner(clock, new SmmuGuest(16384, nested, caches));
      return () => [far(), near()];
    },
  };
}

/** A TLB so small that translations among 16,384 pages miss it nearly always. */
const SMALL: Partial<CacheSizes> = { tlbSets: 256, ipaSets: 256 };

export const SMMU_TRANSLATIONS: readonly Benchmark[] = [
  hitAmong('hit-1k', 'TLB hit, random among 1,000 pages', 1000, {}),
  hitAmong('hit-64k', 'TLB hit, random among 65,536 pages (a TLB of as many entries)', 65536, { tlbSets: 16384 }),
  miss('miss-4', 'TLB miss, stage 1 of 4 levels, random among 1 M pages', false, SMALL),
  miss('miss-nested', 'the same through a stage 2 of 4 levels: 24 descriptors', true, SMALL),
  miss('miss-4-walk', 'miss-4 with caches of 2,048 tables, as many as there are', false, {
    ...SMALL,
    ...{ walk: 2048, walkSets: 512 },
  }),
  miss('miss-nested-walk', 'miss-nested with the same', true, { ...SMALL, walk: 2048, walkSets: 512, ipaSets: 1024 }),
];
