/** The caches' contents in words, for logs. */
import { hex, hex64 } from '../../bits/index.ts';
import type { BlockCache } from '../kit/block-cache.ts';
import { BLOCK, blockBits } from '../kit/block-cache.ts';
import type { Cache } from '../kit/cache.ts';
import { cacheLines } from '../kit/cache-lines.ts';
import { ENTRY, levelOf } from './cache-entries.ts';
import type { SmmuCaches } from './caches.ts';
import { CD_AT, CD_TAG, STE_AT, STE_TAG } from './configuration.ts';

const CONFIGS: readonly string[] = ['abort', '', '', '', 'bypass', 'stage 1', 'stage 2', 'stage 1 and 2'];

/** `4 KiB` of a block of 2^bits bytes. */
function sizeText(bits: number): string {
  const unit = Math.floor(bits / 10);
  return `${2 ** (bits - 10 * unit)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit]}`;
}

/** Rights of unprivileged and privileged accesses. */
function rightsText(rights: number): string {
  const of = (bits: number) => ['r', 'w', 'x'].map((right, i) => ((bits >>> i) & 1 ? right : '-')).join('');
  return `${of(rights)}/${of(rights >>> 3)}`;
}

/** A line for each entry that is held. */
export function describeCaches(words: Int32Array, caches: SmmuCaches): string[] {
  const out: string[] = [];
  const each = (cache: Cache, line: (at: number) => string) => out.push(...cacheLines(cache, line));
  const sid = (value: number) => hex(value >>> 0);
  const who = (at: number) => {
    const [tag, id] = [words[at], words[at + BLOCK.id]];
    const asid = (tag >>> ENTRY.global) & 1 ? 'global' : `ASID ${id & 0xffff}`;
    return `${(tag >>> ENTRY.regime) & 1 ? 'EL2' : `VMID ${id >>> 16}`}, ${asid}`;
  };
  const from = (at: number) => hex64(words[at + BLOCK.lo], words[at + BLOCK.hi]);
  const to = (at: number) => hex64(words[at + BLOCK.outLo], words[at + BLOCK.outHi]);
  const what = (at: number) =>
    `${to(at)}, ${sizeText(blockBits(words[at]))} (${rightsText(words[at] >>> ENTRY.rights)})`;
  each(caches.l1std, (at) => `L1STD cache: index ${words[at + 2]}`);
  each(caches.ste, (at) => {
    const tag = words[at];
    const config = (tag >>> STE_TAG.bad) & 1 ? 'ILLEGAL' : CONFIGS[(tag >>> STE_TAG.config) & 7];
    return `STE cache: StreamID ${sid(words[at + STE_AT.sid])}: ${config}`;
  });
  each(caches.l1cd, (at) => `L1CD cache: StreamID ${sid(words[at + 1])}, index ${words[at + 2]}`);
  each(caches.cd, (at) => {
    const state = (words[at] >>> CD_TAG.bad) & 1 ? 'ILLEGAL' : `ASID ${words[at + CD_AT.asid]}`;
    return `CD cache: StreamID ${sid(words[at + CD_AT.sid])}, SubstreamID ${words[at + CD_AT.ssid]}: ${state}`;
  });
  const table = (stage: string, of: BlockCache) =>
    each(of.cache, (at) => `${stage} table cache: ${who(at)}, level ${levelOf(words[at])} of ${from(at)} -> ${to(at)}`);
  table('stage-1', caches.walk1);
  table('stage-2', caches.walk2);
  each(caches.tlb.cache, (at) => `TLB: ${who(at)}, ${from(at)} -> ${what(at)}`);
  each(caches.ipa.cache, (at) => `IPA TLB: VMID ${words[at + BLOCK.id] >>> 16}, ${from(at)} -> ${what(at)}`);
  return out;
}
