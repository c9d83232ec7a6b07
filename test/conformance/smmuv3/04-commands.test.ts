/** SMMUv3 chapter 4: what commands do, and which are refused. */
import { describe, expect, test } from 'vitest';
import type { Fields, Layout } from '../../../src/bits/index.ts';
import {
  CMD_ATC_INV,
  CMD_CFGI_ALL,
  CMD_CFGI_CD,
  CMD_CFGI_CD_ALL,
  CMD_CFGI_STE,
  CMD_CFGI_STE_RANGE,
  CMD_PREFETCH_ADDR,
  CMD_PREFETCH_CONFIG,
  CMD_PRI_RESP,
  CMD_RESUME,
  CMD_STALL_TERM,
  CMD_SYNC,
  CMD_TLBI_EL2_ALL,
  CMD_TLBI_EL2_VA,
  CMD_TLBI_NH_ALL,
  CMD_TLBI_NH_ASID,
  CMD_TLBI_NH_VA,
  CMD_TLBI_NH_VAA,
  CMD_TLBI_NSNH_ALL,
  CMD_TLBI_S2_IPA,
  CMD_TLBI_S12_VMALL,
} from '../../../src/iommu/smmuv3/commands.ts';
import { PROFILES } from '../../../src/iommu/smmuv3/profiles.ts';
import type { Command, Options } from './interface-bench.ts';
import {
  benchAfter,
  CMDQ,
  CMDQ_ERR,
  CMDQEN,
  command,
  EVENTQEN,
  InterfaceBench,
  REG,
  SMMUEN,
} from './interface-bench.ts';

const ILL = 1;

const sync = (values = {}) => command(CMD_SYNC, values);

describe('4.3 invalidation of configuration', () => {
  const cases: [string, Command, string[]][] = [
    [
      '4.3.1 the STE, its level-1 descriptor and its CDs',
      command(CMD_CFGI_STE, { StreamID: 0x1234 }),
      ['ste 4660', 'cds 4660', 'mark 4660 2^0 -1'],
    ],
    [
      '4.3.1 Leaf: the STE and its CDs',
      command(CMD_CFGI_STE, { StreamID: 7, Leaf: 1 }),
      ['ste 7 leaf', 'cds 7', 'mark 7 2^0 -1'],
    ],
    [
      '4.3.2 a range of 2^(Range + 1)',
      command(CMD_CFGI_STE_RANGE, { StreamID: 0x8003, Range: 3 }),
      ['stes 32771 2^4', 'mark 32771 2^4 -1'],
    ],
    [
      '4.3.3 one CD',
      command(CMD_CFGI_CD, { StreamID: 9, SubstreamID: 0xfffff }),
      ['cd 9 1048575', 'mark 9 2^0 1048575'],
    ],
    [
      '4.3.3 Leaf: not its level-1 descriptor',
      command(CMD_CFGI_CD, { StreamID: 9, SubstreamID: 1, Leaf: 1 }),
      ['cd 9 1 leaf', 'mark 9 2^0 1'],
    ],
    ['4.3.4 all CDs', command(CMD_CFGI_CD_ALL, { StreamID: 0xffffffff }), ['cds 4294967295', 'mark 4294967295 2^0 -1']],
    ['4.3.6 everything', command(CMD_CFGI_ALL), ['all configuration', 'mark 0 2^32 -1']],
  ];
  test.each(cases)('%s', (_, one, calls) => {
    expect(benchAfter([one]).calls).toEqual(calls);
  });
});

