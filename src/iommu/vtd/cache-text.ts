/** The caches' contents in words, for logs. */
import { hex } from '../../bits/index.ts';
import type { Cache } from '../kit/cache.ts';
import { didOf, faultOf, IOTLB, PAGING, TAG } from './cache-entries.ts';
import { ENTRY_NAME } from './structures.ts';

/** A line for each entry that is held. */
export function describeCaches(words: Int32Array, paging: readonly Cache[], iotlb: Cache): string[] {
  const out: string[] = [];
  const rights = (tag: number) => ['-', 'R', 'W', 'RW'][(tag >>> TAG.perms) & 3];
  const from = (hi: number, lo: number) => hex((hi * 0x40000 + lo) * 4096);
  const frame = (hi: number, lo: number) => hex((hi * 0x100000 + lo) * 4096);
  for (let level = 5; level >= 2; level--) {
    const cache = paging[level];
    for (let i = 0; i < cache.entries; i++) {
      const at = cache.at(i);
      if (words[at] === 0) continue;
      const table = frame(words[at + PAGING.tableHi], words[at + PAGING.tableLo]);
      const iova = from(words[at + PAGING.vpnHi], words[at + PAGING.vpnLo]);
      const what = faultOf(words[at]) === 0 ? `table ${table}` : `fault ${hex(faultOf(words[at]))}`;
      out.push(`${ENTRY_NAME[level]} cache: DID ${didOf(words[at])}, IOVA ${iova} -> ${what} (${rights(words[at])})`);
    }
  }
  for (let i = 0; i < iotlb.entries; i++) {
    const at = iotlb.at(i);
    if (words[at] === 0) continue;
    const size = ['', '4 KiB', '2 MiB', '1 GiB'][(words[at] >>> TAG.level) & 7];
    const iova = from(words[at + IOTLB.vpnHi], words[at + IOTLB.vpnLo]);
    const reason = faultOf(words[at]);
    const page = reason !== 0 ? `fault ${hex(reason)}` : frame(words[at + IOTLB.pfnHi], words[at + IOTLB.pfnLo]);
    out.push(`IOTLB: DID ${didOf(words[at])}, IOVA ${iova} -> ${page}, ${size} (${rights(words[at])})`);
  }
  return out;
}
