import { describe, expect, test } from 'vitest';
import { PROFILES } from '../../../src/iommu/vtd/index.ts';
import { Bench, FSTS, Random, REG, TE } from './unit.ts';

const F = 0x8000_0000;
const QEMU = PROFILES.find(({ name }) => name === 'qemu-10') as (typeof PROFILES)[number];

const scene = (NFR: number, rest = {}) => new Bench({ cap: { NFR }, ...rest }).start();
/** A fault of a requester: the root entry is not present. */
const fault = (bench: Bench, sid: number) => bench.translate(sid, BigInt(sid) << 12n);
const fri = (bench: Bench) => (bench.read32(REG.FSTS) >>> 8) & 0xff;
const clear = (bench: Bench, n: number) => bench.write32(REG.FRCD + 16 * n + 12, F);

/** Source ids of the records in use, by index; null where F is clear. */
function records(bench: Bench, count: number): (number | null)[] {
  return Array.from({ length: count }, (_, n) =>
    bench.read32(REG.FRCD + 16 * n + 12) >>> 31 === 1 ? bench.read32(REG.FRCD + 16 * n + 8) & 0xffff : null,
  );
}

describe('7.2.1 several fault records', () => {
  test('7.2.1 they are used in turn; FRI stays at the first pending one', () => {
    const bench = scene(3);
    for (const sid of [1, 2, 3]) fault(bench, sid);
    expect(records(bench, 4)).toEqual([1, 2, 3, null]);
    expect(bench.read32(REG.FSTS)).toBe(FSTS.PPF);
    for (const n of [0, 1, 2]) expect(bench.read64(REG.FRCD + 16 * n)).toBe(BigInt(n + 1) << 12n);
  });

  test.each([0, 1, 3, 255])('7.2.1 NFR %i: the fault behind the last free record sets PFO and is lost', (NFR) => {
    const bench = scene(NFR);
    for (let sid = 0; sid <= NFR; sid++) fault(bench, sid);
    expect(bench.read32(REG.FSTS)).toBe(FSTS.PPF);
    fault(bench, 0x7777);
    expect(bench.read32(REG.FSTS)).toBe(FSTS.PPF | FSTS.PFO);
    expect(records(bench, NFR + 1)).toEqual(Array.from({ length: NFR + 1 }, (_, n) => n));
  });

  test('7.2.1 the index wraps around', () => {
    const bench = scene(2);
    for (const sid of [1, 2, 3]) fault(bench, sid);
    clear(bench, 0);
    fault(bench, 4);
    expect(records(bench, 3)).toEqual([4, 2, 3]);
    expect(bench.read32(REG.FSTS)).toBe(FSTS.PPF);
    fault(bench, 5);
    expect(bench.read32(REG.FSTS)).toBe(FSTS.PPF | FSTS.PFO);
  });

  test('7.2.1 a record in use at the index is an overflow, though others are free', () => {
    const bench = scene(2);
    for (const sid of [1, 2, 3]) fault(bench, sid);
    clear(bench, 1);
    clear(bench, 2);
    fault(bench, 4);
    expect(records(bench, 3)).toEqual([1, null, null]);
    expect(bench.read32(REG.FSTS)).toBe(FSTS.PPF | FSTS.PFO);
  });

  test('7.2.1 FRI is the index of the record that set PPF', () => {
    const bench = scene(2);
    for (const want of [0, 1, 2, 0]) {
      fault(bench, 0x10 + want);
      expect(fri(bench)).toBe(want);
      clear(bench, want);
      expect(bench.read32(REG.FSTS) & FSTS.PPF).toBe(0);
    }
  });

  test('7.2.1 after an overflow recording goes on at the index when PFO is cleared', () => {
    const bench = scene(1);
    for (const sid of [1, 2, 3]) fault(bench, sid);
    for (const n of [0, 1]) clear(bench, n);
    fault(bench, 4);
    expect(records(bench, 2)).toEqual([null, null]);
    bench.write32(REG.FSTS, FSTS.PFO);
    fault(bench, 5);
    expect(records(bench, 2)).toEqual([5, null]);
  });

  test('7.2.1 the index returns to 0 when translation is switched off, and only then', () => {
    const bench = scene(3);
    fault(bench, 1);
    fault(bench, 2);
    clear(bench, 0);
    clear(bench, 1);
    bench.write32(REG.GCMD, TE);
    fault(bench, 3);
    expect(records(bench, 4)).toEqual([null, null, 3, null]);
    clear(bench, 2);
    bench.write32(REG.GCMD, 0);
    bench.write32(REG.GCMD, TE);
    fault(bench, 4);
    expect(records(bench, 4)).toEqual([4, null, null, null]);
    expect(fri(bench)).toBe(0);
  });

  test('11.4.7.1 PPF is the OR of all F bits', () => {
    const bench = scene(2);
    for (const sid of [1, 2, 3]) fault(bench, sid);
    for (const n of [1, 0]) {
      clear(bench, n);
      expect(bench.read32(REG.FSTS)).toBe(FSTS.PPF);
    }
    clear(bench, 2);
    expect(bench.read32(REG.FSTS)).toBe(0);
  });

  test('7.2.1 faults of one requester are recorded each; hardware that collapses them records one until it is cleared', () => {
    const each = scene(3);
    for (let i = 0; i < 3; i++) fault(each, 7);
    expect(records(each, 4)).toEqual([7, 7, 7, null]);
    const one = scene(3, { profile: QEMU });
    fault(one, 6);
    for (let i = 0; i < 9; i++) fault(one, 7);
    expect(records(one, 4)).toEqual([6, 7, null, null]);
    expect(one.read32(REG.FSTS)).toBe(FSTS.PPF);
    clear(one, 1);
    fault(one, 7);
    expect(records(one, 4)).toEqual([6, null, 7, null]);
  });

  test('7.2.1 against a plain model, 20,000 random faults and services', () => {
    const random = new Random(7);
    for (const NFR of [0, 1, 2, 6]) {
      const bench = scene(NFR);
      const model = { used: new Array<number | null>(NFR + 1).fill(null), index: 0, fri: 0, pfo: false };
      for (let i = 0; i < 5000; i++) {
        const kind = random.below(10);
        if (kind < 6) {
          const sid = random.below(0x10000);
          fault(bench, sid);
          if (!model.pfo && model.used[model.index] !== null) model.pfo = true;
          else if (!model.pfo) {
            if (model.used.every((one) => one === null)) model.fri = model.index;
            model.used[model.index] = sid;
            model.index = (model.index + 1) % (NFR + 1);
          }
        } else if (kind < 9) {
          const n = random.below(NFR + 1);
          clear(bench, n);
          model.used[n] = null;
        } else {
          bench.write32(REG.FSTS, FSTS.PFO);
          model.pfo = false;
        }
        const pending = model.used.some((one) => one !== null);
        expect(bench.read32(REG.FSTS) & 3).toBe((pending ? FSTS.PPF : 0) | (model.pfo ? FSTS.PFO : 0));
        if (pending) expect(fri(bench)).toBe(model.fri);
        expect(records(bench, NFR + 1)).toEqual(model.used);
      }
    }
  });
});

test.each([
  [39, 0b00010],
  [48, 0b00110],
  [57, 0b01110],
])('11.4.7.6 FI: bits 63:%i are reserved where the widest table is of as many bits', (widest, SAGAW) => {
  const bench = new Bench({ cap: { SAGAW, MGAW: widest - 1 } }).start();
  bench.translate(8, 0xffff_ffff_ffff_f000n);
  expect(bench.read64(REG.FRCD)).toBe((1n << BigInt(widest)) - 0x1000n);
});
