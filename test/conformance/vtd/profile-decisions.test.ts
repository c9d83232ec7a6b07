/** What profiles decide, or get wrong, otherwise than `spec`: each decision on both sides. */
import { describe, expect, test } from 'vitest';
import { PROFILES } from '../../../src/iommu/vtd/index.ts';
import { FIRST, PASS, ScalableBench, SECOND } from './scalable-unit.ts';
import { Bench, READ, REG, ROOT, SRTP, TE, WRITE } from './unit.ts';

const SID = 0x18;
const profile = (name: string) => PROFILES.find((each) => each.name === name) as (typeof PROFILES)[number];
const qemu = profile('qemu-11');
const FRR = 0x220 + 12;

describe('6.6, 11.4.4.1: what is cached when SRTP is set or TE changes, with CAP.ESRTPS = 0', () => {
  const change = {
    SRTP: (bench: Bench) => bench.write32(REG.GCMD, TE | SRTP),
    'TE = 0 and 1': (bench: Bench) => {
      bench.write32(REG.GCMD, 0);
      bench.run();
      bench.write32(REG.GCMD, TE);
    },
  };

  test.each([
    ['spec', 'SRTP', false],
    ['qemu-10', 'SRTP', true],
    ['qemu-11', 'SRTP', true],
    ['spec', 'TE = 0 and 1', false],
    ['qemu-10', 'TE = 0 and 1', true],
    ['qemu-11', 'TE = 0 and 1', true],
  ] as const)('%s, %s, legacy mode: dropped is %s', (name, how, dropped) => {
    const bench = new Bench({ profile: profile(name), cap: { ESRTPS: 0 } }).start();
    const tree = bench.tree();
    bench.map(tree, 0x1000n, 0x111003n);
    bench.attach(SID, tree, 1);
    expect(bench.translate(SID, 0x1000n)).toEqual({ page: 0x111000n });
    bench.map(tree, 0x1000n, 0x222003n);
    change[how](bench);
    expect(bench.unit.caches.context.isEmpty()).toBe(dropped);
    expect(bench.translate(SID, 0x1000n)).toEqual({ page: dropped ? 0x222000n : 0x111000n });
  });

  // TE = 0 drops them in any unit with scalable mode (11.4.4.1).
  test.each([
    ['spec', 'SRTP', false],
    ['qemu-11', 'SRTP', true],
    ['spec', 'TE = 0 and 1', true],
  ] as const)('%s, %s, scalable mode: dropped is %s', (name, how, dropped) => {
    const bench = new ScalableBench({ profile: profile(name), cap: { ESRTPS: 0 } }).startScalable();
    bench.setDevice(SID);
    const top = bench.newTable();
    bench.setPasid(0, { pgtt: SECOND, second: top });
    bench.put(top, 4, 0x1000n, 0x7003n);
    expect(bench.ask(SID, 0x1000n)).toEqual({ page: 0x7000n });
    bench.put(top, 4, 0x1000n, 0x8003n);
    change[how](bench);
    expect(bench.unit.scalableCaches?.pasid.isEmpty()).toBe(dropped);
    expect(bench.ask(SID, 0x1000n)).toEqual({ page: dropped ? 0x8000n : 0x7000n });
  });
});

