import { describe, expect, test } from 'vitest';
import { agrees, testDeclarations } from '../../../test/second-source.ts';
import { decode, encode } from '../../bits/index.ts';
import * as structures from './event-structures.ts';
import { EVENTS, flagsOf, INVALID_REQUEST_TEXT, pageFaultText } from './events.ts';

testDeclarations(structures);

const { IO_PAGE_FAULT, ILLEGAL_DEV_TABLE_ENTRY, INVALID_DEVICE_REQUEST, LOGGED_FLAGS } = structures;

/** What the flags say, those that are 0 left out. */
const set = (entry: Parameters<typeof flagsOf>[0], flags: number) =>
  flagsOf(entry, flags)
    .filter(({ value }) => value !== 0)
    .map(({ name, value, text }) => (text === null ? `${name} ${value}` : `${name} ${value}: ${text}`));

test('codes: Linux', () => {
  const names = Object.entries(EVENTS).map(([code, { name, entry, clause, text }]) => {
    expect([entry.fields.EventCode.hi, entry.fields.EventCode.lo]).toEqual([63, 60]);
    expect(entry.fields.EventCode.fixed).toBe(Number(code));
    expect([entry.width / 8, entry.clause, text.length > 10]).toEqual([structures.EVENT_BYTES, clause, true]);
    return name;
  });
  expect(names).toEqual([
    ...['ILLEGAL_DEV_TABLE_ENTRY', 'IO_PAGE_FAULT', 'DEV_TAB_HARDWARE_ERROR', 'PAGE_TAB_HARDWARE_ERROR'],
    ...['ILLEGAL_COMMAND_ERROR', 'COMMAND_HARDWARE_ERROR', 'IOTLB_INV_TIMEOUT', 'INVALID_DEVICE_REQUEST'],
    ...['INVALID_PPR_REQUEST', 'EVENT_COUNTER_ZERO', 'GUEST_EVENT_FAULT', 'VIOMMU_HARDWARE_ERROR'],
    ...['RMP_PAGE_FAULT', 'RMP_HARDWARE_ERROR'],
  ]);
  expect([EVENTS[13].name, EVENTS[14].logged, EVENTS[12].logged]).toEqual([
    'RMP_PAGE_FAULT',
    'RMP_HW_ERROR',
    'VIOMMU_HW_ERR',
  ]);
});

/** amd_iommu_log.h of illumos numbers the bits of the second double-word. */
describe('bits: illumos', () => {
  const dw1 = (hi: number, lo = hi) => [32 + hi, 32 + lo] as const;
  const device = { DeviceID: [15, 0] } as const;
  const virtual = ['VNR', 'VEvent', 'VPtr', 'VCmd'];

  test('about memory', () => {
    const hardware = { ...device, I: dw1(19), RW: dw1(21), TR: dw1(24), Type: dw1(26, 25) };
    agrees(structures.DEV_TAB_HARDWARE_ERROR, { ...hardware, Address: [127, 68] }, virtual);
    agrees(structures.PAGE_TAB_HARDWARE_ERROR, { ...hardware, Address: [127, 67], DomainID: dw1(15, 0) }, [
      ...['PASID_19_16', 'GN'],
      ...virtual,
    ]);
    agrees(structures.ILLEGAL_COMMAND_ERROR, { Address: [127, 68] });
    agrees(structures.COMMAND_HARDWARE_ERROR, { Address: [127, 68], Type: dw1(26, 25) });
    agrees(structures.IOTLB_INV_TIMEOUT, { ...device, Address: [127, 68] });
  });
});

test('bits: FreeBSD', () => {
  const one = (n: number): [number, number] => [n, n];
  const virtual = { VNR: one(27), VEvent: one(29), VPtr: one(30), VCmd: one(31) };
  const request = {
    DeviceID: [15, 0],
    PASID_19_16: [19, 16],
    ...virtual,
    GN: one(48),
    I: one(51),
    RW: one(53),
  } as const;
  const illegal = { PASID_15_0: [47, 32], RZ: one(55), TR: one(56), Address: [127, 66] } as const;
  agrees(ILLEGAL_DEV_TABLE_ENTRY, { ...request, ...illegal });
  const fault = { ...request, DomainID: [47, 32], NX: one(49), US: one(50), PR: one(52), PE: one(54) } as const;
  agrees(IO_PAGE_FAULT, { ...fault, RZ: one(55), TR: one(56), Address: [127, 64] });
});