describe('4.1.3, 7.1 CERROR_ILL', () => {
  const noStage1 = { idr0: { S1P: 0, ASID16: 0, CD2L: 0, Hyp: 0 } };
  const noStage2 = { idr0: { S2P: 0, VMID16: 0 } };
  const opcode = (op: number): Command => [BigInt(op), 0n];
  const cases: [string, Command, Options][] = [
    ...[
      0x00, 0x08, 0x0a, 0x14, 0x19, 0x1b, 0x24, 0x29, 0x2b, 0x31, 0x3f, 0x42, 0x43, 0x47, 0x54, 0x61, 0x71, 0x80, 0x90,
      0xff,
    ].map((op): [string, Command, Options] => [`4.1.1 opcode 0x${op.toString(16)}`, opcode(op), {}]),
    ...[0x18, 0x1a, 0x50, 0x51, 0x52, 0x53, 0x58, 0x5a, 0x60].map((op): [string, Command, Options] => [
      `4.4 opcode 0x${op.toString(16)}, of the Secure queue`,
      opcode(op),
      {},
    ]),
    ['4.3.5 CFGI_VMS_PIDM without MPAM', opcode(0x07), {}],
    ['4.6 DPTI_ALL without DPT', opcode(0x70), {}],
    ['4.3.3 CFGI_CD without stage 1', command(CMD_CFGI_CD), noStage1],
    ['4.3.4 CFGI_CD_ALL without stage 1', command(CMD_CFGI_CD_ALL), noStage1],
    ['4.4.2 NH_ALL without stage 1', command(CMD_TLBI_NH_ALL), noStage1],
    ['4.4.2 NH_ASID without stage 1', command(CMD_TLBI_NH_ASID), noStage1],
    ['4.4.2 NH_VA without stage 1', command(CMD_TLBI_NH_VA), noStage1],
    ['4.4.2 NH_VAA without stage 1', command(CMD_TLBI_NH_VAA), noStage1],
    ['4.4.2 EL2_ALL without Hyp', command(CMD_TLBI_EL2_ALL), { idr0: { Hyp: 0 } }],
    ['4.4.2 EL2_VA without Hyp', command(CMD_TLBI_EL2_VA), { idr0: { Hyp: 0 } }],
    ['4.4.3.1 S2_IPA without stage 2', command(CMD_TLBI_S2_IPA), noStage2],
    ['4.4.3.2 S12_VMALL without stage 2', command(CMD_TLBI_S12_VMALL), noStage2],
    ['4.5.1 ATC_INV without ATS', command(CMD_ATC_INV), { idr0: { ATS: 0 } }],
    ['4.5.1 ATC_INV of more than everything', command(CMD_ATC_INV, { Size: 53 }), { idr0: { ATS: 1 } }],
    ['4.5.2 PRI_RESP without PRI', command(CMD_PRI_RESP), { idr0: { ATS: 1 } }],
    ['4.5.2 Resp 3', command(CMD_PRI_RESP, { Resp: 3 }), { idr0: { ATS: 1, PRI: 1 } }],
    ['4.7.1 RESUME where nothing stalls', command(CMD_RESUME), { idr0: { STALL_MODEL: 1 }, idr5: { STALL_MAX: 0 } }],
    [
      '4.7.2 STALL_TERM where nothing stalls',
      command(CMD_STALL_TERM),
      { idr0: { STALL_MODEL: 1 }, idr5: { STALL_MAX: 0 } },
    ],
    ['4.7.3 CS 3', sync({ CS: 3 }), {}],
    ...[
      CMD_PREFETCH_CONFIG,
      CMD_PREFETCH_ADDR,
      CMD_CFGI_STE,
      CMD_CFGI_STE_RANGE,
      CMD_CFGI_ALL,
      CMD_CFGI_CD,
      CMD_CFGI_CD_ALL,
      CMD_RESUME,
      CMD_STALL_TERM,
    ].map((of): [string, Command, Options] => [
      `4.1.6 SSec of ${of.name}`,
      command(of as Layout<Fields>, { SSec: 1 }),
      {},
    ]),
    ['4.1.5 a reserved bit', [0x46n | (1n << 8n), 0n], {}],
    ['4.1.5 a reserved bit of the second word', [0x30n, 1n], {}],
  ];
  test.each(cases)('%s', (_, one, options) => {
    const bench = benchAfter([sync(), one, sync()], options);
    expect(bench.commandState).toEqual({ rd: 1, err: ILL, active: true });
    expect(bench.asked, 'what caches and devices were asked').toBe(0);
  });

  test('4.1.3 illegal goes before ignored: ATC_INV while SMMUEN is 0', () => {
    const bench = new InterfaceBench({ idr0: { ATS: 0 } }).start(4, CMDQEN);
    bench.submit(command(CMD_ATC_INV));
    expect(bench.commandState.err).toBe(ILL);
  });
});

