import { describe, expect, test } from 'vitest';
import { agrees, testDeclarations } from '../../../test/second-source.ts';
import type { Fields, Register } from '../../bits/index.ts';
import { decode, encode64, join } from '../../bits/index.ts';
import * as debug from './debug-registers.ts';
import * as registers from './registers.ts';

testDeclarations({ registers, debug });

const { CAPABILITIES, CQCSR, DDTP, FCTL, FQCSR, ICVEC, IPSR, PQCSR } = registers;
const { IOHPMCTR, IOHPMCYCLES, IOHPMEVT, TR_REQ_CTL, TR_RESPONSE } = debug;
const one = (n: number): [number, number] => [n, n];

const all = Object.values<unknown>({ ...registers, ...debug })
  .flat()
  .filter((r) => typeof r === 'object') as Register<Fields>[];

test('no two registers share a byte', () => {
  const bytes = all.flatMap(({ offset, width }) => Array.from({ length: width / 8 }, (_, i) => offset + i));
  expect(all.length).toBe(17 + 3 * 16 + 7 + 2 * 31);
  expect(new Set(bytes).size).toBe(bytes.length);
  expect(Math.max(...bytes)).toBeLessThan(registers.REGISTER_BYTES);
});

describe("Linux's and QEMU's riscv-iommu-bits.h", () => {
  test('offsets', () => {
    const offsets = Object.fromEntries(all.map(({ name, offset }) => [name, offset]));
    expect(offsets).toMatchObject({
      ...{ capabilities: 0, fctl: 8, ddtp: 0x10, cqb: 0x18, cqh: 0x20, cqt: 0x24, fqb: 0x28, fqh: 0x30, fqt: 0x34 },
      ...{ pqb: 0x38, pqh: 0x40, pqt: 0x44, cqcsr: 0x48, fqcsr: 0x4c, pqcsr: 0x50, ipsr: 0x54, iocountovf: 0x58 },
      ...{ iocountinh: 0x5c, iohpmcycles: 0x60, iohpmctr1: 0x68, iohpmevt1: 0x160, tr_req_iova: 0x258 },
      ...{ tr_req_ctl: 0x260, tr_response: 0x268, icvec: 0x2f8, msi_addr_0: 0x300, msi_data_0: 0x308 },
      ...{ msi_vec_ctl_0: 0x30c, msi_addr_15: 0x3f0 },
    });
    expect([IOHPMCTR.length, IOHPMEVT.length, IOHPMEVT.at(-1)?.offset]).toEqual([31, 31, 0x250]);
  });

  test('capabilities', () => {
    const names = ['Sv32', 'Sv39', 'Sv48', 'Sv57', 'Svpbmt', 'Sv32x4', 'Sv39x4', 'Sv48x4', 'Sv57x4', 'AMO_MRIF'];
    const more = ['MSI_FLAT', 'MSI_MRIF', 'AMO_HWAD', 'ATS', 'T2GPA', 'END', 'HPM', 'DBG', 'PD8', 'PD17', 'PD20'];
    const at = [8, 9, 10, 11, 15, 16, 17, 18, 19, 21, 22, 23, 24, 25, 26, 27, 30, 31, 38, 39, 40];
    const flags = Object.fromEntries([...names, ...more].map((name, i) => [name, one(at[i])]));
    const silent = ['Svrsw60t59b', 'QOSID', 'NL', 'S', 'custom'];
    agrees(CAPABILITIES, { version: [7, 0], IGS: [29, 28], PAS: [37, 32], ...flags }, silent);
  });

  test('the others', () => {
    agrees(FCTL, { BE: one(0), WSI: one(1), GXL: one(2) }, ['custom']);
    agrees(DDTP, { iommu_mode: [3, 0], busy: one(4), PPN: [53, 10] });
    for (const base of [registers.CQB, registers.FQB, registers.PQB]) agrees(base, { LOG2SZ_1: [4, 0], PPN: [53, 10] });
    const status = { cqen: one(0), cie: one(1), cqmf: one(8), cmd_to: one(9), cmd_ill: one(10), fence_w_ip: one(11) };
    agrees(CQCSR, { ...status, cqon: one(16), busy: one(17) }, ['custom']);
    const fault = { fqen: one(0), fie: one(1), fqmf: one(8), fqof: one(9), fqon: one(16), busy: one(17) };
    agrees(FQCSR, fault, ['custom']);
    const request = { pqen: one(0), pie: one(1), pqmf: one(8), pqof: one(9), pqon: one(16), busy: one(17) };
    agrees(PQCSR, request, ['custom']);
    agrees(IPSR, { cip: one(0), fip: one(1), pmip: one(2), pip: one(3) }, ['custom']);
    agrees(ICVEC, { civ: [3, 0], fiv: [7, 4], pmiv: [11, 8], piv: [15, 12] }, ['custom']);
    agrees(IOHPMCYCLES, { OF: one(63) }, ['counter_31_0', 'counter_62_32']);
    const ids = { PID_PSCID: [35, 16], DID_GSCID: [59, 36], PV_PSCV: one(60), DV_GSCV: one(61), IDT: one(62) } as const;
    agrees(IOHPMEVT[0], { eventID: [14, 0], DMASK: one(15), ...ids, OF: one(63) });
    const request2 = { Go_Busy: one(0), Priv: one(1), Exe: one(2), NW: one(3), PID: [31, 12], PV: one(32) } as const;
    agrees(TR_REQ_CTL, { ...request2, DID: [63, 40] }, ['custom']);
    agrees(TR_RESPONSE, { fault: one(0), PBMT: [8, 7], S: one(9), PPN: [53, 10] }, ['custom']);
    agrees(registers.MSI_ADDR[3], { ADDR: [55, 2] });
  });
});

test('what software clears by writing 1', () => {
  expect(join(CQCSR.masks.w1c[0], 0)).toBe(0xf00n);
  expect([FQCSR.masks.w1c[0], PQCSR.masks.w1c[0]]).toEqual([0x300, 0x300]);
  expect(CQCSR.masks.rw[0] & 0x30000).toBe(0);
});

describe('values', () => {
  test('a device directory of three levels at 0x8123_4000', () => {
    const ddtp = encode64(DDTP, { iommu_mode: 4, PPN: 0x8123_4000n });
    expect(ddtp).toBe(0x2048_d004n);
    expect(DDTP.iommu_mode.values?.[decode(DDTP, ddtp).iommu_mode]).toBe('3LVL');
  });

  test('a command queue of 256 entries in one page', () => {
    const cqb = decode(registers.CQB, 0x2000_0007n);
    expect([2 ** (cqb.LOG2SZ_1 + 1), cqb.PPN]).toEqual([256, 0x8000_0000n]);
  });

  test('what QEMU says that it can do, before it had counters: PASIDs of 8 bits, addresses of 56', () => {
    const first = { Sv32: 1, Sv39: 1, Sv48: 1, Sv57: 1, Sv32x4: 1, Sv39x4: 1, Sv48x4: 1, Sv57x4: 1 };
    const more = { MSI_FLAT: 1, MSI_MRIF: 1, ATS: 1, DBG: 1, PAS: 56, PD8: 1 };
    expect(encode64(CAPABILITIES, { version: 0x10, ...first, ...more })).toBe(0x78_82cf_0f10n);
  });
});
