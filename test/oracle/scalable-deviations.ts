/** Where QEMU does something else than the model in scalable mode; see deviations.ts. */

import { isRequest } from './common-operations.ts';
import type { Configuration } from './configurations.ts';
import type { Deviation } from './deviation.ts';
import { FAULTED, line, OUTCOME, T1 } from './deviation.ts';
import type { Difference } from './judge.ts';
import { number } from './known-deviation.ts';
import * as proofs from './scalable-proofs.ts';
import type { Op, Script } from './script.ts';
import type { Found } from './tables.ts';
import { look, pasidEntries } from './tables.ts';

const SECOND = 'scalable, second stage';
const FIRST = 'scalable, first stage';
const SMALL = 'scalable, first stage without pages of 1 GiB';
const [A, D] = [0x20, 0x40];
const REASONS = ['FRCD.reason', 'register 0x22c'];

/** Of a record with F its reason; −1 of others. */
const reasonOf = (text: string) => (number(text) >= FAULTED ? number(text) & ~T1 & 0xff : -1);

/** A request that comes out otherwise, where the tables are as a condition says. */
function outcome(
  when: (found: Found, difference: Difference, script: Script, configuration: Configuration) => boolean,
) {
  return (difference: Difference, script: Script, configuration: Configuration): boolean => {
    const { op, field } = difference;
    if (configuration.tables.mode === 'legacy' || !isRequest(script[op]) || !OUTCOME.includes(field)) return false;
    return when(look(script, op, configuration), difference, script, configuration);
  };
}

const isPassThrough = (entry: string) => ((BigInt(entry.split(' ')[0]) >> 6n) & 7n) === 4n;

