/** What the RISC-V IOMMU writes to its fault and page-request queues. Clauses: RISC-V IOMMU architecture specification; see the README. */
import { address, bit, bits, named, namesOf, structure } from '../../bits/index.ts';
import { FAULTS } from './faults.ts';

/** Transaction type. 4 and 10 to 30 are reserved, 32 to 63 custom; 31 stands in the text as both. */
export const TTYP = named(bits(39, 34), {
  0: 'none: not by a transaction',
  1: 'untranslated execute',
  2: 'untranslated read',
  3: 'untranslated write or AMO',
  5: 'translated execute',
  6: 'translated read',
  7: 'translated write or AMO',
  8: 'ATS translation request',
  9: 'message request',
});

const REQUESTER = {
  PID: bits(31, 12),
  /** PV = 0: PID and PRIV are 0. */
  PV: bit(32),
  PRIV: named(bit(33), { 0: 'user', 1: 'supervisor' }),
} as const;

/** With TTYP = 0 DID, PV, PID and PRIV are 0. */
export const FAULT_RECORD = structure('fault record', 256, 'RISC-V IOMMU 3.2', {
  CAUSE: named(bits(11, 0), namesOf(FAULTS)),
  ...REQUESTER,
  TTYP,
  DID: bits(63, 40),
  custom: bits(95, 64),
  /** The IOVA; of a message request its code; with TTYP = 0 what the cause says. The offset in the page may be 0. */
  iotval: address(191, 128),
  /** Of guest-page faults a {@link GUEST_FAULT}, else 0. */
  iotval2: address(255, 192),
});

/** iotval2 of a guest-page fault (causes 20, 21 and 23). */
export const GUEST_FAULT = structure('iotval2 of a guest-page fault', 64, 'RISC-V IOMMU 3.2', {
  /** The access was the IOMMU's own, to a first-stage table. */
  implicit: bit(0),
  /** That access was a write: of A or D. */
  implicit_write: bit(1),
  GPA: address(63, 2),
});

/** R = W = 0 with L = 1 is a Stop Marker. */
export const PAGE_REQUEST = structure('page request record', 128, 'RISC-V IOMMU 3.3', {
  ...REQUESTER,
  EXEC: bit(34),
  DID: bits(63, 40),
  R: bit(64),
  W: bit(65),
  L: bit(66),
  PRGI: bits(75, 67),
  ADDR: address(127, 76),
});

/** Bytes of a record. */
export const FAULT_BYTES = 32;
export const PAGE_REQUEST_BYTES = 16;
