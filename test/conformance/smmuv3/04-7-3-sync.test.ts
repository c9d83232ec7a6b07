/** SMMUv3 4.7.3: how CMD_SYNC tells of its completion. What it waits for: 04-7-3-sync-in-steps.test.ts. */
import { describe, expect, test } from 'vitest';
import { CMD_SYNC, CMD_TLBI_NSNH_ALL } from '../../../src/iommu/smmuv3/commands.ts';
import { benchAfter, command, InterfaceBench, MEMORY, MSI_CMDQ_ABT_ERR, REG } from './interface-bench.ts';

const sync = (values = {}) => command(CMD_SYNC, values);

const MSI = { idr0: { MSI: 1 } };
const AT = Number(MEMORY) + 0x2000;

describe('4.7.3 CMD_SYNC tells of its completion', () => {
  test('CS 0: not', () => {
    const bench = benchAfter([sync({ MSIAddress: BigInt(AT), MSIData: 7 })]);
    expect([bench.peek(AT), bench.pulses]).toEqual([0n, []]);
    expect(bench.sentEvents).toBe(0);
  });

  test('CS 1: by a wire, each of them', () => {
    const bench = benchAfter([sync({ CS: 1 }), sync(), sync({ CS: 1 })]);
    expect([bench.pulses, bench.commandState.rd]).toEqual([['cmd-sync', 'cmd-sync'], 3]);
  });

  test('CS 1: by an MSI, a write of 32 bits, and by a wire', () => {
    const bench = new InterfaceBench(MSI).start();
    bench.poke(AT, 0x1111_1111_2222_2222n);
    bench.submit(sync({ CS: 1, MSIAddress: BigInt(AT + 4), MSIData: 0x89abcdef }));
    expect([bench.peek(AT), bench.pulses]).toEqual([0x89ab_cdef_2222_2222n, ['cmd-sync']]);
    bench.submit(sync({ CS: 1, MSIAddress: 0x8000_0040n, MSIData: 3 }));
    expect(bench.messages).toEqual([[0x8000_0040, 3]]);
  });

  test('with the address 0 there is a wire only; the whole field has to be 0', () => {
    const bench = benchAfter([sync({ CS: 1, MSIData: 7 })], MSI);
    expect([bench.peek(0), bench.pulses]).toEqual([0n, ['cmd-sync']]);
    // Bits above the physical address size: the address is cut to 0, and written.
    bench.submit(sync({ CS: 1, MSIData: 7, MSIAddress: 1n << 54n }));
    expect(bench.peek(0)).toBe(7n);
  });

  test('an MSI that is aborted is GERROR.MSI_CMDQ_ABT_ERR, and the queue goes on', () => {
    const bench = benchAfter(
      [sync({ CS: 1, MSIAddress: 0x10_0000_0000n, MSIData: 7 }), command(CMD_TLBI_NSNH_ALL)],
      MSI,
    );
    expect([bench.read32(REG.GERROR), bench.scopes.length]).toEqual([MSI_CMDQ_ABT_ERR, 1]);
  });

  test('CS 2: by an event, with IDR0.SEV', () => {
    expect(benchAfter([sync({ CS: 2 })], { idr0: { SEV: 1 } }).sentEvents).toBe(1);
    expect(benchAfter([sync({ CS: 2 })], { idr0: { SEV: 0 } }).sentEvents).toBe(0);
  });

  test('without IDR0.MSI the MSI is ignored, and the wire is not', () => {
    const bench = benchAfter([sync({ CS: 1, MSIAddress: BigInt(AT), MSIData: 7 })], { idr0: { MSI: 0 } });
    expect([bench.peek(AT), bench.pulses]).toEqual([0n, ['cmd-sync']]);
  });

  test('it is consumed before anybody is told', () => {
    const seen: number[] = [];
    const bench: InterfaceBench = new InterfaceBench({ wire: () => void seen.push(bench.commandState.rd) }).start();
    bench.submit(sync({ CS: 1 }), sync({ CS: 1 }));
    expect(seen).toEqual([1, 2]);
  });
});
