/** debugfs `ir_translation_struct` of Intel: interrupt remapping entries in use. */
import type { Detail } from '../finding.ts';
import { hexNumber, NOTHING } from '../finding.ts';
import type { LineFormat } from '../line-format.ts';
import type { Opener, Section } from '../section.ts';
import type { DecodedStructure } from '../structure.ts';
import { bitsText, decodeStructure, kindNamed } from '../structure.ts';

const BASE = /^\s*IR table address: ?(?:0x)?[0-9a-f]{1,16}\s*$/i;
const HEAD = /^\s*Entry\s+SrcID\b.*IRTE_low\s*$/i;
const ROW =
  /^\s*(\d{1,6})\s+[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\s+[0-9a-f]{8}\s+(?:[0-9a-f]{8}\s+)?[0-9a-f]{2}\s+([0-9a-f]{16})\s+([0-9a-f]{16})\s*$/i;

const open: Opener = ({ kind = '', unit = '' }): Section => {
  const structures: DecodedStructure[] = [];
  const details: Detail[] = [];
  const irte = kindNamed('vtd.irte');
  return {
    take(line) {
      if (line.trim() === '' || BASE.test(line) || HEAD.test(line)) return true;
      const row = ROW.exec(line);
      if (row === null || irte === null) return false;
      const decoded = decodeStructure(irte, [
        hexNumber(row[3] as string) as bigint,
        hexNumber(row[2] as string) as bigint,
      ]);
      structures.push(decoded);
      for (const run of decoded.reserved) details.push([`[${row[1]}]`, `bits ${bitsText(run)} are reserved, and set`]);
      if (decoded.fields.find(({ name }) => name === 'SVT')?.value === 0n)
        details.push([`[${row[1]}]`, 'any requester may use it (SVT 0)']);
      return true;
    },
    close: () => [
      {
        ...NOTHING,
        kind: 'vtd.interrupt-entries',
        model: 'vtd',
        severity: details.length > 0 ? 'warning' : 'info',
        summary: `${kind.toLowerCase()} interrupts of ${unit}: ${structures.length} ${structures.length === 1 ? 'entry' : 'entries'}`,
        details,
        structures,
      },
    ],
  };
};

export const INTERRUPTS_DUMP: LineFormat = {
  id: 'vtd.interrupt-entries',
  needle: 'Interrupt supported on IOMMU',
  pattern: /(?<kind>Remapped|Posted) Interrupt supported on IOMMU: (?<unit>[\w.-]{1,32})/i,
  example: 'Remapped Interrupt supported on IOMMU: dmar0',
  printedBy: 'Linux, debugfs iommu/intel/ir_translation_struct',
  section: open,
};
