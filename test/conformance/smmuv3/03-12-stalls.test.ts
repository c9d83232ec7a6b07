/** SMMUv3 3.12.2, 4.7.1, 4.7.2: transactions that are stalled. */
import { describe, expect, test } from 'vitest';
import { CMD_RESUME, CMD_STALL_TERM } from '../../../src/iommu/smmuv3/commands.ts';
import { OUTCOME } from '../../../src/iommu/smmuv3/event-queue.ts';
import { STALL } from '../../../src/iommu/smmuv3/stalls.ts';
import { CMDQEN, command, EVENTQ_ABT_ERR, EVENTQEN, InterfaceBench, REG, SMMUEN } from './interface-bench.ts';

describe('3.12.2, 4.7.1 stalls', () => {
  const stall = (bench: InterfaceBench, sid = 5) => [bench.fault({ s: 1, sid }), bench.core.events.stag];
  const resume = (values = {}) => command(CMD_RESUME, { StreamID: 5, ...values });

  test('each has a STAG of its own; IDR5.STALL_MAX of them', () => {
    const bench = new InterfaceBench({ idr5: { STALL_MAX: 3 } }).start();
    expect([stall(bench), stall(bench), stall(bench, 6), stall(bench)]).toEqual([
      [OUTCOME.stalled, 0],
      [OUTCOME.stalled, 1],
      [OUTCOME.stalled, 2],
      [OUTCOME.noPlace, -1],
    ]);
    expect([0, 1, 2].map((n) => [bench.event(n).STAG, bench.event(n).Stall, bench.event(n).StreamID])).toEqual([
      [0, 1, 5],
      [1, 1, 5],
      [2, 1, 6],
    ]);
    expect([bench.read32(REG.EVENTQ_PROD), bench.core.stalls.hasRoom]).toEqual([3, false]);
  });

  test.each([
    [{ Ac: 1, Ab: 1 }, STALL.retry],
    [{ Ac: 0, Ab: 1 }, STALL.abort],
    [{ Ac: 0, Ab: 0 }, STALL.razwi],
  ])('4.7.1 CMD_RESUME %j', (how, becomes) => {
    const bench = new InterfaceBench().start();
    stall(bench);
    stall(bench);
    bench.submit(resume({ STAG: 1, ...how }));
    expect(bench.resolved).toEqual([[1, becomes]]);
    bench.submit(resume({ STAG: 1, ...how }));
    expect(bench.resolved.length, 'it waits no more').toBe(1);
    expect(stall(bench), 'its STAG may be used again').toEqual([OUTCOME.stalled, 1]);
  });

  test('4.7.1 with TERM_MODEL it always aborts', () => {
    const bench = new InterfaceBench({ idr0: { TERM_MODEL: 1 } }).start();
    stall(bench);
    bench.submit(resume());
    expect(bench.resolved).toEqual([[0, STALL.abort]]);
  });

  test('4.7.1 nothing happens where the STAG is another stream’s, free, or none at all', () => {
    const bench = new InterfaceBench().start();
    stall(bench);
    bench.submit(resume({ StreamID: 6 }), resume({ STAG: 1 }), resume({ STAG: 0xffff }));
    expect([bench.resolved, bench.commandState]).toEqual([[], { rd: 3, err: 0, active: false }]);
  });

  test('4.7.2 CMD_STALL_TERM ends all of a stream with an abort', () => {
    const bench = new InterfaceBench().start();
    stall(bench);
    stall(bench, 6);
    stall(bench);
    bench.submit(command(CMD_STALL_TERM, { StreamID: 5 }));
    expect(bench.resolved).toEqual([
      [0, STALL.abort],
      [2, STALL.abort],
    ]);
  });

  test('6.3.9.6 SMMUEN = 0 ends all', () => {
    const bench = new InterfaceBench().start();
    stall(bench);
    stall(bench, 6);
    bench.write32(REG.CR0, EVENTQEN | CMDQEN);
    expect(bench.resolved.map(([, becomes]) => becomes)).toEqual([STALL.abort, STALL.abort]);
  });

  test('7.2.1, 7.4 a stall whose event cannot be written is not lost: it is retried when there is room, and nothing overflows', () => {
    const bench = new InterfaceBench().start(0);
    bench.fault();
    expect([stall(bench), bench.read32(REG.EVENTQ_PROD)]).toEqual([[OUTCOME.stalled, 0], 1]);
    bench.submit(resume());
    expect(bench.resolved, 'software has not been told of it').toEqual([]);
    bench.write32(REG.EVENTQ_CONS, 1);
    expect(bench.resolved).toEqual([[0, STALL.retry]]);
  });

  test('7.2.1 so where the queue was disabled, or had an abort', () => {
    const bench = new InterfaceBench().start(4, SMMUEN);
    stall(bench);
    bench.write32(REG.CR0, SMMUEN | EVENTQEN);
    expect(bench.resolved).toEqual([[0, STALL.retry]]);
    const aborts = new InterfaceBench();
    aborts.write64(REG.EVENTQ_BASE, 0x10_0000_0000n);
    aborts.write32(REG.CR0, SMMUEN | EVENTQEN);
    stall(aborts);
    expect([aborts.read32(REG.GERROR), aborts.resolved]).toEqual([EVENTQ_ABT_ERR, []]);
    aborts.write32(REG.GERRORN, EVENTQ_ABT_ERR);
    expect(aborts.resolved).toEqual([[0, STALL.retry]]);
  });
});
