/** A device tree's IOMMU bindings (dt-schema iommu.yaml; Linux, pci/pci-iommu.txt): which ids devices have, and what in them is wrong. */
import type { Detail, Finding } from '../finding.ts';
import { bdf, NOTHING } from '../finding.ts';
import type { Cell, TreeNode } from './device-tree-node.ts';
import { TreeText } from './device-tree-node.ts';
import type { Facts } from './facts.ts';
import type { StreamRange } from './stream-map.ts';

/** Cells of an entry of iommu-map. */
const ENTRY = 4;
/** Requester ids that there are. */
const REQUESTERS = 0x10000;

type Emit = (finding: Finding, line: number) => void;

export class DeviceTreeText {
  private readonly facts: Facts;
  private readonly found: Emit;
  private tree = new TreeText();

  constructor(facts: Facts, found: Emit) {
    this.facts = facts;
    this.found = found;
  }

  take(text: string, line: number): void {
    this.tree.take(text, line);
  }

  /** The whole tree was read: references are resolved now. */
  finish(): void {
    const { nodes } = this.tree;
    this.tree = new TreeText();
    const byReference = new Map<Cell, TreeNode>();
    for (const node of nodes) {
      for (const label of node.labels) byReference.set(label, node);
      const [phandle] = node.properties.get('phandle') ?? node.properties.get('linux,phandle') ?? [];
      if (phandle !== undefined) byReference.set(phandle, node);
    }
    for (const node of nodes) {
      const map = node.properties.get('iommu-map');
      const iommus = node.properties.get('iommus');
      if (map !== undefined) this.bus(node, map, byReference);
      if (iommus !== undefined) this.device(node, iommus, byReference);
    }
  }

  /** `iommus = <&unit id …>, …`. */
  private device(node: TreeNode, cells: readonly Cell[], units: ReadonlyMap<Cell, TreeNode>): void {
    const ranges: StreamRange[] = [];
    const wrong: string[] = [];
    for (let at = 0; at < cells.length; ) {
      const unit = units.get(cells[at] as Cell);
      const count = cellCount(unit);
      const ids = cells.slice(at + 1, at + 1 + count).map(Number);
      at += 1 + count;
      wrong.push(...unitProblems(unit, cells[at - 1 - count] as Cell));
      // A name that a preprocessor would replace is no number.
      if (unit === undefined || ids.length < count || ids.some(Number.isNaN)) continue;
      ranges.push({
        ...{ unit: unit.name, owner: node.name, out: count === 0 ? 0 : (ids[0] as number), count: 1 },
        ...{ mask: ids[1] ?? 0, requester: null, requesterMask: 0 },
      });
    }
    for (const range of ranges) this.facts.addStreams(range);
    const ids = ranges.map(
      ({ mask, out, unit }) => `0x${out.toString(16)}${mask === 0 ? '' : ` (mask 0x${mask.toString(16)})`} at ${unit}`,
    );
    this.found(
      treeFinding(
        'iommus',
        `${node.name} has ${ids.length > 0 ? `id ${ids.join(', ')}` : 'no id at any IOMMU that is in the tree'}`,
        wrong,
        detailsOf(node),
      ),
      node.line,
    );
  }

  /** `iommu-map = <requester &unit id count …>`. */
  private bus(node: TreeNode, cells: readonly Cell[], units: ReadonlyMap<Cell, TreeNode>): void {
    const requesterMask = Number(node.properties.get('iommu-map-mask')?.[0] ?? 0xffff);
    const wrong: string[] = [];
    const ranges: StreamRange[] = [];
    if (cells.length % ENTRY !== 0)
      wrong.push(
        `iommu-map has ${cells.length} cells, which is no multiple of ${ENTRY}: an entry is requester id, IOMMU, id, count`,
      );
    for (let at = 0; at + ENTRY <= cells.length; at += ENTRY) {
      const [requester, reference, out, count] = cells.slice(at, at + ENTRY) as [Cell, Cell, Cell, Cell];
      const unit = units.get(reference);
      wrong.push(...unitProblems(unit, reference));
      if (count === 0)
        wrong.push(`the entry of requester id ${hex(Number(requester))} has a count of 0: it maps nothing`);
      if (
        unit === undefined ||
        Number(count) === 0 ||
        [requester, out, count].some((cell) => Number.isNaN(Number(cell)))
      )
        continue;
      ranges.push({
        ...{ unit: unit.name, owner: node.name, out: Number(out), count: Number(count), mask: 0 },
        ...{ requester: Number(requester), requesterMask },
      });
    }
    wrong.push(...overlaps(ranges), ...leftOut(ranges, requesterMask));
    for (const range of ranges) this.facts.addStreams(range);
    const said = ranges.map(
      ({ count, out, requester, unit }) =>
        `${pciText(Number(requester), count)} are ${hex(out)}${count === 1 ? '' : ` to ${hex(out + count - 1)}`} at ${unit}`,
    );
    const mask: Detail[] =
      requesterMask === 0xffff
        ? []
        : [['mask', `of requester ids, only bits ${hex(requesterMask)} count (iommu-map-mask)`]];
    this.found(
      treeFinding('iommu-map', `${node.name}: ${said.join('; ') || 'no requester id has an id at an IOMMU'}`, wrong, [
        ...mask,
        ...detailsOf(node),
      ]),
      node.line,
    );
  }
}

