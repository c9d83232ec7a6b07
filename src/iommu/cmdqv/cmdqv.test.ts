/** A CMDQ-V beside the SMMU's model, set up by the driver of `src/vmm/iommufd`; offsets are those of Linux's driver. */
import { describe, expect, test } from 'vitest';
import { InterfaceBench } from '../../../test/conformance/smmuv3/interface-bench.ts';
import { CmdqvDriver } from '../../vmm/iommufd/cmdqv-driver.ts';
import type { CmdqvOptions } from './model.ts';
import { Cmdqv } from './model.ts';
import { SmmuTarget } from './target.ts';

const [CONS, PROD, CONFIG, STATUS, GERROR, GERRORN] = [0, 4, 8, 0xc, 0x10, 0x14];
const CERROR = { ILL: 1, ABT: 2, ATC_INV_SYNC: 3 };
/** The guest's queues: 8 commands each. */
const QUEUES = [0x10000, 0x11000];
const VMID = 0x2a;
const SYNC = [0x46n, 0n] as const;

function bench(options: CmdqvOptions & { completes?: boolean } = {}) {
  const smmu = new InterfaceBench({ idr0: { ATS: 1 } });
  smmu.completes = options.completes ?? true;
  const marks: string[] = [];
  const target = new SmmuTarget(smmu.core, {
    forTlb: ({ vmid, asid }) => marks.push(`${vmid}/${asid}`),
    forConfig: () => marks.push('config'),
  });
  let interrupts = 0;
  const cmdqv = new Cmdqv(
    { arena: smmu.core.arena, memory: smmu.memory, target, interrupt: () => interrupts++ },
    { vintfsLog2: 1, vcmdqsLog2: 2, sidsLog2: 1, ...options },
  );
  const driver = new CmdqvDriver(cmdqv, 0x9000_0000n, 3);
  return { smmu, cmdqv, driver, marks, interrupts: () => interrupts };
}

/** A guest with interface 1, VMID 0x2a, two devices and two queues that are on. */
function guest(options: Parameters<typeof bench>[0] = {}) {
  const it = bench(options);
  const { cmdqv, driver, smmu } = it;
  const vintf = driver.open(VMID, () => {});
  driver.setStream(vintf, 0, 0x10, 0x108);
  driver.setStream(vintf, 1, 0x11, 0x200);
  QUEUES.forEach((address, i) => driver.setQueue(vintf, i, BigInt(address), 3));
  const page = cmdqv.guestPage(vintf);
  const write = (queue: number, register: number, value: number) => {
    page.write(0x80 * queue + register, 4, value, 0);
    cmdqv.settle();
  };
  const read = (queue: number, register: number) => page.read(0x80 * queue + register, 4).lo >>> 0;
  for (const i of [0, 1]) write(i, CONFIG, 1);
  const put = (queue: number, commands: readonly (readonly [bigint, bigint])[], from = 0) => {
    const view = new DataView(new ArrayBuffer(16));
    commands.forEach(([lo, hi], i) => {
      view.setBigUint64(0, lo, true);
      view.setBigUint64(8, hi, true);
      const at = QUEUES[queue] + 16 * (from + i);
      for (let word = 0; word < 2; word++) {
        const handle = smmu.memory.locate(Math.floor(at / 4096), ((at % 4096) >> 3) + word);
        smmu.memory.write(handle, view.getInt32(8 * word, true), view.getInt32(8 * word + 4, true));
      }
    });
  };
  const run = (queue: number, commands: readonly (readonly [bigint, bigint])[]) => {
    put(queue, commands);
    write(queue, PROD, commands.length);
    return { cons: read(queue, CONS) & 0xfffff, err: (read(queue, CONS) >>> 24) & 0x7f };
  };
  return { ...it, vintf, page, write, read, put, run };
}

const ASID = (asid: bigint, vmid = 0n) => [0x11n | (vmid << 32n) | (asid << 48n), 0n] as const;

