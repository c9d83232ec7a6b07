import { describe, expect, test } from 'vitest';
import { e4, e8, IOAPIC, ivhd, ivhd10, ivmd, ivrs } from '../../../test/acpi/ivrs.ts';
import { read, texts } from '../../../test/acpi/remarks.ts';
import { ascii, le, REAL } from '../../../test/acpi/tables.ts';

const BASE = 0xfeb80000;

test('a real one: QEMU with amd-iommu says all twice, for older and newer software', () => {
  const table = read(REAL.IVRS);
  expect(texts(table)).toEqual(['info: unit 00:01.0 has 2 IVHDs (10h, 11h): the highest is used']);
  const { facts, units } = table.topology;
  expect(facts).toEqual(['physical addresses of 40 bits']);
  expect(units).toHaveLength(1);
  expect(units[0]).toMatchObject({ at: '00:01.0', base: 0xfed80000n, segment: 0 });
  expect(units[0].devices.map(({ what }) => what)).toEqual([
    ...['00:00.0', '00:01.0', '00:05.0', '00:06.0', '00:1f.0', '00:1f.2', '00:1f.3', '00:14.0'],
  ]);
  expect(units[0].devices.at(-1)?.kind).toBe('IOAPIC 0');
  const [, ivhd11] = table.root.children;
  const efr = ivhd11.fields.find(({ name }) => name === 'EFR Register Image');
  expect(efr?.value).toBe(0x29d3n);
  expect(efr?.meaning).toContain('PreFSup, PPRSup, GTSup, IASup, GASup, HESup, HATS = 2 (6 levels)');
});

test('every kind of device entry', () => {
  const uid = '\\_SB.FUR0';
  const hid = [...e4(0xf0, 0xa5), ...ascii('AMDI0020'), ...le(8, 0), 2, uid.length, ...ascii(uid)];
  const number = [...e4(0xf0, 0xa6), ...ascii('AMDI0030'), ...le(8, 0), 1, 8, ...le(8, 7)];
  const table = read(
    ivrs(
      1,
      2,
      ...ivhd(
        0x40,
        2,
        BASE,
        ...[
          ...e4(3, 0x8),
          ...e4(4, 0xfffe),
          ...e8(0x42, 0x400, 0, ...le(2, 0xa4), 0),
          ...e4(0, 0),
          ...e8(0x40, 0, 0, 0, 0, 0),
        ],
        ...[...e8(0x43, 0x500, 0, ...le(2, 0x4ff), 0), ...e4(4, 0x5ff)],
        ...[
          ...e8(0x46, 0x600, ...le(4, 0x80000000)),
          ...e8(0x48, 0, 0, ...le(2, 0xa0), 2),
          ...IOAPIC,
          ...hid,
          ...number,
        ],
      ),
    ),
  );
  expect(texts(table)).toEqual([]);
  expect(table.topology.units[0].devices.map(({ kind, out, what }) => [what, kind, out])).toEqual([
    ['00:01.0 to ff:1f.6', 'devices', null],
    ['04:00.0', 'device', 'seen as 00:14.4'],
    ['05:00.0 to 05:1f.7', 'devices', 'seen as 04:1f.7'],
    ['06:00.0', 'device, without ATS', null],
    ['00:14.0', 'HPET 0', null],
    ['00:14.0', 'IOAPIC 32', null],
    ['00:14.5', `AMDI0020:${uid}`, null],
    ['00:14.6', 'AMDI0030:7', null],
  ]);
});

test('memory for devices', () => {
  const all = ivhd10(2, BASE, ...e4(1, 0), ...IOAPIC);
  const table = read(
    ivrs(
      0,
      1,
      ...[...all, ...ivmd(0x20, 7, 0, 0, 0x1000, 0x2000), ...ivmd(0x21, 7, 0x98, 0, 0x4000, 0x1000)],
      ...ivmd(0x22, 3, 0x100, 0x1ff, 0x6000, 0x1000),
    ),
  );
  expect(texts(table)).toEqual([]);
  expect(table.topology.regions).toEqual([
    {
      kind: 'IVMD',
      first: 0x1000n,
      last: 0x2fffn,
      devices: ['all devices'],
      facts: ['mapped to itself', 'read', 'write'],
      of: { all: true, ids: [], outIds: [] },
    },
    {
      kind: 'IVMD',
      first: 0x4000n,
      last: 0x4fffn,
      devices: ['00:13.0'],
      facts: ['mapped to itself', 'read', 'write'],
      of: { all: false, ids: [{ segment: 0, first: 0x98, last: 0x98 }], outIds: [] },
    },
    {
      kind: 'IVMD',
      first: 0x6000n,
      last: 0x6fffn,
      devices: ['01:00.0 to 01:1f.7'],
      facts: ['mapped to itself', 'read'],
      of: { all: false, ids: [{ segment: 0, first: 0x100, last: 0x1ff }], outIds: [] },
    },
  ]);
});

