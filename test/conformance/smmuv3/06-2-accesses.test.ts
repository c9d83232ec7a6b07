/** SMMUv3 6.2, 6.2.1, 6.2.2: accesses to registers: halves of 64 bits, bits that are reserved, what is read-only, what there is not. */
import { describe, expect, test } from 'vitest';
import { hex, titled } from './titled.ts';
import type { BenchOptions } from './unit.ts';
import { Bench } from './unit.ts';

const ALL32 = 0xffff_ffffn;
const ALL64 = 0xffff_ffff_ffff_ffffn;

/** An SMMU with all of its queues disabled. */
function disabled(options: BenchOptions = {}): Bench {
  const bench = new Bench({ ...options, idr0: { ATS: 1, PRI: 1, ...options.idr0 } }, options);
  bench.write(0x20, 4, 0n);
  bench.run();
  expect(bench.acknowledged).toBe(0);
  return bench;
}

/** What has a register. */
function ownerOf(name: string): BenchOptions {
  if (name.startsWith('PRIQ')) return { idr0: { PRI: 1 } };
  return name.includes('IRQ_CFG') ? { idr0: { MSI: 1 } } : {};
}

/** Offset, and the bits that are not reserved (6.3): addresses to bit 55, the hint bit 62. */
const WIDE: [name: string, offset: number, bits: bigint][] = [
  ['GERROR_IRQ_CFG0', 0x68, 0x00ff_ffff_ffff_fffcn],
  ['STRTAB_BASE', 0x80, 0x40ff_ffff_ffff_ffc0n],
  ['CMDQ_BASE', 0x90, 0x40ff_ffff_ffff_ffffn],
  ['EVENTQ_BASE', 0xa0, 0x40ff_ffff_ffff_ffffn],
  ['EVENTQ_IRQ_CFG0', 0xb0, 0x00ff_ffff_ffff_fffcn],
  ['PRIQ_BASE', 0xc0, 0x40ff_ffff_ffff_ffffn],
  ['PRIQ_IRQ_CFG0', 0xd0, 0x00ff_ffff_ffff_fffcn],
];

describe('6.2 registers of 64 bits', () => {
  test.each(titled(WIDE, (name, offset, bits) => `${name} at ${hex(offset)}: ${hex(bits)}, whole`))(
    '%s',
    (_, name, offset, bits) => {
      const bench = disabled(ownerOf(name));
      for (const value of [ALL64, 0n, 0x5a5a_5a5a_a5a5_a5a5n, 0xa5a5_a5a5_5a5a_5a5an]) {
        bench.write(offset, 8, value);
        expect(bench.read(offset, 8)).toBe(value & bits);
      }
    },
  );

  test.each(WIDE)('%s: each half by itself', (name, offset, bits) => {
    const bench = disabled(ownerOf(name));
    const [low, high] = [bits & ALL32, bits >> 32n];
    bench.write(offset, 8, 0n);
    bench.write(offset + 4, 4, ALL32);
    expect([bench.read(offset, 4), bench.read(offset + 4, 4), bench.read(offset, 8)]).toEqual([0n, high, high << 32n]);
    bench.write(offset, 4, ALL32);
    expect(bench.read(offset, 8)).toBe(bits);
    bench.write(offset + 4, 4, 0n);
    expect([bench.read(offset, 4), bench.read(offset + 4, 4), bench.read(offset, 8)]).toEqual([low, 0n, low]);
  });

  test.each(WIDE)('%s: each bit by itself', (name, offset, bits) => {
    const bench = disabled(ownerOf(name));
    for (let bit = 0n; bit < 64n; bit++) {
      bench.write(offset, 8, 1n << bit);
      expect(bench.read(offset, 8), `bit ${bit}`).toBe((1n << bit) & bits);
    }
  });

  test.each([0, 2, 5])('decision (6.3.24: need not be): bits above an OAS of %i are stored', (OAS) => {
    const bench = disabled({ idr5: { OAS } });
    bench.write(0x80, 8, 0x00ff_0000_0000_0000n);
    expect(bench.read(0x80, 8)).toBe(0x00ff_0000_0000_0000n);
  });
});

