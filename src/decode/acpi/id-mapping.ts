/** Ids of devices, and what they become: what IORT, RIMT and VIOT have in common. */
import { bdf } from '../finding.ts';
import { hex } from './list.ts';
import type { Remark, TableNode } from './node.ts';

/** Ids that go somewhere under other numbers. */
export interface IdMapping {
  /** The mapping itself. */
  readonly node: TableNode;
  /** Node that has it. */
  readonly owner: TableNode;
  readonly first: number;
  readonly last: number;
  /** What the first becomes. */
  readonly out: number;
  /** Offset of the node that it leads to. */
  readonly target: number;
  /** One id comes out, whatever comes in. */
  readonly single: boolean;
}

export type Add = (severity: Remark['severity'], node: TableNode, text: string, mend: string) => void;

export function outLast({ first, last, out, single }: IdMapping): number {
  return single ? out : out + (last - first);
}

/** `0x0 to 0xffff`. */
export function idsText(first: number, last: number): string {
  return first === last ? hex(first) : `${hex(first)} to ${hex(last)}`;
}

/** Ids of PCI devices, within a segment or over several. */
export function pciText(first: number, last: number): string {
  return first === last ? bdf(first) : `${bdf(first)} to ${bdf(last)}`;
}

/** What a device's ids can be wrong in, whatever the table. @param owner as it is called */
export function checkMappings(mappings: readonly IdMapping[], owner: string, add: Add): void {
  const sorted = mappings.filter(({ single }) => !single).sort((a, b) => a.first - b.first);
  sorted.slice(1).forEach((next, i) => {
    const before = sorted[i];
    if (next.first > before.last) return;
    const byOne = next.first === before.last;
    add(
      'error',
      next.node,
      `${owner}: ids ${idsText(next.first, Math.min(next.last, before.last))} are mapped twice`,
      byOne
        ? 'the field of the range before may hold the number of ids where it is to hold one less, or the other way round; Linux mends that of known boards only'
        : 'software takes the first mapping that it finds: devices may get the ids of others',
    );
  });
}

/** Two ranges of ids that come out at one unit as the same: their devices cannot be told apart. */
export function checkOutputs(mappings: readonly IdMapping[], what: string, add: Add): void {
  const sorted = [...mappings].sort((a, b) => a.out - b.out);
  sorted.slice(1).forEach((next, i) => {
    const before = sorted[i];
    if (next.out > outLast(before)) return;
    add(
      'warning',
      next.node,
      `${what} ${idsText(next.out, Math.min(outLast(next), outLast(before)))} are those of two ranges of devices (the other at byte ${hex(before.node.offset)})`,
      'the unit cannot tell them apart: they share tables, faults and groups; right only where they are one device',
    );
  });
}
