import { describe, expect, test } from 'vitest';
import { maskFor, reservedOf } from '../../../test/declarations.ts';
import { agrees, testDeclarations } from '../../../test/second-source.ts';
import { decode, decodeHalves, encode64 } from '../../bits/index.ts';
import { HYPERCALLS, MOST_TCES, RTAS_CALLS } from './commands.ts';
import { H_CODES, RTAS_STATUS } from './faults.ts';
import * as structures from './structures.ts';

testDeclarations(structures);

const { CONFIG_ADDR, CREATE_WINDOW, DMA_WINDOW, IO_PAGE_SHIFTS, IO_PAGE_SIZES, LINUX_WINDOW, ofCells } = structures;
const { QUERY_WINDOW, QUERY_WINDOW_64, TCE, TCE_FAULT } = structures;

describe('TCE', () => {
  test("Linux's tce.h", () => {
    const [read, write] = [0x1, 0x2];
    const names = TCE.PageMappingAndControl.values;
    expect([0, read, write, read | write].map((bits) => names?.[bits])).toEqual([
      'page fault',
      'read only',
      'write only',
      'read and write',
    ]);
    // 52 bits of page number, 12 bits further left.
    expect(maskFor(TCE, 'RPN')).toBe(((1n << 52n) - 1n) << 12n);
    expect(reservedOf(TCE)).toBe(0xffcn);
    expect(reservedOf(TCE_FAULT)).toBe(0n);
  });

  test('a page at 0x1_2345_6000 that the device may write', () => {
    const tce = encode64(TCE, { RPN: 0x1_2345_6000n, PageMappingAndControl: 2 });
    expect(tce).toBe(0x1_2345_6002n);
    expect(encode64(TCE_FAULT, {})).toBe(0n);
  });
});

describe('windows', () => {
  test("Linux's dynamic_dma_window_prop: be32 liobn, be64 dma_base, be32 tce_shift, be32 window_shift", () => {
    const property = [0x70000016, 0x0800_0000, 0, 16, 40];
    const { LIOBN, dma_base_hi, dma_base_lo, tce_shift, window_shift } = decodeHalves(LINUX_WINDOW, property);
    expect([LIOBN, tce_shift, window_shift]).toEqual([0x70000016, 16, 40]);
    const base = ofCells(dma_base_hi, dma_base_lo);
    expect(base).toBe(0x0800_0000_0000_0000n);
    // Linux's message of a TCE that could not be cleared, as this window was gone: tce = 0x80000061ee00000.
    expect(0x80000061ee00000n - base).toBe(0x61ee00000n);
    expect((0x80000061ee00000n - base) >> BigInt(window_shift)).toBe(0n);
  });

  test("QEMU's default window: 1 GiB at 0", () => {
    const window = decodeHalves(DMA_WINDOW, [0x80000000, 0, 0, 0, 0x40000000]);
    expect(window.LIOBN).toBe(0x80000000);
    expect(ofCells(window.address_hi, window.address_lo)).toBe(0n);
    expect(ofCells(window.size_hi, window.size_lo)).toBe(1n << 30n);
  });

  test('page sizes: Linux and QEMU', () => {
    const bits = ['4K', '64K', '16M', '32M', '64M', '128M', '256M', '16G', '2M'].map((size) => `SIZE_${size}`);
    agrees(IO_PAGE_SIZES, Object.fromEntries(bits.map((name, n) => [name, [n, n]])));
    const unit: Readonly<Record<string, number>> = { K: 10, M: 20, G: 30 };
    for (const [name, shift] of Object.entries(IO_PAGE_SHIFTS)) {
      const [, count, letter] = /^SIZE_(\d+)([KMG])$/.exec(name) ?? [];
      expect(2 ** shift, name).toBe(Number(count) * 2 ** (unit[letter] ?? 0));
    }
    expect(Object.keys(IO_PAGE_SHIFTS)).toEqual(bits);
  });

  test("a query's answer in QEMU: four sizes of pages, one more window beside the default one", () => {
    const six = decodeHalves(QUERY_WINDOW_64, [0, 1, 0x20, 0, 0x107, 0]);
    expect(six).toMatchObject({ Status: 0, WindowsAvailable: 1, MigrationCapable: 0 });
    expect(ofCells(six.PE_TCEs_hi, six.PE_TCEs_lo)).toBe(0x20_0000_0000n);
    expect(decodeHalves(IO_PAGE_SIZES, [six.IO_page_sizes])).toMatchObject({
      ...{ SIZE_4K: 1, SIZE_64K: 1, SIZE_16M: 1, SIZE_32M: 0, SIZE_16G: 0, SIZE_2M: 1 },
    });
    const five = decodeHalves(QUERY_WINDOW, [0, 1, 0x80000000, 0x103, 0]);
    expect(five).toMatchObject({ WindowsAvailable: 1, PE_TCEs: 0x80000000, IO_page_sizes: 0x103 });
  });

  // ibm,query-pe-dma-windows(53) b00000 8000000 20000187 returned -3, lb=0 ps=0 wn=0
  test('a query of a real machine that firmware refused', () => {
    // Linux: bus << 16 | devfn << 8.
    agrees(CONFIG_ADDR, { function: [10, 8], device: [15, 11], bus: [23, 16] });
    expect(decodeHalves(CONFIG_ADDR, [0xb00000])).toEqual({ bus: 0xb0, device: 0, function: 0 });
    const { Status } = decodeHalves(QUERY_WINDOW, [-3, 0, 0, 0, 0]);
    expect(Status).toBe(0xffff_fffd);
    expect(RTAS_STATUS[Status | 0]?.name).toBe('Parameter error');
    expect(RTAS_CALLS['ibm,query-pe-dma-window'].statuses).toContain(-3);
  });

  test('a new window', () => {
    const made = decode(CREATE_WINDOW, 0x8000_0001_0000_0000n, 0x0800_0000n);
    expect([made.Status, made.LIOBN, ofCells(made.address_hi, made.address_lo)]).toEqual([0, 0x8000_0001, 1n << 59n]);
  });
});

