/** VT-d fault reasons. Clauses: VT-d specification, revision 5.10. */
import { INTERRUPT_FAULT, INTERRUPT_FAULT_TEXT } from './interrupt-faults.ts';
import { SM_FAULT_TEXT, SM_UNQUALIFIED } from './scalable-faults.ts';

/** Fault reasons of a unit in legacy mode, and of one that cannot be in the mode that is set (VT-d 7.1.3, table 30). */
export const FAULT = {
  rootNotPresent: 0x1,
  contextNotPresent: 0x2,
  contextInvalid: 0x3,
  beyondAddressWidth: 0x4,
  write: 0x5,
  read: 0x6,
  tableAddress: 0x7,
  rootTableAddress: 0x8,
  contextTableAddress: 0x9,
  rootReserved: 0xa,
  contextReserved: 0xb,
  pagingReserved: 0xc,
  blocked: 0xd,
  interruptRange: 0xe,
  tableMode: 0x30,
} as const;

/** What each reason means. */
export const FAULT_TEXT: Readonly<Record<number, string>> = {
  1: 'root entry not present',
  2: 'context entry not present',
  3: 'context entry invalid',
  4: 'address beyond the supported width',
  5: 'no write permission',
  6: 'no read permission',
  7: 'a paging entry could not be read',
  8: 'the root table could not be read',
  9: 'the context table could not be read',
  10: 'reserved bit set in the root entry',
  11: 'reserved bit set in the context entry',
  12: 'reserved bit set in a paging entry',
  13: 'request type blocked by the context entry',
  14: 'the request or its translation leads to the interrupt range',
  48: 'RTADDR names a translation table mode that the unit has not',
  ...SM_FAULT_TEXT,
  ...INTERRUPT_FAULT_TEXT,
};

/** Reasons that FPD does not suppress (VT-d 7.1.3, column "qualified"). */
export function isQualified(reason: number): boolean {
  return (
    reason !== FAULT.rootNotPresent &&
    reason !== FAULT.rootTableAddress &&
    reason !== FAULT.contextTableAddress &&
    reason !== FAULT.rootReserved &&
    reason !== FAULT.tableMode &&
    reason !== INTERRUPT_FAULT.notAnInterrupt &&
    !SM_UNQUALIFIED.has(reason)
  );
}