describe('7.1 recovery', () => {
  test('the command can be replaced; the acknowledgement alone restarts the queue', () => {
    const bench = benchAfter([sync(), [0n, 0n], command(CMD_TLBI_NSNH_ALL), sync()]);
    expect([bench.commandState.rd, bench.asked]).toEqual([1, 0]);
    bench.poke(CMDQ + 16, 0x46n);
    expect(bench.commandState.rd).toBe(1);
    bench.write32(REG.GERRORN, bench.read32(REG.GERROR));
    expect([bench.commandState, bench.scopes.length]).toEqual([{ rd: 4, err: ILL, active: false }, 1]);
  });

  test('the same command is refused again, and the flag is toggled back', () => {
    const bench = benchAfter([[0n, 0n]]);
    expect(bench.read32(REG.GERROR)).toBe(CMDQ_ERR);
    bench.write32(REG.GERRORN, CMDQ_ERR);
    expect([bench.read32(REG.GERROR), bench.commandState]).toEqual([0, { rd: 0, err: ILL, active: true }]);
  });

  test('PROD can be moved back to CONS while the error is active', () => {
    const bench = benchAfter([sync(), [0n, 0n], sync()]);
    bench.write32(REG.CMDQ_PROD, 1);
    bench.write32(REG.GERRORN, CMDQ_ERR);
    expect(bench.commandState).toEqual({ rd: 1, err: ILL, active: false });
  });

  test('CERROR_ABT: the command cannot be read', () => {
    const bench = new InterfaceBench();
    bench.write64(REG.CMDQ_BASE, 0x10_0000_0000n | 4n);
    bench.write32(REG.CR0, CMDQEN);
    bench.write32(REG.CMDQ_PROD, 1);
    expect(bench.commandState).toEqual({ rd: 0, err: 2, active: true });
  });

  test('CMDQEN does not acknowledge it, and other queues go on', () => {
    const bench = benchAfter([[0n, 0n]]);
    bench.write32(REG.CR0, SMMUEN | EVENTQEN);
    bench.write32(REG.CR0, SMMUEN | EVENTQEN | CMDQEN);
    expect(bench.commandState.active).toBe(true);
    expect([bench.fault(), bench.read32(REG.EVENTQ_PROD)]).toEqual([0, 1]);
  });
});

