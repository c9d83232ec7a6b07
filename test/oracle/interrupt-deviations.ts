/** Where QEMU does something else than the model in interrupt remapping; see deviations.ts. */
import { GSTS } from '../../src/iommu/vtd/index.ts';
import { isRequest } from './common-operations.ts';
import type { Deviation } from './deviation.ts';
import { FAULTED, line, OUTCOME } from './deviation.ts';
import * as proofs from './interrupt-proofs.ts';
import type { Interrupt } from './interrupt-tables.ts';
import { isRemapping, lookInterrupt } from './interrupt-tables.ts';
import type { Difference } from './judge.ts';
import { number } from './known-deviation.ts';
import type { Script } from './script.ts';

const XAPIC = 'interrupt remapping, xAPIC';
const FIELDS = ['messages', ...OUTCOME];
const svt = (hi: bigint) => (hi >> 18n) & 3n;

/** An interrupt that comes out otherwise, where its entry is as a condition says. */
function interrupt(when: (found: Interrupt, difference: Difference) => boolean) {
  return (difference: Difference, script: Script): boolean => {
    if (!FIELDS.includes(difference.field)) return false;
    const found = lookInterrupt(script, difference.op);
    return found !== null && when(found, difference);
  };
}

/** QEMU sends it on, and the model refuses; a fault event may be sent then. */
const isTaken = ({ field, model, qemu }: Difference) =>
  field === 'messages' && qemu !== '' && !model.split(' ').includes(qemu);

/** A device's DMA to the interrupt range, while interrupts are remapped. */
function isWrittenInterrupt(script: Script, op: number): boolean {
  const now = script[op];
  if (!isRequest(now)) return false;
  return now.iova >> 20n === 0xfeen && isRemapping(script, op);
}

/** Both refuse it, for one reason and another. */
const isFor = ({ field, model, qemu }: Difference, ours: number, theirs: number) =>
  field === 'FRCD.reason' && number(model) === FAULTED + ours && number(qemu) === FAULTED + theirs;

