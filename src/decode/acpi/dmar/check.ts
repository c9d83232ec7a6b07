/** What is wrong with the structures of a DMAR table, alone and together: what breaks machines, and what VT-d chapter 8 forbids. */
import { hex } from '../list.ts';
import type { Remark, TableNode } from '../node.ts';
import { bigOf, isNode, nodesOf, numberOf } from '../node.ts';
import type { TableBytes } from '../read-field.ts';
import { segmentText } from '../topology.ts';
import type { Scope } from './scope.ts';
import { pathText, SCOPE_TYPE, scopesOf } from './scope.ts';
import { ANDD, ATSR, BY_TYPE, DMAR_TABLE, DRHD, RHSA, RMRR, SATC } from './structures.ts';
import { INCLUDE_PCI_ALL } from './topology.ts';

const PAGE = 4096n;
const FIRMWARE = 'tell the maker of the firmware';

type Add = (severity: Remark['severity'], node: TableNode, text: string, mend: string) => void;

export function checkDmar(table: TableBytes, root: TableNode): Remark[] {
  if (!isNode(root, DMAR_TABLE) || !root.whole) return [];
  const remarks: Remark[] = [];
  const add: Add = (severity, { offset }, text, mend) => remarks.push({ severity, offset, text, mend });
  const { children } = root;
  checkUnits(table, root, children, add);
  for (const node of nodesOf(children, RMRR)) checkRegion(table, root, node, add);
  for (const node of nodesOf(children, ATSR)) checkPorts(table, node, add);
  for (const node of nodesOf(children, SATC))
    for (const { node: entry, path, type } of scopesOf(table, node))
      if (type !== SCOPE_TYPE.endpoint || path.length !== 1)
        add('error', entry, 'SATC names what is no endpoint integrated in the root complex', `${FIRMWARE} (VT-d 8.8)`);
  checkNames(table, children, add);
  checkOrder(children, add);
  return remarks;
}

function checkUnits(table: TableBytes, root: TableNode, children: readonly TableNode[], add: Add): void {
  const units = nodesOf(children, DRHD);
  if (units.length === 0)
    add(
      'error',
      root,
      'there is no DRHD: the table names no unit',
      'VT-d 8.1 wants one at least; is VT-d off in the setup?',
    );
  const bases = new Set<bigint>();
  const all = new Map<number, TableNode>();
  const owners = new Map<string, number>();
  units.forEach((node, i) => {
    const base = bigOf(node, 'Register Base Address');
    const size = PAGE << BigInt(numberOf(node, 'Size') & 0xf);
    const segment = numberOf(node, 'Segment Number');
    if (base === 0n || base % size !== 0n)
      add(
        'error',
        node,
        `DRHD ${i} has its registers at ${hex(base)}, ${base === 0n ? 'which is nowhere' : `not aligned to their ${hex(size)} bytes`}`,
        `Linux gives the unit up ("Your BIOS is broken"); ${FIRMWARE}`,
      );
    if (bases.has(base)) add('error', node, `DRHD ${i} has the registers of another (${hex(base)})`, FIRMWARE);
    bases.add(base);
    const earlier = all.get(segment);
    if (earlier !== undefined)
      add(
        'error',
        node,
        (numberOf(node, 'Flags') & INCLUDE_PCI_ALL) === 0
          ? `DRHD ${i} stands behind the one with INCLUDE_PCI_ALL of segment ${segmentText(segment)}`
          : `DRHD ${i} has INCLUDE_PCI_ALL, as has the one at byte ${hex(earlier.offset)} of the same segment ${segmentText(segment)}`,
        'VT-d 8.3 wants one with INCLUDE_PCI_ALL a segment, the last of it: software takes the first that it finds for a device',
      );
    if ((numberOf(node, 'Flags') & INCLUDE_PCI_ALL) !== 0) all.set(segment, node);
    checkUnitScopes(scopesOf(table, node), node, i, owners, add);
  });
  for (const node of nodesOf(children, RHSA))
    if (!bases.has(bigOf(node, 'Register Base Address')))
      add(
        'warning',
        node,
        `RHSA names registers at ${hex(bigOf(node, 'Register Base Address'))}, which no DRHD has`,
        `its proximity domain is nobody's; Linux says "Your BIOS is broken; RHSA refers to non-existent DMAR unit"`,
      );
  checkInterrupts(table, root, units, add);
}

function checkUnitScopes(
  scopes: readonly Scope[],
  node: TableNode<'Flags' | 'Segment Number'>,
  i: number,
  owners: Map<string, number>,
  add: Add,
): void {
  const includesAll = (numberOf(node, 'Flags') & INCLUDE_PCI_ALL) !== 0;
  if (scopes.length === 0 && !includesAll)
    add('warning', node, `DRHD ${i} has no device behind it`, 'Linux leaves such a unit out; it does no harm');
  for (const { bus, node: entry, path, type } of scopes) {
    const device = pathText(bus, path);
    if (includesAll && (type === SCOPE_TYPE.endpoint || type === SCOPE_TYPE.bridge))
      add(
        'warning',
        entry,
        `DRHD ${i} has INCLUDE_PCI_ALL, and names ${device} besides`,
        'VT-d 8.3.1 lets it name IOAPICs, HPETs and ACPI devices only; the device is behind it anyhow',
      );
    const key = `${numberOf(node, 'Segment Number')}/${device}`;
    const owner = owners.get(key);
    // IOAPICs and ACPI devices may share an id within a unit.
    if (owner !== undefined && owner !== i)
      add(
        'error',
        entry,
        `${device} is behind DRHD ${i} and DRHD ${owner}`,
        'a device has one unit: software takes the first, and its faults and interrupts may come from the other',
      );
    owners.set(key, i);
  }
}

