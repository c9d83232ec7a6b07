/** What QEMU says of its SMMUv3: with -trace (hw/arm/trace-events), and with -d guest_errors (hw/arm/smmuv3.c). */
import { CERROR } from '../../iommu/smmuv3/commands.ts';
import { EVENTS } from '../../iommu/smmuv3/events.ts';
import type { AccessKind, Detail, Finding, Requester } from '../finding.ts';
import { bdf, hexNumber, NOTHING } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import type { QemuEvent } from '../qemu-trace.ts';
import { HEX, numberIn, qemuTraceLines } from '../qemu-trace.ts';
import { DESCRIPTOR, DETACHED } from '../suspects.ts';
import { smmuEventFinding } from './event-finding.ts';
import { commandSuspects, globalSuspects } from './suspects.ts';

const NUMBER_OF = new Map(Object.entries(EVENTS).map(([number, { name }]) => [name, Number(number)]));

/** StreamIDs are in decimal until QEMU 5.0. */
const SID = String.raw`sid=(?<sid>0x[0-9a-f]{1,8}|\d{1,10})`;
const MAX_SID = 0xffffffff;

function streamOf({ sid }: Groups): Requester | null {
  const id = Number(sid);
  return id > MAX_SID ? null : { text: `sid 0x${id.toString(16)}`, id, pasid: null };
}

/** An event by its name in QEMU: `SMMU_EVT_F_TRANSLATION`. */
function eventOf(kind: string, name: string, address: bigint | null, streamId: number | null): Finding | null {
  const number = NUMBER_OF.get(name);
  if (number === undefined) return null;
  return smmuEventFinding({
    ...{ kind, number, streamId, unit: null, client: null, substreamId: null, access: null, fetch: null, ipa: null },
    ...{ input: address, ownAddress: true, stalled: false, details: [], structures: [] },
  });
}

const PCI_DETAIL = (id: number): Detail[] =>
  id > 0xffff ? [] : [['as requester id', `${bdf(id)}, where StreamIDs are those of PCI`]];

/** A request that was not translated. */
function request(what: string, severity: Finding['severity'], causes: Finding['causes']): QemuEvent['say'] {
  return (groups) => {
    const requester = streamOf(groups);
    const value = hexNumber(groups.iova ?? '');
    if (requester === null || value === null) return null;
    const access: AccessKind = groups.write === '1' ? 'write' : 'read';
    return {
      ...{ severity, requester, access, causes },
      summary: `${requester.text}: ${access} of 0x${value.toString(16)} ${what}`,
      address: { value, space: 'IOVA' },
      details: PCI_DETAIL(requester.id),
    };
  };
}

const REQUEST = (what: string) => String.raw`\S{1,80} ${SID} ${what} iova:${HEX('iova')} is_write=(?<write>[01])`;

