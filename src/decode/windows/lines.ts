/**
 * What Windows' debugger writes of a stop that the IOMMU made: bug check 0xE6 with its first parameter 0x26 (Microsoft, "Bug Check 0xE6:
 * DRIVER_VERIFIER_DMA_VIOLATION"). It needs no verifier: kernel DMA protection makes it, too.
 */
import { suspects } from '../causes.ts';
import type { Detail, Finding } from '../finding.ts';
import { hexNumber, NOTHING } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import { reasonCode } from '../vtd/reason.ts';

/** VT-d's reasons have 8 bits. */
const MAX_REASON = 0xffn;

/** The numbers of the lines that are there, by parameter; null where one is none. */
function parameters(rest: readonly Groups[]): ReadonlyMap<string, bigint> | null {
  const values = new Map<string, bigint>();
  for (const { number, value } of rest) {
    const word = hexNumber((value ?? '').replace('`', ''));
    if (word === null) return null;
    values.set(number ?? '', word);
  }
  return values;
}

function violation(rest: readonly Groups[]): Finding | null {
  const values = parameters(rest);
  if (values === null) return null;
  const [device, address, type] = ['2', '3', '4'].map((number) => values.get(number) ?? null);
  const details: Detail[] = [];
  if (device !== null && device !== 0n)
    details.push(['device', `!devobj 0x${device.toString(16)} names it, and !devstack its drivers`]);
  if (type !== null) {
    details.push(['fault type', `0x${type.toString(16)}, as the hardware has it`]);
    const code = type <= MAX_REASON ? reasonCode(Number(type)) : null;
    if (code !== null && code.clause !== null)
      details.push(['on Intel', `the fault type is VT-d's reason: ${code.meaning} (${code.clause})`]);
  }
  return {
    ...NOTHING,
    kind: 'windows.dma-violation',
    model: 'windows',
    severity: 'error',
    summary: `Windows stopped, as a device did DMA that the IOMMU refused${address === null ? '' : `: 0x${address.toString(16)}`}`,
    address: address === null ? null : { value: address, space: 'unknown' },
    details,
    causes: suspects({
      likely: ['unmap-before-completion', 'never-mapped'],
      possible: ['overrun', 'reserved-region', 'firmware-table', 'wrong-requester-id'],
    }),
  };
}

export const WINDOWS_LINES: readonly LineFormat[] = [
  {
    id: 'windows.dma-violation',
    needle: 'IOMMU detected DMA violation',
    pattern: /Arg1: (?:0{8}`?)?0{6}26, IOMMU detected DMA violation/,
    example: 'Arg1: 0000000000000026, IOMMU detected DMA violation.',
    printedBy: "Windows' debugger (!analyze), of Windows 10 1803 and later",
    decode: () => violation([]),
    follow: {
      pattern: /Arg(?<number>[234]): (?<value>[0-9a-f]{8}`?[0-9a-f]{8}|[0-9a-f]{8})(?:,|$)/,
      count: 3,
      example: [
        'Arg2: ffffa90d5a1d4060, Device Object of faulting device.',
        'Arg3: 00000000fd200000, Faulting information (usually faulting physical address).',
        'Arg4: 0000000000000006, Fault type (hardware specific).',
      ],
      decode: (_, rest) => violation(rest),
    },
  },
];
