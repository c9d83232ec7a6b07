/** Linux's lines of an SMMUv3 as a whole (drivers/iommu/arm/arm-smmu-v3): global errors, what was lost, page requests that nobody expects, how it was found. */
import { GLOBAL_ERRORS } from '../../iommu/smmuv3/events.ts';
import type { CauseId } from '../causes.ts';
import { suspects } from '../causes.ts';
import type { Detail, Finding } from '../finding.ts';
import { hexNumber } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import { OF_PROCESS, OVERFLOW } from '../suspects.ts';
import { UNIT } from './event-lines.ts';
import { BASE, SINCE_4_1, unitOf } from './queue-lines.ts';
import { globalSuspects } from './suspects.ts';

/** Bits of GERROR that are active. */
function globalError(groups: Groups): Finding | null {
  const value = Number(hexNumber(groups.bits ?? ''));
  const bits = Array.from({ length: 32 }, (_, n) => n).filter((n) => (value >>> n) & 1);
  const known = bits.filter((n) => GLOBAL_ERRORS[n] !== undefined);
  const rest = bits.filter((n) => GLOBAL_ERRORS[n] === undefined);
  const names = [...known.map((n) => GLOBAL_ERRORS[n].name), ...rest.map((n) => `bit ${n}`)];
  return {
    ...BASE,
    kind: 'smmuv3.global-error',
    severity: 'error',
    summary: `global error 0x${value.toString(16)}: ${names.join(', ') || 'no bit is set'}`,
    details: [
      ...unitOf(groups),
      ...known.map((n): Detail => [GLOBAL_ERRORS[n].name, `${GLOBAL_ERRORS[n].text} (${GLOBAL_ERRORS[n].clause})`]),
      ...rest.map((n): Detail => [`bit ${n}`, 'reserved']),
    ],
    causes: value === 0xffffffff ? suspects({ likely: ['registers-gone'] }) : globalSuspects(known),
  };
}

/** A page request that nobody waits for. */
function pageRequest(first: Groups, [request]: readonly Groups[]): Finding {
  const { address, group, last, privileged, rights, sid, ssid } = request ?? {};
  const value = address === undefined ? null : hexNumber(address);
  const id = sid === undefined ? null : Number(hexNumber(sid));
  const pasid = Number(hexNumber(ssid ?? '0') ?? 0n);
  return {
    ...BASE,
    kind: 'smmuv3.page-request',
    severity: 'warning',
    summary: `${id === null ? 'a device' : `sid 0x${id.toString(16)}`}: a page request${value === null ? '' : ` for 0x${value.toString(16)}`} that no driver expects; it is answered with a refusal`,
    // SubstreamID 0 and none are printed alike.
    requester: id === null ? null : { text: `sid 0x${id.toString(16)}`, id, pasid: pasid === 0 ? null : pasid },
    access: 'page request',
    address: value === null ? null : { value, space: 'IOVA' },
    details: [
      ...unitOf(first),
      ...(group === undefined ? [] : [['group', `${group}${last === undefined ? '' : ', its last request'}`] as const]),
      ...(rights === undefined ? [] : [['asked for', `${rights || 'nothing'}, ${privileged}privileged`] as const]),
    ],
    causes: [...OF_PROCESS],
  };
}

/** A message without numbers, or whose numbers say nothing. */
function plain(
  id: string,
  [needle, text]: readonly [needle: string, text: string],
  severity: Finding['severity'],
  [summary, ...causes]: readonly [summary: string, ...causes: CauseId[]],
  printedBy: string,
): LineFormat {
  return {
    ...{ id, needle, printedBy },
    pattern: new RegExp(`${UNIT}${text}`, 'i'),
    example: `arm-smmu-v3 arm-smmu-v3.0.auto: ${needle}`,
    decode: (groups) => ({
      ...BASE,
      ...{ kind: id, severity, summary, details: unitOf(groups) },
      causes: suspects({ likely: causes }),
    }),
  };
}

/** The interrupt, or the entry, of a queue that could not be written: GERROR by other words. */
const ABORTED: readonly (readonly [id: string, needle: string, bit: number])[] = [
  ['gerror-msi', 'GERROR MSI write aborted', 7],
  ['priq-msi', 'PRIQ MSI write aborted', 6],
  ['eventq-msi', 'EVTQ MSI write aborted', 5],
  ['cmdq-msi', 'CMDQ MSI write aborted', 4],
  ['priq', 'PRIQ write aborted -- events may have been lost', 3],
  ['eventq', 'EVTQ write aborted -- events may have been lost', 2],
  ['failure-mode', 'device has entered Service Failure Mode!', 8],
];

