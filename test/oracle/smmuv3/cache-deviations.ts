/** Where QEMU and the model cache other translations, as the specification leaves to hardware. */
import { get } from '../../../src/bits/index.ts';
import { CD, commandName, STE } from '../../../src/iommu/smmuv3/index.ts';
import { isRequest } from '../common-operations.ts';
import { hasRight, isChanged, isLeaf, isOf, leavesOf, steps } from './circumstances.ts';
import type { Deviation } from './deviation.ts';
import { common } from './deviation.ts';
import { look } from './look.ts';
import * as proofs from './proofs.ts';

/** Invalidations by address: the two of stage 1, with ASID and without, and that of stage 2. */
const BY_ADDRESS: ReadonlySet<string | null> = new Set(['CMD_TLBI_NH_VA', 'CMD_TLBI_NH_VAA', 'CMD_TLBI_S2_IPA']);

/** By TG, log2. */
const GRANULE: Readonly<Record<number, number>> = { 1: 12, 2: 14, 3: 16 };

export const CACHE_DEVIATIONS: readonly Deviation[] = [
  {
    name: 'cached-refusal',
    title:
      'a cached translation without the right that is needed refuses, and stays; the model looks at the tables again, and has what it finds',
    clause: 'DDI 0487 D8.16: a right that was added counts from the invalidation on, and may before',
    where: [common('smmu_translate')],
    permitted: true,
    ends: true,
    explains: (difference, script) =>
      isOf(difference, script, (found, op) => {
        if (!steps(found).some(({ at }) => isChanged(script, op, at))) return false;
        return script.some((_, earlier) => {
          const leaves = earlier < op ? leavesOf(script, earlier, found.iova, found.cd === null) : [];
          return leaves.some((leaf) => !(hasRight(leaf, true) && hasRight(leaf, false)));
        });
      }),
    proof: proofs.CACHED_REFUSAL,
    only: '1',
  },
  {
    name: 'largest-cached',
    title: 'of cached translations of one address the one of the largest block is used; the model has the latest',
    clause: 'DDI 0487 D8.16: software that leaves two of them may get either, or a conflict',
    where: [common('smmu_iotlb_lookup')],
    permitted: true,
    ends: true,
    explains: (difference, script) =>
      isOf(difference, script, ({ iova, cd }, op) => {
        const ways = script.flatMap((_, earlier) =>
          earlier <= op ? leavesOf(script, earlier, iova, cd === null) : [],
        );
        return new Set(ways.filter(({ stage }) => stage === (cd === null ? 2 : 1)).map(({ level }) => level)).size > 1;
      }),
    proof: proofs.LARGEST_CACHED,
    only: '1',
  },
  {
    name: 'tagged-entries',
    title: 'translations are cached with the byte at the top that TBI ignores, and not found for another such byte',
    clause: 'SMMUv3 5.4 (TBI); that nothing is cached is permitted',
    where: [common('smmu_iotlb_lookup')],
    permitted: true,
    ends: true,
    explains: (difference, script) =>
      isOf(difference, script, ({ cd, iova, first }, op) => {
        if (cd === null || (get(CD.TBI0, cd) === 0 && get(CD.TBI1, cd) === 0)) return false;
        if (!first.some(({ at }) => isChanged(script, op, at))) return false;
        const isAlike = (other: bigint) => other >> 56n !== iova >> 56n && ((other ^ iova) & 0xfffffffff00000n) === 0n;
        return script.some((each, earlier) => earlier < op && isRequest(each) && isAlike(each.iova));
      }),
    proof: proofs.TAGGED_ENTRIES,
    only: '1',
  },
  {
    name: 'second-stage-afresh',
    title:
      'with both stages the tables of stage 2 are read for what stage 1 gives, though a translation of it is cached',
    clause: 'SMMUv3 4.4.3.1: an entry may be cached, and need not be',
    where: [common('smmu_ptw')],
    permitted: true,
    ends: true,
    explains: (difference, script) =>
      isOf(
        difference,
        script,
        ({ cd, second }, op) => cd !== null && second.some(({ at }) => isChanged(script, op, at)),
      ),
    proof: proofs.SECOND_STAGE_AFRESH,
    only: 'nested',
  },
  {
    name: 'second-stage-apart',
    title:
      'what stage 2 has translated for both stages is not found by a stream with stage 2 alone, though it has the VMID',
    clause: 'SMMUv3 4.4.3.1: an entry may be cached, and need not be',
    where: [common('smmu_iotlb_lookup')],
    permitted: true,
    ends: true,
    explains: (difference, script) =>
      isOf(difference, script, ({ cd, second, steWords }, op) => {
        if (cd !== null || !second.some(({ at }) => isChanged(script, op, at))) return false;
        const vmid = get(STE.S2VMID, steWords);
        return script.some((_, earlier) => {
          const before = earlier < op ? look(script, earlier) : null;
          return before !== null && before.cd !== null && get(STE.S2VMID, before.steWords) === vmid;
        });
      }),
    proof: proofs.SECOND_STAGE_APART,
    only: 'nested',
  },
  {
    name: 'hints-of-ranges',
    title: 'entries of another granule, or of another level than TTL says, are dropped, too',
    clause: 'SMMUv3 4.4.1: more may be dropped',
    where: [common('smmu_iotlb_inv_iova')],
    permitted: true,
    ends: true,
    explains: (difference, script) =>
      isOf(difference, script, (found, op) => {
        const walk = steps(found);
        if (!walk.some(({ at }) => isChanged(script, op, at))) return false;
        const leaves = walk.filter(isLeaf);
        return script.some((each, earlier) => {
          if (earlier > op || each.op !== 'cmd' || !BY_ADDRESS.has(commandName(Number(each.lo & 0xffn)))) return false;
          const [granule, level] = [GRANULE[Number((each.hi >> 10n) & 3n)], Number((each.hi >> 8n) & 3n)];
          if (granule === undefined) return false;
          return leaves.some((leaf) => leaf.granule !== granule || (level !== 0 && leaf.level !== level));
        });
      }),
    proof: proofs.HINTS_OF_RANGES,
    only: '1',
  },
];
