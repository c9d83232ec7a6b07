/** How long the SMMU's translations take: from the TLB, and by walks of tables in memory. The same work as VT-d's rows, so that the two compare. */
import type { CacheSizes } from '../iommu/smmuv3/index.ts';
import type { Benchmark } from './measure.ts';
import { SmmuGuest } from './smmu-guest.ts';
import { hit, missFarAndNear } from './translations.ts';

/** A TLB so small that translations among 16,384 pages miss it nearly always. */
const SMALL: Partial<CacheSizes> = { tlbSets: 256, ipaSets: 256 };

function miss(name: string, what: string, nested: boolean, caches: Partial<CacheSizes>): Benchmark {
  return missFarAndNear(`translate/smmuv3/${name}`, what, (pages) => new SmmuGuest(pages, nested, caches));
}

export const SMMU_TRANSLATIONS: readonly Benchmark[] = [
  hit('translate/smmuv3/hit-1k', 'TLB hit, random among 1,000 pages', () => new SmmuGuest(1000, false)),
  hit(
    'translate/smmuv3/hit-64k',
    'TLB hit, random among 65,536 pages (a TLB of as many entries)',
    () => new SmmuGuest(65536, false, { tlbSets: 16384 }),
  ),
  miss('miss-4', 'TLB miss, stage 1 of 4 levels, random among 1 M pages', false, SMALL),
  miss('miss-nested', 'the same through a stage 2 of 4 levels: 24 descriptors', true, SMALL),
  miss('miss-4-walk', 'miss-4 with caches of 2,048 tables, as many as there are', false, {
    ...SMALL,
    ...{ walk: 2048, walkSets: 512 },
  }),
  miss('miss-nested-walk', 'miss-nested with the same', true, { ...SMALL, walk: 2048, walkSets: 512, ipaSets: 1024 }),
];