describe('a guest’s commands', () => {
  test('get the interface’s VMID, whatever stands there', () => {
    const { marks, run, smmu } = guest();
    expect(run(0, [ASID(7n, 0x99n), [0x12n | (7n << 48n), 0x5000n], SYNC])).toEqual({ cons: 3, err: 0 });
    expect(smmu.scopes.map(({ asid, lo, vmid, whole }) => ({ asid, lo, vmid, whole }))).toEqual([
      { asid: 7, vmid: VMID, whole: true, lo: 0 },
      { asid: 7, vmid: VMID, whole: false, lo: 0x5000 },
    ]);
    expect(marks).toEqual([`${VMID}/7`, `${VMID}/7`]);
  });

  test('CMD_ATC_INV gets the StreamID of the slot', () => {
    const { run, smmu } = guest();
    smmu.write32(0x20, 1 | 8);
    expect(run(1, [[0x40n | (1n << 11n) | (3n << 12n) | (0x11n << 32n), 52n], SYNC])).toEqual({ cons: 2, err: 0 });
    expect(smmu.atcRequests).toMatchObject([{ sid: 0x200, pasid: 3 }]);
  });

  test('the queue goes round', () => {
    const { put, read, run, smmu, write } = guest();
    expect(
      run(
        0,
        Array.from({ length: 8 }, () => ASID(1n)),
      ),
    ).toEqual({ cons: 8, err: 0 });
    put(0, [ASID(2n), ASID(3n)]);
    write(0, PROD, 8 | 2);
    expect([read(0, CONS), smmu.scopes.slice(8).map(({ asid }) => asid)]).toEqual([8 | 2, [2, 3]]);
  });

  // Everything that a guest’s own queue does not take, and the SMMU would.
  test.each([
    ['CFGI_CD', [0x05n | (0x10n << 32n), 0n]],
    ['CFGI_STE', [0x03n | (0x10n << 32n), 0n]],
    ['CFGI_ALL', [0x04n, 31n]],
    ['NH_ALL', [0x10n, 0n]],
    ['NH_VAA', [0x13n, 0x5000n]],
    ['NSNH_ALL', [0x30n, 0n]],
    ['S12_VMALL', [0x28n, 0n]],
    ['PREFETCH', [0x01n | (0x10n << 32n), 0n]],
    ['RESUME', [0x44n | (0x10n << 32n), 0n]],
    ['a reserved opcode', [0x7fn, 0n]],
    ['a StreamID of nobody', [0x40n | (0x12n << 32n), 52n]],
    ['a reserved bit', [0x11n | (1n << 8n), 0n]],
  ] as const)('%s is illegal: the queue stops there, and nothing behind it is done', (_, bad) => {
    const { read, run, smmu } = guest();
    expect(run(0, [ASID(1n), bad, ASID(2n)])).toEqual({ cons: 1, err: CERROR.ILL });
    expect(smmu.scopes.map(({ asid }) => asid)).toEqual([1]);
    expect([read(0, GERROR), read(0, GERRORN)]).toEqual([1, 0]);
  });

  test('what cannot be read', () => {
    const { driver, read, vintf, write } = guest();
    write(0, CONFIG, 0);
    driver.setQueue(vintf, 0, 0x4000_0000n, 3);
    write(0, CONFIG, 1);
    write(0, PROD, 1);
    expect((read(0, CONS) >>> 24) & 0x7f).toBe(CERROR.ABT);
  });

  test('a device that does not answer: the next CMD_SYNC says so', () => {
    const { run, smmu } = guest({ completes: false });
    smmu.write32(0x20, 1 | 8);
    expect(run(0, [[0x40n | (0x10n << 32n), 52n], ASID(1n), SYNC, ASID(2n)])).toEqual({
      cons: 2,
      err: CERROR.ATC_INV_SYNC,
    });
  });
});

describe('an error', () => {
  test('stops its queue alone; goes on when it is acknowledged and mended', () => {
    const { put, read, run, smmu, write } = guest();
    run(0, [ASID(1n), [0x10n, 0n], ASID(2n)]);
    expect(run(1, [ASID(3n)])).toEqual({ cons: 1, err: 0 });
    // The SMMU’s own queue knows nothing of it.
    expect([smmu.read32(0x60), smmu.read32(0x9c)]).toEqual([0, 0]);
    put(0, [SYNC], 1);
    write(0, GERRORN, 1);
    expect([read(0, CONS) & 0xff, read(0, GERROR) ^ read(0, GERRORN)]).toEqual([3, 0]);
    expect(smmu.scopes.map(({ asid }) => asid)).toEqual([1, 3, 2]);
  });

  test('is seen by the host: map of queues, of the interface’s own, of interfaces; and interrupts', () => {
    const { cmdqv, interrupts, run, write } = guest();
    run(1, [[0x10n, 0n]]);
    const maps = () => [0x24, 0x14, 0x10c0 + 0x100].map((offset) => cmdqv.read(offset, 4).lo >>> 0);
    // Queue 1 of interface 1 is the fourth of all.
    expect([maps(), interrupts()]).toEqual([[0b1000, 0b10, 0b10], 1]);
    write(1, GERRORN, 1);
    expect(maps()).toEqual([0b1000, 0b10, 0b10]);
    expect(interrupts()).toBe(2);
  });

  test('that is masked does not interrupt', () => {
    const { cmdqv, interrupts, run } = guest();
    cmdqv.write(0x1c, 4, 0b10, 0);
    run(0, [[0x10n, 0n]]);
    expect([interrupts(), cmdqv.read(0x14, 4).lo]).toEqual([0, 0b10]);
  });
});

describe('what a guest cannot do', () => {
  test('reach the queues of others, or page 1 of its own', () => {
    const { page, cmdqv } = guest();
    for (const offset of [0x80 * 2, 0x80 * 3, 0x1000, 0x10000, -0x10000]) {
      page.write(offset, 8, -1, -1);
      expect(page.read(offset, 8)).toEqual({ lo: 0, hi: 0 });
    }
    expect(cmdqv.read(0x20000 + 0x80 * 2, 4).lo >>> 0).toBe(QUEUES[0] | 3);
  });

  test('change where it is read while the queue is on', () => {
    const { page, read, run } = guest();
    run(0, [ASID(1n)]);
    page.write(CONS, 4, 0, 0);
    expect(read(0, CONS)).toBe(1);
  });

  test('turn on a queue of an interface that is off', () => {
    const { cmdqv, read, write } = guest();
    cmdqv.write(0x1100, 4, 0, 0);
    expect([read(0, STATUS), read(1, STATUS)]).toEqual([0, 0]);
    write(0, CONFIG, 1);
    expect(read(0, STATUS)).toBe(0);
  });
});

