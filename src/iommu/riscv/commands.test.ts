import { describe, expect, test } from 'vitest';
import { agrees, testDeclarations } from '../../../test/second-source.ts';
import { decode, encode, encode64, reservedSet, toHalves } from '../../bits/index.ts';
import * as commands from './commands.ts';
import * as records from './fault-structures.ts';
import { FAULTS, GUEST_PAGE_FAULTS } from './faults.ts';

testDeclarations({ commands, records });

const { ATS_INVAL, ATS_PRGR, COMMANDS, IODIR_INVAL_DDT, IODIR_INVAL_PDT, IOFENCE_C, IOTINVAL_GVMA, IOTINVAL_VMA } =
  commands;
const { FAULT_RECORD, GUEST_FAULT, PAGE_REQUEST, TTYP } = records;
const one = (n: number): [number, number] => [n, n];
const second = (hi: number, lo = hi): [number, number] => [64 + hi, 64 + lo];

describe("commands: Linux's riscv-iommu-bits.h", () => {
  test('codes', () => {
    const found = Object.entries(COMMANDS).flatMap(([opcode, kinds]) =>
      Object.entries(kinds).map(([func3, of]) => {
        expect([of.opcode.hi, of.opcode.fixed, of.func3.lo, of.func3.fixed]).toEqual([6, +opcode, 7, +func3]);
        expect(of.width / 8).toBe(commands.COMMAND_BYTES);
        return `${opcode}.${func3} ${of.name}`;
      }),
    );
    expect(found).toEqual([
      ...['1.0 IOTINVAL.VMA', '1.1 IOTINVAL.GVMA', '2.0 IOFENCE.C'],
      ...['3.0 IODIR.INVAL_DDT', '3.1 IODIR.INVAL_PDT', '4.0 ATS.INVAL', '4.1 ATS.PRGR'],
    ]);
  });

  test('bits', () => {
    const inval = { AV: one(10), GV: one(33), GSCID: [59, 44], ADDR: second(61, 10) } as const;
    agrees(IOTINVAL_VMA, { ...inval, PSCID: [31, 12], PSCV: one(32) }, ['NL', 'S']);
    agrees(IOTINVAL_GVMA, inval, ['NL', 'S', 'IGN_31_12']);
    const fence = { AV: one(10), WSI: one(11), PR: one(12), PW: one(13), DATA: [63, 32] } as const;
    agrees(IOFENCE_C, { ...fence, ADDR: second(61, 0) });
    agrees(IODIR_INVAL_DDT, { DV: one(33), DID: [63, 40] });
    agrees(IODIR_INVAL_PDT, { PID: [31, 12], DV: one(33), DID: [63, 40] });
    const device = { PID: [31, 12], PV: one(32), DSV: one(33), RID: [55, 40], DSEG: [63, 56] } as const;
    agrees(ATS_INVAL, { ...device, G: second(0), S: second(11), ADDR: second(63, 12) });
    agrees(ATS_PRGR, { ...device, PRGI: second(40, 32), ResponseCode: second(47, 44) });
  });
});

describe('as drivers write them', () => {
  test('a page of a PSCID', () => {
    const words = encode(IOTINVAL_VMA, { AV: 1, PSCV: 1, PSCID: 5, ADDR: 0xffff_f000n });
    expect(words).toEqual([0x1_0000_5401n, 0x3fff_fc00n]);
  });

  test('a fence with reads and writes, and one that stores', () => {
    expect(encode(IOFENCE_C, { PR: 1, PW: 1 })).toEqual([0x3002n, 0n]);
    const words = encode(IOFENCE_C, { AV: 1, DATA: 0xcafe, ADDR: 0x8000_0004n });
    expect(words).toEqual([0xcafe_0000_0402n, 0x2000_0001n]);
  });

  test('IOTINVAL.GVMA with PSCV, which is illegal', () => {
    expect(reservedSet(IOTINVAL_GVMA, toHalves([0x1_0000_0081n, 0n]))).toBe(true);
    expect(reservedSet(IOTINVAL_GVMA, toHalves([0x2_0000_5081n, 0n]))).toBe(false);
  });
});

describe('records', () => {
  const requester = { PID: [31, 12], PV: one(32), PRIV: one(33), DID: [63, 40] } as const;

  test("Linux's riscv-iommu-bits.h", () => {
    agrees(FAULT_RECORD, { ...requester, CAUSE: [11, 0], TTYP: [39, 34], iotval: [191, 128], iotval2: [255, 192] }, [
      'custom',
    ]);
    const payload = { R: second(0), W: second(1), L: second(2), PRGI: second(11, 3), ADDR: second(63, 12) };
    agrees(PAGE_REQUEST, { ...requester, EXEC: one(34), ...payload });
    expect([FAULT_RECORD.width / 8, PAGE_REQUEST.width / 8]).toEqual([records.FAULT_BYTES, records.PAGE_REQUEST_BYTES]);
  });

  test('a read by the device 0x10 of a page that is not mapped, as QEMU reports it', () => {
    const fault = decode(FAULT_RECORD, 0x0000_1008_0000_000dn, 0n, 0xdead_b000n, 0n);
    expect(fault).toMatchObject({ CAUSE: 13, PV: 0, PID: 0, DID: 0x10, iotval: 0xdead_b000n, iotval2: 0n });
    expect(TTYP.values?.[fault.TTYP]).toBe('untranslated read');
    expect(FAULT_RECORD.CAUSE.values?.[fault.CAUSE]).toBe('Read page fault');
  });

  test('a guest-page fault while A was set in a first-stage table', () => {
    const word = encode64(GUEST_FAULT, { implicit: 1, implicit_write: 1, GPA: 0x8000_1008n });
    expect(word).toBe(0x8000_100bn);
    expect(GUEST_PAGE_FAULTS.map((cause) => FAULTS[cause]?.name)).toEqual([
      'Instruction guest page fault',
      'Read guest-page fault',
      'Write/AMO guest-page fault',
    ]);
  });

  test('causes: Linux, and which the specification has reported despite DTF', () => {
    const causes = [1, 4, 5, 6, 7, 12, 13, 15, 20, 21, 23, ...Array.from({ length: 19 }, (_, i) => 256 + i)];
    expect(Object.keys(FAULTS).map(Number)).toEqual(causes);
    const despite = Object.entries(FAULTS).filter(([, { despiteDTF }]) => despiteDTF);
    expect(despite.map(([cause]) => Number(cause))).toEqual([256, 257, 258, 259, 268, 272, 273]);
    for (const { name, text } of Object.values(FAULTS))
      expect([name.length > 10, text.length > 20]).toEqual([true, true]);
  });
});
