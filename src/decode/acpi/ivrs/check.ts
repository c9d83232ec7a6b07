/** What is wrong with the blocks of an IVRS table together (48882 5.2), and what Linux makes of them. */
import { bdf } from '../../finding.ts';
import { hex } from '../list.ts';
import type { Remark, TableNode } from '../node.ts';
import { bigOf, isNode, nodesOf, numberOf } from '../node.ts';
import type { TableBytes } from '../read-field.ts';
import type { Ivhd, Ivmd, UnitBlocks } from './blocks.ts';
import { entriesOf, ivhdsOf, ivmdsOf, rangeText, unitsOf } from './blocks.ts';
import { HID, IVRS_TABLE } from './structures.ts';
import { devicesOf } from './topology.ts';

const PAGE = 4096n;
/** Of a unit's registers (48882 3.2.1): bits 13:0 of the base are none. */
const REGISTERS = 1n << 14n;
const FIRMWARE = 'tell the maker of the firmware';
/** Where AMD chipsets have the IOAPIC that the legacy interrupts come to. */
const SOUTHBRIDGE_IOAPIC = 0xa0;

type Add = (severity: Remark['severity'], node: TableNode, text: string, mend: string) => void;

export function checkIvrs(_: TableBytes, root: TableNode): Remark[] {
  if (!isNode(root, IVRS_TABLE) || !root.whole) return [];
  const remarks: Remark[] = [];
  const add: Add = (severity, { offset }, text, mend) => remarks.push({ severity, offset, text, mend });
  const units = unitsOf(root.children);
  if (units.length === 0)
    add('error', root, 'there is no IVHD: the table names no unit', 'is the IOMMU off in the setup?');
  checkTypes(root, units, add);
  for (const block of ivhdsOf(root.children)) checkBlock(block, add);
  checkOwners(units, add);
  checkIoapics(root, units, add);
  for (const block of ivmdsOf(root.children)) checkRegion(block, units, add);
  return remarks;
}

function checkTypes(root: TableNode, units: readonly UnitBlocks[], add: Add): void {
  if (!isNode(root, IVRS_TABLE)) return;
  const newer = ivhdsOf(root.children).filter((block) => numberOf(block, 'Type') > 0x10);
  if (newer.length > 0 && (numberOf(root, 'IVinfo') & 1) === 0)
    add(
      'warning',
      newer[0],
      'IVHD 11h and 40h are there, and IVinfo.EFRSup is 0',
      '48882 5.2.1 reserves them then; software may take IVHD 10h, or none',
    );
  const hid = newer.find((block) => numberOf(block, 'Type') === 0x40);
  if (hid !== undefined && numberOf(root, 'Revision') < 2)
    add('warning', hid, 'IVHD 40h stands in a table of revision 1', '48882 5.2.1 has it from revision 2 on');
  for (const { blocks, id, used } of units) {
    const types = blocks.map((block) => numberOf(block, 'Type'));
    if (types.length > 1)
      add(
        'info',
        used,
        `unit ${bdf(id)} has ${types.length} IVHDs (${types.map((type) => `${type.toString(16)}h`).join(', ')}): the highest is used`,
        'the others say the same to older software',
      );
    if (new Set(types).size < types.length)
      add('error', used, `unit ${bdf(id)} has two IVHDs of the same type`, `software takes one or both; ${FIRMWARE}`);
  }
  // Linux takes, for all units, the type of the last block of the first block's unit.
  const last = units[0]?.blocks.at(-1);
  if (last === undefined) return;
  const target = numberOf(last, 'Type');
  for (const { blocks, id, used } of units)
    if (!blocks.some((block) => numberOf(block, 'Type') === target))
      add(
        'error',
        used,
        `unit ${bdf(id)} has no IVHD of type ${target.toString(16)}h, as the first unit has`,
        'Linux reads blocks of one type only, that of the first unit: it does not see this unit, and its devices are not translated',
      );
}

