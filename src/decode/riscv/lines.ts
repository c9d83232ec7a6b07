/** Linux's lines of the RISC-V IOMMU (drivers/iommu/riscv/iommu.c, 6.13 and later). */
import { FAULTS, GUEST_PAGE_FAULTS } from '../../iommu/riscv/faults.ts';
import { CQCSR, FQCSR } from '../../iommu/riscv/registers.ts';
import type { CauseId } from '../causes.ts';
import { suspects } from '../causes.ts';
import type { Code, Detail, Finding } from '../finding.ts';
import { bdf, hexNumber, NOTHING } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import type { DecodedStructure } from '../structure.ts';
import { decodedOrNull } from '../structure.ts';
import { RISCV_GUEST_FAULT } from './kinds.ts';
import { QEMU_TRACE_LINES } from './qemu-trace-lines.ts';
import { accessOf, suspectsOf } from './suspects.ts';

/** CAUSE has 12 bits, device_id 24. */
const MAX_CAUSE = 0xfff;
const MAX_DEVICE = 0xffffff;
/** From here on causes are an implementation's own. */
const FIRST_CUSTOM = 2048;

function codeOf(cause: number): Code {
  const known = FAULTS[cause];
  const unknown =
    cause >= FIRST_CUSTOM ? 'a cause that the implementation defines' : 'a cause that the specification has not';
  return {
    value: cause,
    name: known?.name ?? 'CAUSE',
    meaning: known?.text ?? unknown,
    clause: known?.clause ?? null,
  };
}

/** Decimal cause, device in either notation, iotval and iotval2 in hexadecimal without 0x. */
function fault({ cause, device, iotval, iotval2 }: Groups): Finding | null {
  const number = Number(cause);
  const id = Number(device);
  const [value, second] = [hexNumber(iotval ?? ''), hexNumber(iotval2 ?? '')];
  if (number > MAX_CAUSE || id > MAX_DEVICE || value === null || second === null) return null;
  const code = codeOf(number);
  const access = accessOf(number);
  const guest = GUEST_PAGE_FAULTS.includes(number) ? decodedOrNull(RISCV_GUEST_FAULT, [second]) : null;
  const implicit = isImplicit(guest);
  const what = `${access ?? 'request'} of 0x${value.toString(16)}`;
  return {
    ...NOTHING,
    kind: 'riscv.fault',
    model: 'riscv',
    severity: 'error',
    summary: `device 0x${id.toString(16)}: ${what} refused: ${code.name}: ${code.meaning}${implicit ? " (the access was the IOMMU's own, to a first-stage table)" : ''}`,
    requester: { text: `devid 0x${id.toString(16)}`, id, pasid: null },
    access,
    address: { value, space: 'IOVA' },
    code,
    details: faultDetails(number, id, guest === null ? second : 0n),
    structures: guest === null ? [] : [guest],
    causes: suspectsOf(number, { access, pasid: null, address: value, implicit }),
  };
}

function isImplicit(guest: DecodedStructure | null): boolean {
  return guest?.fields.find(({ name }) => name === 'implicit')?.value === 1n;
}

function faultDetails(cause: number, device: number, iotval2: bigint): Detail[] {
  const known = FAULTS[cause];
  const segment = device >> 16;
  return [
    [
      'as requester id',
      `${segment === 0 ? '' : `segment ${segment}, `}${bdf(device & 0xffff)}, where device_id is the one of PCI`,
    ],
    ...(iotval2 === 0n ? [] : [['iotval2', `0x${iotval2.toString(16)}`] as const]),
    ...(known === undefined
      ? []
      : [
          ['despite DTF', known.despiteDTF ? 'reported with tc.DTF = 1, too' : 'not reported with tc.DTF = 1'] as const,
        ]),
  ];
}

/** A bit of a queue's status: its name there, what it means, what makes it likely. */
type Bit = readonly [name: string, text: string, ...causes: CauseId[]];

const COMMAND_BITS: Readonly<Record<string, Bit>> = {
  fault: ['cqmf', 'a command could not be read, or a fence could not store', 'table-unreadable', 'hardware-error'],
  timeout: ['cmd_to', 'a device did not answer an invalidation of its ATC in time', 'invalidation-timeout'],
  illegal: ['cmd_ill', 'the command at the head is illegal', 'descriptor-damaged'],
  fence: ['fence_w_ip', 'a fence with a wired interrupt is complete: no error, but Linux asks for none'],
};
const RECORD_BITS: Readonly<Record<string, Bit>> = {
  memory: ['fqmf', 'a record could not be written, and is lost', 'table-unreadable', 'hardware-error'],
  overflow: ['fqof', 'the queue was full: records were lost', 'overflow'],
};