/** What is not told for want of an interrupt. */
const NO_INTERRUPT: Readonly<Record<string, string>> = {
  evtq: 'faults will not be in the log, and their absence says nothing',
  gerr: 'global errors, those of the command queue among them, will not be in the log',
  priq: 'page requests will not be answered',
};

export const UNIT_LINES: readonly LineFormat[] = [
  {
    id: 'smmuv3.global-error',
    needle: 'unexpected global error reported',
    pattern: new RegExp(String.raw`${UNIT}unexpected global error reported \((?<bits>0x[0-9a-f]{1,8})\)`, 'i'),
    example: 'arm-smmu-v3 arm-smmu-v3.0.auto: unexpected global error reported (0x00000001), this could be serious',
    printedBy: SINCE_4_1,
    decode: globalError,
  },
  {
    id: 'smmuv3.page-request',
    needle: 'unexpected PRI request received:',
    pattern: new RegExp(`${UNIT}unexpected PRI request received:`, 'i'),
    example: 'arm-smmu-v3 arm-smmu-v3.0.auto: unexpected PRI request received:',
    printedBy: SINCE_4_1,
    decode: (groups) => pageRequest(groups, []),
    follow: {
      pattern:
        /sid (?<sid>0x[0-9a-f]{1,8})\.(?<ssid>0x[0-9a-f]{1,5}): \[(?<group>\d{1,3})(?<last>L)?\] (?<privileged>(?:un)?)privileged (?<rights>[RWX]{0,3}) access at iova (?<address>0x[0-9a-f]{1,16})/,
      count: 1,
      example: [
        'arm-smmu-v3 arm-smmu-v3.0.auto: \tsid 0x00003102.0x00005: [17L] unprivileged RW access at iova 0x00007f0000001000',
      ],
      decode: pageRequest,
    },
  },
  ...(['EVTQ overflow detected -- events lost', 'PRIQ overflow detected -- requests lost'] as const).map(
    (text, i): LineFormat => ({
      id: i === 0 ? 'smmuv3.overflow' : 'smmuv3.overflow-pri',
      needle: text,
      pattern: new RegExp(`${UNIT}${text}`, 'i'),
      example: `arm-smmu-v3 arm-smmu-v3.0.auto: ${text}`,
      printedBy: SINCE_4_1,
      decode: (groups) => ({
        ...BASE,
        kind: 'smmuv3.overflow',
        severity: 'warning',
        summary:
          i === 0
            ? 'the event queue ran over: events were lost'
            : 'the page request queue ran over: requests were lost',
        details: unitOf(groups),
        causes: [...OVERFLOW],
      }),
    }),
  ),
  ...ABORTED.map(
    ([id, text, bit]): LineFormat => ({
      id: `smmuv3.aborted.${id}`,
      needle: text,
      pattern: new RegExp(`${UNIT}${text}`, 'i'),
      example: `arm-smmu-v3 arm-smmu-v3.0.auto: ${text}`,
      printedBy: SINCE_4_1,
      decode: (groups) => ({
        ...BASE,
        kind: 'smmuv3.aborted',
        severity: 'error',
        summary: `${GLOBAL_ERRORS[bit].name}: ${GLOBAL_ERRORS[bit].text}`,
        code: {
          value: bit,
          name: GLOBAL_ERRORS[bit].name,
          meaning: GLOBAL_ERRORS[bit].text,
          clause: GLOBAL_ERRORS[bit].clause,
        },
        details: unitOf(groups),
        causes: globalSuspects([bit]),
      }),
    }),
  ),
  plain(
    'smmuv3.enabled-before',
    ['SMMU currently enabled! Resetting...', String.raw`SMMU currently enabled! Resetting\.\.\.`],
    'warning',
    [
      'the SMMU was on when its driver started, and is reset: DMA that is going on is aborted',
      'enabled-before',
      'kdump',
    ],
    'Linux 4.20 and later',
  ),
  {
    id: 'smmuv3.no-interrupt',
    needle: ' irq - ',
    pattern: new RegExp(`${UNIT}no (?<queue>evtq|gerr|priq) irq - (?:events|errors|PRI) will`, 'i'),
    example: 'arm-smmu-v3 arm-smmu-v3.0.auto: no evtq irq - events will not be reported!',
    printedBy: SINCE_4_1,
    decode: (groups) => ({
      ...BASE,
      kind: 'smmuv3.no-interrupt',
      severity: 'warning',
      summary: `${NO_INTERRUPT[groups.queue?.toLowerCase() ?? '']}: firmware names no interrupt for that`,
      details: unitOf(groups),
    }),
  },
  plain(
    'smmuv3.queue-timeout',
    ['CMDQ timeout', 'CMDQ timeout'],
    'error',
    ['the command queue stayed full: the SMMU takes no commands', 'queue-stuck', 'hardware-error'],
    SINCE_4_1,
  ),
];
