/** SMMUv3 6.3.9 – 6.3.12, 6.3.14, 6.3.16, 3.11: CR0 and CR0ACK bit by bit, what each field turns on, IRQ_CTRL, and GBPA. */
import { describe, expect, test } from 'vitest';
import { CMD_TLBI_NH_ALL, STE_CONFIG } from '../../../src/iommu/smmuv3/index.ts';
import { TableBench } from './tables.ts';
import { hex, titled } from './titled.ts';
import type { BenchOptions } from './unit.ts';
import { Bench, READ } from './unit.ts';

const [CR0, CR0ACK, CR1, CR2, GBPA, IRQ_CTRL, IRQ_CTRLACK] = [0x20, 0x24, 0x28, 0x2c, 0x44, 0x50, 0x54];
const [SMMUEN, PRIQEN, EVENTQEN, CMDQEN, ATSCHK] = [1n, 2n, 4n, 8n, 16n];
const ALL = 0xffff_ffffn;
const WITH_ATS: BenchOptions = { idr0: { ATS: 1, PRI: 1 } };

function write(bench: Bench, offset: number, value: bigint): bigint {
  bench.write(offset, 4, value);
  bench.run();
  return bench.read(offset, 4);
}

describe('6.3.9, 6.3.10 CR0 bit by bit', () => {
  /** Options, and the fields that such an SMMU has. */
  const units: [string, BenchOptions, bigint][] = [
    ['with ATS, PRI and VMW', WITH_ATS, 0x1dfn],
    ['with ATS', { idr0: { ATS: 1 } }, 0x1ddn],
    ['with neither', { idr0: { VMW: 1 } }, 0x1cdn],
    ['without VMW', { idr0: { VMW: 0 } }, 0x0dn],
    ['with ATS and PRI, without VMW', { idr0: { ATS: 1, PRI: 1, VMW: 0 } }, 0x1fn],
  ];
  test.each(titled(units, (name, _, has) => `${name}: ${hex(has)}, each bit by itself`))(
    '%s',
    (_, __, options, has) => {
      const bench = new Bench(options);
      for (let bit = 0n; bit < 32n; bit++) {
        const want = (1n << bit) & has;
        expect([write(bench, CR0, 1n << bit), bench.read(CR0ACK, 4)], `bit ${bit}`).toEqual([want, want]);
      }
      expect([write(bench, CR0, ALL), bench.read(CR0ACK, 4)]).toEqual([has, has]);
      expect([write(bench, CR0, 0n), bench.read(CR0ACK, 4)]).toEqual([0n, 0n]);
    },
  );

  test('each combination of the enables, from each other one', () => {
    const bench = new Bench(WITH_ATS);
    for (let from = 0n; from < 32n; from++)
      for (let to = 0n; to < 32n; to += 3n) {
        write(bench, CR0, from);
        expect([write(bench, CR0, to), bench.read(CR0ACK, 4)]).toEqual([to, to]);
      }
  });

  test.each([0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n])('VMW %i reads as it was written', (vmw) => {
    const bench = new Bench({ idr0: { VMW: 1 } });
    expect([write(bench, CR0, vmw << 6n), bench.read(CR0ACK, 4)]).toEqual([vmw << 6n, vmw << 6n]);
  });

  test('CR0ACK is read-only', () => {
    const bench = new Bench(WITH_ATS);
    write(bench, CR0, SMMUEN | CMDQEN);
    for (const value of [0n, ALL]) expect(write(bench, CR0ACK, value)).toBe(SMMUEN | CMDQEN);
  });
});

