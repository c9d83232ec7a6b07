/**
 * Where QEMU does something else than the model, one entry each: one field under one condition. The list is for QEMU 11.1.3. Each entry
 * has a script on which the oracle looks whether it is still there: one that is gone fails the oracle, as one that is missing does. Long because it is a list; what only scalable mode and interrupt remapping have is in
 * scalable-deviations.ts and interrupt-deviations.ts.
 */
import { get } from '../../src/bits/index.ts';
import { FECTL, FSTS, GSTS } from '../../src/iommu/vtd/index.ts';
import { isRequest } from './common-operations.ts';
import type { Deviation } from './deviation.ts';
import { FAULTED, line, OUTCOME, T1 } from './deviation.ts';
import { INTERRUPT_DEVIATIONS } from './interrupt-deviations.ts';
import { number } from './known-deviation.ts';
import * as proofs from './proofs.ts';
import { SCALABLE_DEVIATIONS } from './scalable-deviations.ts';
import type { Op } from './script.ts';
import { look } from './tables.ts';

/** A configuration in which QEMU takes its own option for the mode that it is in. */
const SCALABLE = 'legacy, in a unit that has scalable mode';
const SNP = 0x800n;
const ALL_ONES = (1n << 64n) - 1n;
const FSTS_PFO = 1;

/** A request to the interrupt range that is no interrupt: a read, or a write of something else than a DWORD. */
function isOddInterrupt(op: Op): boolean {
  if (!isRequest(op)) return false;
  const isWritten = op.op === 'dma' || op.write;
  return op.iova >> 20n === 0xfeen && !(isWritten && op.length === 4 && op.iova % 4n === 0n);
}

/** Whether messages are the same but for what only one side's event registers hold: address bits 63:32, data bits 31:16. */
function differInEventsOnly(model: string, qemu: string): boolean {
  const common = (messages: string) =>
    messages.split(' ').map((each) => {
      const [address, data] = each.split(':');
      return `${address.slice(-8).replace(/^0+(?=.)/, '')}:${(number(data) % 0x10000).toString(16)}`;
    });
  const [ours, theirs] = [common(model), common(qemu)];
  return ours.length === theirs.length && ours.every((each, i) => each === theirs[i]);
}

