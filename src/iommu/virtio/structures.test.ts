import { describe, expect, test } from 'vitest';
import { agrees, testDeclarations } from '../../../test/second-source.ts';
import { decode, decodeHalves, encode, reservedSet, toHalves } from '../../bits/index.ts';
import * as faults from './faults.ts';
import * as structures from './structures.ts';

const { CONFIG, FEATURES, PROBE_PROPERTY, PROBE_RESV_MEM, REQ_HEAD, REQ_TAIL } = structures;
const { REQ_ATTACH, REQ_DETACH, REQ_MAP, REQ_PROBE, REQ_UNMAP } = structures;
const { FAULT, FAULT_REASON, STATUS } = faults;

testDeclarations(structures);
testDeclarations(faults);

/** Members of the C structures of Linux's and QEMU's virtio_iommu.h (v0.12), in bytes: [offset, size]. */
const member = (offset: number, size: number) => [8 * (offset + size) - 1, 8 * offset] as const;

describe('the header that Linux and QEMU share', () => {
  test('structures', () => {
    agrees(
      CONFIG,
      {
        page_size_mask: member(0, 8),
        input_range_start: member(8, 8),
        input_range_end: member(16, 8),
        domain_range_start: member(24, 4),
        domain_range_end: member(28, 4),
        probe_size: member(32, 4),
      },
      // One byte there; the specification has its bits 7:1 ignored.
      ['bypass', 'IGN_295_289'],
    );
    expect([CONFIG.bypass.lo, CONFIG.IGN_295_289.hi]).toEqual([...member(36, 1)].reverse());
    agrees(REQ_HEAD, { type: member(0, 1), IGN_31_8: member(1, 3) });
    agrees(REQ_TAIL, { status: member(0, 1), IGN_31_8: member(1, 3) });
    const head = { type: member(0, 1), IGN_31_8: member(1, 3), domain: member(4, 4) };
    const flag = (offset: number, n: number) => [8 * offset + n, 8 * offset + n] as const;
    agrees(REQ_ATTACH, { ...head, endpoint: member(8, 4), BYPASS: flag(12, 0) });
    agrees(REQ_DETACH, { ...head, endpoint: member(8, 4), IGN_127_96: member(12, 4), IGN_159_128: member(16, 4) });
    const range = { virt_start: member(8, 8), virt_end: member(16, 8) };
    const flags = { READ: flag(32, 0), WRITE: flag(32, 1), MMIO: flag(32, 2) };
    agrees(REQ_MAP, { ...head, ...range, phys_start: member(24, 8), ...flags });
    agrees(REQ_UNMAP, { ...head, ...range });
    agrees(REQ_PROBE, { type: member(0, 1), IGN_31_8: member(1, 3), endpoint: member(4, 4) });
    agrees(PROBE_PROPERTY, { type: [11, 0], length: member(2, 2) });
    const resv = { subtype: member(4, 1), IGN_63_40: member(5, 3), start: member(8, 8), end: member(16, 8) };
    agrees(PROBE_RESV_MEM, { type: [11, 0], length: member(2, 2), ...resv });
    agrees(
      FAULT,
      {
        reason: member(0, 1),
        READ: flag(4, 0),
        WRITE: flag(4, 1),
        EXEC: flag(4, 2),
        ADDRESS: flag(4, 8),
        endpoint: member(8, 4),
        IGN_127_96: member(12, 4),
        address: member(16, 8),
      },
      ['IGN_39_35', 'IGN_63_41'],
    );
  });

  test('sizes: requests without their tails of 4 bytes', () => {
    const sizes = [CONFIG, REQ_ATTACH, REQ_DETACH, REQ_MAP, REQ_UNMAP, PROBE_RESV_MEM, FAULT].map((of) => of.width / 8);
    expect(sizes).toEqual([40, 24 - 4, 24 - 4, 40 - 4, 32 - 4, 24, 24]);
  });

  test('feature bits', () => {
    const features = ['INPUT_RANGE', 'DOMAIN_RANGE', 'MAP_UNMAP', 'BYPASS', 'PROBE', 'MMIO', 'BYPASS_CONFIG'];
    agrees(FEATURES, Object.fromEntries(features.map((name, n) => [name, [n, n]])));
  });

  test('codes', () => {
    const names = ['OK', 'IOERR', 'UNSUPP', 'DEVERR', 'INVAL', 'RANGE', 'NOENT', 'FAULT', 'NOMEM'];
    expect(Object.values(STATUS).map(({ name }) => name)).toEqual(names.map((name) => `S_${name}`));
    expect(Object.keys(STATUS)).toEqual(names.map((_, code) => `${code}`));
    expect(FAULT_REASON[2].name).toBe('FAULT_R_MAPPING');
    expect(Object.entries(structures.REQUESTS).map(([type, of]) => [type, of.name.split('_').at(-1)])).toEqual([
      ['1', 'attach'],
      ['2', 'detach'],
      ['3', 'map'],
      ['4', 'unmap'],
      ['5', 'probe'],
    ]);
    for (const [type, of] of Object.entries(structures.REQUESTS)) expect(of.fields.type.fixed).toBe(Number(type));
  });
});