function checkBlock(block: Ivhd, add: Add): void {
  const base = bigOf(block, 'IOMMU Base Address');
  const name = `unit ${bdf(numberOf(block, 'IOMMU DeviceID'))}`;
  if (base === 0n || base % REGISTERS !== 0n)
    add(
      'error',
      block,
      `${name} has its registers at ${hex(base)}, ${base === 0n ? 'which is nowhere' : 'not aligned to 16 KiB'}`,
      `Linux cannot map them, and goes on without any IOMMU; ${FIRMWARE}`,
    );
  const { ranges, unpaired } = entriesOf(block);
  for (const node of unpaired)
    add(
      'error',
      node,
      `the ${node.structure.id} at byte ${hex(node.offset)} has no other half`,
      `its devices are behind no unit; ${FIRMWARE}`,
    );
  for (const { first, last, node } of ranges)
    if (last < first)
      add(
        'error',
        node,
        `the range ${rangeText(first, last)} ends before it begins`,
        `its devices are behind no unit; ${FIRMWARE}`,
      );
  for (const { node, special } of ranges)
    if (special !== null && special.variety !== 1 && special.variety !== 2)
      add('warning', node, `a special device of variety ${special.variety}`, '48882 5.2.2 has 1 (IOAPIC) and 2 (HPET)');
  const [hid] = nodesOf(block.children, HID);
  if (hid !== undefined && numberOf(block, 'Type') !== 0x40)
    add(
      'error',
      hid,
      'an ACPI HID device in an IVHD other than 40h',
      '48882 5.2.2 has it there only: software may stop reading here',
    );
}

/** A device that several units have. */
function checkOwners(units: readonly UnitBlocks[], add: Add): void {
  const all = units.flatMap((unit) =>
    entriesOf(unit.used)
      .ranges.filter(({ first, last, special }) => special === null && first <= last)
      .map((range) => ({ unit, range })),
  );
  all.sort((a, b) => a.unit.segment - b.unit.segment || a.range.first - b.range.first);
  let widest = all[0];
  for (const next of all.slice(1)) {
    const overlaps = next.unit.segment === widest.unit.segment && next.range.first <= widest.range.last;
    if (overlaps && next.unit.id !== widest.unit.id)
      add(
        'error',
        next.range.node,
        `${rangeText(next.range.first, Math.min(next.range.last, widest.range.last))} is behind unit ${bdf(widest.unit.id)} and unit ${bdf(next.unit.id)}`,
        'a device has one unit: software takes the one that it reads last, and DMA may go through the other',
      );
    if (!overlaps || next.range.last > widest.range.last) widest = next;
  }
}

function checkIoapics(root: TableNode, units: readonly UnitBlocks[], add: Add): void {
  const ioapics = units.flatMap(({ used }) => entriesOf(used).ranges.filter(({ special }) => special?.variety === 1));
  if (units.length > 0 && !ioapics.some(({ first }) => first === SOUTHBRIDGE_IOAPIC))
    add(
      'warning',
      root,
      `no IOAPIC has the id ${bdf(SOUTHBRIDGE_IOAPIC)} of the chipset's`,
      'Linux says "No southbridge IOAPIC found" and leaves interrupt remapping off; ivrs_ioapic=ID@SEGMENT:BUS:DEVICE.FUNCTION mends it by hand',
    );
  const seen = new Set<number>();
  for (const { node, special } of ioapics) {
    const handle = special?.handle ?? 0;
    if (seen.has(handle))
      add('error', node, `IOAPIC ${handle} is named twice`, 'its source id is one only; the other entry is wrong');
    seen.add(handle);
  }
}

function checkRegion(block: Ivmd, units: readonly UnitBlocks[], add: Add): void {
  const first = bigOf(block, 'Start Address');
  const length = bigOf(block, 'Memory Block Length');
  const name = `IVMD ${hex(first)}, ${hex(length)} bytes, of ${devicesOf(block)}`;
  if (length === 0n) add('error', block, `${name} is empty`, `DMA of firmware that needs it faults; ${FIRMWARE}`);
  if (first % PAGE !== 0n || length % PAGE !== 0n)
    add(
      'error',
      block,
      `${name} is not made of whole pages`,
      '48882 5.2.3 wants 4 KiB; software rounds, or leaves it out',
    );
  if (numberOf(block, 'Type') === 0x22 && numberOf(block, 'Auxiliary Data') < numberOf(block, 'DeviceID'))
    add('error', block, `${name} ends before it begins`, `nobody gets a mapping of it; ${FIRMWARE}`);
  if ((numberOf(block, 'Flags') & 8) !== 0)
    add(
      'warning',
      block,
      `${name} asks for an exclusion range: any device may reach it, untranslated`,
      'a unit has one such range; newer Linux maps it to itself for the devices it is of instead',
    );
  const segment = numberOf(block, 'PCI Segment Group');
  const id = numberOf(block, 'DeviceID');
  const known = units.some((unit) =>
    entriesOf(unit.used).ranges.some((range) => unit.segment === segment && range.first <= id && id <= range.last),
  );
  if (numberOf(block, 'Type') === 0x21 && !known)
    add('warning', block, `${name} is of a device behind no unit`, 'its DMA is not translated, or the id is wrong');
}