/** Registers of 32 bits that software writes while everything is disabled: the bits that are not reserved. */
const NARROW: [name: string, offset: number, bits: bigint, options?: BenchOptions][] = [
  ['CR1', 0x28, 0xfffn],
  ['CR2', 0x2c, 0x3n, { idr0: { Hyp: 1 } }],
  ['CR2 without IDR0.Hyp', 0x2c, 0x2n, { idr0: { Hyp: 0 } }],
  ['CR2 with IDR0.ATSRECERR', 0x2c, 0xbn, { idr0: { ATSRECERR: 1 } }],
  ['GERRORN', 0x64, 0x1fdn, { idr0: { MSI: 1, PRI: 1 } }],
  ['GERRORN without IDR0.MSI', 0x64, 0x10dn, { idr0: { MSI: 0, PRI: 1 } }],
  ['GERRORN without IDR0.PRI', 0x64, 0x1b5n, { idr0: { MSI: 1, PRI: 0 } }],
  ['GERRORN without either', 0x64, 0x105n, { idr0: { PRI: 0, MSI: 0 } }],
  ['GERROR_IRQ_CFG1', 0x70, ALL32],
  ['GERROR_IRQ_CFG2', 0x74, 0x3fn],
  ['STRTAB_BASE_CFG', 0x88, 0x3_07ffn],
  ['STRTAB_BASE_CFG without two levels', 0x88, 0x3fn, { idr0: { ST_LEVEL: 0 } }],
  ['CMDQ_PROD', 0x98, 0xf_ffffn],
  ['EVENTQ_IRQ_CFG1', 0xb8, ALL32],
  ['EVENTQ_IRQ_CFG2', 0xbc, 0x3fn],
  ['PRIQ_IRQ_CFG1', 0xd8, ALL32],
  ['PRIQ_IRQ_CFG2', 0xdc, 0x8000_003fn],
  ['EVENTQ_CONS', 0x100ac, 0x800f_ffffn],
  ['PRIQ_CONS', 0x100cc, 0x800f_ffffn],
];

describe('6.3 reserved bits of registers of 32 bits read as zero', () => {
  test.each(titled(NARROW, (name, offset, bits) => `${name} at ${hex(offset)}: ${hex(bits)}`))(
    '%s',
    (_, name, offset, bits, options = ownerOf(name)) => {
      const bench = disabled(options);
      bench.write(offset, 4, ALL32);
      expect(bench.read(offset, 4)).toBe(bits);
      for (let bit = 0n; bit < 32n; bit++) {
        bench.write(offset, 4, 1n << bit);
        expect(bench.read(offset, 4), `bit ${bit}`).toBe((1n << bit) & bits);
      }
      bench.write(offset, 4, 0n);
      expect(bench.read(offset, 4)).toBe(0n);
    },
  );

  test.each([
    ['GERROR_IRQ_CFG0', 0x68],
    ['GERROR_IRQ_CFG1', 0x70],
    ['GERROR_IRQ_CFG2', 0x74],
    ['EVENTQ_IRQ_CFG0', 0xb0],
    ['EVENTQ_IRQ_CFG1', 0xb8],
    ['EVENTQ_IRQ_CFG2', 0xbc],
    ['PRIQ_IRQ_CFG0', 0xd0],
    ['PRIQ_IRQ_CFG1', 0xd8],
    ['PRIQ_IRQ_CFG2', 0xdc],
  ])('6.3.21 – 6.3.36 %s without IDR0.MSI is RES0', (name, offset) => {
    const bench = disabled({ idr0: { MSI: 0, ...(name.startsWith('PRIQ') ? { PRI: 1 } : {}) } });
    bench.write(offset, 4, ALL32);
    expect(bench.read(offset, 4)).toBe(0n);
  });

  test.each([
    ['PRIQ_BASE', 0xc0],
    ['PRIQ_BASE + 4', 0xc4],
    ['PRIQ_IRQ_CFG0', 0xd0],
    ['PRIQ_IRQ_CFG1', 0xd8],
    ['PRIQ_IRQ_CFG2', 0xdc],
    ['PRIQ_PROD', 0x100c8],
    ['PRIQ_CONS', 0x100cc],
  ])('6.3.33 – 6.3.36, 6.3.97, 6.3.98 %s without IDR0.PRI is RES0', (_, offset) => {
    const bench = disabled({ idr0: { PRI: 0 } });
    bench.write(offset, 4, ALL32);
    expect(bench.read(offset, 4)).toBe(0n);
  });
});

