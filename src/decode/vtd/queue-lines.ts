/** Linux's lines of errors of the VT-d invalidation queue (qi_dump_fault, qi_check_fault of drivers/iommu/intel/dmar.c). */
import { IQEI_TEXT } from '../../iommu/vtd/commands.ts';
import { suspects } from '../causes.ts';
import type { Code, Finding } from '../finding.ts';
import { bdf, hexNumber, NOTHING, pciRequester } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import { decodedOrNull } from '../structure.ts';
import { VTD_DESCRIPTOR } from './kinds.ts';

const IQEI_ALL = 0xf;
const SID_ALL = 0xffff;
/** Of units that do not say which device it was; the host bridge has no device-TLB. */
const SID_NONE = 0;

function queueError({ reason }: Groups): Finding | null {
  const value = Number.parseInt(reason ?? '', 16);
  if (value > IQEI_ALL) return null;
  const known = IQEI_TEXT[value];
  const code: Code = {
    value,
    name: 'IQEI',
    meaning: known ?? (value === IQEI_ALL ? 'all ones, which no register holds' : 'a value that revision 5.10 has not'),
    clause: known === undefined ? null : 'VT-d 11.4.9.9',
  };
  return {
    ...NOTHING,
    kind: 'vtd.queue-error',
    model: 'vtd',
    severity: 'error',
    summary: `the invalidation queue stopped: ${code.meaning} (IQEI ${value})`,
    code,
    causes: suspects(value === IQEI_ALL ? { likely: ['registers-gone'] } : { likely: ['descriptor-damaged'] }),
  };
}

/** A device-TLB invalidation that was not, or wrongly, completed. */
function deviceError({ sid }: Groups, kind: 'time-out' | 'completion'): Finding | null {
  const id = Number.parseInt(sid ?? '', 16);
  if (id > 0xffff) return null;
  const unknown = id === SID_ALL || id === SID_NONE;
  const who = unknown ? `a device that is not named (${id.toString(16)})` : bdf(id);
  const what =
    kind === 'time-out'
      ? `${who} did not complete an invalidation of its device-TLB in time`
      : `${who} completed an invalidation of its device-TLB wrongly`;
  return {
    ...NOTHING,
    kind: `vtd.invalidation-${kind}-error`,
    model: 'vtd',
    severity: 'error',
    summary: what,
    requester: unknown ? null : pciRequester(bdf(id)),
    details:
      id === SID_NONE
        ? [['device', 'look for the SID of the device-TLB invalidation that QI PRIOR or QI HEAD shows']]
        : [],
    causes:
      id === SID_ALL
        ? suspects({ likely: ['registers-gone'], possible: ['invalidation-timeout'] })
        : suspects({ likely: ['invalidation-timeout'] }),
  };
}

/** The descriptor at the queue's head, or the one before it. */
function descriptor({ place, low, high }: Groups): Finding | null {
  const words = [hexNumber(low ?? ''), hexNumber(high ?? '')];
  if (words.some((word) => word === null)) return null;
  const at = place?.toUpperCase() === 'HEAD' ? 'at the head' : 'before the head';
  const base = { ...NOTHING, kind: 'vtd.queue-descriptor', model: 'vtd', severity: 'info' } as const;
  if (words.every((word) => word === 0n)) {
    return { ...base, summary: `the descriptor ${at} is all zero: none was written there, or memory was overwritten` };
  }
  const decoded = decodedOrNull(VTD_DESCRIPTOR, words as bigint[]);
  if (decoded === null)
    return { ...base, severity: 'warning', summary: `the descriptor ${at} has no type that the specification has` };
  const sid = decoded.fields.find(({ name }) => name === 'SID');
  const requester = sid === undefined ? null : pciRequester(bdf(Number(sid.value)));
  return {
    ...base,
    summary: `the descriptor ${at}: ${decoded.name}${requester === null ? '' : ` of ${requester.text}`}`,
    structures: [decoded],
  };
}

export const QUEUE_LINES: readonly LineFormat[] = [
  {
    id: 'vtd.queue-error',
    needle: 'VT-d detected Invalidation',
    pattern: /VT-d detected Invalidation Queue Error: Reason (?<reason>[0-9a-f]{1,2})/i,
    example: 'DMAR: VT-d detected Invalidation Queue Error: Reason 4',
    printedBy: 'Linux 5.14 and later',
    decode: queueError,
  },
  {
    id: 'vtd.invalidation-time-out-error',
    needle: 'VT-d detected Invalidation',
    pattern: /VT-d detected Invalidation Time-out Error: SID (?<sid>[0-9a-f]{1,4})\b/i,
    example: 'DMAR: VT-d detected Invalidation Time-out Error: SID 300',
    printedBy: 'Linux 5.14 and later',
    decode: (groups) => deviceError(groups, 'time-out'),
  },
  {
    id: 'vtd.invalidation-completion-error',
    needle: 'VT-d detected Invalidation',
    pattern: /VT-d detected Invalidation Completion Error: SID (?<sid>[0-9a-f]{1,4})\b/i,
    example: 'DMAR: VT-d detected Invalidation Completion Error: SID 300',
    printedBy: 'Linux 5.14 and later',
    decode: (groups) => deviceError(groups, 'completion'),
  },
  {
    id: 'vtd.queue-descriptor',
    needle: ', qw1 = ',
    pattern:
      /QI (?<place>HEAD|PRIOR): .{0,60}?qw0 = (?:0x)?(?<low>[0-9a-f]{1,16}), qw1 = (?:0x)?(?<high>[0-9a-f]{1,16})/i,
    example: 'DMAR: QI HEAD: Invalidation Wait qw0 = 0x200000025, qw1 = 0x100059c04',
    printedBy: 'Linux 5.14 and later',
    decode: descriptor,
  },
  {
    id: 'vtd.error-cleared',
    needle: ') cleared',
    pattern: /Invalidation (?<what>Queue|Time-out|Completion) Error \((?<bit>IQE|ITE|ICE)\) cleared/,
    example: 'DMAR: Invalidation Time-out Error (ITE) cleared',
    printedBy: 'Linux 5.14 and later',
    decode: ({ bit }) => ({
      ...NOTHING,
      kind: 'vtd.error-cleared',
      model: 'vtd',
      severity: 'info',
      summary: `FSTS.${bit} was cleared: the queue goes on`,
    }),
  },
  {
    id: 'vtd.pte-already-set',
    needle: 'DMA PTE for vPFN',
    pattern:
      /ERROR: DMA PTE for vPFN (?:0x)?(?<vpfn>[0-9a-f]{1,16}) already set \(to (?<old>[0-9a-f]{1,16}) not (?<new>[0-9a-f]{1,16})\)/i,
    example: 'DMAR: ERROR: DMA PTE for vPFN 0x7f6de already set (to 1030e5003 not 2207f1003)',
    printedBy: 'Linux',
    decode: alreadySet,
  },
];

/** A page is mapped where one is mapped already. */
function alreadySet({ vpfn, old, new: wanted }: Groups): Finding | null {
  const page = hexNumber(vpfn ?? '');
  if (page === null || page >> 52n !== 0n) return null;
  return {
    ...NOTHING,
    kind: 'vtd.pte-already-set',
    model: 'vtd',
    severity: 'error',
    summary: `0x${(page << 12n).toString(16)} was mapped while it was mapped already (entry 0x${old}, wanted 0x${wanted})`,
    address: { value: page << 12n, space: 'IOVA' },
    causes: suspects({ likely: ['mapped-twice'] }),
  };
}