/** Queues as Linux numbers them: by their interrupts. */
const QUEUES: Readonly<Record<string, string>> = { 0: 'command queue', 1: 'fault queue', 3: 'page-request queue' };

function queueError(kind: string, groups: Groups, bits: Readonly<Record<string, Bit>>, register: string): Finding {
  const set = Object.entries(bits).filter(([name]) => groups[name] === '1');
  const queue = QUEUES[groups.queue ?? ''] ?? `queue ${groups.queue}`;
  const what = set.map(([, [, text]]) => text).join('; ');
  return {
    ...NOTHING,
    kind,
    model: 'riscv',
    severity: set.some(([, [, , ...causes]]) => causes.length > 0) ? 'error' : 'info',
    summary: `${queue}: ${what || 'an interrupt, and no bit says why'}`,
    details: set.map(([, [name, text]]): Detail => [`${register}.${name}`, text]),
    causes: suspects({ likely: [...new Set(set.flatMap(([, [, , ...causes]]) => causes))] }),
  };
}

/** Linux's own time-outs, told once. */
function timeout(id: string, needle: string, summary: string): LineFormat {
  return {
    ...{ id, needle, printedBy: 'Linux 6.13 and later, once' },
    pattern: new RegExp(`riscv.{0,120}${needle}`, 'i'),
    example: `riscv,iommu 10010000.iommu: ${needle}`,
    decode: () => ({
      ...NOTHING,
      ...{ kind: id, model: 'riscv', severity: 'error', summary },
      causes: suspects({ likely: ['queue-stuck', 'invalidation-timeout'], possible: ['hardware-error'] }),
    }),
  };
}

const FLAG = (name: string) => `(?<${name}>[01])`;

export const RISCV_LINES: readonly LineFormat[] = [
  {
    id: 'riscv.fault',
    needle: ' devid: ',
    pattern:
      /Fault (?<cause>\d{1,4}) devid: (?<device>0x[0-9a-f]{1,8}|\d{1,10}) iotval: (?<iotval>[0-9a-f]{1,16}) iotval2: (?<iotval2>[0-9a-f]{1,16})\b/i,
    example: 'riscv-iommu 0000:00:01.0: Fault 13 devid: 0x100 iotval: ff9bc000 iotval2: 0',
    printedBy: 'Linux 6.13 and later; the cause in decimal',
    decode: fault,
  },
  {
    id: 'riscv.command-queue',
    needle: ' error; fault:',
    pattern: new RegExp(
      String.raw`Queue #(?<queue>\d{1,3}) error; fault:${FLAG('fault')} timeout:${FLAG('timeout')} illegal:${FLAG('illegal')} fence_w_ip:${FLAG('fence')}`,
    ),
    example: 'riscv-iommu 0000:00:01.0: Queue #0 error; fault:0 timeout:1 illegal:0 fence_w_ip:0',
    printedBy: 'Linux 6.13 and later',
    decode: (groups) => queueError('riscv.command-queue', groups, COMMAND_BITS, CQCSR.name),
  },
  {
    id: 'riscv.fault-queue',
    needle: ' error; memory fault:',
    pattern: new RegExp(
      String.raw`Queue #(?<queue>\d{1,3}) error; memory fault:${FLAG('memory')} overflow:${FLAG('overflow')}`,
    ),
    example: 'riscv-iommu 0000:00:01.0: Queue #1 error; memory fault:0 overflow:1',
    printedBy: 'Linux 6.13 and later',
    decode: (groups) => queueError('riscv.fault-queue', groups, RECORD_BITS, FQCSR.name),
  },
  timeout(
    'riscv.command-timeout',
    'Hardware error: command execution timeout',
    'the IOMMU did not complete its commands in time: invalidations may not have happened',
  ),
  timeout(
    'riscv.enqueue-failed',
    'Hardware error: command enqueue failed',
    'the command queue stayed full: the IOMMU takes no commands',
  ),
  ...QEMU_TRACE_LINES,
];
