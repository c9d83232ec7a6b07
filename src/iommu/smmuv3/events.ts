/** SMMUv3 events and global errors in words (IHI 0070, 7.3, 7.5). */
import type { Fields, Layout, Meaning, Meanings } from '../../bits/index.ts';
import { get } from '../../bits/index.ts';
import * as records from './event-structures.ts';

export interface SmmuEvent extends Meaning {
  readonly record: Layout<Fields>;
}

function event(record: Layout<Fields>, text: string): SmmuEvent {
  const { name, clause } = record;
  return { name, text, clause, record };
}

/** By event number, bits 7:0 of the record. Those of C_ are errors of the configuration, and recorded whatever CD.R says. */
export const EVENTS: Meanings<SmmuEvent> = {
  1: event(records.F_UUT, 'the transaction is of a kind that the SMMU does not support; Reason is its own'),
  2: event(
    records.C_BAD_STREAMID,
    'the StreamID is beyond the stream table, or its level-1 descriptor has no STE for it (recorded with CR2.RECINVSID)',
  ),
  3: event(records.F_STE_FETCH, 'external abort: the STE, or its level-1 descriptor, could not be read'),
  4: event(records.C_BAD_STE, 'the STE is not valid: V = 0, or a configuration that is reserved or not supported'),
  5: event(
    records.F_BAD_ATS_TREQ,
    'an ATS translation request of a stream that may not make any (STE.EATS, or no stage translates, or CR0.SMMUEN = 0)',
  ),
  6: event(
    records.F_STREAM_DISABLED,
    'a transaction that STE.S1DSS excludes: without SubstreamID, or with SubstreamID 0 where that CD is for those without',
  ),
  7: event(
    records.F_TRANSL_FORBIDDEN,
    'the device says that the address is translated already, which its stream may not (STE.EATS with CR0.ATSCHK, or CR0.SMMUEN = 0)',
  ),
  8: event(
    records.C_BAD_SUBSTREAMID,
    'the SubstreamID is beyond the context descriptors (STE.S1CDMax), its level-1 descriptor is not valid, or there is no stage 1',
  ),
  9: event(records.F_CD_FETCH, 'external abort: the CD, or its level-1 descriptor, could not be read'),
  10: event(records.C_BAD_CD, 'the CD is not valid: V = 0, or a configuration that is reserved or not supported'),
  11: event(records.F_WALK_EABT, 'external abort: a descriptor of a translation table could not be read, or updated'),
  16: event(
    records.F_TRANSLATION,
    'the address is not mapped: a descriptor is not valid, the address is beyond what TxSZ permits, or walks are disabled (EPD)',
  ),
  17: event(
    records.F_ADDR_SIZE,
    'an address that a descriptor gives is beyond the output size (IPS, S2PS), or one that bypasses stage 1 beyond the sizes that there are',
  ),
  18: event(records.F_ACCESS, 'the page is mapped, its Access flag is 0'),
  19: event(records.F_PERMISSION, 'the page is mapped, this access is not permitted'),
  32: event(records.F_TLB_CONFLICT, 'several TLB entries match: a change of tables without break-before-make'),
  33: event(
    records.F_CFG_CONFLICT,
    'several cached configurations match: STEs differ that CONT declares to be the same',
  ),
  36: event(records.E_PAGE_REQUEST, 'a hint: the device will want this page'),
  37: event(records.F_VMS_FETCH, 'external abort: the virtual machine structure (STE.VMSPtr) could not be read'),
};

/** 0xE0 to 0xEF. */
export const IMPLEMENTATION_DEFINED_EVENT: Meaning = {
  name: 'IMPDEF_EVENT',
  text: 'an event that the implementation defines',
  clause: 'SMMUv3 7.3.21',
};

/** What an event number means, or null if it is reserved. */
export function eventMeaning(number: number): Meaning | null {
  if (number >= 0xe0 && number <= 0xef) return IMPLEMENTATION_DEFINED_EVENT;
  return EVENTS[number] ?? null;
}

/** The declaration of the record at `base`, or null if its event number has none. */
export function eventRecordAt(halves: ArrayLike<number>, base = 0): Layout<Fields> | null {
  return EVENTS[get(records.EVENT_ID, halves, base)]?.record ?? null;
}

const global = (name: string, text: string): Meaning => ({ name, text, clause: 'SMMUv3 6.3.19' });

/** Bits of GERROR that differ from GERRORN, by bit. */
export const GLOBAL_ERRORS: Meanings = {
  0: global('CMDQ_ERR', 'the command queue has stopped at a command; CMDQ_CONS.ERR says why'),
  2: global('EVENTQ_ABT_ERR', 'external abort: an event could not be written, and is lost'),
  3: global('PRIQ_ABT_ERR', 'external abort: a page request could not be written, and is lost'),
  4: global('MSI_CMDQ_ABT_ERR', 'external abort: the interrupt of a CMD_SYNC could not be written'),
  5: global('MSI_EVENTQ_ABT_ERR', 'external abort: the interrupt of the event queue could not be written'),
  6: global('MSI_PRIQ_ABT_ERR', 'external abort: the interrupt of the page request queue could not be written'),
  7: global('MSI_GERROR_ABT_ERR', 'external abort: the interrupt of a global error could not be written'),
  8: global('SFM_ERR', 'the SMMU is in service failure mode: it translates no more, and must be restarted'),
  9: global('CMDQP_ERR', 'an enhanced command queue has an error'),
  10: global('DPT_ERR', 'a look-up in the device permission table failed'),
};
