/** The contents of the caches of scalable mode in words, for logs. */
import { hex } from '../../bits/index.ts';
import { bdf } from '../../machine/index.ts';
import { BLOCK } from '../kit/block-cache.ts';
import type { Cache } from '../kit/cache.ts';
import { cacheLines } from '../kit/cache-lines.ts';
import { levelOf } from './cache-entries.ts';
import { frameText, RIGHTS_TEXT, SIZE_TEXT } from './cache-text.ts';
import type { ScalableCaches } from './scalable-caches.ts';
import {
  contextFaultOf,
  FIRST_PAGING,
  FIRST_TAG,
  PASID,
  PASID_TAG,
  RIGHT,
  SM_CONTEXT,
  SM_IOTLB,
  SM_TAG,
} from './scalable-entries.ts';
import { FS_ENTRY_NAME, PGTT } from './scalable-structures.ts';

const WAY: Readonly<Record<number, string>> = {
  [PGTT.firstStage]: 'first-stage',
  [PGTT.secondStage]: 'second-stage',
  [PGTT.nested]: 'nested',
  [PGTT.passThrough]: 'pass-through',
};

/** A line for each entry that is held; second-stage paging entries are with those of legacy mode. */
export function describeScalableCaches(caches: ScalableCaches): string[] {
  const from = (word: (field: number) => number) =>
    hex((BigInt(word(BLOCK.hi) >>> 0) << 32n) | BigInt(word(BLOCK.lo) >>> 0));
  const at = (entry: number) => (field: number) => caches.word(entry, field);
  const lines = (cache: Cache, line: (tag: number, word: (field: number) => number) => string) =>
    cacheLines(cache, (entry) => line(caches.tag(entry), at(entry)));
  const why = (reason: number) => `refused: fault reason 0x${reason.toString(16)}`;
  const contexts = lines(caches.context, (tag, word) => {
    const who = `context cache: ${bdf(word(SM_CONTEXT.sid))}`;
    const fault = contextFaultOf(tag);
    if (fault !== 0) return `${who}, ${why(fault)}`;
    return `${who} -> PASID directory ${frameText(word(SM_CONTEXT.directoryHi), word(SM_CONTEXT.directoryLo))}`;
  });
  const pasids = lines(caches.pasid, (tag, word) => {
    const way = WAY[(tag >>> PASID_TAG.pgtt) & 7];
    const first = frameText(word(PASID.firstTopHi), word(PASID.firstTopLo));
    const second = frameText(word(PASID.secondTopHi), word(PASID.secondTopLo));
    const tables =
      { 'first-stage': ` ${first}`, 'second-stage': ` ${second}`, nested: ` ${first} in ${second}` }[way] ?? '';
    const dirty = ((tag >>> PASID_TAG.ssade) & 1) === 1 ? ', SSADE' : '';
    const who = `${bdf(word(PASID.sid))} PASID ${hex(word(PASID.pasid))}`;
    // A cached fault has PGTT 0.
    if (((tag >>> PASID_TAG.pgtt) & 7) === 0) return `PASID cache: ${who}, ${why(word(PASID.secondTopLo))}`;
    return `PASID cache: ${who} -> DID ${tag >>> PASID_TAG.did}, ${way}${tables}${dirty}`;
  });
  const first = [5, 4, 3, 2].flatMap((level) =>
    lines(caches.first[level], (tag, word) => {
      const iova = from(word);
      const table = frameText(word(FIRST_PAGING.tableHi), word(FIRST_PAGING.tableLo));
      const who = `PASID ${hex(word(FIRST_PAGING.pasid))}, DID ${tag >>> FIRST_TAG.did}`;
      return `${FS_ENTRY_NAME[level]} cache: ${who}, IOVA ${iova} -> table ${table}`;
    }),
  );
  const pages = lines(caches.iotlb, (tag, word) => {
    const rights = (tag >>> SM_TAG.rights) & (RIGHT.read | RIGHT.write);
    const what = RIGHTS_TEXT[rights] + (((tag >>> SM_TAG.dirty) & 1) === 1 ? ', dirty' : '');
    const sid = word(SM_IOTLB.owner) & 0xffff;
    const who = `${bdf(sid)} PASID ${hex(word(SM_IOTLB.pasid))}, DID ${word(SM_IOTLB.did)}`;
    const iova = from(word);
    if (((tag >>> SM_TAG.fault) & 1) === 1) return `IOTLB: ${who}, IOVA ${iova}, ${why(word(SM_IOTLB.pfnLo))}`;
    const page = frameText(word(SM_IOTLB.pfnHi), word(SM_IOTLB.pfnLo));
    return `IOTLB: ${who}, IOVA ${iova} -> ${page}, ${SIZE_TEXT[levelOf(tag)]} (${what})`;
  });
  return [...contexts, ...pasids, ...first, ...pages];
}
