/**
 * Linux's lines of faults of context banks (drivers/iommu/arm/arm-smmu), of all its ages, Xen's, and those of Qualcomm's kernels: which numbers there are,
 * and in which order, has changed; some kernels print registers on lines of their own behind.
 */
import type { Detail, Finding } from '../finding.ts';
import { hexNumber } from '../finding.ts';
import type { FollowingLines, Groups, LineFormat } from '../line-format.ts';
import { contextFaultFinding } from './context-fault.ts';

/** Before a message: the SMMU that prints it. */
export const UNIT = String.raw`(?:(?<unit>[^\s:]{1,64}): )?`;

/** `name=value` as they stand. */
function numbersOf(text: string): Map<string, bigint> {
  const found = new Map<string, bigint>();
  for (const [, name, value] of text.matchAll(/\b([a-z]\w{1,15})=(0x[0-9a-f]{1,16}|\d{1,10})\b/gi)) {
    const number = value?.startsWith('0x') === true ? hexNumber(value) : BigInt(value ?? 0);
    if (name !== undefined && number !== null) found.set(name.toLowerCase(), number);
  }
  return found;
}

/** Registers that further lines have, under the names of the first. */
const NAMES: Readonly<Record<string, string>> = {
  FAR: 'iova',
  FSR: 'fsr',
  FSYNR0: 'fsynr0',
  SID: 'sid',
  'context bank#': 'cb',
  'soft iova-to-phys': 'walked',
};

const MAX_32 = 0xffffffffn;

function fault({ client, fields, unit }: Groups, rest: readonly Groups[]): Finding | null {
  const values = numbersOf(fields ?? '');
  for (const { name, value, sid } of rest) {
    const number = value === undefined ? null : hexNumber(value);
    const key = NAMES[name?.trim() ?? ''];
    if (key !== undefined && number !== null && !values.has(key)) values.set(key, number);
    const stream = sid === undefined ? null : hexNumber(sid);
    if (stream !== null && !values.has('sid')) values.set('sid', stream);
  }
  const small = ['fsr', 'fsynr', 'fsynr0', 'cbfrsynra', 'sid'].map((name) => values.get(name));
  if (small.some((value) => value !== undefined && value > MAX_32)) return null;
  const address = values.get('iova');
  if (address === undefined) return null;
  const number = (...names: string[]) => {
    const value = names.map((name) => values.get(name)).find((found) => found !== undefined);
    return value === undefined ? null : Number(value);
  };
  return contextFaultFinding({
    unit: unit ?? null,
    bank: number('cb'),
    address,
    fsr: number('fsr'),
    fsynr0: number('fsynr', 'fsynr0'),
    cbfrsynra: number('cbfrsynra', 'sid'),
    client: client ?? null,
    walked: values.get('walked') ?? null,
    details: moreDetails(rest),
  });
}

/** What Qualcomm's driver finds out: whether the hardware's own walk agrees. */
function moreDetails(rest: readonly Groups[]): Detail[] {
  const differs = rest.find(({ differs }) => differs !== undefined)?.differs;
  return differs === undefined
    ? []
    : [
        [
          'in the TLB',
          'a walk by hardware gave another result before the TLB was invalidated than after: an entry was stale',
        ],
      ];
}

const FOLLOWING: FollowingLines = {
  pattern: new RegExp(
    [
      String.raw`(?:^|[\s:])(?<name>FAR|PAR|FSR|FSYNR[01]|TTBR[01]|context bank#|soft iova-to-phys)\s{0,6}=\s?(?<value>(?:0x)?[0-9a-f]{1,16})\b(?:[^,]{0,80}, SID=(?<sid>0x[0-9a-f]{1,8}))?`,
      '(?<differs>ATOS results differed across TLBIALL)',
      String.raw`\bSID ?= ?(?<sid2>0x[0-9a-f]{1,8})`,
      String.raw`SOFTWARE TABLE WALK FAILED|hard iova-to-phys \(ATOS\)|Client info: BID=|SCTLR  ?= 0x|CBAR  ?= 0x|MAIR0  {0,3}= 0x`,
    ].join('|'),
  ),
  count: 20,
  example: [
    'arm-smmu 15000000.iommu: FSR    = 00000402 [Format=2 TF], SID=0x800',
    'arm-smmu 15000000.iommu: FSYNR0 = 00300003 [S1CBNDX=48 PLVL=3]',
    'arm-smmu 15000000.iommu: soft iova-to-phys=0x0000000000000000',
    'arm-smmu 15000000.iommu: SOFTWARE TABLE WALK FAILED! Looks like 15000000.iommu accessed an unmapped address!',
    'arm-smmu 15000000.iommu: hard iova-to-phys (ATOS) failed',
  ],
  decode: (first, rest) =>
    fault(
      first,
      rest.map(({ sid2, ...line }) => (sid2 === undefined ? line : { ...line, sid: sid2 })),
    ),
};

export const FAULT_LINES: readonly LineFormat[] = [
  {
    id: 'smmuv2.context-fault',
    needle: 'Unhandled context fault: ',
    pattern: new RegExp(`${UNIT}Unhandled context fault: (?<fields>(?:fsr|iova)=.{1,300})`),
    example:
      'arm-smmu 15000000.iommu: Unhandled context fault: fsr=0x402, iova=0x9c4b9000, fsynr=0x300003, cbfrsynra=0x800, cb=7',
    printedBy: 'Linux; cbfrsynra since 5.2, registers by name since 6.11; Xen',
    decode: (groups) => fault(groups, []),
    follow: FOLLOWING,
  },
  {
    id: 'smmuv2.context-fault.by-line',
    needle: 'Unhandled arm-smmu context fault from ',
    pattern: new RegExp(String.raw`${UNIT}Unhandled arm-smmu context fault from (?<client>[^\s!]{1,80})!`),
    example: 'arm-smmu 15000000.apps-smmu: Unhandled arm-smmu context fault from a600000.dwc3!',
    printedBy: "Qualcomm's kernels; the registers follow",
    decode: ({ client, unit }) => ({
      ...contextFaultFinding({
        ...{ unit: unit ?? null, client: client ?? null, bank: null, address: 0n, fsr: null, fsynr0: null },
        ...{ cbfrsynra: null, walked: null, details: [] },
      }),
      address: null,
      summary: `${client}: a request refused: its registers are not in the log`,
    }),
    follow: {
      ...FOLLOWING,
      example: [
        'arm-smmu 15000000.apps-smmu: FAR    = 0x00000000a58c00d8',
        'arm-smmu 15000000.apps-smmu: PAR    = 0x0000000000000000',
        'arm-smmu 15000000.apps-smmu: FSR    = 0x40000402 [TF R SS ]',
        'arm-smmu 15000000.apps-smmu: FSYNR0    = 0x360003',
        'arm-smmu 15000000.apps-smmu: context bank#    = 0x5',
        'arm-smmu 15000000.apps-smmu: SID = 0x40',
      ],
    },
  },
];
