import { describe, expect, test } from 'vitest';
import { dmar, drhd, rmrr, scope, structure } from '../../../test/acpi/dmar.ts';
import { read, texts } from '../../../test/acpi/remarks.ts';
import { acpi, ascii, le, REAL } from '../../../test/acpi/tables.ts';
import { allNodes, remarksOf } from './index.ts';

const IOAPIC = scope(3, 2, 0xf0, 0x1f, 7);
const GOOD = drhd(1, 0xfed91000, ...IOAPIC);

test('the table of the example of VT-d 8.3.1.4', () => {
  // Table 33, with its offsets: three units, and an SATC of the device with ATS.
  const table = read(
    dmar(
      1,
      ...drhd(0, 0xfed90000, ...scope(1, 0, 0, 4, 0), ...scope(1, 0, 0, 5, 0)),
      ...drhd(0, 0xfed91000, ...scope(2, 0, 0, 7, 0)),
      ...drhd(1, 0xfed92000, ...scope(3, 8, 0, 31, 7), ...scope(4, 9, 0, 31, 6)),
      ...structure(5, 1, 0, ...le(2, 0), ...scope(1, 0, 0, 5, 0)),
    ),
  );
  expect(table.bytes).toBe(152);
  expect(remarksOf(table)).toEqual([]);
  const nodes = [...allNodes(table.root)].map(({ offset, structure: { id } }) => [offset, id]);
  expect(nodes).toEqual([
    ...[[0, 'DMAR'] as const, [48, 'DRHD'], [64, 'scope'], [72, 'scope'], [80, 'DRHD'], [96, 'scope']],
    ...[[104, 'DRHD'] as const, [120, 'scope'], [128, 'scope'], [136, 'SATC'], [144, 'scope']],
  ]);
  expect(table.topology.facts).toEqual([
    ...['addresses of 39 bits', 'interrupt remapping', 'ATC required for devices of segment 0000: 00:05.0'],
  ]);
  expect(table.topology.units.map(({ devices }) => devices.map(({ kind, what }) => `${what} ${kind}`))).toEqual([
    ['00:04.0 endpoint', '00:05.0 endpoint'],
    ['00:07.0 bridge, and all behind it'],
    ['00:1f.7 IOAPIC 8', '00:1f.6 HPET 9', 'all other PCI devices of segment 0000 INCLUDE_PCI_ALL'],
  ]);
});

test('a real one: QEMU with intel-iommu', () => {
  const table = read(REAL.DMAR);
  expect(remarksOf(table)).toEqual([]);
  const { facts, units } = table.topology;
  expect(facts).toEqual(['addresses of 48 bits', 'interrupt remapping']);
  expect(units).toHaveLength(1);
  expect(units[0]).toMatchObject({ name: 'DRHD 0', segment: 0, base: 0xfed90000n });
  expect(units[0].devices.map(({ ids, what }) => [what, ids?.first])).toEqual([
    ...[['ff:00.0', 0xff00] as const, ['00:00.0', 0], ['00:05.0', 0x28], ['00:06.0', 0x30]],
    ...[['00:1f.0', 0xf8] as const, ['00:1f.2', 0xfa], ['00:1f.3', 0xfb]],
  ]);
});

test('paths behind bridges, ACPI devices, reserved memory, affinity', () => {
  const name = '\\_SB.PCI0.I2C0';
  const table = read(
    dmar(
      5,
      ...drhd(0, 0xfed90000, ...scope(1, 0, 0, 0x1c, 4, 0, 1), ...scope(5, 3, 0, 0x15, 0)),
      ...GOOD,
      ...rmrr(0x9b800000, 0x9fffffff, ...scope(1, 0, 0, 2, 0)),
      ...structure(2, 1, 0, ...le(2, 0)),
      ...structure(3, ...le(4, 0), ...le(8, 0xfed91000), ...le(4, 1)),
      ...structure(4, 0, 0, 0, 3, ...ascii(name, name.length + 1)),
    ),
  );
  expect(remarksOf(table)).toEqual([]);
  const { facts, regions, units } = table.topology;
  expect(units[0].devices).toEqual([
    { what: '00:1c.4 › 00.1', kind: 'endpoint', ids: null, out: null, beyond: { segment: 0, bridge: 0xe4 } },
    { what: '00:15.0', kind: name, ids: { segment: 0, first: 0xa8, last: 0xa8 }, out: null },
  ]);
  expect(units[1].facts).toEqual(['4 KiB of registers', 'proximity domain 1']);
  expect(regions).toEqual([
    {
      ...{ kind: 'RMRR', first: 0x9b800000n, last: 0x9fffffffn, devices: ['00:02.0'], facts: [] },
      of: { all: false, ids: [{ segment: 0, first: 0x10, last: 0x10 }], outIds: [] },
    },
  ]);
  expect(facts).toContain('ATS at all root ports of segment 0000');
  expect(facts).toContain(`ACPI device 3: ${name}`);
  expect(facts.join()).toContain('kernel DMA protection');
});