const TRACED: readonly QemuEvent[] = [
  {
    name: 'smmuv3_record_event',
    body: `SMMU_EVT_(?<name>[A-Z][A-Z0-9_]{1,30}) ${SID}`,
    example: 'SMMU_EVT_F_TRANSLATION sid=0x8',
    say: (groups) => {
      const requester = streamOf(groups);
      if (requester === null) return null;
      const found = eventOf('', groups.name ?? '', null, requester.id);
      return found === null ? null : { ...found, kind: 'smmuv3.qemu-trace.record-event' };
    },
  },
  {
    name: 'smmuv3_translate_abort',
    body: String.raw`\S{1,80} ${SID} abort on iova:${HEX('iova')} is_write=(?<write>[01])`,
    example: 'smmuv3-iommu-memory-region-1-0 sid=0x8 abort on iova:0x1000 is_write=1',
    say: request('is aborted, without an event: its STE, or GBPA, says so', 'error', DETACHED),
  },
  {
    name: 'smmuv3_translate_bypass',
    body: REQUEST('STE bypass'),
    example: 'smmuv3-iommu-memory-region-1-0 sid=0x8 STE bypass iova:0x1000 is_write=1',
    say: request('is not translated: its STE says so', 'info', []),
  },
  {
    name: 'smmuv3_translate_disable',
    body: REQUEST(String.raw`bypass \(smmu disabled\)`),
    example: 'smmuv3-iommu-memory-region-1-0 sid=0x8 bypass (smmu disabled) iova:0x1000 is_write=1',
    say: request('is not translated: the SMMU is off', 'info', []),
  },
  {
    name: 'smmuv3_cmdq_consume_error',
    body: String.raw`Error on (?<command>\w{1,40}) command execution: (?<error>\d{1,3})`,
    example: 'Error on SMMU_CMD_CFGI_STE command execution: 1',
    say: ({ command, error }) => {
      const value = Number(error);
      const known = CERROR[value];
      const meaning = known?.text ?? 'an error that the specification has not';
      return {
        severity: 'error',
        summary: `the command queue stopped at ${command?.replace('SMMU_', '')}: ${meaning}`,
        code: { value, name: known?.name ?? 'ERR', meaning, clause: known?.clause ?? null },
        causes: commandSuspects(value),
      };
    },
  },
  {
    name: 'smmuv3_unhandled_cmd',
    body: String.raw`Unhandled command type=(?<type>\d{1,3})`,
    example: 'Unhandled command type=66',
    say: ({ type }) => ({
      severity: 'warning',
      summary: `a command of opcode 0x${Number(type).toString(16)} is ignored: QEMU does not know it`,
      causes: DESCRIPTOR,
    }),
  },
  {
    name: 'smmuv3_write_gerror',
    body: `toggled=${HEX('toggled')}, new GERROR=${HEX('gerror')}`,
    example: 'toggled=0x1, new GERROR=0x1',
    say: (groups) => {
      const toggled = numberIn(groups, 'toggled');
      if (toggled === null) return null;
      const bits = Array.from({ length: 32 }, (_, n) => n).filter((n) => ((toggled >>> n) & 1) === 1);
      return {
        severity: 'error',
        summary: `a global error: bits ${bits.join(', ')} of GERROR became active`,
        causes: globalSuspects(bits),
      };
    },
  },
];

export const QEMU_LINES: readonly LineFormat[] = [
  ...qemuTraceLines('smmuv3', 'smmuv3_', TRACED),
  {
    id: 'smmuv3.qemu-fault',
    needle: ' translation failed for iova=',
    pattern:
      /smmuv3-iommu-memory-region-(?<devfn>\d{1,3})-\d{1,5} translation failed for iova=(?<iova>0x[0-9a-f]{1,16}) ?\(SMMU_EVT_(?<name>[A-Z][A-Z0-9_]{1,30})\)/,
    example: 'smmuv3-iommu-memory-region-8-3 translation failed for iova=0x8090040 (SMMU_EVT_F_TRANSLATION)',
    printedBy: 'QEMU with -d guest_errors',
    decode: ({ devfn, iova, name }) => {
      const value = hexNumber(iova ?? '');
      const found = value === null ? null : eventOf('smmuv3.qemu-fault', name ?? '', value, null);
      const id = Number(devfn);
      if (found === null || id > 0xff) return null;
      return {
        ...found,
        // A bus gets its number only later: the line has the device and the function alone.
        details: [['device and function', `${bdf(id).slice(3)}, on whatever bus`]],
      };
    },
  },
  {
    id: 'smmuv3.qemu-invalid-ste',
    needle: 'invalid STE',
    pattern: /\binvalid STE\s*$/,
    example: 'invalid STE',
    printedBy: 'QEMU with -d guest_errors',
    decode: () => ({
      ...NOTHING,
      kind: 'smmuv3.qemu-invalid-ste',
      model: 'smmuv3',
      severity: 'warning',
      summary: "a stream's table entry is not valid: its device is not set up, or no longer",
      causes: [...DETACHED],
    }),
  },
];