describe('7.1.3: reasons that QEMU 11.1 records in scalable mode', () => {
  /** Only one stage, as QEMU has. */
  const scene = (name: string, pgtt: number) => {
    const stages = pgtt === FIRST ? { SSTS: 0, SSADS: 0 } : { FSTS: 0, EAFS: 0 };
    const cap = { FS1GP: pgtt === FIRST ? 1 : 0 };
    const bench = new ScalableBench({ profile: profile(name), cap, ecap: { ...stages, NEST: 0 } }).startScalable();
    bench.setDevice(SID);
    const top = bench.newTable();
    bench.setPasid(0, pgtt === FIRST ? { pgtt, first: top, aw: 0 } : { pgtt, second: top });
    return { bench, top };
  };
  type Scene = ReturnType<typeof scene>;
  const NOWHERE = 0x4_0000_0000n;

  test.each<[string, number, number, number, number, (on: Scene) => void]>([
    ['SRT.1', SECOND, WRITE, 0x38, 0x8, ({ bench }) => bench.startScalable(NOWHERE)],
    ['SRT.2', SECOND, WRITE, 0x39, 0x1, ({ bench }) => bench.poke(ROOT, 0n)],
    ['SRT.3', SECOND, WRITE, 0x3a, 0xa, ({ bench }) => bench.poke(ROOT, bench.peek(ROOT) | 2n)],
    ['SCT.1', SECOND, WRITE, 0x40, 0x9, ({ bench }) => bench.poke(ROOT, NOWHERE | 1n)],
    ['SCT.2', SECOND, WRITE, 0x41, 0x2, ({ bench }) => bench.poke(bench.contextAt(SID), 0n)],
    ['SCT.3', SECOND, WRITE, 0x42, 0xb, ({ bench }) => bench.poke(bench.contextAt(SID) + 16n, 1n)],
    ['SPT.2', SECOND, WRITE, 0x59, 0x59, ({ bench }) => bench.setPasid(0, { present: 0 })],
    ['SSS.1', SECOND, WRITE, 0x78, 0x7, ({ bench, top }) => bench.poke(top + 16n, NOWHERE | 3n)],
    ['SSS.2', SECOND, WRITE, 0x79, 0x5, () => undefined],
    ['SSS.2', SECOND, READ, 0x79, 0x6, () => undefined],
    ['SSS.3', SECOND, WRITE, 0x7a, 0xc, ({ bench, top }) => bench.poke(top + 16n, 0x83n)],
    ['SSS.4', SECOND, WRITE, 0x7b, 0x3, ({ bench }) => bench.setPasid(0, { second: NOWHERE })],
    ['SGN.5', SECOND, WRITE, 0x84, 0x4, ({ bench }) => bench.setPasid(0, { aw: 1 })],
    ['SGN.6', SECOND, WRITE, 0x85, 0x5, ({ bench, top }) => bench.put(top, 4, 1n << 40n, 0x7001n)],
    ['SGN.7', SECOND, READ, 0x86, 0x6, ({ bench, top }) => bench.put(top, 4, 1n << 40n, 0x7002n)],
    ['SGN.6', FIRST, WRITE, 0x85, 0x85, ({ bench, top }) => bench.put(top, 4, 1n << 40n, 0x7065n, 1, 0x27n)],
    ['SFS.2', FIRST, WRITE, 0x71, 0x71, () => undefined],
    ['SGN.8', SECOND, WRITE, 0x87, 0x87, ({ bench, top }) => bench.put(top, 4, 1n << 40n, 0xfee00003n)],
  ])('%s, PGTT %i, access %i: 0x%s, recorded as 0x%s', (_, pgtt, access, fault, recorded, spoil) => {
    for (const name of ['spec', 'qemu-11'] as const) {
      const on = scene(name, pgtt);
      spoil(on);
      expect(on.bench.ask(SID, 1n << 40n, { access }), 'what refuses it is the same').toEqual({ fault });
      expect(on.bench.read32(FRR) & 0xff, name).toBe(name === 'spec' ? fault : recorded);
    }
  });

  test.each([
    ['spec', 0, 0xe],
    ['spec', 1, 0xe],
    ['qemu-11', 0, 0xe],
    ['qemu-11', 1, 0x87],
  ] as const)('LGN.4, %s, ECAP.SMTS %i: 0xe, recorded as 0x%s', (name, SMTS, recorded) => {
    const bench = new Bench({ profile: profile(name), ecap: SMTS === 1 ? { SMTS, SSTS: 1 } : {} }).start();
    const tree = bench.tree();
    bench.map(tree, 0x1000n, 0xfee00003n);
    bench.attach(SID, tree, 1);
    expect(bench.translate(SID, 0x1000n)).toEqual({ fault: 0xe });
    expect(bench.recordedReason()).toBe(recorded);
  });

  test('each condition has one reason, and all that changes is of root, context and second-stage entries and the interrupt range', () => {
    const reasons = qemu.recordedReasons;
    expect(new Set(reasons.map(({ reason }) => reason)).size).toBe(reasons.length);
    expect(new Set(reasons.map(({ clause }) => clause.split('.')[0]))).toEqual(
      new Set(['LGN', 'SRT', 'SCT', 'SSS', 'SGN']),
    );
  });
});

test('SPD.3, SPT.3: QEMU 11.1 does not look at reserved bits of PASID-directory and PASID-table entries', () => {
  for (const [name, fault] of [
    ['spec', true],
    ['qemu-11', false],
  ] as const) {
    const bench = new ScalableBench({ profile: profile(name) }).startScalable();
    bench.setDevice(SID);
    bench.setPasid(0, { pgtt: PASS });
    bench.poke(0x5000n, bench.peek(0x5000n) | 4n);
    expect(bench.ask(SID, 0x1000n)).toEqual(fault ? { fault: 0x52 } : { page: 0x1000n });
    bench.poke(0x5000n, bench.peek(0x5000n) & ~4n);
    bench.flushAll();
    bench.poke(0x6000n + 24n, 1n);
    expect(bench.ask(SID, 0x1000n)).toEqual(fault ? { fault: 0x5a } : { page: 0x1000n });
  }
});

test('SFS.9: QEMU 11.1 sets flags of a first-stage entry that is not snooped', () => {
  for (const name of ['spec', 'qemu-11'] as const) {
    const bench = new ScalableBench({ profile: profile(name) }).startScalable();
    bench.setDevice(SID);
    const top = bench.newTable();
    bench.setPasid(0, { pgtt: FIRST, first: top, snoop: 0 });
    const at = bench.put(top, 4, 0x1000n, 0x7007n, 1, 0x27n);
    expect(bench.ask(SID, 0x1000n, { access: WRITE })).toEqual(name === 'spec' ? { fault: 0x90 } : { page: 0x7000n });
    expect(bench.peek(at)).toBe(name === 'spec' ? 0x7007n : 0x7067n);
  }
});
