import { describe, expect, test } from 'vitest';
import { VMIDS, VsmmuBench } from '../../../test/vsmmu-bench.ts';
import { encode } from '../../bits/index.ts';
import {
  CMD_ATC_INV,
  CMD_CFGI_CD,
  CMD_CFGI_STE,
  CMD_TLBI_NH_ASID,
  CMD_TLBI_NH_VA,
  CMD_TLBI_S12_VMALL,
} from '../../iommu/smmuv3/commands.ts';
import { CMDQ_PROD } from '../../iommu/smmuv3/queue-registers.ts';
import { InterferingVmm } from './interference.ts';

const ASID = 7;
const TLBI = encode(CMD_TLBI_NH_ASID, { ASID, VMID: 99 });
const CFGI = (StreamID: number) => encode(CMD_CFGI_CD, { StreamID, Leaf: 1 });
const ATC = (StreamID: number) => encode(CMD_ATC_INV, { StreamID, Size: 52 });

describe('to whom a command goes', () => {
  test('replicated: to all, with the VMID of each', () => {
    const bench = new VsmmuBench();
    expect(bench.run((guest) => guest.issueWithSync([TLBI], 'TLBI'))).toBe(true);
    expect(bench.names).toEqual([
      ['TLBI_NH_ASID', 'SYNC'],
      ['TLBI_NH_ASID', 'SYNC'],
    ]);
    const tags = bench.recorders.map(({ commands }) => [commands[0].fields.VMID, commands[0].fields.ASID]);
    expect(tags).toEqual(VMIDS.map((vmid) => [vmid, ASID]));
  });

  test('the first only', () => {
    const bench = new VsmmuBench({ routing: 'the first' });
    bench.run((guest) => guest.issueWithSync([TLBI], 'TLBI'));
    expect(bench.names).toEqual([['TLBI_NH_ASID', 'SYNC'], []]);
  });

  test('what names a vStreamID goes to the SMMU that has the device, under its StreamID', () => {
    const bench = new VsmmuBench();
    expect(bench.run((guest) => guest.issueWithSync([ATC(2), CFGI(1), CFGI(2)], 'several'))).toBe(true);
    expect(bench.names).toEqual([
      ['CFGI_CD', 'SYNC'],
      ['ATC_INV', 'CFGI_CD', 'SYNC'],
    ]);
    expect(bench.recorders.map(({ commands }) => commands[0].fields.StreamID)).toEqual([8, 16]);
  });
});

describe('what is consumed, and when', () => {
  test('CMDQ_CONS moves only when the SMMUs are done', () => {
    const bench = new VsmmuBench();
    const seen: number[] = [];
    for (const recorder of bench.recorders)
      recorder.watch = () => {
        seen.push(bench.virtual.cons.value);
        return '';
      };
    bench.run((guest) => guest.issueWithSync([TLBI], 'TLBI'));
    expect(seen).toEqual([0, 0, 0, 0]);
    expect(bench.virtual.cons.value).toBe(2);
  });

  test('the ring goes round, wrap bits and all', () => {
    const bench = new VsmmuBench({ log2size: 1 });
    const ended = bench.run(function* (guest) {
      for (let i = 0; i < 5; i++) yield* guest.issueWithSync([TLBI], 'TLBI');
    });
    expect(ended).toBe(true);
    expect(bench.names[1].filter((name) => name === 'TLBI_NH_ASID')).toHaveLength(5);
    expect(bench.virtual.cons.value).toBe(10 & 3);
  });

  test('what a VMM does by itself reaches no SMMU', () => {
    const stes: number[] = [];
    const onSte = function* (vsid: number) {
      stes.push(vsid);
      yield* [];
    };
    const bench = new VsmmuBench({ onSte });
    bench.run((guest) => guest.issueWithSync([encode(CMD_CFGI_STE, { StreamID: 2, Leaf: 1 }), TLBI], 'both'));
    expect(bench.names[0]).toEqual(['TLBI_NH_ASID', 'SYNC']);
    expect(new Set(stes)).toEqual(new Set([2]));
  });

  test('indexes that cannot be stop the queue, and harm nobody (3.5.1)', () => {
    const bench = new VsmmuBench();
    const { machine, virtual, forwarder } = bench;
    const cpu = machine.cpu('another vcpu');
    const ended = bench.run(function* () {
      yield* cpu.mmioWrite(virtual, CMDQ_PROD.offset, 4, 0xffffen);
      yield* forwarder.exit();
    });
    expect(ended).toBe(true);
    expect([bench.names, virtual.cons.value]).toEqual([[[], []], 0]);
  });
});

