/** VIOT: nodes that refer to each other by their offsets. */
import { describe, expect, test } from 'vitest';
import { once, read } from '../../../test/acpi/remarks.ts';
import type { Nodes } from '../../../test/acpi/tables.ts';
import { acpi, laidOut, le, REAL } from '../../../test/acpi/tables.ts';
import { remarksOf } from './index.ts';

describe('VIOT', () => {
  const unit = (bdf: number) => [3, 0, ...le(2, 16), ...le(2, 0), ...le(2, bdf), ...le(8, 0)];
  const mmioUnit = (base: number) => [4, 0, ...le(2, 16), ...le(4, 0), ...le(8, base)];
  const range = (endpoint: number, first: number, last: number, target: number, lastSegment = 0) => [
    ...[1, 0, ...le(2, 24), ...le(4, endpoint), ...le(2, 0), ...le(2, lastSegment), ...le(2, first), ...le(2, last)],
    ...[...le(2, target), ...le(6, 0)],
  ];
  const mmio = (endpoint: number, base: number, target: number) => [
    ...[2, 0, ...le(2, 24), ...le(4, endpoint), ...le(8, base), ...le(2, target), ...le(6, 0)],
  ];
  const viot = (nodes: Nodes) => {
    const { bytes, count } = laidOut(nodes);
    return acpi('VIOT', [...le(2, count), ...le(2, 48), ...le(8, 0), ...bytes], 0);
  };

  test('a real one: QEMU with virtio-iommu-pci', () => {
    const table = read(REAL.VIOT);
    expect(remarksOf(table)).toEqual([]);
    expect(table.topology.units).toEqual([
      {
        ...{ name: 'virtio-iommu 0', segment: 0, at: '00:1e.0', base: null, facts: ['virtio-pci'] },
        devices: [
          {
            ...{ what: '00:00.0 to 00:1f.7', kind: 'PCI devices', out: 'endpoints 0x0 to 0xff' },
            ids: { segment: 0, first: 0, last: 0xff },
            outIds: { first: 0, last: 0xff },
          },
        ],
      },
    ]);
  });

  test('units and endpoints on MMIO, ranges over segments', () => {
    const table = read(
      viot({
        pci: () => unit(8),
        mmio: () => mmioUnit(0x10000),
        range: (at) => range(0x1000, 0, 0xffff, at('pci'), 1),
        device: (at) => mmio(0x30000, 0x20000, at('mmio')),
      }),
    );
    expect(remarksOf(table)).toEqual([]);
    const [first, second] = table.topology.units;
    expect(first.devices).toMatchObject([
      { what: '0000:00:00.0 to 0001:ff:1f.7', ids: null, out: 'endpoints 0x1000 to 0x20fff' },
    ]);
    expect(second).toMatchObject({ base: 0x10000n, devices: [{ what: 'device at 0x20000', out: 'endpoint 0x30000' }] });
  });

  test.each([
    [
      'nowhere',
      { pci: () => unit(8), range: () => range(0, 0, 0xff, 0x99) },
      /leads to byte 0x99, where no virtio-iommu is/,
    ],
    ['early end', { pci: () => unit(8), range: (at) => range(0, 9, 8, at('pci')) }, /ends before it begins/],
    [
      'overlap',
      { pci: () => unit(8), a: (at) => range(0, 0, 9, at('pci')), b: (at) => range(64, 5, 12, at('pci')) },
      /ids 0x5 to 0x9 are mapped twice/,
    ],
    [
      'the same endpoints',
      { pci: () => unit(8), a: (at) => range(0, 0, 9, at('pci')), b: (at) => range(5, 16, 20, at('pci')) },
      /endpoints 0x5 to 0x9 are those of two/,
    ],
  ] as readonly (readonly [string, Nodes, RegExp])[])('warns: %s', (_, nodes, expected) => {
    once(viot(nodes), expected);
  });
});