export const DEVIATIONS: readonly Deviation[] = [
  {
    name: 'interrupt-range-by-page',
    title: 'a large page that overlaps 0xFEEx_xxxx is refused as a whole (0xE), not only where it leads there',
    clause: 'VT-d 3.15, 7.1.3 LGN.4, SGN.8.1',
    where: [line(2236, 'vtd_do_iommu_translate')],
    permitted: false,
    ends: true,
    explains: ({ op, field, model }, script, configuration) => {
      if (!isRequest(script[op]) || !OUTCOME.includes(field)) return false;
      const found = look(script, op, configuration);
      if (found.kind !== 'leaf' || found.bits === 12) return false;
      const [first, last] = [found.frame, found.frame + (1n << BigInt(found.bits)) - 1n];
      const overlaps = first <= 0xfeefffffn && last >= 0xfee00000n;
      return overlaps && !(found.page >= 0xfee00000n && found.page <= 0xfeefffffn) && model !== 'dead0004';
    },
    proof: proofs.INTERRUPT_RANGE_BY_PAGE,
  },
  {
    name: 'pass-through-width',
    title: 'an address beyond the host address width is passed through',
    clause: 'VT-d 7.1.3 LGN.1.3, SGN.4.2',
    where: [line(2184, 'vtd_do_iommu_translate')],
    permitted: false,
    ends: true,
    explains: ({ op, field }, script, configuration) => {
      if (!isRequest(script[op]) || !OUTCOME.includes(field)) return false;
      const found = look(script, op, configuration);
      return found.kind === 'pass' && found.iova >> BigInt(configuration.tables.haw) !== 0n;
    },
    proof: proofs.PASS_THROUGH_WIDTH,
  },
  {
    name: 'pass-through-pointer',
    title: 'SSPTPTR beyond the host address width is a reserved bit (0xB) with pass-through, too',
    clause: 'VT-d 9.3: ignored with TT = 10b',
    where: [line(1573, 'vtd_dev_to_context_entry'), line(1501, 'vtd_context_entry_rsvd_bits_check')],
    permitted: false,
    ends: true,
    explains: ({ op, field }, script, configuration) => {
      if (!isRequest(script[op]) || !OUTCOME.includes(field)) return false;
      const found = look(script, op, configuration);
      return (
        configuration.tables.mode === 'legacy' &&
        found.kind === 'pass' &&
        found.context.lo >> BigInt(configuration.tables.haw) !== 0n
      );
    },
    proof: proofs.PASS_THROUGH_POINTER,
  },
  {
    name: 'cached-right-missing',
    title: 'a cached translation without the right that is wanted refuses silently, whatever the tables say by now',
    clause: 'VT-d 6.5.3.5, 7.2.1',
    // The memory core refuses by the `perm` that is answered.
    where: [line(2129, 'vtd_do_iommu_translate'), line(2265, 'vtd_do_iommu_translate')],
    permitted: false,
    ends: true,
    // The model's IOTLB has the same entries: it says where there was one.
    explains: ({ field, lacking }) => lacking === true && OUTCOME.includes(field),
    proof: proofs.CACHED_RIGHT_MISSING,
  },
  {
    name: 'context-reserved-unqualified',
    title: 'a reserved bit in a context entry (0xB) is recorded whatever FPD says',
    clause: 'VT-d 7.1.3, table 30: LCT.3 and SCT.3 are qualified',
    // It is not among them.
    where: [line(1824, 'vtd_qualified_faults')],
    permitted: false,
    ends: true,
    explains: ({ op, field, model, qemu }, script, configuration) => {
      if (!isRequest(script[op])) return false;
      const { lo } = look(script, op, configuration).context;
      if ((lo & 2n) === 0n) return false;
      // Recorded, or lost as the record is in use.
      if (field === 'FSTS') return number(qemu) - number(model) === FSTS_PFO;
      return field === 'FRCD.reason' && number(model) < FAULTED && (number(qemu) & ~T1) >>> 0 === FAULTED + 0xb;
    },
    proof: proofs.CONTEXT_RESERVED_UNQUALIFIED,
  },
  {
    name: 'empty-wait',
    title: 'a wait descriptor with none of SW, IF and FN is an error',
    clause: 'VT-d 6.5.2.9',
    where: [line(2876, 'vtd_process_wait_desc')],
    permitted: false,
    ends: true,
    explains: ({ op, field }, script) => {
      const now = script[op];
      return now?.op === 'inv' && ['IQH', 'FSTS'].includes(field) && (now.lo & 0x7fn) === 5n;
    },
    proof: proofs.EMPTY_WAIT,
  },
  {
    name: 'queue-stays-stopped',
    title: 'clearing FSTS.IQE does not make the queue go on; the next write of the tail does',
    clause: 'VT-d 6.5.2.11',
    where: [line(3556, 'vtd_handle_fsts_write')],
    permitted: false,
    ends: true,
    explains: ({ op, field, model, qemu }, script) => {
      const now = script[op];
      const clears = now?.op === 'clear' || (now?.op === 'reg' && now.offset === 0x34);
      const iqe = (text: string) => get(FSTS.IQE, Int32Array.of(number(text)));
      return clears && field === 'FSTS' && iqe(model) === 1 && iqe(qemu) === 0;
    },
    proof: proofs.QUEUE_STAYS_STOPPED,
  },
  {
    name: 'foreign-descriptors',
    title:
      'descriptors of functions that ECAP does not report (device TLBs, interrupt entries, page requests) are taken',
    clause: 'VT-d 6.5.2.11, table 26',
    where: [line(3418, 'vtd_process_inv_desc')],
    permitted: false,
    ends: true,
    explains: ({ op, field }, script, { deviceTlbs, interrupts }) => {
      const now = script[op];
      if (now?.op !== 'inv' || !['IQH', 'FSTS'].includes(field)) return false;
      const device = deviceTlbs === true ? [] : [3n, 8n];
      const foreign = [...device, ...(interrupts === undefined ? [4n] : []), 9n];
      return foreign.includes(now.lo & 0xfn);
    },
    proof: proofs.FOREIGN_DESCRIPTORS,
  },
  {
    name: 'fault-address-wide',
    title: 'FRCD.FI keeps address bits from the widest AGAW on',
    clause: 'VT-d 11.4.7.6',
    where: [line(642, 'vtd_report_dmar_fault')],
    permitted: false,
    ends: false,
    // Many requests are beyond the widest table, and the rest of FI is compared all the same.
    most: 0.6,
    explains: ({ field, model, qemu }, _script, { tables }) =>
      field === 'register 0x224' && number(qemu) % 2 ** (tables.widest - 32) === number(model),
    proof: proofs.FAULT_ADDRESS_WIDE,
  },
  {
    name: 'no-iqercd',
    title: 'IQERCD is not there: which error stopped the queue is not told',
    clause: 'VT-d 11.4.9.9',
    where: [line(671, 'vtd_handle_inv_queue_error')],
    permitted: false,
    ends: false,
    // Of the queues that stopped, every one.
    most: 0.4,
    explains: ({ field, qemu }) => field === 'register 0xb0' && qemu === '0',
    proof: proofs.NO_IQERCD,
  },
  {
    name: 'event-data-wide',
    title: 'IEDATA keeps bits 31:16',
    clause: 'VT-d 11.4.9.6',
    where: [line(4972, 'vtd_init')],
    permitted: false,
    ends: false,
    most: 0.1,
    explains: ({ field, model, qemu }) => {
      if (field === 'register 0xa4') return number(qemu) % 0x10000 === number(model);
      return field === 'messages' && differInEventsOnly(model, qemu) && /:[0-9a-f]{5,8}( |$)/.test(qemu);
    },
    proof: proofs.EVENT_DATA_WIDE,
  },
  {
    name: 'no-upper-event-address',
    title: 'FEUADDR and IEUADDR are reserved',
    clause: 'VT-d 11.4.7.5, 11.4.9.8: may be, without extended interrupt mode',
    where: [line(4959, 'vtd_init'), line(4975, 'vtd_init')],
    permitted: true,
    ends: false,
    most: 0.1,
    explains: ({ field, model, qemu }) =>
      (['register 0x44', 'register 0xac'].includes(field) && qemu === '0') ||
      (field === 'messages' && differInEventsOnly(model, qemu)),
    proof: proofs.NO_UPPER_EVENT_ADDRESS,
  },
  {
    name: 'context-domain-is-global',
    title: 'a domain-selective invalidation of the context cache is done, and reported, as a global one',
    clause: 'VT-d 6.5.1.1, 11.4.6.1: CAIG says which was done',
    where: [line(2414, 'vtd_context_cache_invalidate')],
    permitted: true,
    ends: false,
    most: 0.1,
    explains: ({ field, model, qemu }) => field === 'register 0x2c' && number(model) - number(qemu) === 0x08000000,
    proof: 'reg 0x28 8 0xc000000000000001',
  },
  {
    name: 'interrupt-range-silent',
    title: 'reads of 0xFEEx_xxxx are refused silently, long writes are taken as interrupts',
    clause: 'VT-d 3.15',
    // A memory region in the way of the unit.
    where: [line(4369, 'vtd_mem_ir_read'), line(4388, 'vtd_mem_ir_write'), line(4407, 'vtd_mem_ir_ops')],
    permitted: false,
    ends: true,
    explains: ({ op, field }, script) => {
      if (field === 'messages') return script.slice(0, op + 1).some((each) => isOddInterrupt(each));
      return OUTCOME.includes(field) && script[op] !== undefined && isOddInterrupt(script[op]);
    },
    proof: proofs.INTERRUPT_RANGE_SILENT,
  },
  {
    name: 'all-ones-unreadable',
    title:
      'a paging entry of all ones counts as one that could not be read (0x7; 0x3 at the top; of the first stage 0x70 and 0x73), not as one with reserved bits',
    clause: 'VT-d 7.1.3, table 30',
    where: [
      line(787, 'vtd_get_pte'),
      line(1206, 'vtd_iova_to_sspte', 'vtd_iova_to_slpte'),
      line(2015, 'vtd_iova_to_fspte', 'vtd_iova_to_flpte'),
    ],
    permitted: false,
    ends: true,
    explains: ({ op, field, model, qemu }, script, configuration) => {
      if (!isRequest(script[op]) || field !== 'FRCD.reason' || ![0xc, 0x72].includes(number(model) & 0xff))
        return false;
      return [0x3, 0x7, 0x70, 0x73].includes(number(qemu) & 0xff) && look(script, op, configuration).entry === ALL_ONES;
    },
    proof: proofs.ALL_ONES_UNREADABLE,
  },
  {
    name: 'queue-address-latched',
    title: 'IQA gives back the address that was in force when the queue was switched on',
    clause: 'VT-d 11.4.9.3',
    where: [line(3656, 'vtd_mem_read')],
    permitted: false,
    ends: false,
    most: 0.1,
    explains: ({ field, model, qemu }, script) => {
      if (field === 'register 0x90') return number(model) % 0x1000 === number(qemu) % 0x1000;
      return field === 'register 0x94' && script.some((each) => each.op === 'reg' && each.offset === 0x90);
    },
    proof: 'reg 0x90 8 0x1f0000',
  },
  {
    name: 'queue-stays-on',
    title: 'QIE is cleared only where the queue is empty and its last descriptor was a wait',
    clause: 'VT-d 6.5.2: software must see to both',
    where: [line(2599, 'vtd_queued_inv_disable_check'), line(2630, 'vtd_handle_gcmd_qie')],
    permitted: true,
    ends: true,
    most: 0.05,
    // IRTPS may differ besides: irtps-without-remapping.
    explains: ({ op, field, model, qemu }, script) =>
      script[op]?.op === 'qie' &&
      field === 'GSTS' &&
      ((number(qemu) ^ number(model)) & ~(1 << GSTS.IRTPS.lo)) === 1 << GSTS.QIES.lo,
    proof: proofs.QUEUE_STAYS_ON,
  },
  {
    name: 'irtps-without-remapping',
    title: 'SIRTP sets IRTPS where ECAP reports no interrupt remapping',
    clause: 'VT-d 11.4.4.1',
    where: [line(2727, 'vtd_handle_gcmd_write'), line(2661, 'vtd_handle_gcmd_sirtp')],
    permitted: false,
    ends: false,
    most: 0.1,
    explains: ({ field, model, qemu }, _script, { interrupts }) =>
      interrupts === undefined &&
      ['GSTS', 'register 0x1c'].includes(field) &&
      number(qemu) - number(model) === 1 << GSTS.IRTPS.lo,
    proof: 'reg 0x18 4 0x1000000',
  },
  {
    name: 'register-invalidation-hangs',
    title: 'a register-based request while the queue is on is dropped with ICC or IVT set, for ever',
    clause: 'VT-d 6.5.1: software must not',
    where: [line(2746, 'vtd_handle_ccmd_write'), line(2767, 'vtd_handle_iotlb_write')],
    permitted: true,
    ends: false,
    most: 0.1,
    explains: ({ field, model, qemu }) =>
      ['register 0x2c', 'register 0xfc'].includes(field) && number(qemu) >= 0x80000000 && number(model) < 0x80000000,
    proof: proofs.REGISTER_INVALIDATION_HANGS,
  },
  {
    name: 'pending-stays',
    title: 'FECTL.IP stays set when the last fault record is cleared; a write of FSTS clears it',
    clause: 'VT-d 11.4.7.2',
    where: [line(3906, 'vtd_mem_write'), line(3552, 'vtd_handle_fsts_write')],
    permitted: false,
    ends: false,
    most: 0.05,
    explains: ({ field, model, qemu }) =>
      ['FECTL', 'register 0x38'].includes(field) && number(qemu) - number(model) === 1 << FECTL.IP.lo,
    proof: proofs.PENDING_STAYS,
  },
  {
    name: 'snoop-not-reserved',
    title: 'SNP in a leaf is taken in a unit that has scalable mode, though ECAP.SC is 0',
    clause: 'VT-d 9.8',
    where: [line(4931, 'vtd_init')],
    permitted: false,
    ends: true,
    explains: ({ op, field }, script, configuration) => {
      const { qemu, tables } = configuration;
      // A first stage has no SNP.
      if (!qemu.includes('scalable-mode=on') || tables.mode === 'first') return false;
      if (!isRequest(script[op]) || !OUTCOME.includes(field)) return false;
      const found = look(script, op, configuration);
      return found.kind === 'leaf' && (found.entry & SNP) !== 0n;
    },
    proof: proofs.SNOOP_NOT_RESERVED,
    only: SCALABLE,
  },
  ...SCALABLE_DEVIATIONS,
  ...INTERRUPT_DEVIATIONS,
];
