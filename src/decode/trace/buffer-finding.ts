/** A fault with the buffer of the DMA API that explains it, as a finding: surer than with pages alone, as the buffer is of the device that is in fault. */
import type { Suspect } from '../causes.ts';
import { suspects } from '../causes.ts';
import type { Finding } from '../finding.ts';
import type { BufferMatch } from './dma-buffers.ts';
import { BIDIRECTIONAL, FROM_DEVICE, TO_DEVICE } from './dma-event.ts';
import type { Fault } from './fault-finding.ts';
import { faultBase, sayLife } from './fault-finding.ts';
import type { FaultCause } from './fault-match.ts';
import { spanText } from './wording.ts';

/** What the trace says, or that the device may not do this with a buffer that is there. */
type Said = Exclude<FaultCause, 'none'> | 'direction';

const HEADS: Readonly<Record<Said, string>> = {
  direction: 'its buffer there is mapped for the other direction',
  unmapped: 'its buffer had been unmapped',
  mapped: 'its buffer was mapped at the time, and for this',
  'mapped-later': 'its buffer was mapped only later',
  behind: 'it is behind the end of a buffer',
};

const CAUSES_OF: Readonly<Record<Said, readonly Suspect[]>> = {
  direction: suspects({ certain: ['direction'] }),
  unmapped: suspects({ likely: ['unmap-before-completion'] }),
  mapped: suspects({ possible: ['not-attached', 'stale-structure-cache', 'wrong-requester-id'] }),
  'mapped-later': suspects({ possible: ['never-mapped', 'unmap-before-completion'] }),
  behind: suspects({ likely: ['overrun'], possible: ['never-mapped'] }),
};

const MAY: Readonly<Record<number, string>> = {
  [BIDIRECTIONAL]: 'to read and to write',
  [TO_DEVICE]: 'to read',
  [FROM_DEVICE]: 'to write',
};

/** @param maker name of the task of the match */
export function bufferFinding(fault: Fault, match: BufferMatch, maker: string): Finding {
  const { direction, end, start } = match;
  const said = sayOf(fault, match);
  const range = `0x${start.toString(16)} to 0x${(end - 1).toString(16)}`;
  return faultBase(fault, said, HEADS[said], CAUSES_OF[said], [
    ['because', sayCause(fault, match, said, maker)],
    ['buffer', `${range}, for the device ${MAY[direction] ?? 'for nothing'}, ${sayLife(match)}`],
  ]);
}

function sayOf({ access }: Fault, { cause, direction }: BufferMatch): Said {
  if (cause !== 'mapped') return cause as Exclude<FaultCause, 'none'>;
  const forbidden = direction === TO_DEVICE ? 'write' : direction === FROM_DEVICE ? 'read' : null;
  return access !== null && access === forbidden ? 'direction' : 'mapped';
}

function sayCause({ access, offset, page, time }: Fault, match: BufferMatch, said: Said, maker: string): string {
  switch (said) {
    case 'direction':
      return `the device ${access === 'write' ? 'wrote' : 'read'}, and the driver has mapped the buffer for it ${MAY[match.direction]} only`;
    case 'unmapped':
      return `${maker} had unmapped the buffer ${spanText(time - (match.unmapTime as number))} before (line ${match.unmapLine}); the fault may have been told later than it happened`;
    case 'mapped':
      return 'the driver had done what it must: the device is in another domain than its driver maps in, the IOMMU does not see the mapping, or the trace is of another moment';
    case 'mapped-later':
      return `it was mapped ${spanText((match.mapTime as number) - time)} after the fault (line ${match.mapLine}): the device was too early, or used an address of a buffer before`;
    default:
      return `it is ${(page * 4096 + offset - match.end).toLocaleString('en')} bytes behind the end of a buffer of the device`;
  }
}
