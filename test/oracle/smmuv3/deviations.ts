/**
 * Where QEMU does something else than the model, one entry each: one field under one condition. Each entry has a script on which the oracle looks
 * whether it is still there: one that is gone fails the oracle, as one that is missing does.
 */
import { get } from '../../../src/bits/index.ts';
import { CD, CLASS, EVENT, STE } from '../../../src/iommu/smmuv3/index.ts';
import { number } from '../known-deviation.ts';
import { CACHE_DEVIATIONS } from './cache-deviations.ts';
import {
  events,
  hasRight,
  isBeyond,
  isLeaf,
  isNoBlock,
  isOf,
  isOutcome,
  isRefused,
  leavesOf,
  OAS,
  SIZES,
  steps,
  tableOf,
} from './circumstances.ts';
import type { Deviation } from './deviation.ts';
import { common, smmuv3 } from './deviation.ts';
import { wordOf } from './event-words.ts';
import { look, spanOf } from './look.ts';
import * as proofs from './proofs.ts';
import type { Op } from './script.ts';
import { sizeBits } from './tables.ts';

export const DEVIATIONS: readonly Deviation[] = [
  {
    name: 'sixteen-bits-of-nothing',
    title: 'IDR0.VMID16 without stage 2, IDR0.ASID16 without stage 1',
    clause: 'SMMUv3 6.3.1',
    where: [smmuv3('smmuv3_init_regs')],
    permitted: false,
    ends: false,
    most: 1,
    explains: ({ field, model, qemu }) =>
      field === 'register 0x0' && [1 << 12, 1 << 18].includes(number(model) ^ number(qemu)),
    proof: proofs.NOTHING,
    only: '1',
  },
  {
    name: 'event-ipa-offset',
    title: 'bits 11:0 of the IPA of an event, which are reserved, have those of the input address',
    clause: 'SMMUv3 7.3.13 – 7.3.16',
    where: [smmuv3('smmuv3_record_event')],
    permitted: false,
    ends: false,
    most: 1,
    explains: (difference, _script, _configuration, ours, theirs) => {
      const both = events(difference, ours, theirs);
      const { field, model, qemu } = difference;
      return both !== null && both[0] === both[1] && wordOf(field) === 6 && (number(model) ^ number(qemu)) < 4096;
    },
    proof: proofs.EVENT_IPA_OFFSET,
    only: '2',
  },
  {
    name: 'cd-fetch-address',
    title: 'F_CD_FETCH has the address that was read where other events have the input address, and none in FetchAddr',
    clause: 'SMMUv3 7.3.10',
    where: [smmuv3('smmuv3_record_event')],
    permitted: false,
    ends: false,
    most: 1,
    explains: (difference, _script, _configuration, ours, theirs) => {
      const both = events(difference, ours, theirs);
      return both?.[0] === EVENT.F_CD_FETCH && both[1] === EVENT.F_CD_FETCH && wordOf(difference.field) >= 4;
    },
    proof: proofs.CD_FETCH_ADDRESS,
    only: '1',
  },
  {
    name: 'table-address-size',
    title: 'the address of a table beyond IPS, S2PS or OAS is an external abort, not an address size fault',
    clause: 'DDI 0487 D8.2, SMMUv3 7.3.14',
    where: [common('smmu_ptw_64_s1'), common('smmu_ptw_64_s2')],
    permitted: false,
    ends: true,
    most: 0.2,
    explains: (difference, script, _configuration, ours, theirs) => {
      const found = look(script, difference.op);
      if (found === null || !isOutcome(difference.field)) return false;
      const both = events(difference, ours, theirs);
      // With both stages it is stage 2 that refuses it, with the size of its input: another class, and an IPA.
      const sized = both?.[1] === EVENT.F_ADDR_SIZE && [3, 6, 7].includes(wordOf(difference.field));
      if (both !== null && (both[0] !== EVENT.F_ADDR_SIZE || (both[1] !== EVENT.F_WALK_EABT && !sized))) return false;
      return steps(found).some((step) => step.kind === 'table' && isBeyond(found, step));
    },
    proof: proofs.TABLE_ADDRESS_SIZE,
    only: '1',
  },
  {
    name: 'size-after-rights',
    title:
      'Access flag and rights of a leaf are looked at before its address: F_ACCESS or F_PERMISSION instead of F_ADDR_SIZE',
    clause: 'DDI 0487 D8.15, SMMUv3 3.12',
    where: [common('smmu_ptw_64_s1'), common('smmu_ptw_64_s2')],
    permitted: false,
    ends: false,
    most: 0.2,
    explains: (difference, script, _configuration, ours, theirs) => {
      const found = look(script, difference.op);
      const both = events(difference, ours, theirs);
      if (found === null || both?.[0] !== EVENT.F_ADDR_SIZE) return false;
      if (both[1] !== EVENT.F_ACCESS && both[1] !== EVENT.F_PERMISSION) return false;
      return steps(found).some((step) => isLeaf(step) && isBeyond(found, step));
    },
    proof: proofs.SIZE_AFTER_RIGHTS,
    only: '1',
  },
  {
    name: 'first-of-concatenated',
    title: 'of several top tables of stage 2, one behind another, the first is used for all addresses',
    clause: 'DDI 0487 D8.2.2 (concatenated translation tables), SMMUv3 5.2 (S2SL0)',
    where: [common('smmu_ptw_64_s2')],
    permitted: false,
    ends: true,
    most: 0.2,
    explains: (difference, script) =>
      isOf(difference, script, (found) => {
        const top = found.second[0];
        if (found.ipa === null || found.ipa >> BigInt(64 - get(STE.S2T0SZ, found.steWords)) !== 0n) return false;
        return top !== undefined && top.at - tableOf(found) >= 1n << BigInt(top.granule);
      }),
    proof: proofs.FIRST_OF_CONCATENATED,
    only: '2',
  },
  {
    name: 'cached-right-missing',
    title:
      'a cached translation that stage 2 does not let be read refuses a read silently; with both stages it lets it pass',
    clause: 'SMMUv3 7.3.16',
    where: [common('smmu_translate')],
    permitted: false,
    ends: true,
    most: 0.05,
    explains: (difference, script) =>
      isOf(difference, script, ({ cd, iova, isWrite, second }, op) => {
        const leaf = second.at(-1);
        if (leaf === undefined || !isLeaf(leaf) || hasRight(leaf, isWrite) || (isWrite && cd !== null)) return false;
        return script.some((_, earlier) => earlier < op && leavesOf(script, earlier, iova, cd === null).length > 0);
      }),
    proof: proofs.CACHED_RIGHT_MISSING,
    only: '2',
  },
  {
    name: 'bypassed-size',
    title: 'an address beyond OAS that bypasses stage 1 is no F_ADDR_SIZE',
    clause: 'SMMUv3 3.4.2, 7.3.14',
    where: [common('smmu_ptw'), smmuv3('smmuv3_translate')],
    permitted: false,
    ends: true,
    most: 0.1,
    explains: (difference, script) =>
      isOf(
        difference,
        script,
        ({ cd, iova, ste }) => cd === null && ste.V === 1 && Number(ste.Config) >= 4 && iova >> BigInt(OAS) !== 0n,
      ),
    proof: proofs.BYPASSED_SIZE,
    only: '2',
  },
  {
    name: 'span-of-twice',
    title: 'a level-1 descriptor has 2^Span STEs, not 2^(Span − 1); beyond them it is C_BAD_STE, not C_BAD_STREAMID',
    clause: 'SMMUv3 5.1',
    where: [smmuv3('smmu_find_ste')],
    permitted: false,
    ends: true,
    most: 0.1,
    explains: (difference, script) =>
      isOf(difference, script, ({ sid }, op) => {
        const found = spanOf(script, op, sid);
        return found !== null && found.span > 0 && found.index >= 2 ** (found.span - 1);
      }),
    proof: proofs.SPAN_OF_TWICE,
    only: '1',
  },
  {
    name: 'cd-max-without-substreams',
    title: 'S1CDMax that is not 0 is C_BAD_STE, though IDR1.SSIDSIZE is 0',
    clause: 'SMMUv3 5.2: ignored then',
    where: [smmuv3('decode_ste')],
    permitted: false,
    ends: true,
    explains: (difference, script) => isOf(difference, script, ({ steWords }) => get(STE.S1CDMax, steWords) !== 0),
    proof: proofs.CD_MAX_WITHOUT_SUBSTREAMS,
    only: '1',
  },
  {
    name: 'tbi1-is-tbi0',
    title: 'CD.TBI0 counts for the upper part of the address space, too',
    clause: 'SMMUv3 5.4 (TBI)',
    where: [common('select_tt')],
    permitted: false,
    ends: true,
    explains: (difference, script) =>
      isOf(difference, script, ({ cd, iova }) => {
        const upper = ((iova >> 55n) & 1n) === 1n && iova >> 56n !== 0xffn;
        return cd !== null && upper && get(CD.TBI0, cd) !== get(CD.TBI1, cd);
      }),
    proof: proofs.TBI1_IS_TBI0,
    only: '1',
  },
  {
    name: 'blocks-anywhere',
    title: 'a block is taken at level 0, and at level 1 of granules of 16 and 64 KiB',
    clause: 'DDI 0487 D8.3.1',
    where: [common('smmu_ptw_64_s1'), common('smmu_ptw_64_s2')],
    permitted: false,
    ends: true,
    explains: (difference, script) => isOf(difference, script, (found) => steps(found).some(isNoBlock)),
    proof: proofs.BLOCKS_ANYWHERE,
    only: '1',
  },
  {
    name: 'table-rights-first',
    title: 'a table without the right to write (APTable[1]) refuses before what it leads to is looked at',
    clause: 'DDI 0487 D8.15: rights come last',
    where: [common('smmu_ptw_64_s1')],
    permitted: false,
    ends: true,
    most: 0.1,
    explains: (difference, script) =>
      isOf(difference, script, (found) => {
        const { cd, first, second, isWrite } = found;
        const leaf = first.at(-1);
        if (cd === null || leaf === undefined || !isWrite) return false;
        const withoutFlag = ((leaf.value >> 10n) & 1n) === 0n && get(CD.AFFD, cd) === 0;
        const fails = !isLeaf(leaf) || isNoBlock(leaf) || isBeyond(found, leaf) || withoutFlag || second.length > 0;
        return fails && first.some(({ kind, value }) => kind === 'table' && ((value >> 62n) & 1n) === 1n);
      }),
    proof: proofs.TABLE_RIGHTS_FIRST,
    only: '1',
  },
  {
    name: 'table-rights-not-cached',
    title:
      'a read of what a table has made read-only (APTable[1]) is cached as writable, so that a write passes after it',
    clause: 'DDI 0487 D8.4.3',
    where: [common('smmu_ptw_64_s1')],
    permitted: false,
    ends: true,
    explains: (difference, script) =>
      isOf(difference, script, ({ cd, first, iova, isWrite }, op) => {
        const leaf = first.at(-1);
        if (cd === null || leaf === undefined || !isWrite || !isLeaf(leaf)) return false;
        if (!first.some(({ kind, value }) => kind === 'table' && ((value >> 62n) & 1n) === 1n)) return false;
        const bits = BigInt(sizeBits(leaf.granule, leaf.level));
        const isReadOf = (each: Op) => each.op === 'edu' && !each.write && each.iova >> bits === iova >> bits;
        return script.some((each, earlier) => earlier < op && isReadOf(each));
      }),
    proof: proofs.TABLE_RIGHTS_NOT_CACHED,
    only: '1',
  },
  {
    name: 'everyone-is-privileged',
    title: 'APTable[0] (and AP[1]) does not refuse who is unprivileged',
    clause: 'DDI 0487 D8.4, SMMUv3 13.7: without a PASID a request of PCI Express is unprivileged',
    where: [common('smmu_ptw_64_s1')],
    permitted: false,
    ends: true,
    most: 0.1,
    explains: (difference, script) =>
      isOf(difference, script, ({ first }) =>
        first.some(({ kind, value }) => kind === 'table' && ((value >> 61n) & 1n) === 1n),
      ),
    proof: proofs.EVERYONE_IS_PRIVILEGED,
    only: '1',
  },
  {
    name: 's2t0sz-by-s2ps',
    title: 'S2T0SZ is refused where stage 2 takes larger addresses than S2PS lets it give',
    clause: 'SMMUv3 5.2: by IAS, which is OAS',
    where: [smmuv3('s2t0sz_valid')],
    permitted: false,
    ends: true,
    explains: (difference, script) =>
      isOf(difference, script, ({ ste, steWords }) => {
        const input = 64 - get(STE.S2T0SZ, steWords);
        return (Number(ste.Config) & 2) !== 0 && input > SIZES[get(STE.S2PS, steWords)];
      }),
    proof: proofs.S2T0SZ_BY_S2PS,
    only: '2',
  },
  {
    name: 'fetch-is-read',
    title: 'an event about the fetch of a CD or of a table says RnW of the fetch, not of the transaction, and no TTRnW',
    clause: 'SMMUv3 7.3, 7.3.16',
    where: [smmuv3('smmu_get_cd'), common('translate_table_addr_ipa')],
    permitted: false,
    ends: false,
    most: 1,
    explains: (difference, _script, _configuration, ours, theirs) => {
      const both = events(difference, ours, theirs);
      const { field, model, qemu } = difference;
      const isFetch = ((number(model) >> 8) & 3) !== CLASS.IN;
      const changed = number(model) ^ number(qemu);
      return both !== null && both[0] === both[1] && wordOf(field) === 3 && isFetch && (changed & ~0x1008) === 0;
    },
    proof: proofs.FETCH_IS_READ,
    only: 'nested',
  },
  {
    name: 'table-fault-of-stage-1',
    title:
      'where stage 2 refuses the address of a table of stage 1 (but for the first), the event is of stage 1: without S2, with bits 31:12 of the table’s address at most, and recorded by CD.R, not by STE.S2R',
    clause: 'SMMUv3 7.3.13 – 7.3.16, 5.5',
    where: [common('smmu_ptw_64_s1')],
    permitted: false,
    ends: true,
    most: 0.1,
    explains: (difference, script, _configuration, ours, theirs) => {
      const found = look(script, difference.op);
      if (found === null || !isOutcome(difference.field) || !found.tables.some(isRefused)) return false;
      const both = events(difference, ours, theirs);
      const sameFault = both === null || (both[0] === both[1] && [3, 6].includes(wordOf(difference.field)));
      return sameFault && difference.field !== 'RESULT';
    },
    proof: proofs.TABLE_FAULT_OF_STAGE_1,
    only: 'nested',
  },
  {
    name: 'first-tables-at-once',
    title:
      'both first tables of a CD are translated by stage 2 when it is read, whichever a request needs; a fault’s IPA is the table’s, not the descriptor’s',
    clause: 'SMMUv3 3.3.2, 7.3.13 – 7.3.16',
    where: [smmuv3('decode_cd')],
    permitted: false,
    ends: true,
    most: 0.1,
    explains: (difference, script) =>
      isOf(difference, script, ({ cd, tops }) => cd !== null && get(CD.V, cd) === 1 && tops.some(isRefused)),
    proof: proofs.FIRST_TABLES_AT_ONCE,
    only: 'nested',
  },
  {
    name: 'cached-fault-without-ipa',
    title: 'F_PERMISSION of stage 2 has no IPA where the translation was cached',
    clause: 'SMMUv3 7.3.16',
    where: [common('smmu_translate')],
    permitted: false,
    ends: false,
    explains: (difference, _script, _configuration, ours, theirs) => {
      const both = events(difference, ours, theirs);
      const isSame = both !== null && both[0] === both[1] && both[0] === EVENT.F_PERMISSION;
      return isSame && wordOf(difference.field) >= 6 && number(difference.qemu) === 0;
    },
    proof: proofs.CACHED_FAULT_WITHOUT_IPA,
    only: 'nested',
  },
  ...CACHE_DEVIATIONS,
];
