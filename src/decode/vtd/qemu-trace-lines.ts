/** QEMU's trace of its VT-d unit (hw/i386/trace-events). */
import type { Suspect } from '../causes.ts';
import { suspects } from '../causes.ts';
import type { Finding } from '../finding.ts';
import { hexNumber } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import type { QemuEvent } from '../qemu-trace.ts';
import {
  BDF,
  DECIMAL,
  HEX,
  numberIn,
  plainEvent,
  qemuTraceLines,
  requesterOfId,
  requesterOfText,
} from '../qemu-trace.ts';
import { decodedOrNull, reservedText } from '../structure.ts';
import { DESCRIPTOR, DETACHED, UNREADABLE } from '../suspects.ts';
import { VTD_DESCRIPTOR } from './kinds.ts';
import { reasonCode } from './reason.ts';
import { suspectsOf } from './suspects.ts';

const MAX_REASON = 0xff;

function fault(groups: Groups) {
  const sid = numberIn(groups, 'sid', 16);
  const at = hexNumber(groups.address ?? '');
  const reason = Number(groups.reason);
  if (sid === null || at === null || reason > MAX_REASON) return null;
  const requester = requesterOfId(sid);
  const access = groups.write === '1' ? ('write' as const) : ('read' as const);
  const code = reasonCode(reason);
  return {
    severity: 'error' as const,
    summary: `${requester?.text}: DMA ${access} of 0x${at.toString(16)} refused: ${code.meaning} (reason 0x${reason.toString(16)})`,
    ...{ requester, access, code },
    address: { value: at, space: 'IOVA' as const },
    causes: suspectsOf(reason, null, at, access),
  };
}

/** A descriptor that the unit takes from its queue. */
function descriptor({ high, low }: Groups) {
  const words = [hexNumber(low ?? ''), hexNumber(high ?? '')];
  if (words.some((word) => word === null)) return null;
  const decoded = decodedOrNull(VTD_DESCRIPTOR, words as bigint[]);
  if (decoded === null)
    return {
      severity: 'error' as const,
      summary: 'the unit takes a descriptor that has no type of the specification',
      causes: DESCRIPTOR,
    };
  const reserved = reservedText(decoded);
  return {
    severity: reserved === null ? ('info' as const) : ('error' as const),
    summary: `the unit takes a descriptor: ${decoded.name}${reserved === null ? '' : `; reserved ${reserved} set`}`,
    structures: [decoded],
    causes: reserved === null ? [] : DESCRIPTOR,
  };
}

function atDevice(what: string, severity: Finding['severity'], causes: readonly Suspect[]) {
  return ({ device }: Groups) => {
    const requester = requesterOfText(device);
    return requester === null ? null : { severity, summary: `${requester.text}: ${what}`, requester, causes };
  };
}

/** The MSI of an interrupt and its remapping entry differ. */
function mismatch(what: string, name: string): QemuEvent['say'] {
  return (groups) => {
    const sid = numberIn(groups, 'sid', 16);
    if (sid === null) return null;
    const requester = requesterOfId(sid);
    return {
      severity: 'warning',
      summary: `${requester?.text}: the ${what} of its interrupt is ${groups.is}, that of remapping entry ${groups.index} is ${groups.entry}`,
      requester,
      access: 'interrupt',
      address: { value: BigInt(groups.index ?? 0), space: 'interrupt index' },
      details: [[name, `${groups.is}, and ${groups.entry} in the entry`]],
      causes: suspects({ likely: ['interrupt-source'], possible: ['interrupt-freed'] }),
    };
  };
}

const skipped = (why: string, causes: readonly Suspect[]): QemuEvent['say'] => {
  return ({ end, start }) => {
    const at = hexNumber(start ?? '');
    if (at === null) return null;
    return {
      severity: 'warning',
      summary: `what 0x${at.toString(16)} to ${end} maps was not told to the devices' own tables: ${why}`,
      address: { value: at, space: 'IOVA' },
      causes,
    };
  };
};

