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

/** @param head what has happened, behind where */
export function faultBase(
  fault: Fault,
  cause: string,
  head: string,
  causes: readonly Suspect[],
  details: readonly Detail[],
): Finding {
  const { access, device, input, kind, line, offset, page } = fault;
  const address = addressOf(page, offset);
  return {
    ...NOTHING,
    kind: `trace.fault.${cause}`,
    model: 'linux',
    severity: 'error',
    summary: `${device}: fault at 0x${address.toString(16)}: ${head}`,
    requester: pciRequester(device),
    access,
    address: { value: address, space: 'IOVA' },
    details: kind === null ? details : [...details, ['fault', `${kind} on line ${line} of ${input}`]],
    causes,
  };
}

/**
 * @param maker name of the task of the match
 * @param others devices that had a buffer there
 */
export function faultFinding(fault: Fault, match: FaultMatch, maker: string, others: readonly string[] = []): Finding {
  const details: Detail[] = [['because', sayCause(fault, match, maker)]];
  if (match.cause !== 'none') details.push(['mapping', `${rangeText(match.start, match.end)}, ${sayLife(match)}`]);
  if (others.length > 0)
    details.push([
      'others',
      `${others.join(', ')} had a buffer there at the time: the requester id may be of another than the device that the driver maps for`,
    ]);
  return faultBase(fault, match.cause, HEADS[match.cause], CAUSES_OF[match.cause], details);
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

/** Since when it was mapped, and for how long. */
export function sayLife({ mapLine, mapTime, unmapTime }: FaultMatch): string {
  if (mapTime === null) return 'mapped before the trace began';
  const lived = unmapTime === null ? '' : `, for ${spanText(unmapTime - mapTime)}`;
  return `mapped on line ${mapLine}${lived}`;
}
