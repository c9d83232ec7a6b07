/** Device scope entries: a device, by its path from a host bridge on (VT-d 8.3.1). */
import { bdf } from '../../finding.ts';
import type { ListFormat } from '../list.ts';
import { hex, readList } from '../list.ts';
import type { Remark, TableNode } from '../node.ts';
import { addText, isNode, numberOf } from '../node.ts';
import type { TableBytes } from '../read-field.ts';
import { number } from '../read-field.ts';
import type { Behind } from '../topology.ts';
import { SCOPE, SCOPE_TYPES } from './structures.ts';

export const SCOPE_TYPE = { endpoint: 1, bridge: 2, ioapic: 3, hpet: 4, namespace: 5 } as const;

export interface Hop {
  readonly device: number;
  readonly fn: number;
}

export interface Scope {
  readonly node: TableNode;
  readonly type: number;
  readonly enumeration: number;
  readonly bus: number;
  /** From the start bus on; behind the first hop, buses are those that the bridges have at run time. */
  readonly path: readonly Hop[];
}

const FORMAT: ListFormat = {
  what: 'device scope entry',
  head: 6,
  at: (table, offset) => ({
    declared: SCOPE,
    type: number(table, offset, 1),
    length: number(table, offset + 1, 1),
  }),
  inner: (table, node) => {
    const from = node.offset + SCOPE.size;
    if (node.end > from) addText(table, node, 'Path', from, pathText(0, hopsOf(table, from, node.end)).slice(3));
    node.remarks.push(...alone(node, hopsOf(table, from, node.end)));
  },
};

export function readScopes(table: TableBytes, from: number, end: number): TableNode[] {
  return readList(table, FORMAT, from, end);
}

/** The entries of a structure. Those without a path are none. */
export function scopesOf(table: TableBytes, node: TableNode): Scope[] {
  return node.children.flatMap((child) => {
    if (!isNode(child, SCOPE) || !child.whole) return [];
    const path = hopsOf(table, child.offset + SCOPE.size, child.end);
    if (path.length === 0) return [];
    return {
      node: child,
      type: numberOf(child, 'Type'),
      enumeration: numberOf(child, 'Enumeration ID'),
      bus: numberOf(child, 'Start Bus Number'),
      path,
    };
  });
}

function hopsOf(table: TableBytes, from: number, end: number): Hop[] {
  const hops: Hop[] = [];
  for (let at = from; at + 2 <= end; at += 2) hops.push({ device: number(table, at, 1), fn: number(table, at + 1, 1) });
  return hops;
}

/** `00:1c.0 › 00.0`: the buses behind a bridge are not known here. */
export function pathText(bus: number, path: readonly Hop[]): string {
  const two = (n: number) => n.toString(16).padStart(2, '0');
  return `${two(bus)}:${path.map(({ device, fn }) => `${two(device)}.${fn.toString(16)}`).join(' › ')}`;
}

/** The requester id, where no bridge is on the way. */
export function idOf({ bus, path, type }: Scope): number | null {
  const [hop] = path;
  return path.length === 1 && type !== SCOPE_TYPE.bridge ? (bus << 8) | (hop.device << 3) | hop.fn : null;
}

/** @param names of ACPI devices, by their number in the table */
export function behindOf(scope: Scope, segment: number, names: ReadonlyMap<number, string>): Behind {
  const id = idOf(scope);
  return {
    what: scope.path.length === 1 ? bdf(startOf(scope)) : pathText(scope.bus, scope.path),
    kind: kindText(scope, names),
    ids: id === null ? null : { segment, first: id, last: id },
    out: null,
    ...(id === null ? { beyond: { segment, bridge: startOf(scope) } } : {}),
  };
}

function startOf({ bus, path: [{ device, fn }] }: Scope): number {
  return (bus << 8) | ((device & 0x1f) << 3) | (fn & 7);
}

function kindText({ enumeration, type }: Scope, names: ReadonlyMap<number, string>): string {
  if (type === SCOPE_TYPE.endpoint) return 'endpoint';
  if (type === SCOPE_TYPE.bridge) return 'bridge, and all behind it';
  if (type === SCOPE_TYPE.ioapic) return `IOAPIC ${enumeration}`;
  if (type === SCOPE_TYPE.hpet) return `HPET ${enumeration}`;
  if (type === SCOPE_TYPE.namespace) return names.get(enumeration) ?? `ACPI device ${enumeration}`;
  return `type ${type}`;
}

/** What can be wrong with an entry, whoever has it. */
function alone(node: TableNode, path: readonly Hop[]): Remark[] {
  if (!isNode(node, SCOPE) || !node.whole) return [];
  const { end, offset } = node;
  const remarks: Remark[] = [];
  const add = (text: string, mend: string) => remarks.push({ severity: 'error', offset, text, mend });
  const type = numberOf(node, 'Type');
  if (!(type in SCOPE_TYPES))
    add(
      `the device scope entry at byte ${hex(offset)} has type ${type}, which VT-d 8.3.1 reserves`,
      'software skips it: its device is behind no unit, or behind the one with INCLUDE_PCI_ALL',
    );
  if (path.length === 0)
    add(
      `the device scope entry at byte ${hex(offset)} has an empty path: it names no device`,
      'a path has one pair of device and function at least (VT-d 8.3.1): the firmware left it out',
    );
  if ((end - offset) % 2 !== 0)
    add(
      `the device scope entry at byte ${hex(offset)} has a path of ${end - offset - SCOPE.size} bytes, which are no pairs`,
      'its length is 6 and two bytes for each hop (VT-d 8.3.1)',
    );
  const wrong = path.find(({ device, fn }) => device > 31 || fn > 7);
  if (wrong !== undefined)
    add(
      `the device scope entry at byte ${hex(offset)} names device ${hex(wrong.device)}, function ${hex(wrong.fn)}: PCI has 32 and 8`,
      'no request ever carries such an id: the entry is damaged, or its length is wrong',
    );
  return remarks;
}
