/** debugfs `iommu_regset` of Intel: the registers of each unit. */

import { suspects } from '../causes.ts';
import type { Finding } from '../finding.ts';
import { hexNumber, NOTHING } from '../finding.ts';
import type { LineFormat } from '../line-format.ts';
import type { Opener, Section } from '../section.ts';
import type { DecodedStructure } from '../structure.ts';
import { decodeNamed, decodeStructure, kindNamed } from '../structure.ts';
import { rootTableIn } from './vtd-root.ts';

const ROW = /^\s*([A-Za-z_][\w.]{1,20})\s+(?:0x)?([0-9a-f]{1,4})\s+(?:0x)?([0-9a-f]{1,16})\s*$/i;
const HEAD = /^\s*Name\s+Offset\s+Contents\s*$/i;

/** Registers that a reader looks at first; the others are decoded too, and told with --json. */
const open: Opener = ({ unit = '', base = '' }, tables): Section => {
  const structures: DecodedStructure[] = [];
  const values = new Map<string, bigint>();
  const unknown: string[] = [];
  return {
    take(line) {
      if (HEAD.test(line)) return true;
      const match = ROW.exec(line);
      if (match === null) return false;
      const name = (match[1] as string).toUpperCase();
      const value = hexNumber(match[3] as string) as bigint;
      values.set(name, value);
      if (name === 'RTADDR') tables?.rootTables.set(unit, rootTableIn(decodeNamed('vtd.rtaddr', [value])));
      const kind = kindNamed(`vtd.${KERNEL_NAMES[name] ?? name}`);
      if (kind === null) unknown.push(`${name} 0x${value.toString(16)}`);
      else structures.push(decodeStructure(kind, [kind.wordBits === 32 ? value & 0xffffffffn : value]));
      return true;
    },
    close: () => [summary(unit, base, values, structures, unknown)],
  };
};

/** Names of Linux's that are not the specification's. */
const KERNEL_NAMES: Readonly<Record<string, string>> = { ICS: 'ics', IQER: 'iqercd', IRTADDR: 'irta', IRTA: 'irta' };

function summary(
  unit: string,
  base: string,
  values: ReadonlyMap<string, bigint>,
  structures: readonly DecodedStructure[],
  unknown: readonly string[],
): Finding {
  const field = (kind: string, name: string) =>
    structures.find((structure) => structure.kind === kind)?.fields.find((of) => of.name === name)?.value ?? null;
  const problems: [string, string][] = [];
  if (field('vtd.gsts', 'TES') === 0n) problems.push(['GSTS.TES', 'DMA is not translated']);
  if (field('vtd.gsts', 'QIES') === 0n && values.has('IQT'))
    problems.push(['GSTS.QIES', 'the invalidation queue is off']);
  if (field('vtd.fsts', 'PFO') === 1n) problems.push(['FSTS.PFO', 'faults were lost']);
  if (field('vtd.fsts', 'PPF') === 1n) problems.push(['FSTS.PPF', 'a fault is recorded and not serviced']);
  for (const name of ['IQE', 'ICE', 'ITE']) {
    if (field('vtd.fsts', name) === 1n) problems.push([`FSTS.${name}`, 'the invalidation queue has stopped']);
  }
  if (field('vtd.fectl', 'IM') === 1n) problems.push(['FECTL.IM', 'faults raise no interrupt: nobody is told of them']);
  const gone = [...values.values()].filter((value) => value === 0xffffffffn || value === 0xffffffffffffffffn).length;
  const all = gone > 2 && gone * 2 > values.size;
  return {
    ...NOTHING,
    kind: 'vtd.registers',
    model: 'vtd',
    severity: problems.length > 0 || all ? 'warning' : 'info',
    summary: all
      ? `${unit}: the registers read as all ones: the unit does not answer`
      : `registers of ${unit} at 0x${base.replace(/^0x/, '')}: ${values.size} values${problems.length > 0 ? `; ${problems[0]?.[1]}` : ''}`,
    details: [...problems, ...(unknown.length > 0 ? [['not known', unknown.join(', ')] as const] : [])],
    structures,
    causes: all ? suspects({ likely: ['registers-gone'] }) : [],
  };
}

export const REGISTERS_DUMP: LineFormat = {
  id: 'vtd.registers',
  needle: 'Register Base Address',
  pattern: /IOMMU: (?<unit>[\w.-]{1,32})\s+Register Base Address: (?<base>(?:0x)?[0-9a-f]{1,16})/i,
  example: 'IOMMU: dmar0 Register Base Address: 26be37000',
  printedBy: 'Linux, debugfs iommu/intel/iommu_regset',
  section: open,
};