describe('6.2 read-only registers', () => {
  test.each([
    ['IDR0', 0x0],
    ['IDR1', 0x4],
    ['IDR2', 0x8],
    ['IDR3', 0xc],
    ['IDR4', 0x10],
    ['IDR5', 0x14],
    ['IIDR', 0x18],
    ['AIDR', 0x1c],
    ['CR0ACK', 0x24],
    ['STATUSR', 0x40],
    ['IRQ_CTRLACK', 0x54],
    ['GERROR', 0x60],
  ])('%s', (_, offset) => {
    const bench = disabled();
    const before = bench.read(offset, 4);
    for (const value of [ALL32, 0n, 0x5a5a_5a5an]) {
      bench.write(offset, 4, value);
      bench.run();
      expect(bench.read(offset, 4)).toBe(before);
    }
  });
});

describe('6.2.1, 6.2.2 what is not there', () => {
  test.each(
    titled(
      [
        ...[0x34, 0x38, 0x3c, 0x4c, 0x58, 0x5c, 0x7c, 0x8c, 0xe0, 0xe4, 0xfc].map((at): [number] => [at]),
        ...[0x104, 0x120, 0x134, 0x194, 0x220, 0xd00, 0xfffc].map((at): [number] => [at]),
      ],
      (at) => `${hex(at)} of page 0 is RES0`,
    ),
  )('%s', (_, at) => {
    const bench = disabled();
    bench.write(at, 4, ALL32);
    expect(bench.read(at, 4)).toBe(0n);
  });

  test.each(
    titled(
      [[0x0], [0x20], [0x80], [0xa0], [0xb0], [0xd0], [0x100], [0xfffc]],
      (at) => `decision (6.2: may be): page 1 + ${hex(at)} is RES0`,
    ),
  )('%s', (_, at) => {
    const bench = disabled();
    bench.write(0x1_0000 + at, 4, ALL32);
    expect(bench.read(0x1_0000 + at, 4)).toBe(0n);
  });

  test.each([
    ['EVENTQ_PROD', 0xa8, 0x10],
    ['EVENTQ_CONS', 0xac, 0x10],
    ['PRIQ_PROD', 0xc8, 0x1],
    ['PRIQ_CONS', 0xcc, 0x1],
  ])('decision (6.2: may be): %s of page 1 is at the same place of page 0', (name, at, value) => {
    const bench = disabled(ownerOf(name));
    bench.write(0x1_0000 + at, 4, BigInt(value));
    expect(bench.read(at, 4)).toBe(BigInt(value));
    bench.write(at, 4, 0n);
    expect(bench.read(0x1_0000 + at, 4)).toBe(0n);
  });

  test.each([
    ['IDR2 and IDR3', 0x8, 0xc],
    ['CR0 and CR0ACK', 0x20, 0x24],
    ['CMDQ_PROD and CMDQ_CONS', 0x98, 0x9c],
  ])('decision (6.2): 8 bytes of two registers of 32 bits find both: %s', (_, low, high) => {
    const bench = new Bench();
    expect(bench.read(low, 8)).toBe((bench.read(high, 4) << 32n) | bench.read(low, 4));
  });
});

describe('what this model has not', () => {
  test.todo(
    '6.3.17, 6.2.1 S2PII, GATOS_*, VATOS_*, MPAMIDR, GMPAM, GBPMPAM, IDR6, DPT_*: registers of functions that it has not',
  );
  test.todo('6.2.1 ID_REGS, 0xFD0 – 0xFFC: implementation defined identification');
  test.todo('6.2.5 command queue control pages (IDR1.ECMDQ)');
  test.todo('6.1 the Secure, Realm and Root pages');
});
