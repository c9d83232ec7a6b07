/** Linux's line of what AMD-Vi units can do. */
import { get, high, low } from '../../bits/index.ts';
import { EFR } from '../../iommu/amdvi/feature-registers.ts';
import type { Finding } from '../finding.ts';
import { hexNumber, NOTHING } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';

/** Abilities that a device's fault may turn on. */
const ABILITIES: readonly (readonly [keyof typeof EFR.fields, string])[] = [
  ['GTSup', 'guest (v2) tables'],
  ['PPRSup', 'page requests'],
  ['NXSup', 'no-execute'],
  ['GASup', "guests' virtual APICs"],
  ['XTSup', 'x2APIC'],
];

function features({ efr, efr2 }: Groups): Finding | null {
  const word = hexNumber(efr ?? '');
  if (word === null) return null;
  const halves = [low(word), high(word)];
  const abilities = ABILITIES.filter(([field]) => get(EFR.fields[field], halves) === 1).map(([, text]) => text);
  return {
    ...NOTHING,
    kind: 'amdvi.features',
    model: 'amdvi',
    severity: 'info',
    summary: `the units have ${abilities.join(', ') || 'host tables only'}`,
    details: [
      ['all of it', `explain --as amdvi.efr ${efr}${efr2 === undefined ? '' : `, and --as amdvi.efr2 ${efr2}`}`],
    ],
  };
}

export const FEATURE_LINES: readonly LineFormat[] = [
  {
    id: 'amdvi.features',
    needle: 'Extended features (0x',
    pattern: /Extended features \((?<efr>0x[0-9a-f]{1,16})(?:, (?<efr2>0x[0-9a-f]{1,16}|0))?\)/,
    example: 'AMD-Vi: Extended features (0x58f77ef22294ade, 0x0): PPR X2APIC NX GT IA GA PC GA_vAPIC',
    printedBy: 'Linux 4.10 and later; the second register since 6.2',
    decode: features,
  },
];
