/** The caches' contents in words, for logs. */
import { hex } from '../../bits/index.ts';
import { BLOCK } from '../kit/block-cache.ts';
import type { Cache } from '../kit/cache.ts';
import { cacheLines } from '../kit/cache-lines.ts';
import { didOf, faultOf, IOTLB, levelOf, PAGING, TAG } from './cache-entries.ts';
import { ENTRY_NAME } from './structures.ts';

/** By rights R and W. */
export const RIGHTS_TEXT = ['-', 'R', 'W', 'RW'] as const;
/** By the level of the entry that maps a page. */
export const SIZE_TEXT = ['', '4 KiB', '2 MiB', '1 GiB'] as const;

/** Byte address of a page frame. */
export const frameText = (hi: number, lo: number) => hex((hi * 0x100000 + lo) * 4096);

/** A line for each entry that is held. */
export function describeCaches(words: Int32Array, paging: readonly Cache[], iotlb: Cache): string[] {
  const rights = (tag: number) => RIGHTS_TEXT[(tag >>> TAG.perms) & 3];
  const from = (at: number) => hex(words[at + BLOCK.hi] * 2 ** 32 + (words[at + BLOCK.lo] >>> 0));
  const tables = [5, 4, 3, 2].flatMap((level) =>
    cacheLines(paging[level], (at) => {
      const table = frameText(words[at + PAGING.tableHi], words[at + PAGING.tableLo]);
      const iova = from(at);
      const what = faultOf(words[at]) === 0 ? `table ${table}` : `fault ${hex(faultOf(words[at]))}`;
      return `${ENTRY_NAME[level]} cache: DID ${didOf(words[at])}, IOVA ${iova} -> ${what} (${rights(words[at])})`;
    }),
  );
  const pages = cacheLines(iotlb, (at) => {
    const size = SIZE_TEXT[levelOf(words[at])];
    const iova = from(at);
    const reason = faultOf(words[at]);
    const page = reason !== 0 ? `fault ${hex(reason)}` : frameText(words[at + IOTLB.pfnHi], words[at + IOTLB.pfnLo]);
    return `IOTLB: DID ${didOf(words[at])}, IOVA ${iova} -> ${page}, ${size} (${rights(words[at])})`;
  });
  return [...tables, ...pages];
}
