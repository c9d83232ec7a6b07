/** A fault beside the firmware's table: under which unit its device is, and whose memory its address is. */
import { describe, expect, test } from 'vitest';
import { dmar, drhd, rmrr, scope } from '../../../test/acpi/dmar.ts';
import { e4, e8, IOAPIC, ivhd10, ivmd, ivrs } from '../../../test/acpi/ivrs.ts';
import { acpi, laidOut, le, REAL } from '../../../test/acpi/tables.ts';
import type { Group } from '../index.ts';
import { Explainer } from '../index.ts';

/** Either may come first. */
function groupsOf(log: string, table: Uint8Array): Group[] {
  const results = [true, false].map((tableFirst) => {
    const explainer = new Explainer();
    const steps = [
      () => {
        explainer.begin('log');
        explainer.push(log);
      },
      () => {
        explainer.begin('table');
        expect(explainer.addTable(table)).toBe(true);
      },
    ];
    for (const step of tableFirst ? steps.reverse() : steps) step();
    explainer.end();
    return explainer.groups;
  });
  expect(results[0]).toEqual(results[1]);
  return results[0];
}
const details = (log: string, table: Uint8Array) => Object.fromEntries(groupsOf(log, table)[0].finding.details);

const intel = (device: string, address = 0x1000) =>
  `DMAR: [DMA Write NO_PASID] Request device [${device}] fault addr 0x${address.toString(16)} [fault reason 0x05] PTE Write access is not set\n`;

describe('DMAR', () => {
  const table = dmar(
    1,
    ...drhd(0, 0xfed90000, ...scope(1, 0, 0, 2, 0)),
    ...drhd(0, 0xfed91000, ...scope(2, 0, 0, 0x1c, 0)),
    ...drhd(1, 0xfed92000, ...scope(3, 2, 0xf0, 0x1f, 7)),
    ...rmrr(0x9b800000, 0x9fffffff, ...scope(1, 0, 0, 2, 0)),
    ...rmrr(0x7c000000, 0x7c0fffff, ...scope(1, 0, 0, 0x1c, 0, 0, 0)),
  );
  test.each([
    ['00:02.0', '00:02.0 is under DRHD 0 at 0xfed90000 (00:02.0, endpoint)'],
    ['00:1c.0', '00:1c.0 is under DRHD 1 at 0xfed91000: the bridge 00:1c.0 itself'],
    ['00:1b.0', '00:1b.0 is under DRHD 2 at 0xfed92000, as all devices of segment 0000 that no other unit names'],
    [
      '03:00.0',
      '03:00.0 is under DRHD 1 at 0xfed91000 if it is behind the bridge 00:1c.0; otherwise under DRHD 2 at 0xfed92000, as all devices of segment 0000 that no other unit names (the table has no bus numbers behind bridges)',
    ],
  ])('%s', (device, text) => {
    expect(details(intel(device), table)).toMatchObject({ DMAR: text });
  });

  test('a device that no unit has', () => {
    const few = dmar(1, ...drhd(0, 0xfed90000, ...scope(1, 0, 0, 2, 0)));
    expect(details(intel('00:1b.0'), few).DMAR).toBe(
      '00:1b.0 is under no unit of DMAR: none translates it, or the table lacks it',
    );
  });

  test('the device whose memory firmware has reserved: that is the likely cause', () => {
    const [{ finding }] = groupsOf(intel('00:02.0', 0x9c000000), table);
    expect(Object.fromEntries(finding.details).RMRR).toBe(
      'the address lies in the RMRR 0x9b800000 to 0x9fffffff of 00:02.0',
    );
    expect(finding.causes[0]).toEqual({ id: 'reserved-region', sure: 'likely' });
    expect(finding.causes.filter(({ id }) => id === 'reserved-region')).toHaveLength(1);
  });

  test('memory of another device, and of one behind a bridge', () => {
    const [{ finding }] = groupsOf(intel('00:1b.0', 0x9c000000), table);
    expect(Object.fromEntries(finding.details).RMRR).toContain('of 00:02.0, which is not this one');
    expect(finding.causes[0]).not.toEqual({ id: 'reserved-region', sure: 'likely' });
    expect(details(intel('03:00.0', 0x7c000000), table).RMRR).toContain('of 00:1c.0 › 00.0, of which this one may be');
  });

  test('how many of the pages', () => {
    const log = [0x9fffe000, 0x9ffff000, 0xa0000000].map((address) => intel('00:02.0', address)).join('');
    const [{ count, finding }] = groupsOf(log, table);
    expect(count).toBe(3);
    expect(Object.fromEntries(finding.details).RMRR).toContain('2 of its 3 pages lie in the RMRR');
    expect(details(log.replace(/^.*a0000000.*\n/m, ''), table).RMRR).toContain('all of its pages lie in');
  });
});

