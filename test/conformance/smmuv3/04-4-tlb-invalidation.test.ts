/** SMMUv3 4.4: invalidation of translations. */
import { describe, expect, test } from 'vitest';
import {
  CMD_TLBI_EL2_ALL,
  CMD_TLBI_EL2_ASID,
  CMD_TLBI_EL2_VA,
  CMD_TLBI_EL2_VAA,
  CMD_TLBI_NH_ALL,
  CMD_TLBI_NH_ASID,
  CMD_TLBI_NH_VA,
  CMD_TLBI_NH_VAA,
  CMD_TLBI_NSNH_ALL,
  CMD_TLBI_S2_IPA,
  CMD_TLBI_S12_VMALL,
} from '../../../src/iommu/smmuv3/commands.ts';
import type { Command, Options } from './interface-bench.ts';
import { benchAfter, CMDQEN, command, InterfaceBench, REG } from './interface-bench.ts';

const [EL1, EL2] = [0, 1];
const [ONE, TWO, BOTH] = [1, 2, 12];
const ILL = 1;

describe('4.4 invalidation of translations', () => {
  const whole = { whole: true, hi: 0, lo: 0, granule: 0, count: 1, leafOnly: false, ttl: 0 };
  const at = (address: bigint, more = {}) => ({
    ...{ whole: false, hi: Number(BigInt.asIntN(32, address >> 32n)), lo: Number(BigInt.asIntN(32, address)) },
    ...{ granule: 0, count: 1, leafOnly: false, ttl: 0, ...more },
  });
  const VA = 0xffff_8765_4321_0000n;
  const HYP = { idr0: { Hyp: 1 } };
  const cases: [string, Command, object, Options?][] = [
    [
      '4.4.2.1 NH_ALL',
      command(CMD_TLBI_NH_ALL, { VMID: 0x8001 }),
      { regime: EL1, stage: ONE, vmid: 0x8001, asid: -1, ...whole },
    ],
    [
      '4.4.2.2 NH_ASID',
      command(CMD_TLBI_NH_ASID, { VMID: 1, ASID: 0xffff }),
      { regime: EL1, stage: ONE, vmid: 1, asid: 0xffff, ...whole },
    ],
    [
      '4.4.2.3 NH_VAA',
      command(CMD_TLBI_NH_VAA, { VMID: 1, Address: VA }),
      { regime: EL1, stage: ONE, vmid: 1, asid: -1, ...at(VA) },
    ],
    [
      '4.4.2.4 NH_VA',
      command(CMD_TLBI_NH_VA, { VMID: 1, ASID: 2, Address: VA, Leaf: 1 }),
      { regime: EL1, stage: ONE, vmid: 1, asid: 2, ...at(VA, { leafOnly: true }) },
    ],
    ['4.4.2.7 EL2_ALL', command(CMD_TLBI_EL2_ALL), { regime: EL2, stage: ONE, vmid: -1, asid: -1, ...whole }, HYP],
    [
      '4.4.2.8 EL2_VA: without E2H the ASID is ignored',
      command(CMD_TLBI_EL2_VA, { ASID: 2, Address: VA }),
      { regime: EL2, stage: ONE, vmid: -1, asid: -1, ...at(VA) },
      HYP,
    ],
    [
      '4.4.2.9 EL2_VAA',
      command(CMD_TLBI_EL2_VAA, { Address: VA }),
      { regime: EL2, stage: ONE, vmid: -1, asid: -1, ...at(VA) },
      HYP,
    ],
    [
      '4.4.2.10 EL2_ASID',
      command(CMD_TLBI_EL2_ASID, { ASID: 3 }),
      { regime: EL2, stage: ONE, vmid: -1, asid: 3, ...whole },
      HYP,
    ],
    [
      '4.4.3.1 S2_IPA',
      command(CMD_TLBI_S2_IPA, { VMID: 5, Address: 0xf_ffff_f000n }),
      { regime: EL1, stage: TWO, vmid: 5, asid: -1, ...at(0xf_ffff_f000n) },
    ],
    [
      '4.4.3.2 S12_VMALL',
      command(CMD_TLBI_S12_VMALL, { VMID: 5 }),
      { regime: EL1, stage: BOTH, vmid: 5, asid: -1, ...whole },
    ],
    ['4.4.4.1 NSNH_ALL', command(CMD_TLBI_NSNH_ALL), { regime: EL1, stage: BOTH, vmid: -1, asid: -1, ...whole }],
  ];
  test.each(cases)('%s', (_, one, scope, options) => {
    expect(benchAfter([one], options).scopes).toMatchObject([scope]);
  });

  test.each(cases)('%s is for requests in flight, too', (_, one, __, options) => {
    const bench = benchAfter([one], options);
    expect(bench.calls).toEqual(['tlb', 'mark tlb']);
    expect(bench.scopes[0].vmidMask).toBe(0xffff);
  });

  test('4.4.2.8 EL2_VA with E2H matches the ASID', () => {
    const bench = new InterfaceBench(HYP);
    bench.write32(REG.CR2, 1);
    bench.start().submit(command(CMD_TLBI_EL2_VA, { ASID: 2, Address: VA }));
    expect(bench.scopes[0]).toMatchObject({ regime: EL2, asid: 2 });
  });

  test('4.4.2 without stage 2 VMIDs are not matched', () => {
    const bench = benchAfter([command(CMD_TLBI_NH_ALL, { VMID: 7 })], { idr0: { S2P: 0, VMID16: 0 } });
    expect(bench.scopes[0].vmid).toBe(-1);
  });

  test('3.17.6 VMID wildcards', () => {
    const bench = new InterfaceBench({ idr0: { VMW: 1 } }).start(4, CMDQEN | (3 << 6));
    bench.submit(command(CMD_TLBI_NH_ALL, { VMID: 7 }));
    expect(bench.scopes[0]).toMatchObject({ vmid: 7, vmidMask: 0xfff8 });
  });

  test.each([
    [
      { TG: 1, NUM: 0, SCALE: 0, TTL: 3 },
      { granule: 12, count: 1, ttl: 3 },
    ],
    [
      { TG: 2, NUM: 1, SCALE: 0, TTL: 0 },
      { granule: 14, count: 2, ttl: 0 },
    ],
    [
      { TG: 3, NUM: 31, SCALE: 31, TTL: 2 },
      { granule: 16, count: 32 * 2 ** 31, ttl: 2 },
    ],
    [
      { TG: 2, NUM: 1, SCALE: 3, TTL: 1 },
      { granule: 14, count: 16, ttl: 0 },
    ],
  ])('4.4.1.1 a range: %j', (range, scope) => {
    expect(benchAfter([command(CMD_TLBI_NH_VA, { Address: 0x10_0000n, ...range })]).scopes[0]).toMatchObject(scope);
  });

  test.each([
    ['TG alone', { TG: 1 }, {}],
    ['16 KiB and level 1, which is taken for none', { TG: 2, TTL: 1 }, {}],
    ['TG = 0 with NUM', { NUM: 1 }, {}],
    ['TG = 0 with SCALE', { SCALE: 1 }, {}],
    ['TG = 0 with TTL', { TTL: 2 }, {}],
    ['TTL128', { TG: 1, TTL: 1, TTL128: 1 }, {}],
    ['SCALE of 6 bits', { TG: 1, SCALE: 32 }, {}],
    ['a range without IDR3.RIL', { TG: 1, NUM: 1 }, { idr3: { RIL: 0 } }],
  ])('4.4.1.1 %s is illegal', (_, range, options) => {
    refused(range, options);
  });

  test('4.4.1.1 so it is of EL2', () => {
    const bench = benchAfter([command(CMD_TLBI_EL2_VA, { TG: 1 })], HYP);
    expect([bench.commandState.err, bench.asked]).toEqual([ILL, 0]);
  });

  function refused(range: object, options: Options): void {
    for (const one of [command(CMD_TLBI_NH_VAA, range), command(CMD_TLBI_S2_IPA, range)]) {
      const bench = benchAfter([one], options);
      expect(bench.commandState).toEqual({ rd: 0, err: ILL, active: true });
      expect(bench.asked).toBe(0);
    }
  }
});
