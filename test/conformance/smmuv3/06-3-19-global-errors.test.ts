/** SMMUv3 6.3.19, 6.3.20, 7.5: each global error: its bit, that it is toggled once until it is acknowledged, what stops meanwhile, its interrupt. */
import { describe, expect, test } from 'vitest';
import { CMD_SYNC } from '../../../src/iommu/smmuv3/commands.ts';
import type { Options } from './interface-bench.ts';
import {
  CMDQ_ERR,
  CMDQEN,
  command,
  EVENTQ_ABT_ERR,
  EVENTQEN,
  InterfaceBench,
  MSI_CMDQ_ABT_ERR,
  MSI_EVENTQ_ABT_ERR,
  MSI_GERROR_ABT_ERR,
  MSI_PRIQ_ABT_ERR,
  PRIQ_ABT_ERR,
  PRIQEN,
  REG,
  SMMUEN,
} from './interface-bench.ts';

/** Nothing decodes there. */
const NOWHERE = 0x10_0000_0000n;
const [GERROR_IRQ, PRIQ_IRQ, EVENTQ_IRQ] = [1, 2, 4];

const pageRequest = (bench: InterfaceBench): boolean =>
  bench.unit.pageRequest({ sid: 1, ssid: -1, hi: 0, lo: 0, read: true, write: false, group: 1, last: false });

interface Source {
  readonly name: string;
  readonly bit: number;
  readonly prepare: (bench: InterfaceBench) => void;
  /** What makes the error happen, once more each time. */
  readonly provoke: (bench: InterfaceBench) => void;
  /** Wires that it pulses by itself, besides the error's. */
  readonly pulses: readonly string[];
}

const enable = (bench: InterfaceBench) => bench.write32(REG.CR0, SMMUEN | CMDQEN | EVENTQEN | PRIQEN);

const SOURCES: Source[] = [
  {
    name: 'CMDQ_ERR',
    bit: CMDQ_ERR,
    prepare: (bench) => bench.start(),
    provoke: (bench) => bench.submit([0n, 0n]),
    pulses: [],
  },
  {
    name: 'EVENTQ_ABT_ERR',
    bit: EVENTQ_ABT_ERR,
    prepare: (bench) => {
      bench.streams().write64(REG.EVENTQ_BASE, NOWHERE | 4n);
      enable(bench);
    },
    provoke: (bench) => void bench.fault(),
    pulses: [],
  },
  {
    name: 'PRIQ_ABT_ERR',
    bit: PRIQ_ABT_ERR,
    prepare: (bench) => {
      bench.write64(REG.PRIQ_BASE, NOWHERE | 4n);
      enable(bench);
    },
    provoke: (bench) => void pageRequest(bench),
    pulses: [],
  },
  {
    name: 'MSI_CMDQ_ABT_ERR',
    bit: MSI_CMDQ_ABT_ERR,
    prepare: (bench) => bench.start(),
    provoke: (bench) => bench.submit(command(CMD_SYNC, { CS: 1, MSIAddress: NOWHERE })),
    pulses: ['cmd-sync'],
  },
  {
    name: 'MSI_EVENTQ_ABT_ERR',
    bit: MSI_EVENTQ_ABT_ERR,
    prepare: (bench) => {
      bench.write64(REG.EVENTQ_IRQ_CFG0, NOWHERE);
      bench.start();
    },
    provoke: (bench) => {
      bench.write32(REG.EVENTQ_CONS, bench.read32(REG.EVENTQ_PROD));
      bench.fault();
    },
    pulses: ['eventq'],
  },
  {
    name: 'MSI_PRIQ_ABT_ERR',
    bit: MSI_PRIQ_ABT_ERR,
    prepare: (bench) => {
      bench.write64(REG.PRIQ_IRQ_CFG0, NOWHERE);
      bench.start();
    },
    provoke: (bench) => {
      bench.write32(REG.PRIQ_CONS, bench.read32(REG.PRIQ_PROD));
      pageRequest(bench);
    },
    pulses: ['priq'],
  },
];

