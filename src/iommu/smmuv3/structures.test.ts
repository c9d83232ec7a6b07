import { describe, expect, test } from 'vitest';
import type { SecondSource } from '../../../test/second-source.ts';
import { agrees, inOrder, testDeclarations } from '../../../test/second-source.ts';
import { encode, reservedSet, toHalves } from '../../bits/index.ts';
import * as contexts from './context-structures.ts';
import * as structures from './structures.ts';

const { L1STD, STE, STE_CONFIG } = structures;
const { CD, L1CD } = contexts;

testDeclarations(structures);
testDeclarations(contexts);

/** Addresses have 52 bits there, 56 in SMMUv3.4. */
function wider(source: SecondSource, ...addresses: string[]): SecondSource {
  const grown = addresses.map((key) => [key, [source[key][0] + 4, source[key][1]]] as const);
  return { ...source, ...Object.fromEntries(grown) };
}

/** SmmuV3Registers.h of Microsoft's UEFI driver (BSD-2-Clause-Patent): members in their order, under the specification's names. */
describe('a second source: bit-fields of a UEFI driver (SMMUv3.2 generation)', () => {
  test('level 1', () => {
    agrees(L1STD, wider(inOrder('Span:5 _:1 L2Ptr:46 _:12'), 'L2Ptr'));
    agrees(L1CD, wider(inOrder('V:1 _:11 L2Ptr:40 _:12'), 'L2Ptr'));
  });

  test('STE', () => {
    const source = inOrder(`V:1 Config:3 S1Fmt:2 S1ContextPtr:46 _:7 S1CDMax:5 S1DSS:2 S1CIR:2 S1COR:2 S1CSH:2 S2HWU59:1
      S2HWU60:1 S2HWU61:1 S2HWU62:1 DRE:1 CONT:4 DCP:1 PPAR:1 MEV:1 SW_RESERVED:4 _:1 S2FWB:1 S1MPAM:1 S1STALLD:1 EATS:2
      STRW:2 MemAttr:4 MTCFG:1 ALLOCCFG:4 _:3 SHCFG:2 NSCFG:2 PRIVCFG:2 INSTCFG:2 IMPDEF_127_116:12 S2VMID:16
      IMPDEF_159_144:16 S2T0SZ:6 S2SL0:2 S2IR0:2 S2OR0:2 S2SH0:2 S2TG:2 S2PS:3 S2AA64:1 S2ENDI:1 S2AFFD:1 S2PTW:1 S2HD:1
      S2HA:1 S2S:1 S2R:1 _:5 S2NSW:1 S2NSA:1 _:2 S2TTB:48 _:12 IMPDEF_271_256:16 PARTID:16 _:32 PMG:8 _:4 VMSPtr:40 _:12
      _:128`);
    expect(STE.width).toBe(512);
    agrees(STE, wider(source, 'S1ContextPtr', 'S2TTB', 'VMSPtr'), [
      ...['S1PIE', 'S2HAFT', 'S2PIE', 'S2POE', 'DPT_VMATCH', 'S2SL0_2', 'S2DS', 'S2SKL', 'S2POI'],
      ...['S_S2T0SZ', 'S_S2SL0', 'S_S2TG', 'MECID', 'MPAM_NS', 'AssuredOnly', 'TL0', 'TL1'],
      ...['S2SW', 'S2SA', 'S_S2SL0_2', 'S_S2TTB', 'S_S2SKL'],
    ]);
  });

  test('CD', () => {
    const source = inOrder(`T0SZ:6 TG0:2 IR0:2 OR0:2 SH0:2 EPD0:1 ENDI:1 T1SZ:6 TG1:2 IR1:2 OR1:2 SH1:2 EPD1:1 V:1 IPS:3
      AFFD:1 WXN:1 UWXN:1 TBI0:1 TBI1:1 PAN:1 AA64:1 HD:1 HA:1 S:1 R:1 A:1 ASET:1 ASID:16 NSCFG0:1 HAD0:1 _:2 TTB0:48 _:8
      HWU059:1 HWU060:1 HWU061:1 HWU062:1 NSCFG1:1 HAD1:1 _:2 TTB1:48 _:8 HWU159:1 HWU160:1 HWU161:1 HWU162:1 MAIR0:32
      MAIR1:32 AMAIR0:32 AMAIR1:32 IMPDEF:32 PARTID:16 PMG:8 _:8 _:128`);
    expect(CD.width).toBe(512);
    const since = ['E0PD0', 'E0PD1', 'HAFT', 'PnCH', 'EPAN', 'AIE', 'DS', 'PIE', 'PIIU', 'PIIP'];
    agrees(CD, wider(source, 'TTB0', 'TTB1'), since);
  });
});

/** QEMU has the words of 32 bits, and the one source knows HD, HA, S and R only as pairs: [word, first bit, bits]. */
test.each([
  [STE, 'S2AA64', 5, 19, 1],
  [STE, 'S2AFFD', 5, 21, 1],
  [STE, 'S2HD', 5, 23, 1],
  [STE, 'S2HA', 5, 24, 1],
  [STE, 'S2S', 5, 25, 1],
  [STE, 'S2R', 5, 26, 1],
  [STE, 'EATS', 2, 28, 2],
  [STE, 'STRW', 2, 30, 2],
  [CD, 'HD', 1, 10, 1],
  [CD, 'HA', 1, 11, 1],
  [CD, 'S', 1, 12, 1],
  [CD, 'R', 1, 13, 1],
  [CD, 'A', 1, 14, 1],
  [CD, 'ASID', 1, 16, 16],
  [CD, 'HAD1', 4, 1, 1],
] as const)("QEMU's %o.%s", (of, key, word, lo, count) => {
  expect(of.fields).toMatchObject({ [key]: { lo: 32 * word + lo, hi: 32 * word + lo + count - 1 } });
});