describe('what experts warn of', () => {
  const endpoint = scope(1, 0, 0, 2, 0);
  test.each([
    ['no unit', dmar(0), /there is no DRHD/],
    [
      'RMRR not of pages',
      dmar(0, ...GOOD, ...rmrr(0x1800, 0x2fff, ...endpoint)),
      /0x1800 to 0x2fff does not begin at a page/,
    ],
    [
      'RMRR with an exclusive limit',
      dmar(0, ...GOOD, ...rmrr(0x1000, 0x3000, ...endpoint)),
      /does not end at the last byte/,
    ],
    [
      'RMRR that ends before it begins',
      dmar(0, ...GOOD, ...rmrr(0x2000, 0x1fff, ...endpoint)),
      /ends before it begins/,
    ],
    [
      'RMRR above the width',
      dmar(0, ...GOOD, ...rmrr(1n << 39n, (1n << 39n) + 0xfffn, ...endpoint)),
      /above the 39 bits/,
    ],
    ['RMRR of nobody', dmar(0, ...GOOD, ...rmrr(0x1000, 0x1fff)), /names no device/],
    ['an empty path', dmar(0, ...drhd(0, 0xfed90000, ...scope(1, 0, 0))), /has an empty path: it names no device/],
    ['half a hop', dmar(0, ...drhd(0, 0xfed90000, ...scope(1, 0, 0, 2, 0, 1))), /which are no pairs/],
    ['function 8', dmar(0, ...drhd(0, 0xfed90000, ...scope(1, 0, 0, 2, 8))), /function 0x8: PCI has 32 and 8/],
    ['a scope of type 9', dmar(0, ...drhd(0, 0xfed90000, ...scope(9, 0, 0, 2, 0))), /has type 9/],
    ['two INCLUDE_PCI_ALL', dmar(1, ...GOOD, ...drhd(1, 0xfed92000)), /DRHD 1 has INCLUDE_PCI_ALL, as has/],
    ['one behind INCLUDE_PCI_ALL', dmar(1, ...GOOD, ...drhd(0, 0xfed92000, ...endpoint)), /DRHD 1 stands behind/],
    [
      'a named endpoint of INCLUDE_PCI_ALL',
      dmar(0, ...drhd(1, 0xfed90000, ...endpoint)),
      /INCLUDE_PCI_ALL, and names 00:02.0/,
    ],
    [
      'one device, two units',
      dmar(0, ...drhd(0, 0xfed90000, ...endpoint), ...drhd(0, 0xfed92000, ...endpoint)),
      /behind DRHD 1 and DRHD 0/,
    ],
    ['registers nowhere', dmar(0, ...drhd(1, 0)), /registers at 0x0, which is nowhere/],
    ['registers of another', dmar(0, ...drhd(0, 0xfed91000, ...endpoint), ...GOOD), /has the registers of another/],
    ['no IOAPIC', dmar(1, ...drhd(1, 0xfed90000)), /no DRHD names an IOAPIC/],
    ['an IOAPIC twice', dmar(1, ...drhd(0, 0xfed90000, ...IOAPIC), ...GOOD), /IOAPIC 2 is named twice/],
    ['opt-out without remapping', dmar(2, ...GOOD), /X2APIC_OPT_OUT is set without INTR_REMAP/],
    [
      'RHSA of nobody',
      dmar(0, ...GOOD, ...structure(3, ...le(4, 0), ...le(8, 0x5000), ...le(4, 1))),
      /which no DRHD has/,
    ],
    ['ATSR of an endpoint', dmar(0, ...GOOD, ...structure(2, 0, 0, 0, 0, ...endpoint)), /is no root port by its type/],
    [
      'ALL_PORTS with ports',
      dmar(0, ...GOOD, ...structure(2, 1, 0, 0, 0, ...scope(2, 0, 0, 1, 0))),
      /ALL_PORTS, and names ports/,
    ],
    [
      'SATC of a bridge',
      dmar(0, ...GOOD, ...structure(5, 0, 0, 0, 0, ...scope(2, 0, 0, 1, 0))),
      /SATC names what is no endpoint/,
    ],
    [
      'an ACPI device without ANDD',
      dmar(0, ...drhd(0, 0xfed90000, ...scope(5, 7, 0, 1, 0))),
      /ACPI device 7 is named by no ANDD/,
    ],
    ['out of order', dmar(0, ...rmrr(0x1000, 0x1fff, ...endpoint), ...GOOD), /DRHD stands behind RMRR/],
    ['reserved bits', dmar(0x80, ...GOOD), /Flags has reserved bits set \(0x80\)/],
    ['reserved bytes', acpi('DMAR', [38, 0, 1, ...le(9, 0), ...GOOD]), /Reserved is 01 00/],
    ['a type of the future', dmar(0, ...GOOD, ...structure(9, 0, 0, 0, 0)), /type 0x9.*8 bytes skipped/],
  ] as const)('%s', (_, data, expected) => {
    const found = texts(read(data)).filter((text) => expected.test(text));
    expect(found).toHaveLength(1);
  });

  test('and of nothing in a table that is in order', () => {
    expect(texts(read(dmar(1, ...GOOD, ...rmrr(0x1000, 0x1fff, ...endpoint))))).toEqual([]);
  });
});
