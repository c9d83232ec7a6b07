import { describe, expect, test } from 'vitest';
import { expectRoundTrip, layoutsOf, reservedOf } from '../../../test/declarations.ts';
import { agrees } from '../../../test/second-source.ts';
import { encode, encodedRangeBits, high, low } from '../../bits/index.ts';
import * as commands from './commands.ts';

const { COMMANDS, COMPLETE_PPR_REQUEST, COMPLETION_WAIT, INVALIDATE_IOMMU_PAGES, INVALIDATE_IOTLB_PAGES } = commands;

test.each(layoutsOf(commands).map((of) => [of.name, of] as const))('%s: round trip', (_, of) => expectRoundTrip(of));

test('each command has its code, and 16 bytes', () => {
  for (const [code, of] of Object.entries(COMMANDS)) {
    expect([of.Opcode.hi, of.Opcode.lo, of.Opcode.fixed]).toEqual([63, 60, Number(code)]);
    expect(of.width / 8).toBe(commands.COMMAND_BYTES);
  }
  // As Linux numbers them.
  expect(COMMANDS[1].name).toBe('COMPLETION_WAIT');
  expect(COMMANDS[2].name).toBe('INVALIDATE_DEVTAB_ENTRY');
  expect(COMMANDS[3].name).toBe('INVALIDATE_IOMMU_PAGES');
  expect(COMMANDS[4].name).toBe('INVALIDATE_IOTLB_PAGES');
  expect(COMMANDS[5].name).toBe('INVALIDATE_INTERRUPT_TABLE');
  expect(COMMANDS[7].name).toBe('COMPLETE_PPR_REQUEST');
  expect(COMMANDS[8].name).toBe('INVALIDATE_IOMMU_ALL');
});

describe('bits', () => {
  /** Of the first and the second quad-word, the bits that a field has. */
  const valid = (of: (typeof COMMANDS)[keyof typeof COMMANDS]) => {
    const used = ((1n << 128n) - 1n) ^ reservedOf(of);
    return [used & ((1n << 64n) - 1n), used >> 64n].map((word) => word.toString(16));
  };

  test('masks of VirtualBox', () => {
    expect(valid(COMPLETION_WAIT)).toEqual(['f00fffffffffffff', 'ffffffffffffffff']);
    expect(valid(COMMANDS[2])).toEqual(['f00000000000ffff', '0']);
    expect(valid(INVALIDATE_IOMMU_PAGES)).toEqual(['f000ffff000fffff', 'fffffffffffff007']);
    expect(valid(COMMANDS[5])).toEqual(['f00000000000ffff', '0']);
    // Its mask of the first quad-word, 780fffffff00ffff, has the code one bit too low: a misprint.
    expect(valid(COMMANDS[6])).toEqual(['f00fffffff00ffff', 'fffffffffffff015']);
    expect(valid(COMMANDS[8])).toEqual(['f000000000000000', '0']);
  });

  test('invalidation of IOTLBs: FreeBSD', () => {
    agrees(INVALIDATE_IOTLB_PAGES, {
      DeviceID: [15, 0],
      PASID_15_8: [23, 16],
      Maxpend: [31, 24],
      QueueID: [47, 32],
      PASID_7_0: [55, 48],
      PASID_19_16: [59, 56],
      S: [64, 64],
      GN: [66, 66],
      Type: [69, 68],
      Address: [127, 76],
    });
  });

  test('answer to page requests: Linux, which puts status · 4096 and the tag into the fourth word', () => {
    agrees(COMPLETE_PPR_REQUEST, { DeviceID: [15, 0], PASID: [51, 32], GN: [66, 66], CompletionTag: [111, 96] });
    const [, second] = encode(COMPLETE_PPR_REQUEST, { DeviceID: 0x0100, PASID: 5, GN: 1, CompletionTag: 0x1007 });
    expect(second).toBe(0x0000_1007_0000_0004n);
  });
});

describe('as drivers write them', () => {
  test('all pages of a domain', () => {
    const [first, second] = encode(INVALIDATE_IOMMU_PAGES, {
      DomainID: 0x13,
      S: 1,
      PDE: 1,
      Address: 0x7fff_ffff_ffff_f000n,
    });
    expect([first, second]).toEqual([0x3000_0013_0000_0000n, 0x7fff_ffff_ffff_f003n]);
    expect(encodedRangeBits(low(second), high(second))).toBe(64);
  });

  test('2 MiB from 0x40000000: bits 19:12 set, bit 20 clear', () => {
    const [, second] = encode(INVALIDATE_IOMMU_PAGES, { DomainID: 1, S: 1, Address: 0x400f_f000n });
    expect(second).toBe(0x400f_f001n);
    expect(encodedRangeBits(low(second), high(second))).toBe(21);
  });

  test('completion with a store', () => {
    expect(encode(COMPLETION_WAIT, { s: 1, StoreAddress: 0x1_2345_6788n, StoreData: 42n })).toEqual([
      0x1000_0001_2345_6789n,
      42n,
    ]);
  });
});