/** What an SMMU must have for an error. */
function ownerOf(name: string): Options {
  const { PRI, MSI } = { PRI: name.includes('PRIQ'), MSI: name.startsWith('MSI') };
  return { idr0: { ...(PRI ? { PRI: 1 } : {}), ...(MSI ? { MSI: 1 } : {}) } };
}

const unit = (asked: Options) => new InterfaceBench({ ...asked, idr0: { ATS: 1, PRI: 1, ...asked.idr0 } }, asked);

function benchOf({ name, prepare }: Source, interrupts: number): InterfaceBench {
  const bench = unit(ownerOf(name));
  prepare(bench);
  bench.write32(REG.IRQ_CTRL, interrupts);
  return bench;
}

describe('7.5 each error is its bit, and no other', () => {
  test.each(SOURCES)('$name', (source) => {
    const bench = benchOf(source, EVENTQ_IRQ | PRIQ_IRQ);
    expect(bench.read32(REG.GERROR)).toBe(0);
    source.provoke(bench);
    expect([bench.read32(REG.GERROR), bench.read32(REG.GERRORN)]).toEqual([source.bit, 0]);
  });

  test.each(SOURCES)('$name is not toggled again while it is active', (source) => {
    const bench = benchOf(source, EVENTQ_IRQ | PRIQ_IRQ);
    for (let i = 0; i < 3; i++) source.provoke(bench);
    expect(bench.read32(REG.GERROR)).toBe(source.bit);
  });

  // A command that is illegal is found again by the acknowledgement itself: 04-commands.test.ts.
  test.each(SOURCES.slice(1))('$name: acknowledged and provoked again it is toggled back, and forth', (source) => {
    const bench = benchOf(source, EVENTQ_IRQ | PRIQ_IRQ);
    for (const want of [source.bit, 0, source.bit, 0]) {
      source.provoke(bench);
      expect(bench.read32(REG.GERROR)).toBe(want);
      bench.write32(REG.GERRORN, bench.read32(REG.GERROR));
    }
  });

  test.each(SOURCES)('GERROR is read-only, GERRORN acknowledges $name alone', (source) => {
    const bench = benchOf(source, EVENTQ_IRQ | PRIQ_IRQ);
    source.provoke(bench);
    bench.write32(REG.GERROR, 0);
    bench.write32(REG.GERROR, 0xffffffff);
    expect(bench.read32(REG.GERROR)).toBe(source.bit);
  });
});

describe('7.5.1 the interrupt of errors', () => {
  test.each(SOURCES)('$name pulses it when it becomes active, not again while it is', (source) => {
    const bench = benchOf(source, GERROR_IRQ | EVENTQ_IRQ | PRIQ_IRQ);
    source.provoke(bench);
    expect(bench.pulses).toEqual([...source.pulses, 'gerror']);
    source.provoke(bench);
    expect(bench.pulses.filter((line) => line === 'gerror').length).toBe(1);
  });

  test.each(SOURCES)('$name: not without GERROR_IRQEN', (source) => {
    const bench = benchOf(source, EVENTQ_IRQ | PRIQ_IRQ);
    source.provoke(bench);
    expect(bench.pulses).toEqual(source.pulses);
  });

  test.each(SOURCES)(
    '$name, and an MSI of GERROR that is aborted: MSI_GERROR_ABT_ERR, which interrupts no more',
    (source) => {
      const bench = unit({ idr0: { ...ownerOf(source.name).idr0, MSI: 1 } });
      bench.write64(REG.GERROR_IRQ_CFG0, NOWHERE);
      source.prepare(bench);
      bench.write32(REG.IRQ_CTRL, GERROR_IRQ | EVENTQ_IRQ | PRIQ_IRQ);
      source.provoke(bench);
      expect(bench.read32(REG.GERROR)).toBe(source.bit | MSI_GERROR_ABT_ERR);
      expect(bench.pulses).toEqual([...source.pulses, 'gerror']);
    },
  );

  test.each(SOURCES)('$name: the MSI has what GERROR_IRQ_CFG1 says', (source) => {
    const bench = unit({ idr0: { ...ownerOf(source.name).idr0, MSI: 1 } });
    bench.write64(REG.GERROR_IRQ_CFG0, 0x8000_0040n);
    bench.write32(REG.GERROR_IRQ_CFG1, 0x1234_5678);
    source.prepare(bench);
    bench.write32(REG.IRQ_CTRL, GERROR_IRQ | EVENTQ_IRQ | PRIQ_IRQ);
    source.provoke(bench);
    expect(bench.messages).toEqual([[0x8000_0040, 0x1234_5678]]);
  });
});