describe('the host', () => {
  test('may not change a VMID while the interface is on', () => {
    const { cmdqv, run, smmu } = guest();
    cmdqv.write(0x1100, 4, 1 | (0x55 << 1), 0);
    run(0, [ASID(1n)]);
    expect(smmu.scopes[0].vmid).toBe(VMID);
  });

  test('has queues that take everything, with ids as they are', () => {
    const { cmdqv, smmu } = guest();
    // Interface 0, HYP_OWN: queue 0 of all.
    cmdqv.write(0x1000, 4, 1 << 17, 0);
    cmdqv.write(0x1000, 4, (1 << 17) | 1, 0);
    cmdqv.write(0x200, 4, 1, 0);
    cmdqv.write(0x20000, 8, 0x12000 | 3, 0);
    cmdqv.write(0x10008, 4, 1, 0);
    const at = smmu.memory.locate(0x12, 0);
    smmu.memory.write(at, 0x28, 0x77);
    cmdqv.write(0x10004, 4, 1, 0);
    cmdqv.settle();
    expect(smmu.scopes).toMatchObject([{ vmid: 0x77, whole: true }]);
  });

  test('a hypervisor that is a guest itself has no such queue', () => {
    const { cmdqv } = bench({ isGuest: true });
    cmdqv.write(0x1000, 4, (1 << 17) | 1, 0);
    expect(cmdqv.read(0x1000, 4).lo).toBe(1);
  });

  test('interfaces end, and are given again without a trace', () => {
    const { cmdqv, driver, vintf } = guest();
    expect(driver.open(1, () => {})).toBe(-1);
    driver.clearQueue(vintf, 1);
    driver.clearQueue(vintf, 0);
    driver.close(vintf);
    expect(driver.open(9, () => {})).toBe(vintf);
    expect(cmdqv.read(0x1100, 4).lo).toBe(1 | (9 << 1));
    for (const offset of [0x1140, 0x1144, 0x1180, 0x1184, 0x10100, 0x10104, 0x20100])
      expect(cmdqv.read(offset, 8)).toEqual({ lo: 0, hi: 0 });
  });

  test('knows its registers by name', () => {
    const { cmdqv } = guest();
    expect([0, 0x1140, 0x30000 + 0x20000, 0x20100, 0x30, 0x5000].map((offset) => cmdqv.registerName(offset))).toEqual([
      ...[
        'CMDQV_CONFIG',
        'VINTF_SID_MATCH of VINTF 1',
        'VCMDQ_CONS of VCMDQ 2',
        'VCMDQ_BASE of VCMDQ 2',
        'cmdqv+0x30',
        'cmdqv+0x5000',
      ],
    ]);
  });
});

test('any accesses at all: nothing is thrown, and no guest’s command has another VMID or StreamID', () => {
  const { cmdqv, page, put, read, smmu, write } = guest();
  smmu.write32(0x20, 1 | 8);
  let seed = 12345;
  const random = (n: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
  };
  const bits = (n: number) => BigInt(random(2 ** n));
  const any = () => [(bits(32) << 32n) | bits(32), (bits(32) << 32n) | bits(32)] as const;
  const legal = () =>
    [
      ...[[0x11n | (bits(16) << 32n) | (bits(16) << 48n), 0n], [0x12n | (bits(32) << 32n), bits(32) & ~0xfffn], SYNC],
      ...[
        [0x40n | ((0x10n + bits(2)) << 32n), bits(5)],
        [0x10n | (bits(16) << 32n), 0n],
      ],
    ] as const;
  for (let i = 0; i < 3000; i++) {
    const queue = random(2);
    write(queue, GERRORN, read(queue, GERROR));
    for (const [register, value] of [
      [CONFIG, 0],
      [CONS, 0],
      [PROD, 0],
      [CONFIG, 1],
    ])
      write(queue, register, value);
    put(
      queue,
      Array.from({ length: 4 }, () => (random(8) === 0 ? any() : legal()[random(5)])),
    );
    write(queue, PROD, 4);
    page.write(4 * random(0x40), random(2) === 0 ? 4 : 8, random(2 ** 16), random(2 ** 16));
    cmdqv.settle();
  }
  expect(new Set(smmu.scopes.map(({ vmid }) => vmid))).toEqual(new Set([VMID]));
  expect(smmu.scopes.length).toBeGreaterThan(1000);
  const sids = new Set(smmu.atcRequests.map((request) => (request as { sid: number }).sid));
  expect(sids).toEqual(new Set([0x108, 0x200]));
});
