/**
 * A live split: a 2 MiB leaf becomes a table of 4 KiB leaves that say the same, while DMA goes on. No version of the kernel's VT-d driver did it;
 * `swap` is how seed 003 describes it (prepare the table, switch the entry, flush), and what the kernel did on Arm up to v6.12.
 */
import { hex } from '../../bits/index.ts';
import type { Program } from '../../machine/index.ts';
import type { PageTable } from './page-table.ts';

/**
 * `bbm`: the entry is cleared and invalidated before the new one is stored (break before make). `swap`: stored over the old one. `nt`: over the old
 * one, after that has been stored once more with the bit that keeps it out of caches, and invalidated.
 */
export type SplitOrder = 'bbm' | 'swap' | 'nt';

/**
 * @param pfn input page, in the 2 MiB page that is split
 * @param flush invalidates all of it, non-leaf entries included, and waits
 */
export function* splitLargePage(table: PageTable, pfn: number, order: SplitOrder, flush: () => Program): Program {
  const { addr, value, level } = yield* table.find(pfn);
  if (level !== 2)
    throw new Error(`the entry for page ${hex(pfn)} is at level ${level}; there is no 2 MiB leaf to split`);
  const entry = yield* table.prepareSplit(value);
  if (order !== 'swap') {
    yield* table.storeEntry(addr, level, pfn, order === 'bbm' ? 0n : table.notCached(value));
    yield* flush();
  }
  yield* table.storeEntry(addr, level, pfn, entry);
  // From not present to present there is nothing to invalidate (VT-d 6.5.3.5 with CAP.CM = 0; SMMUv3 3.21.1).
  if (order !== 'bbm') yield* flush();
}
