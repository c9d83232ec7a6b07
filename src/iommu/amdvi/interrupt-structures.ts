/** AMD-Vi interrupt remapping table entries. Source: AMD publication 48882; see the README. */
import { address, bit, bits, fixed, named, structure } from '../../bits/index.ts';

const INT_TYPE = { 0: 'fixed', 1: 'arbitrated' } as const;
const DEST_MODE = { 0: 'physical', 1: 'logical' } as const;

/** Without CONTROL.GAEn: 32 bits, at bits 10:0 of the message's data · 4. */
export const IRTE = structure('interrupt remapping table entry', 32, 'AMD-Vi 2.2.5', {
  RemapEn: bit(0),
  /** A refused interrupt is no event. */
  SupIOPF: bit(1),
  IntType: named(bits(4, 2), INT_TYPE),
  RqEoi: bit(5),
  DM: named(bit(6), DEST_MODE),
  GuestMode: fixed(bit(7), 0),
  Destination: bits(15, 8),
  Vector: bits(23, 16),
});

/** With CONTROL.GAEn, for the host: 128 bits. Destination bits 31:8 with CONTROL.XTEn; without it Destination has 8 bits. */
export const IRTE_128 = structure('interrupt remapping table entry, 128 bits', 128, 'AMD-Vi 2.2.5', {
  RemapEn: bit(0),
  SupIOPF: bit(1),
  IntType: named(bits(4, 2), INT_TYPE),
  RqEoi: bit(5),
  DM: named(bit(6), DEST_MODE),
  GuestMode: fixed(bit(7), 0),
  Destination_23_0: bits(31, 8),
  Vector: bits(71, 64),
  Destination_31_24: bits(127, 120),
});

/** With CONTROL.GAEn, for a guest's virtual APIC. */
export const IRTE_GUEST = structure('interrupt remapping table entry, guest virtual APIC', 128, 'AMD-Vi 2.2.5', {
  RemapEn: bit(0),
  SupIOPF: bit(1),
  GALogIntr: bit(2),
  GAPPIDis: bit(5),
  IsRun: bit(6),
  GuestMode: fixed(bit(7), 1),
  Destination_23_0: bits(31, 8),
  GATag: bits(63, 32),
  Vector: bits(71, 64),
  GuestVirtualAPICTableRoot: address(115, 76),
  Destination_31_24: bits(127, 120),
});

/** Of the data of a message, which bits number the entry. */
export const IRTE_INDEX = bits(10, 0);

/** Requests to these addresses are interrupts. */
export const INTERRUPT_RANGE = { first: 0xfee00000, last: 0xfeefffff } as const;

/** What the unit writes when a guest's interrupt finds it not running (CONTROL.GALogEn). */
export const GA_LOG_ENTRY = structure('GA log entry', 64, 'AMD-Vi 2.7', {
  GATag: bits(31, 0),
  DeviceID: bits(47, 32),
  EntryType: named(bits(63, 60), { 1: 'guest not running' }),
});