describe('hypercalls', () => {
  test("Linux's hvcall.h", () => {
    const numbers = Object.entries(HYPERCALLS).map(([number, { name }]) => [name, Number(number)]);
    expect(Object.fromEntries(numbers)).toEqual({
      ...{ H_GET_TCE: 0x1c, H_PUT_TCE: 0x20, H_STUFF_TCE: 0x138, H_PUT_TCE_INDIRECT: 0x13c },
    });
    const codes = Object.entries(H_CODES).map(([code, { name }]) => [name.toUpperCase(), Number(code)]);
    expect(Object.fromEntries(codes)).toMatchObject({
      ...{ H_SUCCESS: 0, H_BUSY: 1, H_CLOSED: 2, H_NOT_AVAILABLE: 3, H_CONSTRAINED: 4, H_PARTIAL: 5 },
      ...{ H_HARDWARE: -1, H_FUNCTION: -2, H_PRIVILEGE: -3, H_PARAMETER: -4, H_NOT_FOUND: -7, H_AUTHORITY: -10 },
      ...{ H_PERMISSION: -11, H_RESOURCE: -16, H_NOT_ENOUGH_RESOURCES: -44, H_RESCINDED: -46, H_P2: -55, H_P3: -56 },
      ...{ H_P4: -57, H_P5: -58, H_P9: -62, H_TOO_BIG: -64, H_UNSUPPORTED: -67, H_OVERLAP: -68, H_STATE: -75 },
      ...{ H_IN_USE: -77, H_LONGBUSYORDER1MS: 9900, H_LONGBUSYORDER100S: 9905 },
    });
  });

  test('what a call returns is a code that there is', () => {
    for (const { name, returns, clause, args } of Object.values(HYPERCALLS)) {
      expect([clause, args.slice(0, 2)]).toEqual([`LoPAR ${name}`, ['LIOBN', 'IOBA']]);
      for (const code of Object.keys(returns)) expect(H_CODES[Number(code)], `${name} ${code}`).toBeDefined();
      expect(Object.keys(returns).map(Number)).toEqual(expect.arrayContaining([0, -1, -4, -46]));
    }
    for (const { statuses, inputs, outputs } of Object.values(RTAS_CALLS)) {
      for (const status of statuses) expect(RTAS_STATUS[status]).toBeDefined();
      expect(inputs.length).toBeGreaterThan(0);
      for (const [count, of] of Object.entries(outputs)) expect(of === null ? 1 : of.width / 32).toBe(Number(count));
    }
    // A page of TCEs.
    expect(MOST_TCES * structures.TCE_BYTES).toBe(4096);
  });

  // tce_freemulti_pSeriesLP: plpar_tce_stuff failed, rc = -4, index = 0x70000016, of a device that was taken away.
  test('a call of a real machine that was refused', () => {
    expect(HYPERCALLS[0x138].returns[-4]).toMatch(/^the LIOBN is not one of the caller/);
    expect(H_CODES[-4].name).toBe('H_Parameter');
  });
});
