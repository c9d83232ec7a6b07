/** Linux's lines of SMMUv3's command queue (drivers/iommu/arm/arm-smmu-v3). */
import { decodeHalves } from '../../bits/index.ts';
import { CERROR, commandName } from '../../iommu/smmuv3/commands.ts';
import { CMDQ_CONS } from '../../iommu/smmuv3/queue-registers.ts';
import { suspects } from '../causes.ts';
import type { Code, Detail, Finding } from '../finding.ts';
import { hexNumber, NOTHING } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import type { DecodedStructure } from '../structure.ts';
import { decodedOrNull } from '../structure.ts';
import { UNIT, WORD, wordOf } from './event-lines.ts';
import { SMMU_COMMAND } from './kinds.ts';
import { commandSuspects } from './suspects.ts';

/** What findings of SMMUv3 have in common. */
export const BASE = { ...NOTHING, model: 'smmuv3' } as const;
export const unitOf = ({ unit }: Groups): Detail[] => (unit === undefined ? [] : [['unit', unit]]);

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

const COMMAND_EXAMPLE = ['0x0000000100000040', '0x0000000000000034'].map(
  (word) => `arm-smmu-v3 arm-smmu-v3.0.auto: \t${word}`,
);

export const SINCE_4_1 = 'Linux 4.1 and later';

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
];
