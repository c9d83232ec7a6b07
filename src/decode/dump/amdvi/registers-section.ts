/** debugfs `mmio` and `capability` of AMD: one register a reading, which users string together. */
import { AMD_CAPABILITY, AMD_MMIO } from '../../amdvi/kinds.ts';
import { suspects } from '../../causes.ts';
import type { Detail, Finding } from '../../finding.ts';
import { NOTHING } from '../../finding.ts';
import type { LineFormat } from '../../line-format.ts';
import type { Opener, Section } from '../../section.ts';
import type { DecodedStructure } from '../../structure.ts';
import { bitsText, decodeStructure, fieldOf, kindNamed } from '../../structure.ts';

/** Registers are read as 64 bits in MMIO space, and as 32 in configuration space. */
const ROW = /(?:^|\s)Offset:(0x[0-9a-f]{1,8}) Value:(0x(?:[0-9a-f]{16}|[0-9a-f]{8}))\s*$/i;
const MMIO_DIGITS = 18;

/** What is wrong with a unit that is at work, by register and field: the value that says so, and what it says. */
const WRONG: readonly (readonly [kind: string, field: string, value: bigint, text: string])[] = [
  ['amdvi.control', 'IommuEn', 0n, 'the unit is off: DMA is not translated'],
  ['amdvi.control', 'EventLogEn', 0n, 'events are not logged: nobody is told of faults'],
  ['amdvi.control', 'EventIntEn', 0n, 'events raise no interrupt: nobody is told of faults'],
  ['amdvi.control', 'CmdBufEn', 0n, 'the command buffer is off'],
  ['amdvi.status', 'EventOverflow', 1n, 'the event log is full: events were lost'],
  ['amdvi.status', 'EventLogRun', 0n, 'the event log does not run'],
  ['amdvi.status', 'CmdBufRun', 0n, 'the command buffer does not run: it is off, or has stopped at an error'],
  ['amdvi.status', 'PprOverflow', 1n, 'the log of page requests is full: requests were lost'],
  ['amdvi.status', 'GALOverflow', 1n, "the log of guests' interrupts is full"],
];

const open: Opener = ({ offset = '', value = '' }, tables): Section => {
  const read: { offset: number; value: bigint; mmio: boolean }[] = [];
  const take = (at: string, of: string) =>
    read.push({ offset: Number(at), value: BigInt(of), mmio: of.length === MMIO_DIGITS });
  take(offset, value);
  return {
    take(line) {
      const row = ROW.exec(line);
      if (row !== null) take(row[1] as string, row[2] as string);
      return row !== null || line.trim() === '';
    },
    close() {
      const structures: DecodedStructure[] = [];
      const details: Detail[] = [];
      for (const { mmio, offset: at, value: word } of read) {
        const known = (mmio ? AMD_MMIO : AMD_CAPABILITY).get(at);
        const decoded = known === undefined ? null : decodedRegister(known.id, word);
        if (decoded === null) details.push([`0x${at.toString(16)}`, `0x${word.toString(16)}: not known`]);
        // Segments of the device table share their kind: the name says which it is.
        else structures.push({ ...decoded, name: known?.name ?? decoded.name });
      }
      // A kind of several registers does not say which of them was read.
      for (const structure of structures) if (structure.kind !== 'amdvi.device-table-segments') tables?.give(structure);
      return [summary(read, structures, details)];
    },
  };
};

function decodedRegister(id: string, word: bigint): DecodedStructure | null {
  const kind = kindNamed(id);
  return kind === null ? null : decodeStructure(kind, [kind.wordBits === 32 ? word & 0xffffffffn : word]);
}

function summary(
  read: readonly { offset: number; value: bigint; mmio: boolean }[],
  structures: readonly DecodedStructure[],
  others: readonly Detail[],
): Finding {
  const problems: Detail[] = structures.flatMap((structure) => [
    ...WRONG.filter(([kind, field, value]) => structure.kind === kind && fieldOf(structure, field) === value).map(
      ([, field, , text]) => [field, text] as const,
    ),
    ...structure.reserved.map((run) => [structure.kind, `bits ${bitsText(run)} are reserved, and set`] as const),
  ]);
  const gone = read.length > 0 && read.every(({ mmio, value }) => value === (mmio ? 0xffffffffffffffffn : 0xffffffffn));
  const what = read.every(({ mmio }) => mmio) ? 'registers' : 'registers and capabilities';
  return {
    ...NOTHING,
    kind: 'amdvi.registers',
    model: 'amdvi',
    severity: gone || problems.length > 0 ? 'warning' : 'info',
    summary: gone
      ? 'the registers read as all ones: the unit does not answer'
      : `${what}: ${read.length} ${read.length === 1 ? 'value' : 'values'}${problems[0] === undefined ? '' : `; ${problems[0][1]}`}`,
    details: gone ? [] : [...problems, ...others],
    structures: gone ? [] : structures,
    causes: gone ? suspects({ likely: ['registers-gone'] }) : [],
  };
}

export const AMD_REGISTERS_DUMP: LineFormat = {
  id: 'amdvi.registers',
  needle: 'Offset:0x',
  pattern: /(?:^|\s)Offset:(?<offset>0x[0-9a-f]{1,8}) Value:(?<value>0x(?:[0-9a-f]{16}|[0-9a-f]{8}))\s*$/i,
  example: 'Offset:0x18 Value:0x000c22000003f48d',
  printedBy: 'Linux 6.17 and later, debugfs iommu/amd/iommu*/mmio and capability',
  section: open,
};