export const INTERRUPT_DEVIATIONS: readonly Deviation[] = [
  {
    name: 'compatibility-passes',
    title: 'interrupts in compatibility format pass, whatever CFIS and EIME say',
    clause: 'VT-d 5.1.4, 5.1.2.1: blocked (0x25)',
    where: [line(4293, 'vtd_interrupt_remap_msi')],
    permitted: false,
    ends: true,
    explains: interrupt(({ isCompatible }, difference) => isCompatible && isTaken(difference)),
    proof: proofs.COMPATIBILITY_PASSES,
    only: XAPIC,
  },
  {
    name: 'bus-range-reversed',
    title: 'SVT 10b takes the last bus from SID 15:8 and the first from 7:0, so that nobody is in a range of several',
    clause: 'VT-d 9.9: Startbus# is SID 15:8, Endbus# 7:0',
    where: [line(4196, 'vtd_irte_get')],
    permitted: false,
    ends: true,
    explains: interrupt(({ hi }) => svt(hi) === 2n && ((hi >> 8n) & 0xffn) !== (hi & 0xffn)),
    proof: proofs.BUS_RANGE_REVERSED,
    only: XAPIC,
  },
  {
    name: 'svt-reserved',
    title: 'SVT 11b is a requester that is refused (0x26), not a reserved value (0x24)',
    clause: 'VT-d 9.9; 5.1.4.1, table 15',
    where: [line(4210, 'vtd_irte_get')],
    permitted: true,
    ends: true,
    explains: interrupt(({ hi }, difference) => svt(hi) === 3n && isFor(difference, 0x24, 0x26)),
    proof: proofs.SVT_RESERVED,
    only: XAPIC,
  },
  {
    name: 'reserved-before-requester',
    title: 'reserved bits of an entry (0x24) are looked at before the requester (0x26)',
    clause: 'VT-d 5.1.4: the requester is verified first',
    where: [line(4164, 'vtd_irte_get')],
    permitted: true,
    ends: true,
    explains: interrupt((_found, difference) => isFor(difference, 0x26, 0x24)),
    proof: proofs.RESERVED_BEFORE_REQUESTER,
    only: XAPIC,
  },
  {
    name: 'delivery-modes-taken',
    title: 'delivery modes 011b and 110b are sent',
    clause: 'VT-d 9.9, which has none; 5.1.4: invalid programming is blocked',
    where: [line(4237, 'vtd_remap_irq_get')],
    permitted: false,
    ends: true,
    explains: interrupt(({ lo }, difference) => [3n, 6n].includes((lo >> 5n) & 7n) && isTaken(difference)),
    proof: proofs.DELIVERY_MODES_TAKEN,
    only: XAPIC,
  },
  {
    name: 'destination-reserved-taken',
    title: 'in xAPIC mode bits of DST beside 15:8 are not looked at',
    clause: 'VT-d 9.9: reserved then',
    where: [line(4242, 'vtd_remap_irq_get')],
    permitted: false,
    ends: true,
    explains: interrupt(
      ({ isExtended, lo }, difference) => !isExtended && ((lo >> 32n) & 0xffff00ffn) !== 0n && isTaken(difference),
    ),
    proof: proofs.DESTINATION_RESERVED_TAKEN,
    only: XAPIC,
  },
  {
    name: 'posted-format-taken',
    title: 'an entry with IM = 1 remaps, though CAP.PI is 0',
    clause: 'VT-d 9.9: reserved then',
    where: [line(4164, 'vtd_irte_get')],
    permitted: false,
    ends: true,
    explains: interrupt(({ lo }, difference) => (lo & 0x8000n) !== 0n && isTaken(difference)),
    proof: proofs.POSTED_FORMAT_TAKEN,
    only: XAPIC,
  },
  {
    name: 'index-of-16-bits',
    title: 'handle and subhandle add up modulo 2^16',
    clause: 'VT-d 5.1.3, 5.1.4: an index beyond the table is refused (0x21)',
    where: [line(4305, 'vtd_interrupt_remap_msi')],
    permitted: false,
    ends: true,
    explains: interrupt(({ index }) => index > 0xffff),
    proof: proofs.INDEX_OF_16_BITS,
    only: XAPIC,
  },
  {
    name: 'no-cfi',
    title: 'CFI does nothing, and CFIS is never set',
    clause: 'VT-d 11.4.4.1, 11.4.4.2',
    where: [line(2731, 'vtd_handle_gcmd_write')],
    permitted: false,
    ends: false,
    most: 0.1,
    explains: ({ field, model, qemu }) =>
      ['GSTS', 'register 0x1c'].includes(field) && number(model) - number(qemu) === 1 << GSTS.CFIS.lo,
    proof: proofs.NO_CFI,
    only: XAPIC,
  },
  {
    name: 'requester-of-dma',
    title:
      'interrupts that a device writes as DMA have source id 0, or none and are then not verified: devices here say nothing of theirs',
    clause: 'VT-d 5.1.4: the requester is that of the write',
    where: [line(4383, 'vtd_mem_ir_write'), line(4175, 'vtd_irte_get')],
    permitted: false,
    ends: true,
    explains: ({ op, field, qemu }, script) => {
      // What arrived of one before is seen behind the next interrupt only, and who is recorded when the record is read.
      const isSeenLater = field === 'messages' || (field === 'register 0x228' && ['0', 'ffff'].includes(qemu));
      if (isSeenLater) return script.slice(0, op + 1).some((_, at) => isWrittenInterrupt(script, at));
      return OUTCOME.includes(field) && isWrittenInterrupt(script, op);
    },
    proof: proofs.REQUESTER_OF_DMA,
    only: XAPIC,
  },
  {
    name: 'index-mask-taken',
    title: 'an interrupt entry cache invalidation with an index mask beyond ECAP.MHMV is done',
    clause: 'VT-d 6.5.2.8: IM is at most MHMV; an error here as AM beyond MAMV is',
    where: [line(3456, 'vtd_process_inv_desc')],
    permitted: true,
    ends: true,
    explains: ({ op, field }, script) => {
      const now = script[op];
      if (now?.op !== 'inv' || !['IQH', 'FSTS'].includes(field)) return false;
      return (now.lo & 0x1fn) === 0x14n && ((now.lo >> 27n) & 0x1fn) > 15n;
    },
    proof: proofs.INDEX_MASK_TAKEN,
    only: XAPIC,
  },
];
