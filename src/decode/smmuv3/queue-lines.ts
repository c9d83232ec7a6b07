/** Linux's lines of SMMUv3 queues and global errors (drivers/iommu/arm/arm-smmu-v3). */
import { decodeHalves } from '../../bits/index.ts';
import { CERROR, commandName } from '../../iommu/smmuv3/commands.ts';
import { GLOBAL_ERRORS } from '../../iommu/smmuv3/events.ts';
import { CMDQ_CONS } from '../../iommu/smmuv3/queue-registers.ts';
import type { CauseId } from '../causes.ts';
import { suspects } from '../causes.ts';
import type { Code, Detail, Finding } from '../finding.ts';
import { hexNumber, NOTHING } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import type { DecodedStructure } from '../structure.ts';
import { decodedOrNull } from '../structure.ts';
import { OF_PROCESS, OVERFLOW } from '../suspects.ts';
import { UNIT, WORD, wordOf } from './event-lines.ts';
import { SMMU_COMMAND } from './kinds.ts';
import { commandSuspects, globalSuspects } from './suspects.ts';

const BASE = { ...NOTHING, model: 'smmuv3' } as const;
const unitOf = ({ unit }: Groups): Detail[] => (unit === undefined ? [] : [['unit', unit]]);

/** The command that two lines of words are. */
function commandOf(rest: readonly Groups[]): { readonly said: string; readonly structures: DecodedStructure[] } {
  const words = rest.map(wordOf).filter((word) => word !== null);
  if (words.length !== 2) return { said: '', structures: [] };
  const decoded = decodedOrNull(SMMU_COMMAND, words);
  const opcode = Number((words[0] ?? 0n) & 0xffn);
  const name = decoded?.name ?? commandName(opcode) ?? `opcode 0x${opcode.toString(16)}, which is reserved`;
  return { said: `: ${name}`, structures: decoded === null ? [] : [decoded] };
}

/** CMDQ_CONS, then the command that is skipped. */
function commandError(first: Groups, rest: readonly Groups[]): Finding | null {
  const cons = hexNumber(first.cons ?? '');
  if (cons === null) return null;
  const { ERR, RD } = decodeHalves(CMDQ_CONS, [Number(cons)]);
  const known = CERROR[ERR];
  const code: Code = {
    value: ERR,
    name: known?.name ?? 'ERR',
    meaning: known?.text ?? 'an error that the specification has not',
    clause: known?.clause ?? null,
  };
  const { said, structures } = commandOf(rest);
  const done: Detail[] = rest.some(({ retry }) => retry !== undefined) ? [['Linux', 'fetches the command again']] : [];
  return {
    ...BASE,
    kind: 'smmuv3.command-error',
    severity: 'error',
    summary: `the command queue stopped${said}: ${code.meaning}`,
    code,
    details: [...unitOf(first), ['index', `0x${RD.toString(16)}`], ...done],
    structures,
    causes: commandSuspects(ERR),
  };
}

/** The command alone, where the error is not in the log. */
function skipped(first: Groups, rest: readonly Groups[]): Finding {
  const { said, structures } = commandOf(rest);
  return {
    ...BASE,
    kind: 'smmuv3.skipped-command',
    severity: 'error',
    summary: `a command that the SMMU refused was skipped${said || ', its words are not in the log'}`,
    details: unitOf(first),
    structures,
    causes: suspects({ likely: ['descriptor-damaged'] }),
  };
}

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

/** Invalidations whose end was not seen. What the SMMU has consumed tells whether it goes on. */
function syncTimeout(groups: Groups): Finding {
  const { at, cons, prod } = groups;
  const error = cons === undefined ? 0 : decodeHalves(CMDQ_CONS, [Number(hexNumber(cons))]).ERR;
  return {
    ...BASE,
    kind: 'smmuv3.sync-timeout',
    severity: 'error',
    summary: 'a CMD_SYNC did not complete in time: invalidations before it may not have happened',
    details: [
      ...unitOf(groups),
      ...(at === undefined
        ? []
        : ([
            ['waits for', at],
            ['CMDQ_PROD', prod ?? ''],
            ['CMDQ_CONS', error === 0 ? (cons ?? '') : `${cons}: ${CERROR[error]?.name ?? `ERR ${error}`}`],
          ] as const)),
    ],
    causes: [...commandSuspects(error), ...suspects({ likely: ['queue-stuck'], possible: ['invalidation-timeout'] })],
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

const COMMAND_EXAMPLE = ['0x0000000100000040', '0x0000000000000034'].map(
  (word) => `arm-smmu-v3 arm-smmu-v3.0.auto: \t${word}`,
);

const SINCE_4_1 = 'Linux 4.1 and later';

export const QUEUE_LINES: readonly LineFormat[] = [
  {
    id: 'smmuv3.command-error',
    needle: 'CMDQ error (cons 0x',
    pattern: new RegExp(String.raw`${UNIT}(?:\w{1,16} ?)?CMDQ error \(cons (?<cons>0x[0-9a-f]{1,8})\)`, 'i'),
    example: 'arm-smmu-v3 arm-smmu-v3.0.auto: CMDQ error (cons 0x01000022): Illegal command',
    printedBy: SINCE_4_1,
    decode: (groups) => commandError(groups, []),
    follow: {
      pattern: new RegExp(`(?<skipping>skipping command in error state)|(?<retry>retrying command fetch)|${WORD}`, 'i'),
      count: 3,
      example: ['arm-smmu-v3 arm-smmu-v3.0.auto: skipping command in error state:', ...COMMAND_EXAMPLE],
      decode: commandError,
    },
  },
  {
    id: 'smmuv3.skipped-command',
    needle: 'skipping command in error state:',
    pattern: new RegExp(`${UNIT}skipping command in error state:`, 'i'),
    example: 'arm-smmu-v3 arm-smmu-v3.0.auto: skipping command in error state:',
    printedBy: SINCE_4_1,
    decode: (groups) => skipped(groups, []),
    follow: { pattern: new RegExp(WORD, 'i'), count: 2, example: COMMAND_EXAMPLE, decode: skipped },
  },
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
    id: 'smmuv3.sync-timeout',
    needle: 'CMD_SYNC timeout',
    pattern: new RegExp(
      String.raw`${UNIT}CMD_SYNC timeout(?: at (?<at>0x[0-9a-f]{1,8}) \[hwprod (?<prod>0x[0-9a-f]{1,8}), hwcons (?<cons>0x[0-9a-f]{1,8})\])?`,
      'i',
    ),
    example: 'arm-smmu-v3 arm-smmu-v3.0.auto: CMD_SYNC timeout at 0x000000d2 [hwprod 0x000000d3, hwcons 0x000000d1]',
    printedBy: 'Linux 4.1 and later; where, since 5.4',
    decode: syncTimeout,
  },
  plain(
    'smmuv3.queue-timeout',
    ['CMDQ timeout', 'CMDQ timeout'],
    'error',
    ['the command queue stayed full: the SMMU takes no commands', 'queue-stuck', 'hardware-error'],
    SINCE_4_1,
  ),
];