describe('what a driver writes', () => {
  test("the specification's example: map(domain 1, 0x1000 – 0x1fff, 0xa000, READ)", () => {
    const values = { domain: 1, virt_start: 0x1000n, virt_end: 0x1fffn, phys_start: 0xa000n, READ: 1 };
    expect(encode(REQ_MAP, values)).toEqual([0x1_0000_0003n, 0x1000n, 0x1fffn, 0xa000n, 1n]);
  });

  test('the whole address space', () => {
    const [, start, end] = encode(REQ_UNMAP, { domain: 7, virt_start: 0n, virt_end: 0xffff_ffff_ffff_ffffn });
    expect([start, end]).toEqual([0n, 0xffff_ffff_ffff_ffffn]);
  });

  test('reserved: ATTACH must have zero, DETACH may have anything', () => {
    const stray = [0x1_0000_0001n, 0n, 5n] as const;
    expect(reservedSet(REQ_ATTACH, toHalves(stray))).toBe(true);
    expect(reservedSet(REQ_DETACH, toHalves(stray))).toBe(false);
    expect(reservedSet(REQ_MAP, toHalves([3n, 0n, 0n, 0n, 8n]))).toBe(true);
  });
});

test('a report as Linux prints it: "page fault from EP 8 at 0xfee00000 [ W ]"', () => {
  const report = [(0x102n << 32n) | 2n, 8n, 0xfee00000n];
  const values = decode(FAULT, ...report);
  expect(values).toMatchObject({
    reason: 2,
    READ: 0,
    WRITE: 1,
    EXEC: 0,
    ADDRESS: 1,
    endpoint: 8,
    address: 0xfee00000n,
  });
  expect(reservedSet(FAULT, toHalves(report))).toBe(false);
  expect(reservedSet(FAULT, toHalves([0x100n, 0n, 0n]))).toBe(true);
  expect(decodeHalves(FAULT, toHalves(report)).reason).toBe(2);
});

test('the configuration that QEMU offers: granularity 4 KiB, all addresses, domains 0 to 2^32 - 1, 512 bytes of properties, bypass', () => {
  const words = [0xffff_ffff_ffff_f000n, 0n, 0xffff_ffff_ffff_ffffn, 0xffff_ffffn << 32n, (1n << 32n) | 512n];
  expect(decode(CONFIG, ...words)).toMatchObject({
    page_size_mask: 0xffff_ffff_ffff_f000n,
    input_range_end: 0xffff_ffff_ffff_ffffn,
    domain_range_start: 0,
    domain_range_end: 0xffff_ffff,
    probe_size: 512,
    bypass: 1,
  });
});
