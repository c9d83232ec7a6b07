/** The blocks of an IVRS table as software takes them: one IVHD of each unit, its entries as ranges of ids. */
import { bdf } from '../../finding.ts';
import type { TableNode } from '../node.ts';
import { isNode, nodesOf, numberOf } from '../node.ts';
import type { Behind } from '../topology.ts';
import {
  ALIAS_SELECT,
  ALIAS_START,
  ALL,
  END,
  EXTENDED_SELECT,
  EXTENDED_START,
  HID,
  IVHD_10,
  IVHD_11,
  IVHD_40,
  IVMD_20,
  IVMD_21,
  IVMD_22,
  SELECT,
  SPECIAL,
  START,
  VARIETY,
} from './structures.ts';

export type Ivhd = TableNode<
  'Type' | 'Flags' | 'Length' | 'IOMMU DeviceID' | 'Capability Offset' | 'IOMMU Base Address' | 'PCI Segment Group'
>;
export type Ivmd = TableNode<
  'Type' | 'Flags' | 'DeviceID' | 'Auxiliary Data' | 'PCI Segment Group' | 'Start Address' | 'Memory Block Length'
>;

/** A unit with all of its blocks, in the order of the table. */
export interface UnitBlocks {
  readonly segment: number;
  readonly id: number;
  readonly blocks: readonly Ivhd[];
  /** The one of the highest type: the others say the same for older software. */
  readonly used: Ivhd;
}

export function ivhdsOf(nodes: readonly TableNode[]): Ivhd[] {
  const all: Ivhd[] = [...nodesOf(nodes, IVHD_10), ...nodesOf(nodes, IVHD_11), ...nodesOf(nodes, IVHD_40)];
  return all.sort((a, b) => a.offset - b.offset);
}

export function ivmdsOf(nodes: readonly TableNode[]): Ivmd[] {
  const all: Ivmd[] = [...nodesOf(nodes, IVMD_20), ...nodesOf(nodes, IVMD_21), ...nodesOf(nodes, IVMD_22)];
  return all.sort((a, b) => a.offset - b.offset);
}

export function unitsOf(nodes: readonly TableNode[]): UnitBlocks[] {
  const units = new Map<number, Ivhd[]>();
  for (const block of ivhdsOf(nodes)) {
    const key = (numberOf(block, 'PCI Segment Group') << 16) | numberOf(block, 'IOMMU DeviceID');
    units.set(key, [...(units.get(key) ?? []), block]);
  }
  return [...units.values()].map((blocks) => {
    const used = blocks.reduce((a, b) => (numberOf(b, 'Type') > numberOf(a, 'Type') ? b : a));
    return { segment: numberOf(used, 'PCI Segment Group'), id: numberOf(used, 'IOMMU DeviceID'), blocks, used };
  });
}

/** An entry, or a start with its end. */
export interface EntryRange {
  readonly node: TableNode;
  readonly first: number;
  readonly last: number;
  /** The id that requests have; null where it is the device's own. */
  readonly alias: number | null;
  readonly special: { readonly variety: number; readonly handle: number } | null;
  /** Name of an ACPI device. */
  readonly name: string | null;
  readonly atsDisabled: boolean;
}

export interface Entries {
  readonly ranges: readonly EntryRange[];
  /** Starts without an end, and ends without a start. */
  readonly unpaired: readonly TableNode[];
}

const ATS_DISABLED = 2 ** 31;

export function entriesOf(block: TableNode): Entries {
  const ranges: EntryRange[] = [];
  const unpaired: TableNode[] = [];
  let open: EntryRange | null = null;
  for (const node of block.children) {
    if (!node.whole) continue;
    const starts = [START, ALIAS_START, EXTENDED_START].some(({ id }) => node.structure.id === id);
    if (isNode(node, END)) {
      if (open === null) unpaired.push(node);
      else ranges.push({ ...open, last: numberOf(node, 'DeviceID') });
      open = null;
      continue;
    }
    const range = rangeOf(node);
    if (range === null) continue;
    if (open !== null) unpaired.push(open.node);
    open = starts ? range : null;
    if (!starts) ranges.push(range);
  }
  if (open !== null) unpaired.push(open.node);
  return { ranges, unpaired };
}

function rangeOf(node: TableNode): EntryRange | null {
  const plain = { node, alias: null, special: null, name: null, atsDisabled: false };
  const of = (id: number) => ({ ...plain, first: id, last: id });
  if (isNode(node, ALL)) return { ...plain, first: 0, last: 0xffff };
  if (isNode(node, SELECT) || isNode(node, START)) return of(numberOf(node, 'DeviceID'));
  if (isNode(node, ALIAS_SELECT) || isNode(node, ALIAS_START))
    return { ...of(numberOf(node, 'DeviceID')), alias: numberOf(node, 'Source DeviceID') };
  if (isNode(node, EXTENDED_SELECT) || isNode(node, EXTENDED_START))
    return {
      ...of(numberOf(node, 'DeviceID')),
      atsDisabled: numberOf(node, 'Extended DTE Setting') >= ATS_DISABLED,
    };
  if (isNode(node, SPECIAL))
    return {
      ...of(numberOf(node, 'Source DeviceID')),
      special: { variety: numberOf(node, 'Variety'), handle: numberOf(node, 'Handle') },
    };
  if (isNode(node, HID)) return { ...of(numberOf(node, 'DeviceID')), name: nameOf(node) };
  return null;
}

/** `AMDI0020:\_SB.FUR0`. */
function nameOf(node: TableNode): string {
  const shown = (name: string) => node.fields.find((field) => field.name === name)?.text ?? '';
  const uid = shown('UID');
  return `${shown('HID').replaceAll('"', '')}${uid === '' ? '' : `:${uid}`}`;
}

export function rangeText(first: number, last: number): string {
  return first === last ? bdf(first) : `${bdf(first)} to ${bdf(last)}`;
}

export function behindOf(range: EntryRange, segment: number): Behind {
  const { alias, atsDisabled, first, last, name, special } = range;
  const kind =
    special !== null
      ? `${VARIETY[special.variety as keyof typeof VARIETY] ?? `variety ${special.variety}`} ${special.handle}`
      : (name ?? (first === last ? 'device' : 'devices'));
  return {
    what: rangeText(first, last),
    kind: atsDisabled ? `${kind}, without ATS` : kind,
    ids: { segment, first, last },
    out: alias === null ? null : `seen as ${bdf(alias)}`,
    ...(alias === null ? {} : { outIds: { first: alias, last: alias } }),
  };
}
