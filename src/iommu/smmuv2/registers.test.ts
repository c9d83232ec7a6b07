import { expect, test } from 'vitest';
import { agrees, inOrder, testDeclarations } from '../../../test/second-source.ts';
import { decodeHalves } from '../../bits/index.ts';
import { CONTEXT_FAULTS, GLOBAL_FAULTS } from './faults.ts';
import * as registers from './registers.ts';

testDeclarations(registers);

const { CBFRSYNRA, FSR, FSYNR0, S2CR, SGFSR, SGFSYNR0, SGFSYNR1, SMR } = registers;

test("HiSilicon's header of its MMU-500", () => {
  const context = 'TF:1 AFF:1 PF:1 EF:1 TLBMCF:1 TLBLKF:1 ASF:1 UUT:1 FORMAT:2 _:19 SS:1 MULTI:1';
  agrees(FSR, inOrder(`_:1 ${context}`));
  const syndrome = 'PLVL:2 _:2 WNR:1 PNU:1 IND:1 NSSTATE:1 NSATTR:1 ATOF:1 PTWF:1 AFR:1 _:20';
  agrees(FSYNR0, inOrder(syndrome), ['S1CBNDX']);
  agrees(SGFSR, inOrder('ICF:1 USF:1 SMCF:1 UCBF:1 UCIF:1 CAF:1 EF:1 PF:1 UUT:1 _:22 MULTI:1'));
  agrees(SGFSYNR0, inOrder('NESTED:1 WNR:1 PNU:1 IND:1 NSSTATE:1 NSATTR:1 ATS:1 _:25'));
  for (const of of [SGFSYNR1, CBFRSYNRA]) agrees(of, inOrder('StreamID:16 SSD_Index:16'));
});

test("Linux's and Xen's arm-smmu, and AMD's register reference of the Zynq", () => {
  agrees(
    FSYNR0,
    {
      PLVL: [1, 0],
      WNR: [4, 4],
      PNU: [5, 5],
      IND: [6, 6],
      NSATTR: [8, 8],
      PTWF: [10, 10],
      AFR: [11, 11],
      S1CBNDX: [23, 16],
    },
    ['ATOF', 'NSSTATE'],
  );
  agrees(SMR, { ID: [14, 0], MASK: [30, 16], VALID: [31, 31] });
  agrees(S2CR, { CBNDX: [7, 0], EXIDVALID: [10, 10], TYPE: [17, 16], PRIVCFG: [25, 24] });
  const offsets = [FSR, FSYNR0, SGFSR, SGFSYNR0, SGFSYNR1, SMR, S2CR, CBFRSYNRA].map(({ offset }) => offset);
  expect(offsets).toEqual([0x58, 0x68, 0x48, 0x50, 0x54, 0x800, 0xc00, 0x400]);
});

test('a fault of Linux 6.12 that it printed by name, too: fsr=0x402, fsynr=0x7c0020 [S1CBNDX=124 PNU PLVL=0]', () => {
  expect(decodeHalves(FSR, [0x402])).toMatchObject({ TF: 1, FORMAT: 2, PF: 0, SS: 0, MULTI: 0 });
  expect(decodeHalves(FSYNR0, [0x7c0020])).toMatchObject({ S1CBNDX: 124, PNU: 1, WNR: 0, PLVL: 0 });
});

test.each([
  ['context', CONTEXT_FAULTS, FSR, ['FORMAT', 'MULTI', 'SS']],
  ['global', GLOBAL_FAULTS, SGFSR, ['MULTI']],
] as const)('each bit of the %s fault status that says why has its words', (_, meanings, register, others) => {
  const fields = Object.entries(register.fields).map(([name, { lo }]) => [name, lo] as const);
  const told = Object.entries(meanings).map(([bit, { name }]) => [name, Number(bit)] as const);
  const without = fields.filter(([name]) => !told.some(([other]) => other === name)).map(([name]) => name);
  expect(fields).toEqual(expect.arrayContaining(told.map(([name, bit]) => [name, bit])));
  expect(without.sort()).toEqual([...others]);
});
