import { expect, test } from 'vitest';
import { agrees, testDeclarations } from '../../../test/second-source.ts';
import { decodeHalves, moved } from '../../bits/index.ts';
import * as cmdqv from './cmdqv-registers.ts';

testDeclarations(cmdqv);

/** The only source is Linux's driver; its constants are copied here once more, by page: 64 KiB each. */
test('pages and offsets', () => {
  const page = (n: number, offset: number) => 0x10000 * n + offset;
  const { CMDQV_PAGES, CMDQV_STRIDE, ...registers } = cmdqv;
  expect(Object.fromEntries(Object.entries(registers).map(([name, { offset }]) => [name, offset]))).toEqual({
    ...{ CMDQV_CONFIG: 0, CMDQV_PARAM: 4, CMDQV_STATUS: 8, CMDQV_VINTF_ERR_MAP: 0x14, CMDQV_VINTF_INT_MASK: 0x1c },
    ...{ CMDQV_CMDQ_ERR_MAP: 0x24, CMDQV_CMDQ_ALLOC: 0x200 },
    ...{ VINTF_CONFIG: 0x1000, VINTF_STATUS: 0x1000 + 4, VINTF_LVCMDQ_ERR_MAP: 0x1000 + 0xc0 },
    ...{ VINTF_SID_MATCH: 0x1000 + 0x40, VINTF_SID_REPLACE: 0x1000 + 0x80 },
    ...{ VCMDQ_CONS: page(1, 0), VCMDQ_PROD: page(1, 4), VCMDQ_CONFIG: page(1, 8), VCMDQ_STATUS: page(1, 0xc) },
    ...{ VCMDQ_GERROR: page(1, 0x10), VCMDQ_GERRORN: page(1, 0x14) },
    ...{ VCMDQ_BASE: page(2, 0), VCMDQ_CONS_INDX_BASE: page(2, 8) },
  });
  for (const [name, of] of Object.entries(registers)) expect(of.name).toBe(name);
  expect(CMDQV_PAGES).toEqual({ VINTF: page(3, 0) });
  expect(CMDQV_STRIDE).toEqual({
    ...{ VINTF: 0x100, VCMDQ: 0x80, CMDQ_ERR_MAP: 4, CMDQ_ALLOC: 4, SID: 4, VINTF_PAGES: page(2, 0) },
  });
});

test('bits', () => {
  const param = {
    VER: [3, 0],
    NUM_VCMDQ_LOG2: [7, 4],
    NUM_VINTF_LOG2: [11, 8],
    NUM_SID_PER_VM_LOG2: [15, 12],
  } as const;
  agrees(cmdqv.CMDQV_PARAM, param);
  agrees(cmdqv.CMDQV_CMDQ_ALLOC, { ALLOCATED: [0, 0], LVCMDQ: [7, 1], VINTF: [20, 15] });
  agrees(cmdqv.VINTF_CONFIG, { EN: [0, 0], VMID: [16, 1], HYP_OWN: [17, 17] });
  // The driver writes `vSID << 1 | 1`, of 32 bits.
  agrees(cmdqv.VINTF_SID_MATCH, { VALID: [0, 0], SID: [31, 1] });
  agrees(cmdqv.VINTF_SID_REPLACE, { SID: [31, 0] });
  agrees(cmdqv.VINTF_STATUS, { ENABLED: [0, 0], STATUS: [3, 1] });
  agrees(cmdqv.VCMDQ_CONS, { ERR: [30, 24] }, ['RD']);
  agrees(cmdqv.VCMDQ_BASE, { LOG2SIZE: [4, 0], ADDR: [47, 5] });
});

test('queue 3 is the second of interface 1', () => {
  const { CMDQV_CMDQ_ALLOC, CMDQV_STRIDE, VCMDQ_CONS } = cmdqv;
  const third = moved(CMDQV_CMDQ_ALLOC, CMDQV_CMDQ_ALLOC.offset + 3 * CMDQV_STRIDE.CMDQ_ALLOC);
  expect(third.offset).toBe(0x20c);
  expect(decodeHalves(third, [0x8003])).toEqual({ ALLOCATED: 1, LVCMDQ: 1, VINTF: 1 });
  expect(moved(VCMDQ_CONS, VCMDQ_CONS.offset + 3 * CMDQV_STRIDE.VCMDQ).offset).toBe(0x10180);
});
