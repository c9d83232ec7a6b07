/** What deviations are said with: where a request leads, what was there before it, and which part of its outcome differs. */
import { get } from '../../../src/bits/index.ts';
import { CD, STE } from '../../../src/iommu/smmuv3/index.ts';
import { isRequest } from '../common-operations.ts';
import type { Difference } from '../judge.ts';
import { eventNumber } from './event-words.ts';
import type { Look, Step } from './look.ts';
import { look } from './look.ts';
import type { Script } from './script.ts';
import { sizeBits } from './tables.ts';

/** What shows the outcome of a request. */
export const isOutcome = (field: string) =>
  ['RESULT', 'EVENTQ_PROD', 'GERROR'].includes(field) || field.startsWith('events');

/** log2 of the addresses that there are (IDR5.OAS), and by CD.IPS and STE.S2PS. */
export const OAS = 44;
export const SIZES = [32, 36, 40, 42, 44, 48, 52, 56];

/** What stage 1 or stage 2 may give at most, in bits. */
export function limitOf({ cd, steWords }: Look, stage: 1 | 2): number {
  const encoded = stage === 1 && cd !== null ? get(CD.IPS, cd) : get(STE.S2PS, steWords);
  return Math.min(OAS, SIZES[encoded]);
}

/** Whether the address in a descriptor is beyond that. */
export function isBeyond(of: Look, { stage, value }: Step): boolean {
  return (value & 0xfffffffff000n) >> BigInt(limitOf(of, stage)) !== 0n;
}

/** Whether a difference is one in the outcome of a request of a kind, or in memory behind one. */
export function isOf({ op, field }: Difference, script: Script, kind: (found: Look, op: number) => boolean): boolean {
  const at = (index: number) => {
    const found = look(script, index);
    return found !== null && kind(found, index);
  };
  if (field.startsWith('memory')) return script.some((each, index) => isRequest(each) && at(index));
  return isOutcome(field) && at(op);
}

/** Whether a descriptor has been changed since the script began with it. */
export function isChanged(script: Script, end: number, at: bigint): boolean {
  const values = script
    .slice(0, end)
    .flatMap((each) => (each.op === 'store' && BigInt(each.at) === at ? [each.value] : []));
  return values.some((value) => value !== values[0]);
}

export const steps = ({ first, second }: Look) => [...first, ...second];
export const isLeaf = ({ kind }: Step) => kind === 'block' || kind === 'page';

/** Of a difference in the event queue, the numbers of the two events. */
export function events(
  { field }: Difference,
  ours: string,
  theirs: string,
): readonly [model: number, qemu: number] | null {
  return field.startsWith('events') ? [eventNumber(ours, field), eventNumber(theirs, field)] : null;
}

/** Input addresses of blocks that there are: not at level 0, at level 1 of the 4 KiB granule only. */
export const isNoBlock = ({ kind, granule, level }: Step) =>
  kind === 'block' && (level === 0 || (level === 1 && granule !== 12));

/** What an earlier request has found that is there for an address, too: the leaf of its first stage, and that of a second. @param bypassed without stage 1 */
export function leavesOf(script: Script, earlier: number, iova: bigint, bypassed: boolean): Step[] {
  const before = look(script, earlier);
  if (before === null || (before.cd === null) !== bypassed) return [];
  const leaves = [before.first.at(-1), before.second.at(-1)].filter((step) => step !== undefined && isLeaf(step));
  const [own] = leaves as Step[];
  if (own === undefined) return [];
  const size = BigInt(sizeBits(own.granule, own.level));
  return before.iova >> size === iova >> size ? (leaves as Step[]) : [];
}

/** AP[1] and AP[2] of stage 1, S2AP of stage 2. */
export function hasRight({ stage, value }: Step, isWrite: boolean): boolean {
  const [low, high] = [(value >> 6n) & 1n, (value >> 7n) & 1n];
  if (stage === 2) return (isWrite ? high : low) === 1n;
  return low === 1n && !(isWrite && high === 1n);
}

/** Whether stage 2 refuses a read of what leads through these steps. */
export function isRefused(walk: readonly Step[]): boolean {
  const leaf = walk.at(-1);
  return leaf === undefined || !isLeaf(leaf) || ((leaf.value >> 10n) & 1n) === 0n || ((leaf.value >> 6n) & 1n) === 0n;
}

/** STE.S2TTB. */
export function tableOf({ steWords }: Look): bigint {
  return (BigInt(steWords[7] & 0xfffff) << 32n) | BigInt((steWords[6] & -16) >>> 0);
}