const hex = (n: number) => `0x${n.toString(16)}`;

function pciText(first: number, count: number): string {
  const last = Math.min(first + count, REQUESTERS) - 1;
  return count === 1 ? bdf(first) : `${bdf(first)} to ${bdf(last)}`;
}

/** Ids that a reference to it has; 1 where the tree does not tell. */
function cellCount(unit: TreeNode | undefined): number {
  const count = Number(unit?.properties.get('#iommu-cells')?.[0] ?? 1);
  return count >= 0 && count <= 4 ? count : 1;
}

function unitProblems(unit: TreeNode | undefined, reference: Cell): string[] {
  if (unit === undefined)
    return [
      `it refers to an IOMMU (${typeof reference === 'number' ? `phandle ${hex(reference)}` : `&${reference}`}) that is not in this text`,
    ];
  const status = unit.strings.get('status');
  return status === undefined || status === 'okay' || status === 'ok'
    ? []
    : [`${unit.name} is ${status}: nothing behind it is translated`];
}

function overlaps(ranges: readonly StreamRange[]): string[] {
  const sorted = [...ranges].sort((a, b) => Number(a.requester) - Number(b.requester));
  return sorted.slice(1).flatMap((next, i) => {
    const before = sorted[i] as StreamRange;
    return Number(next.requester) < Number(before.requester) + before.count
      ? [`requester id ${hex(Number(next.requester))} is in two entries: the first one counts`]
      : [];
  });
}

/** Functions of a device whose first function has an id, and that have none themselves: they fault, or pass. */
function leftOut(ranges: readonly StreamRange[], mask: number): string[] {
  if (ranges.length === 0 || (mask & 7) === 0) return [];
  const has = (id: number) =>
    ranges.some(({ count, requester }) => (id & mask) >= Number(requester) && (id & mask) < Number(requester) + count);
  const [only] = ranges;
  return ranges.length === 1 && only?.count === 1 && !has(Number(only.requester) + 1)
    ? [
        `only ${bdf(Number(only.requester))} has an id: other functions, virtual ones and devices behind bridges have none, and are not translated or blocked`,
      ]
    : [];
}

function detailsOf({ properties }: TreeNode): Detail[] {
  const details: Detail[] = [];
  if (properties.has('dma-coherent')) details.push(['coherent', 'its DMA sees the caches (dma-coherent)']);
  if (properties.has('dma-noncoherent'))
    details.push(['coherent', 'its DMA does not see the caches (dma-noncoherent)']);
  if (properties.has('ats-supported'))
    details.push(['ATS', 'the bus carries it (ats-supported): Linux may enable it in devices']);
  if (properties.get('dma-ranges')?.length === 0)
    details.push(['dma-ranges', 'empty: addresses of its DMA are those of the bus above']);
  return details;
}

function treeFinding(property: string, summary: string, wrong: readonly string[], details: readonly Detail[]): Finding {
  return {
    ...NOTHING,
    kind: `tree.${property}`,
    model: 'linux',
    severity: wrong.length > 0 ? 'warning' : 'info',
    summary: `${summary}${wrong.length > 0 ? `; ${wrong[0]}` : ''}`,
    details: [...wrong.slice(1).map((text): Detail => ['and', text]), ...details],
  };
}
