/** AMD-Vi: what each event, by its flags, makes likely. */
import type { Suspect } from '../causes.ts';
import { suspects } from '../causes.ts';
import type { AccessKind } from '../finding.ts';
import { BLOCKED, CORRUPT, DESCRIPTOR, DETACHED, missingPage, NO_PASID, RANGE } from '../suspects.ts';

/** What an event says of its request. */
export interface Request {
  /** Values of the event's flags, by name: {@link flagsOf}. */
  readonly flags: Readonly<Record<string, number>>;
  readonly access: AccessKind | null;
  readonly pasid: number | null;
  readonly address: bigint | null;
  /** Domain 0 is what Linux gives to devices that are blocked, and to those that pass. */
  readonly domain: number | null;
}

const INTERRUPT_GONE = suspects({
  likely: ['interrupt-freed'],
  possible: ['interrupt-format', 'kdump', 'wrong-requester-id', 'resume'],
});

function pageFault({ access, address, domain, flags, pasid }: Request): Suspect[] {
  if (flags.I === 1) return flags.PR === 1 ? [...CORRUPT] : [...INTERRUPT_GONE];
  if (flags.RZ === 1) return suspects({ likely: ['corrupt-entry'], possible: ['stale-structure-cache'] });
  // Present and refused in domain 0: no page says that, but a device table entry whose IR and IW are 0.
  if (flags.PE === 1 && domain === 0 && pasid === null)
    return suspects({
      likely: ['not-attached', 'reserved-region'],
      possible: ['kdump', 'wrong-requester-id', 'resume'],
    });
  return missingPage({ access, address, pasid, present: flags.PE === 1, own: ['resume', 'caching-mode'] });
}

/** The entry of the device table is at fault. */
function illegalEntry({ flags }: Request): Suspect[] {
  // RZ = 0 is an encoding that the unit does not take: since SNP, mode 0 with TV = 1 is one.
  return flags.RZ === 1
    ? suspects({ likely: ['corrupt-entry', 'resume'], possible: ['kdump'] })
    : suspects({ likely: ['corrupt-entry'], possible: ['resume', 'kdump'] });
}

/** INVALID_DEVICE_REQUEST, by Type and TR (AMD-Vi 2.5.9): about ATS, about the range of interrupts, or about others. */
function invalidRequest({ flags }: Request): Suspect[] {
  if (flags.TR === 1) return flags.Type === 0 ? [...BLOCKED] : [...RANGE];
  return INVALID_REQUEST[flags.Type ?? -1]?.slice() ?? [];
}

const SPECIAL_RANGE = suspects({ likely: ['never-mapped'], possible: ['interrupt-range'] });
const INVALID_REQUEST: Readonly<Record<number, readonly Suspect[]>> = {
  0: RANGE,
  1: suspects({ likely: ['request-type-blocked', 'missing-device-tlb-invalidation'], possible: ['not-attached'] }),
  2: DETACHED,
  3: SPECIAL_RANGE,
  4: SPECIAL_RANGE,
  5: suspects({ likely: ['interrupt-format'], possible: ['not-attached', 'resume'] }),
  6: RANGE,
  7: DETACHED,
};

const UNREADABLE_TABLE = suspects({ likely: ['table-unreadable'], possible: ['hardware-error', 'kdump'] });
const NOTHING_WRONG: readonly Suspect[] = [];

/** By event code (AMD-Vi 2.5); a counter that came round to 0 is no fault. */
const OF_EVENT: Readonly<Record<number, readonly Suspect[] | ((request: Request) => Suspect[])>> = {
  1: illegalEntry,
  2: pageFault,
  3: UNREADABLE_TABLE,
  4: UNREADABLE_TABLE,
  5: DESCRIPTOR,
  6: suspects({ likely: ['hardware-error'], possible: ['descriptor-damaged'] }),
  7: suspects({ likely: ['invalidation-timeout'] }),
  8: invalidRequest,
  9: NO_PASID,
  10: NOTHING_WRONG,
  11: suspects({ likely: ['overflow'], possible: ['table-unreadable'] }),
  12: UNREADABLE_TABLE,
  13: suspects({ likely: ['rmp-owner'], possible: ['unmap-before-completion'] }),
  14: suspects({ likely: ['hardware-error'], possible: ['rmp-owner'] }),
};

/** @returns none for a code that the specification has not */
export function suspectsOf(code: number, request: Request): Suspect[] {
  const known = OF_EVENT[code] ?? NOTHING_WRONG;
  return typeof known === 'function' ? known(request) : [...known];
}
