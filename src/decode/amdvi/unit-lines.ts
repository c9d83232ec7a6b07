/** Linux's lines of AMD-Vi units that are no events: devices in no domain, a queue that does not get on, a log that ran over. */
import { suspects } from '../causes.ts';
import type { Finding } from '../finding.ts';
import { NOTHING, pciRequester } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import { DETACHED, OVERFLOW } from '../suspects.ts';

/** A DMA fault of a device that Linux knows, and has in no domain; the second line names it. */
function notAttached({ device, domain }: Groups): Finding | null {
  const requester = device === undefined ? null : pciRequester(device);
  if (device !== undefined && requester === null) return null;
  return {
    ...NOTHING,
    kind: 'amdvi.not-attached',
    model: 'amdvi',
    severity: 'error',
    summary: `${device ?? 'a device that is not named'}: DMA of a device that is in no domain`,
    requester,
    details: domain === undefined ? [] : [['domain', `0x${domain}`]],
    causes: [...DETACHED],
  };
}

const BDF = String.raw`[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]`;

/** A log of the unit was full. */
function overflow(id: string, needle: string, example: string, printedBy: string): LineFormat {
  return {
    ...{ id, needle, example, printedBy },
    pattern: new RegExp(`IOMMU (?<log>event|PPR|GA) ${needle}`, 'i'),
    decode: ({ log }) => ({
      ...NOTHING,
      kind: id,
      model: 'amdvi',
      severity: 'warning',
      summary: `the ${log} log ran over: entries were lost, and it was started again`,
      causes: [...OVERFLOW],
    }),
  };
}

export const UNIT_LINES: readonly LineFormat[] = [
  {
    id: 'amdvi.not-attached',
    needle: 'Device not attached to domain properly',
    pattern: /Event logged \[Device not attached to domain properly\]/,
    example: 'AMD-Vi: Event logged [Device not attached to domain properly]',
    printedBy: 'Linux 6.3 and later',
    decode: () => notAttached({}),
    follow: {
      pattern: new RegExp(String.raw`\s\sdevice=(?<device>${BDF}) domain=0x(?<domain>[0-9a-f]{1,5})\b`, 'i'),
      count: 1,
      example: ['AMD-Vi:   device=0000:06:00.0 domain=0x0000'],
      decode: (_, [second]) => notAttached(second ?? {}),
    },
  },
  {
    id: 'amdvi.completion-timeout',
    needle: 'Completion-Wait loop timed out',
    pattern: new RegExp(`(?:IOMMU (?<unit>${BDF}): )?Completion-Wait loop timed out`, 'i'),
    example: 'AMD-Vi: IOMMU 0000:00:00.2: Completion-Wait loop timed out',
    printedBy: 'Linux; which unit, since 6.18',
    decode: ({ unit }) => ({
      ...NOTHING,
      kind: 'amdvi.completion-timeout',
      model: 'amdvi',
      severity: 'error',
      summary: `${unit === undefined ? 'a unit' : `unit ${unit}`} did not complete a COMPLETION_WAIT in time: invalidations before it may not have happened`,
      causes: suspects({ likely: ['queue-stuck', 'invalidation-timeout'], possible: ['hardware-error'] }),
    }),
  },
  {
    id: 'amdvi.buffer-timeout',
    needle: 'Command buffer timeout',
    pattern: /AMD-Vi: Command buffer timeout/i,
    example: 'AMD-Vi: Command buffer timeout',
    printedBy: 'Linux 4.8 and later',
    decode: () => ({
      ...NOTHING,
      kind: 'amdvi.buffer-timeout',
      model: 'amdvi',
      severity: 'error',
      summary: 'the command buffer stayed full: the unit takes no commands',
      causes: suspects({ likely: ['queue-stuck'], possible: ['hardware-error', 'invalidation-timeout'] }),
    }),
  },
  overflow('amdvi.log-restart', 'log restarting', 'AMD-Vi: IOMMU Event log restarting', 'Linux 6.5 and later'),
  overflow('amdvi.log-overflow', 'log overflow', 'AMD-Vi: IOMMU event log overflow', 'Linux 5.13 to 6.4'),
  {
    id: 'amdvi.no-event',
    needle: 'No event written to event log',
    pattern: /No event written to event log/,
    example: 'AMD-Vi: No event written to event log',
    printedBy: 'Linux 3.10 and later',
    decode: () => ({
      ...NOTHING,
      kind: 'amdvi.no-event',
      model: 'amdvi',
      severity: 'warning',
      summary: 'the tail of the event log moved, and its entry was not written (erratum 732 has it late)',
      causes: suspects({ possible: ['hardware-error'] }),
    }),
  },
];