describe('3.5.1 the queue', () => {
  test('is used round and round, full and empty', () => {
    const bench = new InterfaceBench().start(2);
    for (let round = 1; round <= 5; round++) {
      bench.submit(...Array.from({ length: 4 }, () => command(CMD_TLBI_NSNH_ALL)));
      expect(bench.scopes.length).toBe(4 * round);
      expect(bench.commandState.rd).toBe((4 * round) % 8);
    }
  });

  test('of one entry', () => {
    const bench = new InterfaceBench();
    bench.write64(REG.CMDQ_BASE, BigInt(CMDQ));
    bench.write32(REG.CR0, CMDQEN);
    bench.poke(CMDQ, 0x30n);
    for (const prod of [1, 0, 1]) bench.write32(REG.CMDQ_PROD, prod);
    expect([bench.scopes.length, bench.commandState.rd]).toEqual([3, 1]);
  });

  test('its base is aligned to its size', () => {
    const bench = new InterfaceBench();
    bench.write64(REG.CMDQ_BASE, BigInt(CMDQ | 0x60 | 4));
    bench.write32(REG.CR0, CMDQEN);
    bench.submit(command(CMD_TLBI_NSNH_ALL));
    expect(bench.scopes.length).toBe(1);
  });

  test('a size above IDR1.CMDQS counts as that, and reads as written', () => {
    const bench = new InterfaceBench({ idr1: { CMDQS: 2 } });
    bench.write64(REG.CMDQ_BASE, BigInt(CMDQ | 19));
    bench.write32(REG.CR0, CMDQEN);
    bench.poke(CMDQ, 0x30n);
    bench.write32(REG.CMDQ_CONS, 0);
    bench.write32(REG.CMDQ_PROD, 1);
    expect([bench.read32(REG.CMDQ_BASE) & 0x1f, bench.scopes.length]).toEqual([19, 1]);
    bench.write32(REG.CMDQ_PROD, 9);
    expect(bench.commandState.rd, 'bit 3 is above the wrap bit').toBe(1);
  });

  test('nothing is consumed while the indexes say more than the queue holds', () => {
    const bench = new InterfaceBench().start(2);
    bench.write32(REG.CMDQ_PROD, 5);
    expect(bench.commandState).toEqual({ rd: 0, err: 0, active: false });
    bench.submit(command(CMD_TLBI_NSNH_ALL));
    expect([bench.scopes.length, bench.commandState.rd]).toEqual([1, 1]);
  });

  test('4.1.2 nothing is consumed while CMDQEN is 0', () => {
    const bench = new InterfaceBench().start(4, EVENTQEN);
    bench.submit(command(CMD_TLBI_NSNH_ALL));
    expect(bench.scopes).toEqual([]);
    bench.write32(REG.CR0, CMDQEN);
    expect(bench.scopes.length).toBe(1);
  });

  test('4.1.2 with SEV an event is sent when the queue is no longer full', () => {
    const bench = new InterfaceBench({ idr0: { SEV: 1 } }).start(1);
    bench.submit(sync());
    expect(bench.sentEvents).toBe(0);
    bench.submit(sync(), sync());
    expect(bench.sentEvents).toBe(1);
    const without = new InterfaceBench({ idr0: { SEV: 0 } }).start(1);
    without.submit(sync(), sync());
    expect(without.sentEvents).toBe(0);
  });
});

describe('4.5 ATS and PRI', () => {
  const ats = { idr0: { ATS: 1, PRI: 1 } };

  test('4.5.1 ATC_INV: the span is aligned to its size', () => {
    const bench = benchAfter(
      [
        command(CMD_ATC_INV, { StreamID: 8, Address: 0x1234_5000n }),
        command(CMD_ATC_INV, { StreamID: 8, SSV: 1, SubstreamID: 5, Address: 0xffff_0000_1234_5000n, Size: 9 }),
        command(CMD_ATC_INV, { StreamID: 8, SSV: 1, SubstreamID: 5, Global: 1, Address: 0x1234_5000n, Size: 52 }),
        command(CMD_ATC_INV, { StreamID: 8, Global: 1, Size: 1 }),
        sync(),
      ],
      ats,
    );
    expect(bench.atcRequests).toEqual([
      { sid: 8, pasid: -1, address: 0x1234_5000n, size: 0x1000n },
      { sid: 8, pasid: 5, address: 0xffff_0000_1220_0000n, size: 0x20_0000n },
      { sid: 8, pasid: -2, address: 0n, size: 1n << 64n },
      { sid: 8, pasid: -1, address: 0n, size: 0x2000n },
    ]);
    expect(bench.commandState).toEqual({ rd: 5, err: 0, active: false });
  });

  test('4.5.1 SSV without substreams counts as 0', () => {
    const bench = benchAfter([command(CMD_ATC_INV, { SSV: 1, SubstreamID: 5 })], { ...ats, idr1: { SSIDSIZE: 0 } });
    expect(bench.atcRequests).toMatchObject([{ pasid: -1 }]);
  });

  test('4.5, 6.3.9.6 both are ignored while SMMUEN is 0', () => {
    const bench = new InterfaceBench(ats).start(4, CMDQEN);
    bench.submit(command(CMD_ATC_INV), command(CMD_PRI_RESP, { Resp: 2 }), sync());
    expect([bench.atcRequests, bench.responses, bench.commandState.rd]).toEqual([[], [], 3]);
  });

  test('3.9.1.4, 7.1 CERROR_ATC_INV_SYNC: the CMD_SYNC after one that was not completed; the next one completes', () => {
    const bench = new InterfaceBench(ats).start();
    bench.completes = false;
    bench.submit(command(CMD_ATC_INV), command(CMD_TLBI_NSNH_ALL), sync({ CS: 1 }), sync({ CS: 1 }));
    expect([bench.commandState, bench.pulses, bench.scopes.length]).toEqual([{ rd: 2, err: 3, active: true }, [], 1]);
    bench.write32(REG.GERRORN, CMDQ_ERR);
    expect([bench.commandState.rd, bench.pulses]).toEqual([4, ['cmd-sync', 'cmd-sync']]);
  });

  test('4.5.2 PRI_RESP', () => {
    const resp = (values = {}) => command(CMD_PRI_RESP, { StreamID: 8, PRGIndex: 0x1ff, ...values });
    const bench = benchAfter([resp({ Resp: 0 }), resp({ Resp: 1, SSV: 1, SubstreamID: 3 }), resp({ Resp: 2 })], ats);
    expect(bench.responses).toEqual([
      [8, -1, 0x1ff, 15],
      [8, 3, 0x1ff, 1],
      [8, -1, 0x1ff, 0],
    ]);
  });
});

