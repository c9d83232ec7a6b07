/** Lines that say where tables begin, and walks from there. */
import { describe, expect, test } from 'vitest';
import { tablesOf } from '../../../test/explained.ts';
import { WalkRefused, walkAny } from '../index.ts';

describe('a line', () => {
  test.each([
    ['as the specification spells it', 'ddtp: 0x0000000020000004', 'riscv.ddtp', [0x20000004n]],
    ['with =, without 0x', ' ddtp = 20000004', 'riscv.ddtp', [0x20000004n]],
    ['by its kind', 'riscv.ddtp: 0x20000004', 'riscv.ddtp', [0x20000004n]],
    ['of several words', 'dc: 0x1 0x0 0x5000, 0x8000000000080100', 'riscv.dc', [1n, 0n, 0x5000n, 0x8000000000080100n]],
  ])('%s', (_, line, kind, words) => {
    expect(tablesOf(line).given.get(kind)?.words).toEqual(words);
  });

  test.each([
    ['of another name', 'rax: 0x20000004'],
    ['of too many words', 'ddtp: 0x1 0x2'],
    ['of too large a word', 'fctl: 0x100000000'],
    ['of no words', 'ddtp: later'],
    ['of a log', 'riscv: ddtp: 0x20000004 was written'],
  ])('%s is none', (_, line) => {
    expect([...tablesOf(line).given]).toEqual([]);
  });

  test('that contradicts another is counted, and holds', () => {
    const tables = tablesOf('ddtp: 0x1\nddtp: 0x1\nddtp: 0x2\n');
    expect([tables.given.get('riscv.ddtp')?.words, tables.contradictions]).toEqual([[2n], 1]);
  });
});

describe('a RISC-V IOMMU', () => {
  const DUMP = `capabilities: 0x80ff5f8f10
ddtp: 0x20000002
0x80000080: 0x1 0x0
0x80000090: 0x5000 0x8000000000080100
0x800000a0: 0x0 0x0
0x800000b0: 0x0 0x0
0x80100000: 0x20040401
0x80101000: 0x20040801
0x80102008: 0x0000000020080c57
`;
  test('device context, three levels, and what a write lacks', () => {
    const { assumed, of, read, steps, write } = walkAny(tablesOf(DUMP), {
      address: 0x1abcn,
      device: '0x2',
      pasid: null,
    });
    expect(of).toBe('0x2');
    expect(steps.map(({ address, what }) => [what, address])).toEqual([
      ['ddtp', null],
      ['device context of 0x2', 0x80000080n],
      ['level-2 PTE of 0x0', 0x80100000n],
      ['level-1 PTE of 0x0', 0x80101000n],
      ['level-0 PTE of 0x1000', 0x80102008n],
    ]);
    expect(read).toEqual({ kind: 'page', address: 0x80203abcn, bytes: 4096 });
    expect(write).toMatchObject({
      kind: 'fault',
      code: { value: 15, name: 'Write/AMO page fault' },
      why: 'D is 0, and SADE = 0 leaves it so',
    });
    expect(assumed).toEqual([]);
  });

  test('what no register tells is taken for granted, and said', () => {
    const { assumed, read } = walkAny(tablesOf(DUMP.replace(/capabilities.*/g, '')), {
      ...{ address: 0x1000n, device: '00:00.2', pasid: null },
    });
    expect(read.kind).toBe('page');
    expect(assumed).toEqual([
      'capabilities.MSI_FLAT = 1: contexts of 64 bytes; a line "capabilities: 0x…" makes it sure',
      'fctl = 0: little-endian, second stages of 64 bits',
    ]);
  });

  test.each([
    [
      'a word that is not there',
      DUMP,
      0x200000n,
      '0x2',
      { kind: 'missing', address: 0x80101008n, what: 'level-1 PTE of 0x200000' },
    ],
    ['of another device', DUMP, 0n, '0x3', { kind: 'missing', address: 0x800000c0n, what: 'device context of 0x3' }],
    ['off', DUMP.replace('ddtp: 0x20000002', 'ddtp: 0x0'), 0n, '0x2', { kind: 'fault', code: { value: 256 } }],
    ['iosatp alone', `${DUMP.replace(/ddtp.*/, '')}iosatp: 0x8000000000080100`, 0x1000n, null, { kind: 'page' }],
  ])('%s', (_, text, address, device, end) => {
    expect(walkAny(tablesOf(text), { address, device, pasid: null }).read).toMatchObject(end);
  });

  test.each([
    ['no device', DUMP, null, 'whose address it is has to be said'],
    ['a device that is none', DUMP, 'eth0', "'eth0' is no BUS:DEVICE.FUNCTION"],
    ['no root', DUMP.replace(/ddtp.*/, ''), '0x2', 'nothing says where tables begin'],
    ['a reserved mode', DUMP.replace('20000002', '20000009'), '0x2', 'ddtp.iommu_mode 9 is reserved'],
  ])('is refused with what is missing: %s', (_, text, device, message) => {
    const walk = () => walkAny(tablesOf(text), { address: 0n, device, pasid: null });
    expect(walk).toThrow(WalkRefused);
    expect(walk).toThrow(message);
  });
});