describe('IVRS', () => {
  const table = ivrs(
    0,
    1,
    ...ivhd10(2, 0xfeb80000, ...e4(3, 0x10), ...e4(4, 0xff), ...e8(0x42, 0x300, 0, ...le(2, 0x400), 0), ...IOAPIC),
    ...ivmd(0x20, 7, 0, 0, 0x1000, 0x2000),
    ...ivmd(0x22, 8, 0x100, 0x1ff, 0x6000, 0x1000),
  );
  const amd = (device: string, address: number) =>
    `AMD-Vi: Event logged [IO_PAGE_FAULT device=${device} domain=0x000a address=0x${address.toString(16)} flags=0x0020]\n`;

  test('a range of devices, and memory of all', () => {
    expect(details(amd('0000:00:03.0', 0x2000), table)).toMatchObject({
      IVRS: '0000:00:03.0 is under unit 0 at 0xfeb80000 (00:02.0 to 00:1f.7, devices)',
      IVMD: 'the address lies in the IVMD 0x1000 to 0x2fff of all devices (mapped to itself, read, write)',
    });
  });
  test('an id that others have at the unit', () => {
    expect(details(amd('0000:04:00.0', 0x9000), table).IVRS).toBe(
      '0000:04:00.0 is named by no unit; requests of 03:00.0 are seen as its own',
    );
  });
  test('segments are told apart', () => {
    expect(details(amd('0001:00:03.0', 0x9000), table).IVRS).toContain('0001:00:03.0 is under no unit of IVRS');
  });
  test("another device's memory, and no unit", () => {
    expect(details(amd('0000:05:00.0', 0x6000), table)).toMatchObject({
      IVRS: '0000:05:00.0 is under no unit of IVRS: none translates it, or the table lacks it',
      IVMD: 'the address lies in the IVMD 0x6000 to 0x6fff of 01:00.0 to 01:1f.7, which is not this one (excluded from translation)',
    });
  });
});

describe('units that number devices themselves', () => {
  test('a StreamID of IORT is a device of PCI', () => {
    const log =
      'arm-smmu-v3 arm-smmu-v3.0.auto: event: F_TRANSLATION client: (unassigned sid) sid: 0x8 ssid: 0x0 iova: 0x1000 ipa: 0x0\n';
    expect(details(log, REAL.IORT).IORT).toBe(
      'sid 0x8 is under SMMUv3 0 at 0x9050000 (00:00.0 to 00:1f.7, PCI devices; it is 00:01.0)',
    );
    expect(details(log.replace('(unassigned sid)', '0000:00:01.0'), REAL.IORT).IORT).toBe(
      '0000:00:01.0 is under SMMUv3 0 at 0x9050000 (00:00.0 to 00:1f.7, PCI devices; StreamID 0x0 to 0xff)',
    );
    expect(
      details(log.replace('(unassigned sid)', '0000:01:00.0').replace('sid: 0x8', 'sid: 0x100'), REAL.IORT).IORT,
    ).toBe('0000:01:00.0 is under no unit, as the table says');
  });

  test('reserved memory of a StreamID', () => {
    const mapping = (out: number, target: number) => [
      ...le(4, 0),
      ...le(4, 0),
      ...le(4, out),
      ...le(4, target),
      ...le(4, 1),
    ];
    const node = (type: number, id: number, body: number[], maps: number[] = []) => [
      ...[type, ...le(2, 16 + body.length + maps.length), 3, ...le(4, id), ...le(4, maps.length / 20)],
      ...[...le(4, maps.length > 0 ? 16 + body.length : 0), ...body, ...maps],
    ];
    const { bytes, count } = laidOut({
      smmu: () => node(4, 0, [...le(8, 0x9050000), ...le(44, 0)]),
      rmr: (at) =>
        node(
          6,
          1,
          [...le(4, 0), ...le(4, 1), ...le(4, 28), ...le(8, 0x8000000), ...le(8, 0x100000), ...le(4, 0)],
          mapping(0x40, at('smmu')),
        ),
    });
    const table = acpi('IORT', [...le(4, count), ...le(4, 48), ...le(4, 0), ...bytes], 6);
    const log = (sid: string) =>
      `arm-smmu-v3 arm-smmu-v3.0.auto: event: F_TRANSLATION client: (unassigned sid) sid: ${sid} ssid: 0x0 iova: 0x8000040 ipa: 0x0\n`;
    expect(details(log('0x40'), table).RMR).toMatch(
      /^the address lies in the RMR 0x8000000 to 0x80fffff of StreamID 0x40 at SMMUv3 0 \(/,
    );
    expect(details(log('0x41'), table).RMR).toContain('which is not this one');
  });

  test.each([
    [
      'RIMT',
      'riscv-iommu 3010000.iommu: Fault 13 devid: 0x18 iotval: 1000 iotval2: 0\n',
      'devid 0x18 is under IOMMU 0 at 0x3010000 (00:00.0 to ff:1f.7, PCI devices; it is 00:03.0)',
    ],
    [
      'VIOT',
      'virtio_iommu virtio0: page fault from EP 24 at 0x1000 [R]\n',
      'EP 24 is under virtio-iommu 0 at 00:1e.0 (00:00.0 to 00:1f.7, PCI devices; it is 00:03.0)',
    ],
  ] as const)('%s', (name, log, text) => {
    expect(details(log, REAL[name])[name]).toBe(text);
  });
});

test('tables of other units say nothing', () => {
  expect(details(intel('00:02.0'), REAL.IVRS)).toEqual({});
  const explainer = new Explainer();
  explainer.begin('log');
  explainer.push(intel('00:02.0'));
  explainer.end();
  expect(explainer.groups).toBe(explainer.report.groups);
});