describe('what experts warn of', () => {
  const all = [...e4(1, 0), ...IOAPIC];
  const good = ivhd10(2, BASE, ...all);
  const one = (...entries: number[]) => ivrs(0, 1, ...ivhd10(2, BASE, ...entries, ...IOAPIC));
  test.each([
    ['no unit', ivrs(0, 1), /there is no IVHD/],
    ['11h without EFRSup', ivrs(0, 1, ...ivhd(0x11, 2, BASE, ...all)), /IVinfo.EFRSup is 0/],
    ['40h in revision 1', ivrs(1, 1, ...ivhd(0x40, 2, BASE, ...all)), /40h stands in a table of revision 1/],
    [
      'three types',
      ivrs(1, 2, ...good, ...ivhd(0x11, 2, BASE, ...all), ...ivhd(0x40, 2, BASE, ...all)),
      /3 IVHDs \(10h, 11h, 40h\): the highest/,
    ],
    ['the same type twice', ivrs(0, 1, ...good, ...good), /two IVHDs of the same type/],
    [
      'a unit that Linux does not see',
      ivrs(1, 1, ...ivhd(0x11, 2, BASE, ...IOAPIC), ...ivhd10(0x4002, 0xfec00000, ...e4(2, 0x4000))),
      /unit 40:00.2 has no IVHD of type 11h/,
    ],
    ['registers not aligned', ivrs(0, 1, ...ivhd10(2, 0xfeb81000, ...all)), /not aligned to 16 KiB/],
    ['a start without an end', one(...e4(3, 8)), /the start of range at byte 0x48 has no other half/],
    ['an end without a start', one(...e4(4, 8)), /the end of range at byte 0x48 has no other half/],
    ['a range that ends early', one(...e4(3, 0x10), ...e4(4, 8)), /00:02.0 to 00:01.0 ends before it begins/],
    [
      'one device, two units',
      ivrs(0, 1, ...good, ...ivhd10(0x4002, 0xfec00000, ...e4(2, 0x4000))),
      /40:00.0 is behind unit 00:00.2 and unit 40:00.2/,
    ],
    ['no southbridge IOAPIC', ivrs(0, 1, ...ivhd10(2, BASE, ...e4(1, 0))), /no IOAPIC has the id 00:14.0/],
    ['an IOAPIC twice', one(...IOAPIC), /IOAPIC 32 is named twice/],
    ['a special device of no kind', one(...e8(0x48, 0, 0, ...le(2, 0xa1), 3)), /variety 3/],
    [
      'an ACPI device in 10h',
      one(...[...e4(0xf0, 1), ...le(16, 0), 0, 0]),
      /ACPI HID device in an IVHD other than 40h/,
    ],
    ['an empty IVMD', ivrs(0, 1, ...good, ...ivmd(0x20, 7, 0, 0, 0x1000, 0)), /is empty/],
    ['an IVMD not of pages', ivrs(0, 1, ...good, ...ivmd(0x20, 7, 0, 0, 0x1800, 0x1000)), /not made of whole pages/],
    [
      'an IVMD range that ends early',
      ivrs(0, 1, ...good, ...ivmd(0x22, 7, 0x10, 8, 0x1000, 0x1000)),
      /ends before it begins/,
    ],
    ['an exclusion range', ivrs(0, 1, ...good, ...ivmd(0x20, 8, 0, 0, 0x1000, 0x1000)), /any device may reach it/],
    [
      'an IVMD of nobody',
      ivrs(0, 1, ...ivhd10(2, BASE, ...IOAPIC), ...ivmd(0x21, 7, 0x500, 0, 0x1000, 0x1000)),
      /of a device behind no unit/,
    ],
    ['reserved bits', ivrs(4, 1, ...good), /IVinfo has reserved bits set \(0x4\)/],
    ['an entry of no type', one(...e4(5, 0)), /device entry of type 0x5/],
  ] as const)('%s', (_, data, expected) => {
    const found = texts(read(data)).filter((text) => expected.test(text));
    expect(found).toHaveLength(1);
  });

  test('and of nothing in a table that is in order', () => {
    expect(texts(read(ivrs(0, 1, ...good)))).toEqual([]);
  });
});
