/**
 * A live split: a 2 MiB leaf becomes a table of 4 KiB leaves that say the same, while DMA goes on. No version of the kernel's driver did it;
 * the second way is how seed 003 describes it (prepare the table, switch the entry, flush).
 */
import { hex } from '../../bits/index.ts';
import type { Program } from '../../machine/index.ts';
import type { PageTable } from './page-table.ts';

/** `bbm`: the entry is cleared and invalidated before the new one is stored (break before make). `swap`: stored over the old one. */
export type SplitOrder = 'bbm' | 'swap';

/**
 * @param pfn input page, in the 2 MiB page that is split
 * @param flush invalidates all of it, non-leaf entries included, and waits
 */
export function* splitLargePage(table: PageTable, pfn: number, order: SplitOrder, flush: () => Program): Program {
  const { addr, value, level } = yield* table.find(pfn);
  if (level !== 2)
    throw new Error(`the entry for page ${hex(pfn)} is at level ${level}; there is no 2 MiB leaf to split`);
  const entry = yield* table.prepareSplit(value);
  if (order === 'swap') {
    yield* table.storeEntry(addr, level, pfn, entry);
    yield* flush();
    return;
  }
  yield* table.storeEntry(addr, level, pfn, 0n);
  yield* flush();
  // From not present to present: nothing to invalidate with CAP.CM = 0 (VT-d 6.5.3.5).
  yield* table.storeEntry(addr, level, pfn, entry);
}