export const SCALABLE_DEVIATIONS: readonly Deviation[] = [
  {
    name: 'pasid-type-before-presence',
    title: 'a PASID-table entry that is not present is an invalid one (0x5B, not 0x59) where its type is none',
    clause: 'VT-d 7.1.3, SPT.2; 9.6: all other fields but FPD are ignored',
    where: [line(889, 'vtd_get_pe_in_pasid_leaf_table'), line(950, 'vtd_get_pe_from_pasid_table')],
    permitted: false,
    ends: false,
    // The record stays until software takes it.
    most: 0.04,
    // F may be clear: the record stays until the next one.
    explains: ({ field, model, qemu }) =>
      REASONS.includes(field) && (number(model) & 0xff) === 0x59 && (number(model) ^ number(qemu)) === (0x59 ^ 0x5b),
    proof: proofs.PASID_TYPE_BEFORE_PRESENCE,
    only: SECOND,
  },
  {
    name: 'pasid-not-present-used',
    title:
      'with the context entry cached a PASID-table entry is used that is not present; with FPD in the context entry one of an invalid type, too',
    clause: 'VT-d 9.6; 7.1.3, SPT.2, SPT.4',
    where: [
      line(2147, 'vtd_do_iommu_translate'),
      /* P is not looked at */ line(1016, 'vtd_ce_get_pasid_fpd'),
      line(1129, 'vtd_get_iova_pgtbl_base'),
    ],
    permitted: false,
    ends: true,
    explains: outcome(({ context: { lo, pasid } }, _difference, _script, { tables }) => {
      const type = (pasid[0] >> 6n) & 7n;
      if ((lo & 2n) === 0n) return (pasid[0] & 1n) === 0n && type !== 0n;
      return (pasid[0] & 1n) === 0n || (type !== 4n && type !== (tables.mode === 'first' ? 1n : 2n));
    }),
    proof: proofs.PASID_NOT_PRESENT_USED,
    only: SECOND,
  },
  {
    name: 'pass-through-stays',
    title:
      'a PASID-table entry that becomes what it was before it was pass-through is not seen: requests go on untranslated',
    clause: 'VT-d 6.5.2.2, 6.5.3.3: PASID cache and IOTLB are invalidated',
    // The entry that it compares with is the one before.
    where: [line(3152, 'vtd_pasid_cache_sync_locked')],
    permitted: false,
    ends: true,
    explains: outcome((_found, { op }, script, configuration) => {
      const entries = pasidEntries(script, op, configuration);
      const now = entries.at(-1);
      const before = entries.indexOf(now as string);
      return entries.slice(before).some((entry) => isPassThrough(entry)) && !isPassThrough(now as string);
    }),
    proof: proofs.PASS_THROUGH_STAYS,
    only: SECOND,
  },
  {
    name: 'pasid-address-mask',
    title: 'a PASID-based IOTLB invalidation with an address mask beyond CAP.MAMV is an error',
    clause: 'VT-d 6.5.2.4, which other than 6.5.2.3 knows no maximum',
    // Where AM is taken: the check came later.
    where: [line(3054, 'vtd_process_piotlb_desc')],
    permitted: false,
    ends: true,
    explains: ({ op, field }, script) => {
      const now = script[op];
      return (
        now?.op === 'inv' && ['IQH', 'FSTS'].includes(field) && (now.lo & 0x3fn) === 0x36n && (now.hi & 0x3fn) > 18n
      );
    },
    proof: proofs.PASID_ADDRESS_MASK,
    only: FIRST,
  },
  {
    name: 'paging-mode-of-others',
    title: 'FSPM is looked at with PGTT = 001b only',
    clause:
      'VT-d 9.6: FSPM, other than its neighbours, is not said to be ignored with others; without ECAP.FSTS it is reserved',
    where: [line(899, 'vtd_get_pe_in_pasid_leaf_table')],
    permitted: true,
    ends: true,
    explains: outcome(({ context: { pasid } }) => ((pasid[0] >> 6n) & 7n) !== 1n && (pasid[2] & 0xcn) !== 0n),
    proof: proofs.PAGING_MODE_OF_OTHERS,
    only: SECOND,
  },
  {
    name: 'pasid-fpd-late',
    title: 'FPD of a PASID-directory or PASID-table entry does not suppress a fault of that entry',
    clause: 'VT-d 9.5, 9.6: FPD is evaluated irrespective of P',
    where: [line(1601, 'vtd_dev_to_context_entry'), line(2159, 'vtd_do_iommu_translate')],
    permitted: false,
    ends: true,
    explains: outcome(({ context: { directory, pasid } }, { field, model, qemu }) => {
      if (((directory | pasid[0]) & 2n) === 0n) return false;
      if (field === 'FSTS') return number(qemu) - number(model) === 1;
      return field === 'FRCD.reason' && reasonOf(model) < 0 && [0x51, 0x59, 0x5b].includes(reasonOf(qemu));
    }),
    proof: proofs.PASID_FPD_LATE,
    only: SECOND,
  },
  {
    name: 'context-functions-taken',
    title: 'DTE, PASIDE, PRE, RID_PASID and RID_PRIV are taken in a context entry, though ECAP reports none of them',
    clause: 'VT-d 9.4: reserved without ECAP.DT, PASID, PRS, RPS, RPRIVS',
    where: [line(1509, 'vtd_context_entry_rsvd_bits_check')],
    permitted: false,
    ends: true,
    explains: outcome(({ context: { lo, hi } }, _difference, _script, { deviceTlbs }) => {
      // DTE is nothing foreign to a unit with ECAP.DT.
      return (lo & (deviceTlbs === true ? 0x18n : 0x1cn)) !== 0n || (hi & 0x1fffffn) !== 0n;
    }),
    proof: proofs.CONTEXT_FUNCTIONS_TAKEN,
    only: SECOND,
  },
  {
    name: 'root-other-half',
    title: 'reserved bits in one half of a root entry refuse (0xA) devices of the other half, too',
    clause: 'VT-d 9.2; 7.1.3, SRT.3 speaks of both halves, of each with its P',
    where: [line(1484, 'vtd_root_entry_rsvd_bits_check')],
    permitted: true,
    ends: true,
    explains: outcome(({ context: { rootOther } }, _difference, _script, { tables }) => {
      return (rootOther & 0xffen) !== 0n || ((rootOther >> 12n) << 12n) >> BigInt(tables.haw) !== 0n;
    }),
    proof: proofs.ROOT_OTHER_HALF,
    only: SECOND,
  },
  {
    name: 'canonical-by-width',
    title: 'with the first stage an address is canonical or not (0x80) by AW, which is of the second stage',
    clause: 'VT-d 7.1.3, SGN.1; 9.6: AW is reserved without ECAP.SSTS',
    where: [line(1964, 'vtd_iova_fs_check_canonical', 'vtd_iova_fl_check_canonical'), line(1062, 'vtd_get_iova_agaw')],
    permitted: false,
    ends: true,
    explains: outcome(({ context: { pasid } }, _difference, script, { tables }) => {
      const aw = (pasid[0] >> 2n) & 7n;
      return tables.mode === 'first' && aw < 2n && script.length > 0;
    }),
    proof: proofs.CANONICAL_BY_WIDTH,
    only: FIRST,
  },
  {
    name: 'one-flag-is-enough',
    title: 'of A and D that a write sets together none is set where one is set already; a cached translation sets no D',
    clause: 'VT-d 3.6.2',
    where: [line(1979, 'vtd_set_flag_in_pte'), line(2207, 'vtd_do_iommu_translate')],
    permitted: false,
    ends: false,
    // A page is one comparison, and any of its entries may differ.
    most: 0.03,
    explains: ({ field, model, qemu }, script, configuration) => {
      const [ours, theirs] = [number(model), number(qemu)];
      const missing = ours & ~theirs;
      if (!field.startsWith('tables') || (ours ^ theirs) !== missing) return false;
      if (missing === A) return (theirs & D) !== 0;
      if (missing !== D || (theirs & A) === 0) return false;
      // D is that of a page which was written.
      const where = number(field.split(' ')[1].slice(2));
      const wrote = (each: Op) => each.op === 'dma' || (each.op === 'edu' && each.write);
      return script.some((each, at) => wrote(each) && look(script, at, configuration).at === where);
    },
    proof: proofs.ONE_FLAG_IS_ENOUGH,
    only: FIRST,
  },
  {
    name: 'flags-of-refused-page',
    title: 'flags are set in the leaf of a page that is refused, as it leads to the interrupt range',
    clause: 'VT-d 3.6.2: A may be set then, D is that of a write which was done',
    where: [line(2054, 'vtd_iova_to_fspte', 'vtd_iova_to_flpte'), line(2236, 'vtd_do_iommu_translate')],
    permitted: false,
    ends: false,
    explains: ({ field, model, qemu }) => {
      const [ours, theirs] = [number(model), number(qemu)];
      const more = theirs & ~ours;
      if (!field.startsWith('tables') || (ours & ~theirs) !== 0 || (more & ~(A | D)) !== 0) return false;
      return (theirs & 0xfff00000) >>> 0 === 0xfee00000 || (theirs & 0xc0000000) >>> 0 === 0xc0000000;
    },
    proof: proofs.FLAGS_OF_REFUSED_PAGE,
    only: FIRST,
  },
  {
    name: 'gigabyte-pages-taken',
    title: 'PS in an FS-PDPE is taken, though CAP.FS1GP is 0',
    clause: 'VT-d 3.6: reserved then',
    where: [line(4929, 'vtd_init')],
    permitted: false,
    ends: true,
    explains: outcome(
      (found, _difference, _script, { name }) => name === SMALL && found.kind === 'leaf' && found.bits === 30,
    ),
    proof: proofs.GIGABYTE_PAGES_TAKEN,
    only: SMALL,
  },
];