describe('6.3.9.6 SMMUEN, 6.3.14 GBPA.ABORT', () => {
  const AT = 0x5000n;
  const [PASSES, ABORTS, C_BAD_STE] = [{ address: AT }, { event: 0 }, { event: 4 }];

  test.each([
    [0n, 0n, PASSES],
    [0n, 1n, ABORTS],
    [1n, 0n, C_BAD_STE],
    [1n, 1n, C_BAD_STE],
  ])('SMMUEN %i, ABORT %i', (enabled, abort, answer) => {
    const bench = new TableBench();
    bench.enable(0);
    write(bench, GBPA, (1n << 31n) | (abort << 20n));
    bench.enable(Number(enabled));
    for (const kind of [1, 2, 3, 5, 13]) expect(bench.ask(1, AT, kind)).toEqual(answer);
    // 6.3.9.6: so is what has a SubstreamID.
    expect(bench.ask(1, AT, READ, 7)).toEqual(answer);
    expect(bench.takeEvents().length).toBe(enabled === 1n ? 6 : 0);
  });

  test('while it is 0 nothing of memory is read, and nothing is cached', () => {
    const bench = new Bench();
    bench.streamTable(1n << 46n, 4);
    bench.enable(0);
    expect(bench.ask(1, AT)).toEqual(PASSES);
    bench.enable(1);
    expect(bench.ask(1, AT)).toEqual({ event: 3 });
  });

  test('it may be turned on and off; what is in memory counts again', () => {
    const bench = new TableBench();
    bench.steOf(1, { Config: STE_CONFIG.abort });
    expect(bench.ask(1, AT)).toEqual(ABORTS);
    bench.enable(0);
    expect(bench.ask(1, AT)).toEqual(PASSES);
    bench.steOf(1, { Config: STE_CONFIG.bypass });
    bench.forget();
    bench.enable(1);
    expect(bench.ask(1, AT)).toEqual(PASSES);
  });
});

describe('6.3.14.1 GBPA', () => {
  const UPDATE = 1n << 31n;
  const FIELDS = 0x001f_3f1fn;

  test.each(
    titled(
      [[0x1000n], [0n], [0x10_0000n], [0x3_0000n], [0xc_0000n], [0xf00n], [0x2000n], [0x1fn], [FIELDS]],
      (value) => `${hex(value)} is taken with Update, which is 0 again then`,
    ),
  )('%s', (_, value) => {
    const bench = new Bench();
    bench.enable(0);
    expect(write(bench, GBPA, value | UPDATE)).toBe(value);
    // Without it nothing is (SMMUv3.2).
    for (const other of [0n, ALL & ~UPDATE, 0x10_0000n]) expect(write(bench, GBPA, other)).toBe(value);
  });

  test('each bit: reserved ones read as zero', () => {
    const bench = new Bench();
    for (let bit = 0n; bit < 31n; bit++)
      expect(write(bench, GBPA, UPDATE | (1n << bit)), `bit ${bit}`).toBe((1n << bit) & FIELDS);
  });

  test('it may be written while SMMUEN is 1, and counts when that is 0', () => {
    const bench = new TableBench();
    write(bench, GBPA, UPDATE | (1n << 20n));
    bench.steOf(1, { Config: STE_CONFIG.bypass });
    expect(bench.ask(1, 0x5000n)).toEqual({ address: 0x5000n });
    bench.enable(0);
    expect(bench.ask(1, 0x5000n)).toEqual({ event: 0 });
  });
});

describe('6.3.9.3, 6.3.9.4 CMDQEN, EVENTQEN', () => {
  test('commands are processed when CMDQEN becomes 1, and not while it is 0', () => {
    const bench = new Bench();
    write(bench, CR0, EVENTQEN);
    expect(bench.execute(CMD_TLBI_NH_ALL)).toBe(false);
    expect(bench.isIdle).toBe(false);
    write(bench, CR0, EVENTQEN | CMDQEN);
    expect(bench.isIdle).toBe(true);
  });

  test('events are discarded while EVENTQEN is 0', () => {
    const bench = new TableBench();
    write(bench, CR0, SMMUEN | CMDQEN);
    expect(bench.ask(1, 0n)).toEqual({ event: 4 });
    write(bench, CR0, SMMUEN | CMDQEN | EVENTQEN);
    expect(bench.takeEvents()).toEqual([]);
    expect([bench.ask(1, 0n), bench.takeEvents().length]).toEqual([{ event: 4 }, 1]);
  });
});

