/** RIMT: nodes that refer to each other by their offsets. */
import { describe, expect, test } from 'vitest';
import { once, read } from '../../../test/acpi/remarks.ts';
import type { Nodes } from '../../../test/acpi/tables.ts';
import { acpi, ascii, laidOut, le, REAL } from '../../../test/acpi/tables.ts';
import { remarksOf } from './index.ts';

describe('RIMT', () => {
  const iommu = (id: number, base: number, flags = 0, wires: number[] = []) => [
    ...[
      0,
      1,
      ...le(2, 40 + wires.length),
      ...le(2, 0),
      ...le(2, id),
      ...ascii('RSCV0004'),
      ...le(8, base),
      ...le(4, flags),
    ],
    ...[
      ...le(4, 0),
      ...le(2, 0),
      ...le(2, 8),
      ...le(2, wires.length / 8),
      ...le(2, wires.length > 0 ? 40 : 0),
      ...wires,
    ],
  ];
  const mapping = (first: number, count: number, out: number, target: number, flags = 0) => [
    ...[...le(4, first), ...le(4, count), ...le(4, out), ...le(4, target), ...le(4, flags)],
  ];
  const complex = (id: number, segment: number, ...maps: number[]) => [
    ...[1, 1, ...le(2, 20 + maps.length), ...le(2, 0), ...le(2, id), ...le(4, 1), ...le(2, 0), ...le(2, segment)],
    ...[...le(2, 20), ...le(2, maps.length / 20), ...maps],
  ];
  const platform = (id: number, name: string, ...maps: number[]) => [
    ...[2, 1, ...le(2, 12 + name.length + maps.length), ...le(2, 0), ...le(2, id), ...le(2, 12 + name.length)],
    ...[...le(2, maps.length / 20), ...ascii(name), ...maps],
  ];
  const rimt = (nodes: Nodes) => {
    const { bytes, count } = laidOut(nodes);
    return acpi('RIMT', [...le(4, count), ...le(4, 48), ...le(4, 0), ...bytes]);
  };

  test('a platform IOMMU with wires, a PCIe one, a root complex, a platform device', () => {
    const table = read(
      rimt({
        one: () => iommu(0, 0x3010000, 0, [...le(4, 36), ...le(4, 3)]),
        two: () => iommu(1, 0, 1),
        rc: (at) => complex(2, 0, ...mapping(0, 0x10000, 0, at('one'), 1)),
        dma: (at) => platform(3, '\\_SB.DMA0\0\0\0', ...mapping(0, 2, 0x100, at('two'))),
      }),
    );
    expect(remarksOf(table)).toEqual([]);
    expect(table.topology.units).toMatchObject([
      {
        ...{ base: 0x3010000n, at: null, facts: ['1 interrupt wires'] },
        devices: [{ what: '00:00.0 to ff:1f.7', out: 'device ids 0x0 to 0xffff, ATS required' }],
      },
      {
        ...{ base: null, at: '00:01.0', facts: ['interrupts by messages'] },
        devices: [{ what: '\\_SB.DMA0', kind: 'source ids 0x0 to 0x1', out: 'device ids 0x100 to 0x101' }],
      },
    ]);
  });

  test('a real one: QEMU with iommu-sys', () => {
    const table = read(REAL.RIMT);
    expect(remarksOf(table)).toEqual([]);
    expect(table.topology.units).toEqual([
      {
        ...{ name: 'IOMMU 0', segment: null, at: null, base: 0x3010000n, facts: ['interrupts by messages'] },
        devices: [
          {
            ...{ what: '00:00.0 to ff:1f.7', kind: 'PCI devices', out: 'device ids 0x0 to 0xffff' },
            ids: { segment: 0, first: 0, last: 0xffff },
            outIds: { first: 0, last: 0xffff },
          },
        ],
      },
    ]);
  });

  const GOOD: Nodes = { one: () => iommu(0, 0x3010000) };
  test.each([
    [
      'nowhere',
      { ...GOOD, rc: () => complex(2, 0, ...mapping(0, 8, 0, 0x99)) },
      /lead to byte 0x99, where no IOMMU is/,
    ],
    ['no ids', { ...GOOD, rc: (at) => complex(2, 0, ...mapping(0, 0, 0, at('one'))) }, /a mapping of no ids/],
    ['17 bits', { ...GOOD, rc: (at) => complex(2, 0, ...mapping(0, 0x10001, 0, at('one'))) }, /ids up to 0x10000/],
    [
      'overlap',
      { ...GOOD, rc: (at) => complex(2, 0, ...mapping(0, 9, 0, at('one')), ...mapping(8, 1, 64, at('one'))) },
      /ids 0x8 are mapped twice/,
    ],
    [
      'the same device ids',
      { ...GOOD, rc: (at) => complex(2, 0, ...mapping(0, 8, 0, at('one')), ...mapping(8, 8, 0, at('one'))) },
      /device ids 0x0 to 0x7 are those of two/,
    ],
    ['registers nowhere', { one: () => iommu(0, 0) }, /registers at 0x0, which is nowhere/],
    ['an ID twice', { ...GOOD, two: () => iommu(0, 0x3020000) }, /the ID 0 is that of another node/],
    [
      'wires beyond its end',
      {
        one: () => {
          const node = iommu(0, 0x3010000);
          node[36] = 3;
          node[38] = 40;
          return node;
        },
      },
      /has 3 interrupt wires .* room for 0/,
    ],
  ] as readonly (readonly [string, Nodes, RegExp])[])('warns: %s', (_, nodes, expected) => {
    once(rimt(nodes), expected);
  });
});
