/** IORT tables as a VMM writes them, read back by the decoder that knows nothing of who wrote them. */
import { describe, expect, test } from 'vitest';
import { readTable, remarksOf } from '../../src/decode/acpi/index.ts';
import type { GuestFirmware } from '../../src/vmm/iommufd/index.ts';
import { iortOf } from '../../src/vmm/iommufd/index.ts';
import { REAL } from '../acpi/tables.ts';

const interrupts = (from: number) => ({ event: from, pri: from + 1, gerr: from + 3, sync: from + 2 });
const read = (firmware: GuestFirmware) => {
  const table = readTable(iortOf(firmware));
  if (table === null) throw new Error('no table');
  return table;
};

const ONE: GuestFirmware = {
  ...{ segment: 0, its: 0 },
  smmus: [{ base: 0x9050000n, interrupts: interrupts(106), requesters: [{ first: 0, last: 0xff }] }],
};
const TWO: GuestFirmware = {
  ...{ segment: 0, its: 0 },
  smmus: [
    { base: 0x9050000n, interrupts: interrupts(106), requesters: [{ first: 0x100, last: 0x1ff }] },
    {
      base: 0x9070000n,
      interrupts: interrupts(110),
      requesters: [
        { first: 0x200, last: 0x2ff, streamId: 0 },
        { first: 0x400, last: 0x4ff },
      ],
    },
  ],
};

describe.each([
  ['one SMMU', ONE],
  ['two SMMUs', TWO],
  ['none', { ...ONE, smmus: [] }],
])('%s', (_, firmware) => {
  test('nothing is wrong with it', () => {
    expect(remarksOf(read(firmware))).toEqual([]);
  });

  test('every device is behind the SMMU that it was given to, once', () => {
    const { units, untranslated } = read(firmware).topology;
    const smmus = units.filter(({ name }) => name.startsWith('SMMUv3'));
    expect(smmus.map(({ base }) => base)).toEqual(firmware.smmus.map(({ base }) => base));
    const through = firmware.smmus.reduce(
      (sum, { requesters }) => sum + requesters.reduce((all, { first, last }) => all + last - first + 1, 0),
      0,
    );
    const count = (devices: readonly { readonly ids: { first: number; last: number } | null }[]) =>
      devices.reduce((sum, { ids }) => sum + (ids === null ? 0 : ids.last - ids.first + 1), 0);
    expect(count(smmus.flatMap(({ devices }) => devices))).toBe(through);
    expect(count(untranslated)).toBe(0x10000 - through);
  });
});

test('fields that the guest’s driver needs', () => {
  const nodes = read(TWO).root.children.filter(({ structure }) => structure.id === 'SMMUv3');
  const texts = nodes.map(({ fields }) => Object.fromEntries(fields.map(({ name, text }) => [name, text])));
  expect(texts).toMatchObject([
    { 'Base Address': '0x9050000', 'Event GSIV': '106', 'PRI GSIV': '107', 'Sync GSIV': '108', 'GERR GSIV': '109' },
    { 'Base Address': '0x9070000', 'Event GSIV': '110', 'Number of ID mappings': '2' },
  ]);
});

test('what QEMU says of the same machine', () => {
  // virt with iommu=smmuv3: bus 0 is behind the SMMU, the others go to the ITS.
  const theirs = readTable(REAL.IORT);
  const said = (table: typeof theirs) => ({
    smmu: table?.topology.units.map(({ base, devices, name }) => ({ name, base, devices })),
    untranslated: table?.topology.untranslated,
  });
  expect(said(read(ONE))).toEqual(said(theirs));
});

test('ids that two SMMUs would have are no table', () => {
  const twice = { ...ONE, smmus: [ONE.smmus[0], ONE.smmus[0]] };
  expect(() => iortOf(twice)).toThrow(/0x0 to 0xff/);
  expect(() => iortOf({ ...ONE, smmus: [{ ...ONE.smmus[0], requesters: [{ first: 5, last: 0x10000 }] }] })).toThrow(
    RangeError,
  );
});
