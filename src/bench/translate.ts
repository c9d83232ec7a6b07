/** How long a translation takes: from the IOTLB, and by a walk of tables in memory. */
import type { Benchmark, Clock } from './measure.ts';
import { nanoseconds, shuffled, sink } from './measure.ts';
import { ScalableGuest } from './scalable-guest.ts';
import { CALLS, FEW, hit, hits, MANY, miss, missFarAndNear, REPEATED, runner } from './translations.ts';
import { VtdGuest } from './vtd-guest.ts';

/** Look-ups in a Map of a thousand numbers, in random order: what any cache in JavaScript may cost. */
function mapLookups(clock: Clock): () => number {
  const pages = 1000;
  const order = shuffled(pages);
  const map = new Map(Array.from(order, (page) => [page * 4096, page]));
  let at = 0;
  return () =>
    nanoseconds(clock, CALLS, (count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) {
        sum += map.get((order[at] as number) * 4096) as number;
        at++;
        if (at === pages) at = 0;
      }
      sink.value += sum;
    });
}

const HIT_1K: Benchmark = {
  rows: [
    { name: 'translate/vtd/hit-1k', unit: 'ns', what: 'IOTLB hit, random among 1,000 pages' },
    { name: 'translate/reference/map-lookup', unit: 'ns', what: 'Map.get of a number, random among 1,000' },
    { name: 'translate/vtd/hit-1k-ratio', unit: 'x', what: 'the first by the second, in the same run' },
  ],
  ...REPEATED,
  prepare(clock) {
    const cached = hits(clock, new VtdGuest(1000, 4));
    const lookup = mapLookups(clock);
    return () => {
      const [ours, theirs] = [cached(), lookup()];
      return [ours, theirs, ours / theirs];
    };
  },
};

/** The last read of a walk alone, each address depending on what was read before: what memory itself takes. */
function dependentReads(clock: Clock): () => number {
  const guest = new VtdGuest(MANY, 4);
  const { words } = guest;
  const order = shuffled(MANY);
  const at = order.map((page) => guest.leafAt(page));
  // Each entry's high half leads to the next one of the order.
  for (let i = 0; i < MANY; i++) words[(at[i] as number) + 1] = at[(i + 1) % MANY] as number;
  let next = at[0] as number;
  return () =>
    nanoseconds(clock, CALLS, (count) => {
      for (let i = 0; i < count; i++) next = words[next + 1] as number;
      sink.value += next;
    });
}

/** The same reads of which none waits for another, as many at once as the processor can. */
function independentReads(clock: Clock): () => number {
  const guest = new VtdGuest(MANY, 4);
  const { words } = guest;
  const at = shuffled(MANY).map((page) => guest.leafAt(page));
  let from = 0;
  return () =>
    nanoseconds(clock, CALLS, (count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += words[at[(from + i) & (MANY - 1)] as number] as number;
      from += count;
      sink.value += sum;
    });
}

/** A walk's last read is one of 8 MiB of leaf tables, more than most processors keep near: how much of the miss is that, and how much the unit? */
const MISS_4: Benchmark = {
  rows: [
    { name: 'translate/vtd/miss-4', unit: 'ns', what: 'IOTLB miss, walk of 4 levels, random among 1 M pages' },
    {
      name: 'translate/vtd/miss-4-16k',
      unit: 'ns',
      what: 'the same among 16,384 pages: 128 KiB of leaf tables, which the second-level cache holds',
    },
    {
      name: 'translate/reference/random-read',
      unit: 'ns',
      what: 'one dependent read of a random leaf entry among 1 M, nothing else',
    },
    {
      name: 'translate/reference/random-read-independent',
      unit: 'ns',
      what: 'the same reads where none waits for another: what a unit in hardware, with many walks at once, would come down to',
    },
    {
      name: 'translate/vtd/miss-4-over-random-read',
      unit: 'x',
      what: 'miss-4 by the sum of miss-4-16k and the dependent read, in the same run: below 1 some of the read is hidden, above 1 more than it is cold',
    },
  ],
  ...REPEATED,
  prepare(clock) {
    const far = runner(clock, new VtdGuest(MANY, 4));
    const near = runner(clock, new VtdGuest(FEW, 4));
    const dependent = dependentReads(clock);
    const independent = independentReads(clock);
    return () => {
      const [miss, cached, read, free] = [far(), near(), dependent(), independent()];
      return [miss, cached, read, free, miss / (cached + read)];
    };
  },
};

export const TRANSLATIONS: readonly Benchmark[] = [
  HIT_1K,
  hit(
    'translate/vtd/hit-64k',
    'IOTLB hit, random among 65,536 pages (an IOTLB of as many entries)',
    () => new VtdGuest(65536, 4, { iotlbSets: 16384 }),
  ),
  miss(
    'translate/vtd/miss-3',
    'IOTLB miss, walk of 3 levels, random among 1 M pages',
    (pages) => new VtdGuest(pages, 3),
  ),
  MISS_4,
  miss(
    'translate/vtd/miss-4-paging',
    'miss-4 with paging-structure caches of 1,024 entries, half of what the 2,048 tables need',
    (pages) => new VtdGuest(pages, 4, { pagingStructure: 1024, pagingSets: 256 }),
  ),
  missFarAndNear(
    'translate/vtd/miss-first',
    'with PASID: IOTLB miss, first stage of 4 levels, random among 1 M pages',
    (pages) => new ScalableGuest(pages, false),
  ),
  missFarAndNear(
    'translate/vtd/miss-nested',
    'the same through a second stage of 4 levels: 24 entries are read',
    (pages) => new ScalableGuest(pages, true),
  ),
];