const EVENTS: readonly QemuEvent[] = [
  {
    name: 'vtd_dmar_fault',
    body: `sid ${HEX('sid')} fault ${DECIMAL('reason')} addr ${HEX('address')} write (?<write>[01])`,
    example: 'sid 0x20 fault 5 addr 0x1000 write 1',
    say: fault,
  },
  {
    name: 'vtd_re_not_present',
    body: String.raw`Root entry bus (?<bus>\d{1,3}) not present`,
    example: 'Root entry bus 3 not present',
    say: ({ bus }) => ({
      severity: 'warning',
      summary: `no root entry for bus 0x${Number(bus).toString(16)}: no device of it is set up`,
      causes: DETACHED,
    }),
  },
  {
    name: 'vtd_ce_not_present',
    body: String.raw`Context entry bus (?<bus>\d{1,3}) devfn (?<devfn>\d{1,3}) not present`,
    example: 'Context entry bus 0 devfn 32 not present',
    say: ({ bus, devfn }) => {
      const [b, d] = [Number(bus), Number(devfn)];
      if (b > 255 || d > 255) return null;
      const requester = requesterOfId(b * 256 + d);
      return {
        severity: 'warning',
        summary: `${requester?.text}: no context entry: the device is not set up`,
        requester,
        causes: DETACHED,
      };
    },
  },
  {
    name: 'vtd_inv_desc',
    body: String.raw`invalidate desc type [^\n]{1,40} high ${HEX('high')} low ${HEX('low')}`,
    example: 'invalidate desc type iotlb high 0x1000 low 0x100f2',
    say: descriptor,
  },
  plainEvent(
    'vtd_inv_desc_wait_write_fail',
    `write fail for wait desc hi ${HEX('high')} lo ${HEX('low')}`,
    'write fail for wait desc hi 0x1000 lo 0x200000025',
    {
      severity: 'error',
      summary: 'the status of a wait descriptor could not be written: whoever waits for it waits for ever',
      causes: UNREADABLE,
    },
  ),
  {
    name: 'vtd_warn_invalid_qi_tail',
    body: `tail ${HEX('tail')}`,
    example: 'tail 0x400',
    say: ({ tail }) => ({
      severity: 'error',
      summary: `the tail of the invalidation queue was set to ${tail}, which is beyond its end`,
      causes: DESCRIPTOR,
    }),
  },
  {
    name: 'vtd_warn_ir_vector',
    body: String.raw`sid ${HEX('sid')} index (?<index>\d{1,5}) vec (?<entry>\d{1,3}) \(should be: (?<is>\d{1,3})\)`,
    example: 'sid 0x20 index 3 vec 49 (should be: 33)',
    say: mismatch('vector', 'vector'),
  },
  {
    name: 'vtd_warn_ir_trigger',
    body: String.raw`sid ${HEX('sid')} index (?<index>\d{1,5}) trigger (?<entry>\d{1,3}) \(should be: (?<is>\d{1,3})\)`,
    example: 'sid 0x20 index 3 trigger 0 (should be: 1)',
    say: mismatch('trigger mode', 'trigger'),
  },
  plainEvent(
    'vtd_fault_disabled',
    'Fault processing disabled for context entry',
    'Fault processing disabled for context entry',
    {
      severity: 'info',
      summary: 'a fault was not recorded: the context entry says so (FPD)',
    },
  ),
  {
    name: 'vtd_page_walk_skip_read',
    body: `Page walk skip iova ${HEX('start')} - ${HEX('end')} due to unable to read`,
    example: 'Page walk skip iova 0xfd200000 - 0xfd400000 due to unable to read',
    say: skipped('the table could not be read', UNREADABLE),
  },
  {
    name: 'vtd_page_walk_skip_reserve',
    body: `Page walk skip iova ${HEX('start')} - ${HEX('end')} due to rsrv set`,
    example: 'Page walk skip iova 0xfd200000 - 0xfd400000 due to rsrv set',
    say: skipped('a reserved bit of the entry is set', suspects({ likely: ['corrupt-entry'] })),
  },
  {
    name: 'vtd_replay_ce_invalid',
    body: `replay invalid context device ${BDF('device')}`,
    example: 'replay invalid context device 03:00.00',
    say: atDevice('its mappings are not told again, as it has no valid context entry', 'info', []),
  },
  {
    name: 'vtd_switch_address_space',
    body: String.raw`Device ${BDF('device')} switching address space \(iommu enabled=(?<on>[01])\)`,
    example: 'Device 00:04.0 switching address space (iommu enabled=1)',
    say: (groups) =>
      atDevice(groups.on === '1' ? 'is translated from now on' : 'is not translated from now on', 'info', [])(groups),
  },
];

export const QEMU_TRACE_LINES: readonly LineFormat[] = qemuTraceLines('vtd', 'vtd_', EVENTS);
