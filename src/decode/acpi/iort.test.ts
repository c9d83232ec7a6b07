/** IORT: nodes that refer to each other by their offsets. */
import { describe, expect, test } from 'vitest';
import { once, read } from '../../../test/acpi/remarks.ts';
import type { Nodes } from '../../../test/acpi/tables.ts';
import { acpi, ascii, laidOut, le, REAL } from '../../../test/acpi/tables.ts';
import { remarksOf } from './index.ts';

describe('IORT', () => {
  const mapping = (first: number, last: number, out: number, target: number, flags = 0) => [
    ...[...le(4, first), ...le(4, last - first), ...le(4, out), ...le(4, target), ...le(4, flags)],
  ];
  const node = (type: number, id: number, body: number[], maps: number[] = [], revision = 3) => {
    const padded = [...body, ...le((4 - (body.length % 4)) % 4, 0)];
    const length = 16 + padded.length + maps.length;
    const reference = maps.length > 0 ? 16 + padded.length : 0;
    const head = [type, ...le(2, length), revision, ...le(4, id), ...le(4, maps.length / 20), ...le(4, reference)];
    return [...head, ...padded, ...maps];
  };
  const its = (id: number, ...ids: number[]) =>
    node(0, id, [...le(4, ids.length), ...ids.flatMap((one) => le(4, one))]);
  const complex = (id: number, segment: number, ...maps: number[]) =>
    node(2, id, [...le(4, 1), 0, 0, 0, 3, ...le(4, 1), ...le(4, segment), 64, 20, 0, 0, ...le(4, 1)], maps, 4);
  const smmu3 = (id: number, base: number, flags: number, index: number, ...maps: number[]) =>
    node(
      4,
      id,
      [...le(8, base), ...le(4, flags), ...le(4, 0), ...le(8, 0), ...le(28, 0).slice(4), ...le(4, index)],
      maps,
      5,
    );
  const iort = (nodes: Nodes, revision = 6) => {
    const { bytes, count } = laidOut(nodes);
    return acpi('IORT', [...le(4, count), ...le(4, 48), ...le(4, 0), ...bytes], revision);
  };

  const GOOD: Nodes = {
    its: () => its(1, 0),
    smmu: (at) => smmu3(2, 0x9050000, 0, 0, ...mapping(0, 0xffff, 0, at('its'))),
    rc: (at) => complex(3, 0, ...mapping(0, 0xff, 0, at('smmu')), ...mapping(0x100, 0xffff, 0x100, at('its'))),
  };

  test('as QEMU makes it for virt with iommu=smmuv3 and a bypassing bus: root complex, SMMUv3, ITS', () => {
    const table = read(iort(GOOD));
    expect(remarksOf(table)).toEqual([]);
    const { units, untranslated } = table.topology;
    expect(units).toEqual([
      {
        ...{ name: 'SMMUv3 0', segment: null, at: null, base: 0x9050000n },
        facts: ['generic SMMUv3', 'MSIs of StreamID 0x0 to 0xffff to ITS 0 as DeviceID 0x0 to 0xffff'],
        devices: [
          {
            ...{ what: '00:00.0 to 00:1f.7', kind: 'PCI devices', out: 'StreamID 0x0 to 0xff' },
            ids: { segment: 0, first: 0, last: 0xff },
            outIds: { first: 0, last: 0xff },
          },
        ],
      },
    ]);
    expect(untranslated).toMatchObject([
      { what: '01:00.0 to ff:1f.7', out: 'MSIs to ITS 0 as DeviceID 0x100 to 0xffff' },
    ]);
  });

  test('a real one: QEMU with iommu=smmuv3; buses from 1 on have no bridge yet, and go to the ITS', () => {
    const table = read(REAL.IORT);
    expect(remarksOf(table)).toEqual([]);
    expect(table.topology).toEqual(read(iort(GOOD, 5)).topology);
  });

  test('named components, reserved memory, counters, own MSIs, an SMMUv2, nodes of first revisions', () => {
    const name = '\\_SB.GPU0';
    const table = read(
      iort({
        its: () => its(1, 3, 4),
        smmu: (at) => smmu3(2, 0x9050000, 0x10, 0, ...mapping(0, 0, 7, at('its'), 1)),
        smmu2: () => node(3, 3, [...le(8, 0x9060000), ...le(8, 0x10000), ...le(4, 3), ...le(4, 3), ...le(20, 0)]),
        gpu: (at) =>
          node(
            1,
            4,
            [...le(4, 0x15), ...le(8, 1), 48, ...ascii(name, name.length + 1)],
            mapping(0, 0, 0x40, at('smmu'), 1),
          ),
        rmr: (at) =>
          node(
            6,
            5,
            [...[...le(4, 0x15), ...le(4, 1), ...le(4, 28)], ...[...le(8, 0x8000000), ...le(8, 0x100000), ...le(4, 0)]],
            mapping(0, 0, 0x40, at('smmu'), 1),
          ),
        pmcg: (at) => node(5, 6, [...le(8, 0x9052000), ...le(4, 0), ...le(4, at('smmu')), ...le(8, 0x9062000)]),
        // 32 bytes, as the first revision had it.
        old: (at) =>
          node(2, 7, [...le(4, 1), 0, 0, 0, 3, ...le(4, 0), ...le(4, 1)], mapping(0, 0xffff, 0, at('smmu2')), 0),
      }),
    );
    expect(remarksOf(table)).toEqual([]);
    const { facts, regions, units } = table.topology;
    expect(facts).toEqual(['counters at 0x9052000 of SMMUv3 0']);
    expect(units.map(({ devices, name: unit }) => [unit, devices.map(({ out, what }) => `${what} ${out}`)])).toEqual([
      ['SMMUv3 0', [`${name} StreamID 0x40`]],
      ['SMMU 0', ['0001:00:00.0 to ff:1f.7 StreamID 0x0 to 0xffff']],
    ]);
    expect(units[0].facts).toContain('its own MSIs to ITS 3, 4 as DeviceID 0x7');
    expect(units[1].facts).toEqual(['Arm MMU-500']);
    expect(regions).toEqual([
      {
        ...{ kind: 'RMR', first: 0x8000000n, last: 0x80fffffn },
        devices: ['StreamID 0x40 at SMMUv3 0'],
        facts: ['may be mapped elsewhere', 'Normal write-back'],
        of: { all: false, ids: [], outIds: [{ first: 0x40, last: 0x40 }] },
      },
    ]);
  });

  const rc = (...maps: ((at: (name: string) => number) => number[])[]): Nodes => ({
    ...GOOD,
    rc: (at) => complex(3, 0, ...maps.flatMap((map) => map(at))),
  });
  const rmr = (base: number, length: number) => (at: (name: string) => number) =>
    node(
      6,
      9,
      [...[...le(4, 0), ...le(4, 1), ...le(4, 28)], ...le(8, base), ...le(8, length), ...le(4, 0)],
      mapping(0, 0, 1, at('smmu')),
    );

  test.each([
    ['nowhere', rc(() => mapping(0, 0xff, 0, 0x5000)), /ids 0x0 to 0xff lead nowhere \(byte 0x5000 is no node\)/],
    ['to a root complex', rc((at) => mapping(0, 0xff, 0, at('rc'))), /where a root complex may not lead/],
    [
      'overlap',
      rc(
        (at) => mapping(0, 0x200, 0, at('smmu')),
        (at) => mapping(0x100, 0x2ff, 0x1000, at('smmu')),
      ),
      /ids 0x100 to 0x200 are mapped twice/,
    ],
    [
      'overlap by one id',
      rc(
        (at) => mapping(0, 0x100, 0, at('smmu')),
        (at) => mapping(0x100, 0x1ff, 0x1000, at('smmu')),
      ),
      /ids 0x100 are mapped twice/,
    ],
    [
      'the same StreamIDs',
      rc(
        (at) => mapping(0, 0xff, 0, at('smmu')),
        (at) => mapping(0x100, 0x1ff, 0, at('smmu')),
      ),
      /StreamIDs of SMMUv3 0 0x0 to 0xff are those of two/,
    ],
    ['17 bits', rc((at) => mapping(0, 0x10000, 0, at('smmu'))), /ids up to 0x10000, and PCI has 16 bits/],
    ['single at a root complex', rc((at) => mapping(0, 0, 0, at('smmu'), 1)), /a single mapping at a root complex/],
    [
      'single with a count',
      rc((at) => mapping(0, 9, 0, at('smmu'), 1)),
      /a single mapping has a number of ids \(0x9\)/,
    ],
    ['registers not aligned', { ...GOOD, smmu: () => smmu3(2, 0x9051000, 0, 0) }, /not aligned to 64 KiB/],
    [
      'registers of another',
      { ...GOOD, other: () => smmu3(8, 0x9050000, 0, 0) },
      /SMMUv3 1 has the registers of SMMUv3 0/,
    ],
    ['own MSIs by no mapping', { ...GOOD, smmu: () => smmu3(2, 0x9050000, 0x10, 2) }, /by mapping 2, of 0/],
    [
      'two root complexes',
      { ...GOOD, other: (at) => complex(8, 0, ...mapping(0x80, 0x8f, 0x20000, at('smmu'))) },
      /of segment 0 are those of two root complexes/,
    ],
    ['RMR not of pages', { ...GOOD, rmr: rmr(0x1800, 0x1000) }, /RMR 0x1800, 0x1000 bytes is not made of whole pages/],
    ['an empty RMR', { ...GOOD, rmr: rmr(0x1000, 0) }, /is empty/],
    [
      'counters of nobody',
      { ...GOOD, pmcg: () => node(5, 6, [...le(8, 0x9052000), ...le(4, 0), ...le(4, 1), ...le(8, 0)]) },
      /byte 0x1, where no node is/,
    ],
    ['an identifier twice', { ...GOOD, its2: () => its(3, 1) }, /the identifier 0x3 is that of the node/],
  ] as readonly (readonly [string, Nodes, RegExp])[])('warns: %s', (_, nodes, expected) => {
    once(iort(nodes), expected);
  });

  test('counts and offsets that are wrong', () => {
    const { bytes, count } = laidOut(GOOD);
    once(acpi('IORT', [...le(4, count + 1), ...le(4, 48), ...le(4, 0), ...bytes]), /counts 4 nodes, and has 3/);
    once(
      acpi('IORT', [...le(4, count - 1), ...le(4, 48), ...le(4, 0), ...bytes]),
      /bytes stand behind the last of 2 nodes/,
    );
    once(
      acpi('IORT', [...le(4, count), ...le(4, 8), ...le(4, 0), ...bytes]),
      /begin at byte 0x8, within the table's head/,
    );
    const many = [2, ...le(2, 56), 0, ...le(4, 1), ...le(4, 0xffffffff), ...le(4, 36), ...le(40, 0)];
    once(acpi('IORT', [...le(4, 1), ...le(4, 48), ...le(4, 0), ...many]), /has 4294967295 ID mappings .* room for 1/);
  });
});
