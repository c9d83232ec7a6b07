/** FreeBSD's lines of VT-d faults (sys/x86/iommu/intel_fault.c): a fault record's fields as they are, and the fault status in words. */
import { suspects } from '../causes.ts';
import type { Finding } from '../finding.ts';
import { bdf, hexNumber, NOTHING } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import { OVERFLOW } from '../suspects.ts';
import { fault, interruptFault } from './fault-lines.ts';

/** AT of a fault record (VT-d 11.4.7.6). */
const ADDRESS_TYPE = ['untranslated', 'translation request', 'translated', null] as const;

/** Conditions 20h to 2Fh are of interrupt requests (VT-d 7.1.3, table 30): the index is in bits 63:48 of the record. */
const INTERRUPT_REASONS = 0x20;
const INDEX_AT = 48n;

function record({ acc, address, adt, reason, sid, who }: Groups): Finding | null {
  const id = Number.parseInt(sid ?? '', 16);
  const value = hexNumber(address ?? '');
  const type = ADDRESS_TYPE[Number.parseInt(adt ?? '', 16)] ?? null;
  if (id > 0xffff || value === null || type === null) return null;
  const device = bdf(id);
  const isInterrupt = (Number.parseInt(reason ?? '', 16) & 0xf0) === INTERRUPT_REASONS;
  const finding = isInterrupt
    ? interruptFault({ device, reason, address: (value >> INDEX_AT).toString(16) }, true)
    : fault({ device, reason, address, type: acc === '1' ? 'read' : 'write' }, true);
  if (finding === null) return null;
  const driver: Finding['details'] =
    who === undefined ? [['driver', 'none: nothing was mapped for it']] : [['driver', who]];
  return { ...finding, details: [...driver, ...(type === 'untranslated' ? [] : [['address type', type] as const])] };
}

interface Status {
  readonly id: string;
  readonly text: string;
  readonly says: string;
  readonly severity: Finding['severity'];
  readonly causes: Finding['causes'];
}

const STATUS: readonly Status[] = [
  {
    id: 'overflow',
    text: 'Fault Overflow',
    says: 'faults were lost, as no record was free (FSTS.PFO)',
    severity: 'warning',
    causes: [...OVERFLOW],
  },
  {
    id: 'time-out',
    text: 'Invalidation timed out',
    says: 'a device did not answer an invalidation of its device-TLB in time (FSTS.ITE)',
    severity: 'error',
    causes: suspects({ likely: ['invalidation-timeout'] }),
  },
  {
    id: 'completion',
    text: 'Invalidation completion error',
    says: 'a device answered an invalidation wrongly (FSTS.ICE)',
    severity: 'error',
    causes: suspects({ likely: ['invalidation-timeout'], rare: ['hardware-error'] }),
  },
  {
    id: 'queue',
    text: 'Invalidation queue error',
    says: 'the invalidation queue stopped: a descriptor is damaged, or could not be read (FSTS.IQE)',
    severity: 'error',
    causes: suspects({ likely: ['descriptor-damaged'] }),
  },
];

export const FREEBSD_LINES: readonly LineFormat[] = [
  {
    id: 'vtd.fault.freebsd',
    needle: ' fault acc ',
    pattern:
      /DMAR\d{1,3}: (?:<unknown dev>:|(?<who>[\w-]{1,32}): )pci\d{1,3}:\d{1,3}:\d{1,3} sid (?<sid>[0-9a-f]{1,4}) fault acc (?<acc>[01]) adt 0x(?<adt>[0-3]) reason 0x(?<reason>[0-9a-f]{1,2}) addr (?<address>[0-9a-f]{1,16})/,
    example: 'DMAR1: nvme0: pci2:0:0 sid 200 fault acc 0 adt 0x0 reason 0x5 addr ffff0000',
    printedBy: 'FreeBSD 10.2 and later',
    decode: record,
  },
  ...STATUS.map(
    ({ causes, id, says, severity, text }): LineFormat => ({
      id: `vtd.freebsd-status.${id}`,
      needle: `: ${text}`,
      pattern: new RegExp(String.raw`\bDMAR(?<unit>\d{1,3}): ${text}`),
      example: `DMAR0: ${text}`,
      printedBy: 'FreeBSD 10.2 and later',
      decode: ({ unit }) => ({
        ...{ ...NOTHING, kind: 'vtd.freebsd-status', model: 'vtd', severity, causes },
        summary: `unit ${unit}: ${says}`,
      }),
    }),
  ),
];
