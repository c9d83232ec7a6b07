/** VT-d fault reasons and their recording. Clauses: VT-d specification, revision 5.10. */
import type { RegisterFile } from '../kit/register-file.ts';
import { FRCD_BASE, FRCD_HI, FSTS } from './registers.ts';

/** Legacy-mode fault reasons (VT-d 7.1.3, table 30). */
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
  14: 'the translation leads to the interrupt range',
};

/** Reasons that FPD does not suppress (VT-d 7.1.3, column "qualified"). */
export function isQualified(reason: number): boolean {
  return (
    reason !== FAULT.rootNotPresent &&
    reason !== FAULT.rootTableAddress &&
    reason !== FAULT.contextTableAddress &&
    reason !== FAULT.rootReserved
  );
}

/**
 * Records a fault in the one fault record, in the order of VT-d 7.2.1: while PFO is set or the record is full it is
 * lost; a full record sets PFO.
 * @param vpnHi upper part of the input page number, bits above 18
 * @param vpnLo lower 18 bits of the input page number
 * @returns whether it was recorded
 */
export function recordFault(
  regs: RegisterFile,
  reason: number,
  sid: number,
  vpnHi: number,
  vpnLo: number,
  isRead: boolean,
): boolean {
  if (regs.get(FSTS, FSTS.PFO) !== 0) return false;
  if (regs.get(FRCD_HI, FRCD_HI.F) !== 0) {
    regs.put(FSTS, FSTS.PFO, 1);
    return false;
  }
  // The address is vpn · 4096: bits 31:12 of it are vpn 19:0.
  regs.force32(FRCD_BASE, (vpnLo << 12) | (vpnHi << 30));
  regs.force32(FRCD_BASE + 4, (vpnHi >>> 2) | (Math.trunc(vpnHi / 0x100000000) << 30));
  regs.force32(FRCD_BASE + 8, sid);
  regs.force32(FRCD_BASE + 12, 0);
  regs.put(FRCD_HI, FRCD_HI.FR, reason);
  regs.put(FRCD_HI, FRCD_HI.T1, isRead ? 1 : 0);
  regs.put(FRCD_HI, FRCD_HI.F, 1);
  regs.put(FSTS, FSTS.FRI, 0);
  regs.put(FSTS, FSTS.PPF, 1);
  return true;
}

/** PPF follows the F bits (VT-d 11.4.7.1). */
export function refreshPending(regs: RegisterFile): void {
  regs.put(FSTS, FSTS.PPF, regs.get(FRCD_HI, FRCD_HI.F));
}
