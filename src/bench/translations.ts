/** Benchmarks that translations of any IOMMU have: hits of what is cached, and misses. Prepared are guests with an IOMMU. */
import type { Benchmark, Clock } from './measure.ts';
import { nanoseconds, shuffled } from './measure.ts';
import type { TableGuest } from './table-guest.ts';

/** Translations of one run. */
export const CALLS = 500_000;
export const REPEATED = { runs: 15, warmUp: 3 } as const;
/** Pages whose tables are more than most processors keep near; and those whose leaf tables, 128 KiB, the second-level cache holds. */
export const MANY = 1 << 20;
export const FEW = 16384;

/** One run of translations in random order, which goes on where the last one ended. @returns nanoseconds each */
export function runner(clock: Clock, guest: TableGuest): () => number {
  const order = shuffled(guest.pages);
  let at = 0;
  return () =>
    nanoseconds(clock, CALLS, (count) => {
      at = guest.translate(order, at, count);
    });
}

/** Translations that are all cached: the page tables are emptied once everything was translated, so that a miss would be refused. */
export function hits(clock: Clock, guest: TableGuest): () => number {
  guest.translate(shuffled(guest.pages), 0, guest.pages);
  guest.clearLeaves();
  return runner(clock, guest);
}

/** @param name of the row. @param what is measured, for people */
export function hit(name: string, what: string, guest: () => TableGuest): Benchmark {
  return {
    ...REPEATED,
    rows: [{ name, unit: 'ns', what }],
    prepare(clock) {
      const run = hits(clock, guest());
      return () => [run()];
    },
  };
}

/** Misses among {@link MANY} pages. */
export function miss(name: string, what: string, guest: (pages: number) => TableGuest): Benchmark {
  return {
    ...REPEATED,
    rows: [{ name, unit: 'ns', what }],
    prepare(clock) {
      const run = runner(clock, guest(MANY));
      return () => [run()];
    },
  };
}

/** The same, and among {@link FEW} pages. */
export function missFarAndNear(name: string, what: string, guest: (pages: number) => TableGuest): Benchmark {
  return {
    ...REPEATED,
    rows: [
      { name, unit: 'ns', what },
      { name: `${name}-16k`, unit: 'ns', what: 'the same among 16,384 pages' },
    ],
    prepare(clock) {
      const far = runner(clock, guest(MANY));
      const near = runner(clock, guest(FEW));
      return () => [far(), near()];
    },
  };
}
