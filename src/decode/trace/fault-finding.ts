/** A fault with the map or unmap that explains it, as a finding. */
import type { Suspect } from '../causes.ts';
import { suspects } from '../causes.ts';
import type { AccessKind, Detail, Finding } from '../finding.ts';
import { NOTHING, pciRequester } from '../finding.ts';
import type { FaultCause, FaultMatch } from './fault-match.ts';
import { addressOf, rangeText, spanText } from './wording.ts';

/** A fault, of the trace itself or of a log. */
export interface Fault {
  readonly page: number;
  readonly offset: number;
  /** Seconds. */
  readonly time: number;
  /** Where it is told. */
  readonly input: string;
  readonly line: number;
  readonly device: string;
  readonly access: AccessKind | null;
  /** Kind of the finding that a line of a log gave; null where the trace has it. */
  readonly kind: string | null;
}

const CAUSES_OF: Readonly<Record<FaultCause, readonly Suspect[]>> = {
  unmapped: suspects({ likely: ['unmap-before-completion'], possible: ['wrong-requester-id'] }),
  mapped: suspects({ possible: ['direction', 'wrong-requester-id', 'not-attached', 'stale-structure-cache'] }),
  'mapped-later': suspects({ possible: ['never-mapped', 'unmap-before-completion'] }),
  behind: suspects({ likely: ['overrun'], possible: ['never-mapped'] }),
  none: suspects({ possible: ['never-mapped', 'reserved-region', 'wrong-requester-id'] }),
};

/** @param maker name of the task of the match */
export function faultFinding(fault: Fault, match: FaultMatch, maker: string): Finding {
  const { access, device, kind, line, offset, page } = fault;
  const address = addressOf(page, offset);
  const where = `0x${address.toString(16)}`;
  const details: Detail[] = [['because', sayCause(fault, match, maker)]];
  if (match.cause !== 'none') details.push(['mapping', `${rangeText(match.start, match.end)}, ${sayMapped(match)}`]);
  if (kind !== null) details.push(['fault', `${kind} on line ${line} of ${fault.input}`]);
  return {
    ...NOTHING,
    kind: `trace.fault.${match.cause}`,
    model: 'linux',
    severity: 'error',
    summary: `${device}: fault at ${where}: ${HEADS[match.cause]}`,
    requester: pciRequester(device),
    access,
    address: { value: address, space: 'IOVA' },
    details,
    causes: CAUSES_OF[match.cause],
  };
}

const HEADS: Readonly<Record<FaultCause, string>> = {
  unmapped: 'its pages had been unmapped',
  mapped: 'its pages were mapped at the time, in one domain',
  'mapped-later': 'its pages were mapped only later',
  behind: 'it is behind the end of a mapping',
  none: 'the trace never maps it',
};

function sayCause({ offset, page, time }: Fault, match: FaultMatch, maker: string): string {
  switch (match.cause) {
    case 'unmapped':
      return `${maker} had unmapped it ${spanText(time - (match.unmapTime as number))} before (line ${match.unmapLine}); the fault may have been told later than it happened`;
    case 'mapped':
      return match.unmapTime === null
        ? 'it was mapped, and still is: for the other direction, in another domain than the device is in, or not visible to the IOMMU'
        : `it was mapped, and unmapped ${spanText(match.unmapTime - time)} after the fault (line ${match.unmapLine}): for the other direction, or in another domain than the device is in`;
    case 'mapped-later':
      return `it was mapped ${spanText((match.mapTime as number) - time)} after the fault (line ${match.mapLine}): the device was too early, or used an address of somebody before`;
    case 'behind':
      return `it is ${((page - match.end) * 4096 + offset).toLocaleString('en')} bytes behind the end of a mapping${match.unmapTime === null ? '' : ' that has been unmapped since'}`;
    default:
      return 'no map or unmap of the trace has to do with it: never mapped, mapped before the trace began and not unmapped in it, or of a device whose maps are not traced';
  }
}

function sayMapped({ mapLine, mapTime, maker: _, unmapTime }: FaultMatch): string {
  if (mapTime === null) return 'mapped before the trace began';
  const lived = unmapTime === null ? '' : `, for ${spanText(unmapTime - mapTime)}`;
  return `mapped on line ${mapLine}${lived}`;
}