function checkInterrupts(table: TableBytes, root: TableNode, units: readonly TableNode[], add: Add): void {
  const flags = isNode(root, DMAR_TABLE) ? numberOf(root, 'Flags') : 0;
  if ((flags & 3) === 2)
    add('warning', root, 'X2APIC_OPT_OUT is set without INTR_REMAP', 'it means nothing then (VT-d 8.1)');
  if ((flags & 1) === 0) return;
  const ioapics = units.flatMap((node) => scopesOf(table, node)).filter(({ type }) => type === SCOPE_TYPE.ioapic);
  if (ioapics.length === 0)
    add(
      'warning',
      root,
      'INTR_REMAP is set, and no DRHD names an IOAPIC',
      'interrupt remapping stays off in Linux where an IOAPIC of the MADT is behind no unit (VT-d 8.3.1.1)',
    );
  const seen = new Set<number>();
  for (const { enumeration, node } of ioapics) {
    if (seen.has(enumeration))
      add('error', node, `IOAPIC ${enumeration} is named twice`, 'its source id is one only; the other entry is wrong');
    seen.add(enumeration);
  }
}

function checkRegion(table: TableBytes, root: TableNode, node: TableNode, add: Add): void {
  if (!isNode(node, RMRR)) return;
  const base = bigOf(node, 'Reserved Memory Region Base Address');
  const limit = bigOf(node, 'Reserved Memory Region Limit Address');
  const name = `RMRR ${hex(base)} to ${hex(limit)}`;
  if (limit <= base)
    add(
      'error',
      node,
      `${name} ends before it begins`,
      'software leaves it out, and the DMA that firmware does there faults; a firmware update, or a boot option for the device',
    );
  else {
    if (base % PAGE !== 0n)
      add(
        'error',
        node,
        `${name} does not begin at a page`,
        `VT-d 8.4 wants 4 KiB; software maps the pages it touches, or leaves it out`,
      );
    if ((limit + 1n) % PAGE !== 0n)
      add(
        'error',
        node,
        `${name} does not end at the last byte of a page`,
        'the limit is the last byte, not the one behind it (VT-d 8.4); software rounds up to whole pages',
      );
    const width = isNode(root, DMAR_TABLE) ? numberOf(root, 'Host Address Width') + 1 : 64;
    if (limit >> BigInt(Math.min(width, 64)) !== 0n)
      add(
        'error',
        node,
        `${name} lies above the ${width} bits of the host address width`,
        `nothing is there; ${FIRMWARE}`,
      );
  }
  const scopes = scopesOf(table, node);
  if (scopes.length === 0)
    add('warning', node, `${name} names no device`, 'VT-d 8.4 wants one at least: nobody gets a mapping of it');
}

function checkPorts(table: TableBytes, node: TableNode, add: Add): void {
  if (!isNode(node, ATSR)) return;
  const scopes = scopesOf(table, node);
  if ((numberOf(node, 'Flags') & 1) !== 0 && scopes.length > 0)
    add(
      'warning',
      node,
      'ATSR has ALL_PORTS, and names ports besides',
      'VT-d 8.5 leaves them out then; all ports have ATS',
    );
  for (const { bus, node: entry, path, type } of scopes)
    if (type !== SCOPE_TYPE.bridge)
      add(
        'error',
        entry,
        `ATSR names ${pathText(bus, path)}, which is no root port by its type`,
        'its entries are of type 2 (VT-d 8.5); software finds no port, and leaves ATS of the devices behind it off',
      );
}

function checkNames(table: TableBytes, children: readonly TableNode[], add: Add): void {
  const numbers = new Set<number>();
  for (const node of nodesOf(children, ANDD)) {
    const n = numberOf(node, 'ACPI Device Number');
    if (numbers.has(n)) add('error', node, `ACPI device number ${n} is given out twice`, 'VT-d 8.7 wants it unique');
    numbers.add(n);
  }
  for (const node of children)
    for (const { enumeration, node: entry, type } of scopesOf(table, node))
      if (type === SCOPE_TYPE.namespace && !numbers.has(enumeration))
        add(
          'error',
          entry,
          `ACPI device ${enumeration} is named by no ANDD`,
          'software cannot find the device (VT-d 8.7)',
        );
}

/** VT-d 8.2: structures stand in the order of their types. */
function checkOrder(children: readonly TableNode[], add: Add): void {
  const ids: readonly string[] = Object.values(BY_TYPE).map(({ id }) => id);
  let last = 0;
  for (const node of children) {
    const type = ids.indexOf(node.structure.id);
    if (type < 0) continue;
    if (type < last) {
      add(
        'info',
        node,
        `${node.structure.id} stands behind ${ids[last]}`,
        'VT-d 8.2 wants them in the order of their types; software does not mind',
      );
      return;
    }
    last = type;
  }
}
