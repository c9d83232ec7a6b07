/** SMMUv3: what each event (SMMUv3 7.3), each error of a command (7.1) and each global error (6.3.19) makes likely. */
import type { Suspect } from '../causes.ts';
import { suspects } from '../causes.ts';
import type { Missing } from '../suspects.ts';
import { BLOCKED, CORRUPT, DESCRIPTOR, missingPage, NO_PASID, OF_PROCESS, OVERFLOW, UNREADABLE } from '../suspects.ts';

/** What an event says of its transaction. */
export interface Transaction extends Missing {
  /** CLASS: the transaction's own address was refused (IN), not that of a table or a context descriptor. */
  readonly ownAddress: boolean;
  readonly stalled: boolean;
}

/** A write to GITS_TRANSLATER, offset 0x40 of a frame of 64 KiB that MSIs are written to. */
function isDoorbell({ access, address }: Transaction): boolean {
  return access === 'write' && address !== null && (address & 0xffffn) === 0x40n;
}

function translation(of: Transaction): Suspect[] {
  // QEMU has CLASS = CD in events of stage 2 whose address is the transaction's own: the doorbell comes first.
  const doorbell: Suspect[] = isDoorbell(of) ? [{ id: 'msi-doorbell', sure: 'likely' }] : [];
  const others = of.ownAddress
    ? missingPage({ ...of, own: ['firmware-ids'] })
    : suspects({ likely: ['table-unreadable'], possible: ['stale-structure-cache', 'kdump'] });
  return [...doorbell, ...others];
}

const OF_EVENT: Readonly<Record<number, readonly Suspect[] | ((of: Transaction) => Suspect[])>> = {
  1: suspects({ possible: ['request-type-blocked', 'hardware-error'] }),
  2: suspects({ likely: ['firmware-ids'], possible: ['wrong-requester-id', 'not-attached', 'kdump'] }),
  3: UNREADABLE,
  4: suspects({ likely: ['not-attached', 'corrupt-entry'], possible: ['firmware-ids', 'kdump'] }),
  5: BLOCKED,
  6: NO_PASID,
  7: BLOCKED,
  8: NO_PASID,
  9: UNREADABLE,
  10: ({ pasid }) => [...(pasid === null ? CORRUPT : NO_PASID)],
  11: suspects({ likely: ['table-unreadable'], possible: ['stale-structure-cache', 'hardware-error'] }),
  16: translation,
  17: suspects({ likely: ['corrupt-entry'], possible: ['address-width'] }),
  18: ({ pasid }) => (pasid === null ? suspects({ likely: ['corrupt-entry'] }) : [...OF_PROCESS]),
  19: (of) => (of.ownAddress ? missingPage({ ...of, present: true }) : [...CORRUPT]),
  32: suspects({ likely: ['break-before-make'], possible: ['mapped-twice'] }),
  33: CORRUPT,
  // A hint of the device is no fault.
  36: [],
  37: UNREADABLE,
};

/** @returns none for events of the implementation, and for numbers that the specification has not */
export function suspectsOf(event: number, of: Transaction): Suspect[] {
  const known = OF_EVENT[event] ?? [];
  const causes = typeof known === 'function' ? known(of) : [...known];
  return of.stalled ? [{ id: 'stalled', sure: 'certain' }, ...causes] : causes;
}

const QUEUE_MEMORY = suspects({ likely: ['table-unreadable', 'hardware-error'] });

/** By CMDQ_CONS.ERR; none where there is no error. */
const OF_COMMAND_ERROR: Readonly<Record<number, readonly Suspect[]>> = {
  0: [],
  1: DESCRIPTOR,
  2: QUEUE_MEMORY,
  3: suspects({ likely: ['invalidation-timeout'] }),
};

export function commandSuspects(error: number): Suspect[] {
  return OF_COMMAND_ERROR[error]?.slice() ?? [];
}

const LOST: readonly Suspect[] = [...OVERFLOW, ...QUEUE_MEMORY];
const MESSAGE = suspects({ likely: ['table-unreadable'], possible: ['hardware-error'] });

/** By bit of GERROR. */
const OF_GLOBAL_ERROR: Readonly<Record<number, readonly Suspect[]>> = {
  0: suspects({ likely: ['descriptor-damaged'], possible: ['invalidation-timeout', 'hardware-error'] }),
  2: LOST,
  3: LOST,
  4: MESSAGE,
  5: MESSAGE,
  6: MESSAGE,
  7: MESSAGE,
  8: suspects({ certain: ['hardware-error'] }),
  9: suspects({ likely: ['descriptor-damaged'], possible: ['invalidation-timeout'] }),
  10: UNREADABLE,
};

/** Those of several bits, each once. */
export function globalSuspects(bits: readonly number[]): Suspect[] {
  const all = bits.flatMap((bit) => OF_GLOBAL_ERROR[bit] ?? []);
  return all.filter(({ id }, i) => all.findIndex((other) => other.id === id) === i);
}