describe('7.5 what an active error stops', () => {
  const event = (bench: InterfaceBench): number => {
    const before = bench.read32(REG.EVENTQ_PROD);
    bench.fault();
    return bench.read32(REG.EVENTQ_PROD) - before;
  };

  test('CMDQ_ERR: commands, and nothing else', () => {
    const source = SOURCES[0];
    const bench = benchOf(source, 0);
    source.provoke(bench);
    bench.submit(command(CMD_SYNC));
    expect(bench.commandState.rd).toBe(0);
    expect([event(bench), pageRequest(bench)]).toEqual([1, true]);
  });

  test('EVENTQ_ABT_ERR: events, and nothing else', () => {
    const bench = new InterfaceBench({ idr0: { ATS: 1, PRI: 1 } }).start();
    bench.write32(REG.CR0, SMMUEN | CMDQEN | PRIQEN);
    bench.write64(REG.EVENTQ_BASE, NOWHERE | 4n);
    enable(bench);
    bench.fault();
    bench.write32(REG.CR0, SMMUEN | CMDQEN | PRIQEN);
    bench.write64(REG.EVENTQ_BASE, 0x8004n);
    enable(bench);
    expect([event(bench), pageRequest(bench)]).toEqual([0, true]);
    bench.submit(command(CMD_SYNC));
    expect(bench.commandState.rd).toBe(1);
    bench.write32(REG.GERRORN, EVENTQ_ABT_ERR);
    expect(event(bench)).toBe(1);
  });

  test('PRIQ_ABT_ERR: page requests, and nothing else', () => {
    const bench = new InterfaceBench({ idr0: { ATS: 1, PRI: 1 } }).start(4, SMMUEN | CMDQEN | EVENTQEN);
    bench.write64(REG.PRIQ_BASE, NOWHERE | 4n);
    enable(bench);
    pageRequest(bench);
    bench.write32(REG.CR0, SMMUEN | CMDQEN | EVENTQEN);
    bench.write64(REG.PRIQ_BASE, 0xc004n);
    enable(bench);
    expect([event(bench), pageRequest(bench)]).toEqual([1, false]);
    bench.submit(command(CMD_SYNC));
    expect(bench.commandState.rd).toBe(1);
    bench.write32(REG.GERRORN, PRIQ_ABT_ERR);
    expect(pageRequest(bench)).toBe(true);
  });

  test.each(SOURCES.slice(3))('$name: nothing', (source) => {
    const bench = benchOf(source, EVENTQ_IRQ | PRIQ_IRQ);
    source.provoke(bench);
    expect([event(bench), pageRequest(bench)]).toEqual([1, true]);
    const { rd } = bench.commandState;
    bench.submit(command(CMD_SYNC));
    expect(bench.commandState.rd).toBe(rd + 1);
  });
});

test.todo('12.3 SFM_ERR: service failure mode');
test.todo('6.3.19 CMDQP_ERR (IDR1.ECMDQ), DPT_ERR (IDR3.DPT)');