describe('6.3.9.1, 3.17.6 VMW: bits of VMIDs that an invalidation does not compare', () => {
  const VA = 0x40_1000n;
  /** VMW; VMIDs whose entries go with an invalidation of VMID 0x20. */
  const cases: [number, number[]][] = [
    [0, [0x20]],
    [1, [0x20, 0x21]],
    [2, [0x20, 0x21, 0x23]],
    [3, [0x20, 0x21, 0x23, 0x27]],
    [4, [0x20, 0x21, 0x23, 0x27, 0x2f]],
    // Reserved: as 0.
    [5, [0x20]],
    [7, [0x20]],
  ];
  test.each(cases)('VMW %i: %j', (vmw, gone) => {
    const bench = new TableBench({ idr0: { VMW: 1 } });
    bench.enable(1 | (vmw << 6));
    const vmids = [0x20, 0x21, 0x23, 0x27, 0x2f, 0x30, 0x120];
    const slots = vmids.map((S2VMID, sid) => bench.map(bench.stage1(sid, {}, { S2VMID }), VA, 0x8000n));
    for (const sid of vmids.keys()) expect(bench.ask(sid, VA)).toEqual({ address: 0x8000n });
    for (const slot of slots) bench.poke(slot, bench.peek(slot) ^ 0x1000n);
    bench.command(CMD_TLBI_NH_ALL, { VMID: 0x20 });
    for (const [sid, vmid] of vmids.entries()) {
      const { address } = bench.ask(sid, VA) as { address: bigint };
      // More may go than need be (4.4), but what has to go is gone.
      if (gone.includes(vmid)) expect(address, `${vmid}`).toBe(0x9000n);
      else expect([0x8000n, 0x9000n]).toContain(address);
    }
  });
});

describe('6.3.9.2 ATSCHK', () => {
  test.each([
    [0n, { address: 0x5000n }],
    [ATSCHK, { event: 7 }],
  ])('%i: translated transactions of a stream with EATS 0', (atschk, answer) => {
    const bench = new TableBench(WITH_ATS);
    bench.stage1(1);
    bench.enable(Number(SMMUEN | atschk));
    expect(bench.ask(1, 0x5000n, 32 | READ)).toEqual(answer);
  });
});

describe('6.3.16 – 6.3.18 IRQ_CTRL', () => {
  test.each([
    ['with PRI', WITH_ATS, 7n],
    ['without PRI', {}, 5n],
    ['without MSI', { idr0: { MSI: 0 } }, 5n],
  ] as const)('%s: each bit by itself', (_, options, has) => {
    const bench = new Bench(options);
    for (let bit = 0n; bit < 32n; bit++) {
      const want = (1n << bit) & has;
      expect([write(bench, IRQ_CTRL, 1n << bit), bench.read(IRQ_CTRLACK, 4)]).toEqual([want, want]);
    }
    for (const value of [ALL, 0n, 5n, 1n, 4n])
      expect([write(bench, IRQ_CTRL, value), bench.read(IRQ_CTRLACK, 4)]).toEqual([value & has, value & has]);
  });
});