test('bits: VirtualBox', () => {
  const pasid = { PASID_19_16: [19, 16], PASID_15_0: [47, 32], GN: [48, 48] } as const;
  const kind = { US: [49, 49], TR: [56, 56], Type: [59, 57] } as const;
  agrees(INVALID_DEVICE_REQUEST, { DeviceID: [15, 0], ...pasid, ...kind, Address: [127, 64] });
  agrees(structures.EVENT_COUNTER_ZERO, { CounterNote_51_32: [83, 64], CounterNote_31_0: [127, 96] });
});

describe('flags of kernel logs', () => {
  test('are bits 59:48 of the entry', () => {
    expect([LOGGED_FLAGS.hi, LOGGED_FLAGS.lo]).toEqual([59, 48]);
    const [first] = encode(IO_PAGE_FAULT, { PR: 1, RW: 1, PE: 1 });
    expect((first >> 48n) & 0xfffn).toBe(0x070n);
    expect(flagsOf(IO_PAGE_FAULT, 0).map(({ name }) => name)).toEqual([
      ...['GN', 'NX', 'US', 'I', 'PR', 'RW', 'PE', 'RZ', 'TR'],
    ]);
  });

  // IO_PAGE_FAULT domain=0x000e address=… flags=…, of desktops: four ways to fail, provoked; and what nobody understood.
  test.each([
    [0x0000, [], 'a read of a page that is not present'],
    [0x0020, ['RW 1: write'], 'a write of a page that is not present'],
    [0x0050, ['PR 1: present, or interrupt remapped', 'PE 1: no permission'], 'a read without permission'],
    [
      0x0070,
      ['PR 1: present, or interrupt remapped', 'RW 1: write', 'PE 1: no permission'],
      'a write without permission',
    ],
    [0x0010, ['PR 1: present, or interrupt remapped'], 'an encoding is invalid in a paging entry'],
    [0x0008, ['I 1: interrupt request'], 'the interrupt is not remapped: its entry is not enabled, or it has none'],
    [0x0100, ['TR 1: translation request'], 'translation request for a read of a page that is not present'],
  ])('IO_PAGE_FAULT with flags %i', (flags, words, text) => {
    expect(set(IO_PAGE_FAULT, flags)).toEqual(words);
    expect(pageFaultText(flags)).toBe(text);
  });

  test('ILLEGAL_DEV_TABLE_ENTRY of a laptop whose unit does not know a bit, and of a server where Mode may not be 0', () => {
    expect(set(ILLEGAL_DEV_TABLE_ENTRY, 0x0080)).toEqual(['RZ 1: reserved bit set']);
    expect(set(ILLEGAL_DEV_TABLE_ENTRY, 0x0020)).toEqual(['RW 1: write']);
    expect(flagsOf(ILLEGAL_DEV_TABLE_ENTRY, 0x0020).find(({ name }) => name === 'RZ')?.text).toBe(
      'invalid level encoding',
    );
  });

  test('INVALID_DEVICE_REQUEST with flags 0x0a00: an interrupt that IntCtl refuses', () => {
    expect(set(INVALID_DEVICE_REQUEST, 0x0a00)).toEqual(['Type 5']);
    const { TR, Type } = decode(INVALID_DEVICE_REQUEST, 0x8a00_0000_0000_0300n, 0xfdf8_0000_00n);
    expect(INVALID_REQUEST_TEXT[TR as 0 | 1][Type]).toMatch(/interrupt range .* IntCtl = 0/);
    expect(Object.keys(INVALID_REQUEST_TEXT[0])).toHaveLength(8);
  });

  test('bits that an event does not have', () => {
    expect(set(ILLEGAL_DEV_TABLE_ENTRY, 0x0090)).toEqual(['RZ 1: reserved bit set', 'reserved 16']);
    expect(flagsOf(structures.EVENT_COUNTER_ZERO, 0)).toEqual([]);
  });
});
