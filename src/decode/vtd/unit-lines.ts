/** Linux's lines of what VT-d units can do: not of a fault, but what it takes to know why there is one. */
import { get, high, low } from '../../bits/index.ts';
import { CAP, ECAP } from '../../iommu/vtd/registers.ts';
import type { Detail, Finding } from '../finding.ts';
import { hexNumber, NOTHING } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';

/** Bits of SAGAW, lowest first (VT-d 11.4.2). */
const WIDTHS = [null, 39, 48, 57] as const;

/** Abilities that a device's fault may turn on. */
const ABILITIES: readonly (readonly [keyof typeof ECAP.fields, string])[] = [
  ['DT', 'device-TLBs'],
  ['IR', 'interrupt remapping'],
  ['PT', 'pass-through'],
  ['SC', 'snoop control'],
  ['SMTS', 'scalable mode'],
  ['PASID', 'PASIDs'],
  ['PRS', 'page requests'],
];

function unit({ base, cap, ecap, name }: Groups): Finding | null {
  const [capWord, ecapWord] = [hexNumber(cap ?? ''), hexNumber(ecap ?? '')];
  if (capWord === null || ecapWord === null) return null;
  const has = [low(capWord), high(capWord)];
  const can = [low(ecapWord), high(ecapWord)];
  const sagaw = get(CAP.fields.SAGAW, has);
  const widths = WIDTHS.filter((width, i) => width !== null && (sagaw & (1 << i)) !== 0);
  const abilities = ABILITIES.filter(([field]) => get(ECAP.fields[field], can) === 1).map(([, text]) => text);
  const cached = get(CAP.fields.CM, has) === 1;
  const details: Detail[] = [
    [
      'widths',
      `tables of ${widths.join(', ') || 'no'} bits of address, of which ${get(CAP.fields.MGAW, has) + 1} are translated`,
    ],
    ['all of it', `explain --as vtd.cap 0x${cap}, and --as vtd.ecap 0x${ecap}`],
  ];
  if (cached)
    details.push([
      'caching mode',
      'the unit is of a virtual machine: entries that are made valid must be invalidated, too (VT-d 6.1)',
    ]);
  if (get(ECAP.fields.C, can) === 0)
    details.push(['not coherent', 'it walks tables past the caches of the CPU: each entry must be flushed from them']);
  if (get(CAP.fields.RWBF, has) === 1)
    details.push(['write buffer', 'it must be flushed before tables are seen (GCMD.WBF)']);
  return {
    ...NOTHING,
    kind: 'vtd.unit',
    model: 'vtd',
    severity: 'info',
    summary: `${name} at 0x${base}: ${cached ? "a virtual machine's unit, in caching mode" : `a unit with ${abilities.join(', ') || 'DMA remapping only'}`}`,
    details,
  };
}

export const UNIT_LINES: readonly LineFormat[] = [
  {
    id: 'vtd.unit',
    needle: ': reg_base_addr ',
    pattern:
      /(?<name>dmar\d{1,3}|IOMMU \d{1,3}): reg_base_addr (?<base>[0-9a-f]{1,16}) ver \d{1,3}:\d{1,3} cap (?<cap>[0-9a-f]{1,16}) ecap (?<ecap>[0-9a-f]{1,16})/,
    example: 'DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap d2008c40660462 ecap f050da',
    printedBy: 'Linux',
    decode: unit,
  },
  {
    id: 'vtd.feature-differs',
    needle: 'DMAR: IOMMU feature ',
    pattern: /DMAR: IOMMU feature (?<feature>\w{1,32}) inconsistent/,
    example: 'DMAR: IOMMU feature pgsel_inv inconsistent',
    printedBy: 'Linux 5.11 and later',
    decode: ({ feature }) => ({
      ...{ ...NOTHING, kind: 'vtd.feature-differs', model: 'vtd', severity: 'info' },
      summary:
        'units differ in what they can: the kernel uses what all have; no fault, and common where graphics has a unit of its own',
      details: feature === undefined ? [] : [['first', feature]],
    }),
  },
  {
    id: 'vtd.rmrr-relaxed',
    needle: 'assuming all RMRRs are relaxable',
    pattern: /assuming all RMRRs are relaxable/,
    example: 'DMAR: Intel-IOMMU: assuming all RMRRs are relaxable. This can lead to instability or data loss',
    printedBy: 'kernels with a patch of distributions (Proxmox and others)',
    decode: () => ({
      ...{ ...NOTHING, kind: 'vtd.rmrr-relaxed', model: 'vtd', severity: 'warning' },
      summary:
        'devices are assigned although firmware keeps memory for them (RMRR): what firmware does there with them goes to memory of the guest, or faults',
    }),
  },
];