/** Registers, the bits of them that can be told from zero, and the fields that guard them; PRIQEN and SMMUEN with IDR0.PRI. */
const GUARDED: [name: string, offset: number, value: bigint, guard: bigint][] = [
  ['CR2', CR2, 3n, SMMUEN],
  ['STRTAB_BASE', 0x80, 0x1000n, SMMUEN],
  ['STRTAB_BASE + 4', 0x84, 1n, SMMUEN],
  ['STRTAB_BASE_CFG', 0x88, 5n, SMMUEN],
  ['CR1.TABLE_IC', CR1, 0x40n, SMMUEN],
  ['CR1.TABLE_OC', CR1, 0x100n, SMMUEN],
  ['CR1.TABLE_SH', CR1, 0xc00n, SMMUEN],
  ['CR1.QUEUE_IC', CR1, 1n, CMDQEN | EVENTQEN | PRIQEN],
  ['CR1.QUEUE_OC', CR1, 4n, CMDQEN | EVENTQEN | PRIQEN],
  ['CR1.QUEUE_SH', CR1, 0x30n, CMDQEN | EVENTQEN | PRIQEN],
  ['CMDQ_BASE', 0x90, 0x2_0004n, CMDQEN],
  ['CMDQ_BASE + 4', 0x94, 1n, CMDQEN],
  ['EVENTQ_BASE', 0xa0, 0x2_0004n, EVENTQEN],
  ['EVENTQ_BASE + 4', 0xa4, 1n, EVENTQEN],
  ['EVENTQ_PROD', 0x100a8, 1n, EVENTQEN],
  ['EVENTQ_PROD.OVFLG', 0x100a8, 1n << 31n, EVENTQEN],
  ['PRIQ_BASE', 0xc0, 0x2_0004n, PRIQEN],
  ['PRIQ_BASE + 4', 0xc4, 1n, PRIQEN],
  ['PRIQ_PROD', 0x100c8, 1n, PRIQEN],
  ['PRIQ_PROD.OVFLG', 0x100c8, 1n << 31n, PRIQEN],
  ['EVENTQ_CONS', 0x100ac, 1n, 0n],
  ['PRIQ_CONS', 0x100cc, 1n, 0n],
  ['GERRORN', 0x64, 0x100n, 0n],
];

describe('6.2 Guarded registers (SMMUv3.2: writes are ignored), and by nothing else', () => {
  const enables = { SMMUEN, PRIQEN, EVENTQEN, CMDQEN };
  const cases = GUARDED.flatMap(([name, offset, value, guard]) =>
    Object.entries(enables).map(([by, enable]) => ({
      name,
      by,
      offset,
      value,
      enable,
      keeps: (guard & enable) !== 0n,
    })),
  );
  test.each(cases)('$name while CR0.$by is 1: keeps its value $keeps', ({ offset, value, enable, keeps }) => {
    const bench = new Bench(WITH_ATS);
    write(bench, CR0, 0n);
    write(bench, offset, 0n);
    write(bench, CR0, enable);
    expect(write(bench, offset, value)).toBe(keeps ? 0n : value);
    write(bench, CR0, 0n);
    expect(write(bench, offset, value), 'open again').toBe(value);
  });

  const sources = [
    ['GERROR', 0x68, 1n],
    ['PRIQ', 0xd0, 2n],
    ['EVENTQ', 0xb0, 4n],
  ] as const;
  const interrupts = sources.flatMap(([name, first, guard]) =>
    sources.flatMap(([by, , enable]) =>
      [
        ['CFG0', 0, 0x40n],
        ['CFG0 + 4', 4, 1n],
        ['CFG1', 8, 0x99n],
        ['CFG2', 12, 0x21n],
      ].map(([part, at, value]) => ({
        ...{ name: `${name}_IRQ_${part}`, by, offset: first + (at as number), value: value as bigint },
        ...{ enable, keeps: guard === enable },
      })),
    ),
  );
  test.each(interrupts)(
    '6.3.21 $name while $by interrupts: keeps its value $keeps',
    ({ offset, value, enable, keeps }) => {
      const bench = new Bench(WITH_ATS);
      write(bench, IRQ_CTRL, enable);
      expect(write(bench, offset, value)).toBe(keeps ? 0n : value);
      write(bench, IRQ_CTRL, 0n);
      expect(write(bench, offset, value), 'open again').toBe(value);
    },
  );
});