describe("Linux's constants", () => {
  test('what a stream table begins with: abort; bypass with the incoming shareability', () => {
    expect(encode(STE, { V: 1, Config: STE_CONFIG.abort })[0]).toBe(1n);
    const bypass = encode(STE, { V: 1, Config: STE_CONFIG.bypass, SHCFG: 1 });
    expect(bypass.slice(0, 2)).toEqual([0x9n, 1n << 44n]);
  });

  test('an STE of stage 2: 40 bits from level 1, 4 KiB, Write-Back, Inner Shareable, 40 bits out, AA64, PTW, R', () => {
    const [w0, , w2, w3] = encode(STE, {
      ...{
        V: 1,
        Config: STE_CONFIG.s2,
        S2VMID: 3,
        S2T0SZ: 24,
        S2SL0: 1,
        S2IR0: 1,
        S2OR0: 1,
        S2SH0: 3,
        S2TG: 0,
        S2PS: 2,
      },
      ...{ S2AA64: 1, S2PTW: 1, S2R: 1, S2TTB: 0x8000_0000n },
    });
    expect(w0).toBe(0xdn);
    // VTCR's fields lie from bit 32 as in the processor's VTCR_EL2, and AA64, PTW, R are bits 51, 54, 58.
    const vtcr = 24n | (1n << 6n) | (1n << 8n) | (1n << 10n) | (3n << 12n) | (2n << 16n);
    expect(w2).toBe(3n | (vtcr << 32n) | (1n << 51n) | (1n << 54n) | (1n << 58n));
    expect(w3).toBe(0x8000_0000n);
  });

  test('a CD of the kernel: 48 bits, 4 KiB, EPD1, 48 bits out, AA64, R, A, ASET, MAIR', () => {
    const [w0, w1, , w3] = encode(CD, {
      ...{ T0SZ: 16, TG0: 0, IR0: 1, OR0: 1, SH0: 3, EPD1: 1, V: 1, IPS: 5, AA64: 1, R: 1, A: 1, ASET: 1, ASID: 1 },
      ...{ TTB0: 0x1_2345_6000n, MAIR0: 0x0004_44ff },
    });
    const tcr = 16n | (1n << 8n) | (1n << 10n) | (3n << 12n) | (1n << 30n) | (5n << 32n);
    expect(w0).toBe(tcr | (1n << 31n) | (1n << 41n) | (1n << 45n) | (1n << 46n) | (1n << 47n) | (1n << 48n));
    expect([w1, w3]).toEqual([0x1_2345_6000n, 0x0004_44ffn]);
  });

  test('spans', () => {
    // A level-2 table of a PCI bus: 256 STEs, SPLIT 8, Span 9.
    expect(L1STD.Span.values?.[9]).toBe('256 STEs');
    expect(Object.keys(L1STD.Span.values ?? {})).toEqual(Array.from({ length: 12 }, (_, i) => `${i}`));
  });
});

test("values: Linux's, and that driver's for Zephyr", () => {
  const names = (field: { values: Readonly<Record<number, string>> | null }) => field.values ?? {};
  for (const field of [STE.S1CIR, STE.S1COR])
    expect(Object.values(names(field))).toEqual([
      'Non-cacheable',
      'Write-Back RA',
      'Write-Through RA',
      'Write-Back no RA',
    ]);
  for (const field of [STE.S2IR0, STE.S2OR0, CD.IR0, CD.OR0, CD.IR1, CD.OR1])
    expect(Object.values(names(field))).toEqual([
      'Non-cacheable',
      'Write-Back RA WA',
      'Write-Through RA',
      'Write-Back RA',
    ]);
  for (const field of [STE.S1CSH, STE.S2SH0, CD.SH0, CD.SH1])
    expect(names(field)).toEqual({ 0: 'Non-shareable', 2: 'Outer Shareable', 3: 'Inner Shareable' });
  expect(names(STE.SHCFG)[1]).toBe('incoming');
  for (const field of [STE.S2TG, CD.TG0]) expect(names(field)).toEqual({ 0: '4 KiB', 1: '64 KiB', 2: '16 KiB' });
  expect(names(CD.TG1)).toEqual({ 1: '16 KiB', 2: '4 KiB', 3: '64 KiB' });
  const sizes = [32, 36, 40, 42, 44, 48, 52].map((size) => `${size} bits`);
  for (const field of [STE.S2PS, CD.IPS]) expect(Object.values(names(field)).slice(0, 7)).toEqual(sizes);
  expect(names(STE.STRW)).toMatchObject({ 0: 'EL1', 2: 'EL2' });
  // MEMATTR_DEVICE_nGnRE is 1, MEMATTR_OIWB 0xf.
  expect(names(STE.MemAttr)).toMatchObject({ 1: 'Device-nGnRE', 5: 'Normal, Non-cacheable', 15: 'Normal, Write-Back' });
  expect(Object.keys(names(STE.MemAttr))).toHaveLength(13);
  expect(names(STE.ALLOCCFG)).toMatchObject({ 7: 'incoming', 8: 'no allocation', 9: 'transient', 14: 'RA WA' });
});

test('software may use SW_RESERVED, and nothing else that has no name', () => {
  expect(STE.SW_RESERVED).toMatchObject({ ignored: true, hi: 87, lo: 84 });
  expect(reservedSet(STE, toHalves([1n, 0xf00000n, 0n, 0n, 0n, 0n, 0n, 0n]))).toBe(false);
  expect(reservedSet(STE, toHalves([1n, 1n << 41n, 0n, 0n, 0n, 0n, 0n, 0n]))).toBe(true);
});