test('4.2 prefetches are consumed, and do nothing that can be seen', () => {
  const bench = benchAfter([
    command(CMD_PREFETCH_CONFIG, { StreamID: 0xffff, SSV: 1 }),
    command(CMD_PREFETCH_ADDR, { Size: 31 }),
    sync(),
  ]);
  expect([bench.commandState, bench.asked]).toEqual([{ rd: 3, err: 0, active: false }, 0]);
});

describe('profiles', () => {
  const profile = (name: string) => PROFILES.find((of) => of.name === name) as (typeof PROFILES)[number];

  test('qemu-10 takes no notice of reserved bits and combinations, knows no EL2 and no stalls, and has one signal', () => {
    const bench = benchAfter(
      [
        [0x46n | (1n << 8n), 0n],
        command(CMD_TLBI_NH_VA, { TG: 1 }),
        command(CMD_TLBI_EL2_ALL),
        command(CMD_RESUME, { SSec: 1 }),
        [0x18n, 0n],
        sync({ CS: 3, MSIAddress: 0x2000n, MSIData: 1 }),
      ],
      { profile: profile('qemu-10') },
    );
    expect([bench.commandState.rd, bench.pulses, bench.peek(0x2000)]).toEqual([6, ['cmd-sync'], 0n]);
    expect(bench.calls).toEqual(['tlb', 'mark tlb']);
    for (const one of [command(CMD_CFGI_STE, { SSec: 1 }), [0x07n, 0n], [0x50n, 0n], [0x99n, 0n]] as Command[])
      expect(benchAfter([one], { profile: profile('qemu-10') }).commandState.err).toBe(ILL);
  });

  test('gem5 has no case for CMD_SYNC, nor for what it does not know', () => {
    const bench = benchAfter(
      [sync({ CS: 1, MSIAddress: 0x2000n, MSIData: 1 }), [0x99n, 0n], command(CMD_TLBI_NSNH_ALL)],
      {
        profile: profile('gem5'),
      },
    );
    expect([bench.commandState, bench.pulses, bench.peek(0x2000)]).toEqual([{ rd: 3, err: 0, active: false }, [], 0n]);
    expect(bench.scopes.length).toBe(1);
  });

  test('gem5 before v19.0 takes a full queue for an empty one', () => {
    const bench = new InterfaceBench({ profile: profile('gem5-18') }).start(1);
    bench.submit(command(CMD_TLBI_NSNH_ALL), command(CMD_TLBI_NSNH_ALL));
    expect([bench.scopes.length, bench.commandState.rd]).toEqual([0, 0]);
    const now = new InterfaceBench({ profile: profile('gem5') }).start(1);
    now.submit(command(CMD_TLBI_NSNH_ALL), command(CMD_TLBI_NSNH_ALL));
    expect([now.scopes.length, now.commandState.rd]).toEqual([2, 2]);
  });
});