describe('what is refused', () => {
  const bad = encode(CMD_TLBI_S12_VMALL, { VMID: 5 });

  test.each([
    ['a command that no guest has', bad],
    ['a vStreamID that is nobody', CFGI(3)],
  ])('%s: -EIO, CERROR_ILL at the command, and those before it are done', (_, command) => {
    const bench = new VsmmuBench({ smmus: 1, carrier: 'trapped' });
    const ended = bench.run((guest) => guest.issueWithSync([TLBI, command, TLBI], 'three'));
    expect(ended).toBe(false);
    expect(bench.names).toEqual([['TLBI_NH_ASID', 'SYNC']]);
    expect(bench.virtual.cons.value).toBe(1 | (1 << 24));
    expect(bench.virtual.hasError).toBe(true);
    expect(bench.handled.map(({ errno, handled }) => [errno, handled])).toEqual([
      [null, 1],
      ['EIO', 0],
    ]);
  });

  test('in a batch of a kernel that issues whole batches nothing is done; one that counts what was converted says otherwise', () => {
    const run = (kernel: string) => {
      const bench = new VsmmuBench({ smmus: 1, kernel, mistake: 'no-retry' });
      bench.run((guest) => guest.issueWithSync([TLBI, bad], 'two'));
      const [{ errno, handled, issued }] = bench.handled;
      return [errno, handled, issued.length, bench.names[0].length, bench.virtual.cons.value & 0xfffff];
    };
    expect(run('linux-2026-09')).toEqual(['EIO', 0, 0, 0, 0]);
    // The guest goes on behind an invalidation that never happened.
    expect(run('linux-6.18')).toEqual(['EIO', 1, 0, 0, 1]);
  });

  test('which of a refused batch is in error is found one by one', () => {
    const bench = new VsmmuBench({ smmus: 1 });
    bench.run((guest) => guest.issueWithSync([TLBI, bad, TLBI], 'three'));
    expect(bench.names[0]).toEqual(['TLBI_NH_ASID', 'SYNC']);
    expect(bench.virtual.cons.value).toBe(1 | (1 << 24));
    expect(bench.handled.map(({ asked, handled }) => [asked, handled])).toEqual([
      [3, 0],
      [1, 1],
      [1, 0],
    ]);
  });

  test('on several SMMUs nothing behind the bad command is done on any', () => {
    const bench = new VsmmuBench({ carrier: 'trapped' });
    bench.run((guest) => guest.issueWithSync([TLBI, bad, ATC(2)], 'three'));
    expect(bench.names).toEqual([
      ['TLBI_NH_ASID', 'SYNC'],
      ['TLBI_NH_ASID', 'SYNC'],
    ]);
  });
});

describe('what it costs', () => {
  test.each([
    ['trapped', 'VMM', 2, 6],
    ['batched', 'VMM', 2, 2],
    ['batched', 'kernel', 2, 1],
    ['doorbell', 'kernel', 2, 1],
  ] as const)(
    '%s, replicated by the %s: %i exits, %i calls for three commands to two SMMUs',
    (carrier, replicates, exits, calls) => {
      const bench = new VsmmuBench({ carrier, replicates });
      const va = encode(CMD_TLBI_NH_VA, { ASID, Address: 0x1000n });
      bench.run((guest) => guest.issueWithSync([TLBI, va, TLBI], 'three'));
      expect([bench.tally.doorbells + bench.tally.polls, bench.tally.calls]).toEqual([exits, calls]);
    },
  );

  test('a thread is woken by the doorbell, and no vCPU waits in the VMM', () => {
    const bench = new VsmmuBench();
    Object.assign(bench.guest.options, { exit: undefined });
    const ended = bench.run(
      (guest) => guest.issueWithSync([TLBI], 'TLBI'),
      () => bench.forwarder.serve(1),
    );
    expect([ended, bench.names[0]]).toEqual([true, ['TLBI_NH_ASID', 'SYNC']]);
    expect([bench.tally.wakes, bench.tally.calls]).toEqual([1, 2]);
  });
});

describe('a VMM that interferes', () => {
  test('drops: the guest sees all consumed, the SMMUs have seen nothing', () => {
    const bench = new VsmmuBench();
    const vmm = new InterferingVmm(bench.machine, bench.forwarder, 'drops');
    Object.assign(bench.guest.options, { exit: () => vmm.exit() });
    expect(bench.run((guest) => guest.issueWithSync([TLBI], 'TLBI'))).toBe(true);
    expect(bench.names).toEqual([[], []]);
  });

  test('delays: the guest is told before it is done', () => {
    const bench = new VsmmuBench();
    const vmm = new InterferingVmm(bench.machine, bench.forwarder, 'delays');
    Object.assign(bench.guest.options, { exit: () => vmm.exit() });
    const order: string[] = [];
    const ended = bench.run(
      function* (guest) {
        yield* guest.issueWithSync([TLBI], 'TLBI');
        yield* bench.machine.note('told', 'after', () => order.push(`told, ${bench.names[0].length} done`));
      },
      () => vmm.late(),
    );
    expect([ended, order, bench.names[1]]).toEqual([true, ['told, 0 done'], ['TLBI_NH_ASID', 'SYNC']]);
  });

  test('reorders: what the guest had put before a CMD_SYNC comes behind what it put after it', () => {
    const bench = new VsmmuBench({ smmus: 1 });
    const vmm = new InterferingVmm(bench.machine, bench.forwarder, 'reorders');
    Object.assign(bench.guest.options, { exit: () => vmm.exit() });
    const ended = bench.run(function* (guest) {
      yield* guest.issueWithSync([CFGI(1)], 'CFGI_CD');
      yield* guest.issueWithSync([TLBI], 'TLBI');
    });
    expect(ended).toBe(true);
    expect(bench.names[0].filter((name) => name !== 'SYNC')).toEqual(['TLBI_NH_ASID', 'CFGI_CD']);
  });
});
