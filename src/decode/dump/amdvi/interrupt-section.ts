/** debugfs `irqtbl` of AMD: the interrupt remapping entries in use of the device that `devid` names. */
import type { Detail } from '../../finding.ts';
import { hexNumber, NOTHING, pciRequester } from '../../finding.ts';
import type { LineFormat } from '../../line-format.ts';
import type { Opener, Section } from '../../section.ts';
import type { DecodedStructure } from '../../structure.ts';
import { bitsText, decodeNamed, fieldOf } from '../../structure.ts';

/** Of 128 bits with the higher word first, or of 32. */
const ROW = /(?:^|\s)IRT\[(\d{4})\] (?:([0-9a-f]{16}) ([0-9a-f]{16})|([0-9a-f]{8}))\s*$/i;

const open: Opener = ({ device = '' }): Section => {
  const entries: { index: number; irte: DecodedStructure }[] = [];
  return {
    take(line) {
      const [, index, high, low, narrow] = ROW.exec(line) ?? [];
      if (index === undefined) return line.trim() === '';
      const word = (text: string | undefined) => hexNumber(text as string) as bigint;
      const irte =
        narrow === undefined
          ? decodeNamed('amdvi.irte-128', [word(low), word(high)])
          : decodeNamed('amdvi.irte', [word(narrow)]);
      entries.push({ index: Number(index), irte });
      return true;
    },
    close() {
      const details = entries.flatMap(({ index, irte }): Detail[] => {
        const name = `[${index}]`;
        const reserved = irte.reserved.map((run) => [name, `bits ${bitsText(run)} are reserved, and set`] as const);
        return fieldOf(irte, 'RemapEn') === 0n ? [...reserved, [name, 'RemapEn is 0: it is refused']] : reserved;
      });
      return [
        {
          ...NOTHING,
          kind: 'amdvi.interrupt-entries',
          model: 'amdvi',
          severity: details.length > 0 ? 'warning' : 'info',
          summary: `interrupt remapping of ${device}: ${entries.length} ${entries.length === 1 ? 'entry' : 'entries'}`,
          requester: pciRequester(device),
          details,
          structures: entries.map(({ irte }) => irte),
        },
      ];
    },
  };
};

export const AMD_INTERRUPTS_DUMP: LineFormat = {
  id: 'amdvi.interrupt-entries',
  needle: 'DeviceId ',
  pattern: /(?:^|\s)DeviceId (?<device>(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])\s*$/i,
  example: 'DeviceId 0000:01:00.0',
  printedBy: 'Linux 6.17 and later, debugfs iommu/amd/irqtbl',
  section: open,
};

/** Why irqtbl has nothing. */
export const AMD_NO_INTERRUPTS: readonly LineFormat[] = [
  {
    id: 'amdvi.no-interrupt-table',
    needle: 'IRQ lookup table not set for',
    // The function follows a colon here.
    pattern: /IRQ lookup table not set for (?<device>[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}):(?<fn>[0-7])\s*$/i,
    example: 'IRQ lookup table not set for 0000:01:00:0',
    printedBy: 'Linux 6.17 and later, debugfs iommu/amd/irqtbl',
    decode: ({ device, fn }) => ({
      ...NOTHING,
      kind: 'amdvi.no-interrupt-table',
      model: 'amdvi',
      severity: 'info',
      summary: `${device}.${fn} has no interrupt remapping table: no interrupt of it was set up`,
      requester: pciRequester(`${device}.${fn}`),
    }),
  },
  {
    id: 'amdvi.interrupt-table-length',
    needle: 'DTE contains an invalid IRT',
    pattern: /DTE contains an invalid IRT length value/,
    example: "The device's DTE contains an invalid IRT length value.",
    printedBy: 'Linux 6.17 and later, debugfs iommu/amd/irqtbl',
    decode: () => ({
      ...NOTHING,
      kind: 'amdvi.interrupt-table-length',
      model: 'amdvi',
      severity: 'warning',
      summary: 'the device table entry has an IntTabLen that Linux does not use (it uses 512 and 2048 entries)',
    }),
  },
];
