import { beforeAll, describe, expect, test } from 'vitest';
import type { Request } from './random-tables.ts';
import { KINDS, kindOf, MAKES, optionsOf, referenceOf, WORLD_FRAMES, World } from './random-tables.ts';
import type { Kind, Result } from './reference-walker.ts';
import { ReferenceRecorder, translate } from './reference-walker.ts';
import type { Answer } from './unit.ts';
import { Bench, FSTS, Random, REG, SRTP, TE, WRITE } from './unit.ts';

const WORLDS = 5040;
const REQUESTS = 40;

function setRoot(bench: Bench, root: bigint): void {
  bench.write64(REG.RTADDR, root);
  bench.write32(REG.GCMD, TE | SRTP);
  bench.write32(REG.GCMD, TE);
  bench.flush();
}

function answerOf(result: Result): Answer {
  return result.fault !== 0 ? { fault: result.fault } : { page: result.page };
}

function show(request: Request, world: number): string {
  const { sid, iova, access } = request;
  return `world ${world}: ${kindOf(access)} of ${sid.toString(16)} at 0x${iova.toString(16)}`;
}

/** 11.4.7.6: bits of FI from the widest table's width on are reserved. */
const widest = (sagaw: number) => (sagaw & 8 ? 57 : sagaw & 4 ? 48 : 39);

/** A read or a write by the common way, anything else by the other. */
function ask(bench: Bench, { sid, iova, access }: Request): Answer {
  return access <= WRITE ? bench.translate(sid, iova, access) : bench.request(sid, iova, access);
}

const isTranslated = (result: Result) => result.fault === 0 && result.size !== 0;

describe('VT-d 3.7, 7.1.3: prompt translates as a second translator does', () => {
  const reasons = new Map<number, number>();
  const sizes = new Map<number, number>();
  const levels = new Map<number, number>();
  const kinds = new Map<Kind, number>();
  const figures = { translations: 0, again: 0, withoutTables: 0, passed: 0, lost: 0, suppressed: 0, recorded: 0 };
  const count = <K>(of: Map<K, number>, key: K) => of.set(key, (of.get(key) ?? 0) + 1);

  /** What FSTS and FRCD must say. */
  function checkRecord(bench: Bench, recorder: ReferenceRecorder, what: string): void {
    const status = (recorder.pfo ? FSTS.PFO : 0) | (recorder.f ? FSTS.PPF : 0);
    if (bench.read32(REG.FSTS) !== status) expect(bench.read32(REG.FSTS), `FSTS after ${what}`).toBe(status);
    const high = bench.read64(REG.FRCD + 8);
    if (high >> 63n !== (recorder.f ? 1n : 0n)) expect(high >> 63n, `F after ${what}`).toBe(recorder.f ? 1n : 0n);
    if (!recorder.f) return;
    const want = (1n << 63n) | recorder.type | (BigInt(recorder.reason) << 32n) | BigInt(recorder.sid);
    if (high !== want) expect(high.toString(16), `FRCD high half after ${what}`).toBe(want.toString(16));
    if (bench.read64(REG.FRCD) !== recorder.fi) expect(bench.read64(REG.FRCD), `FI after ${what}`).toBe(recorder.fi);
  }

  function check(got: Answer, want: Answer, what: string): void {
    const same = 'fault' in want ? 'fault' in got && got.fault === want.fault : 'page' in got && got.page === want.page;
    if (!same) expect(got, what).toEqual(want);
  }

  function runWorld(bench: Bench, number: number): void {
    const make = MAKES[number % MAKES.length];
    const world = new World(number, make, bench);
    setRoot(bench, world.root);
    const reference = referenceOf(make, bench, world.root);
    const random = new Random(~number);
    const recorder = new ReferenceRecorder();
    bench.clearFaults();
    const done: { request: Request; result: Result }[] = [];
    for (let i = 0; i < REQUESTS; i++) {
      const request = { ...world.request(), ...(random.chance(30) ? { access: random.pick(KINDS)[1] } : {}) };
      const result = translate(reference, request.sid, request.iova, kindOf(request.access));
      const what = show(request, number);
      check(ask(bench, request), answerOf(result), what);
      count(kinds, kindOf(request.access));
      done.push({ request, result });
      figures.translations++;
      count(reasons, result.fault);
      if (isTranslated(result)) {
        count(sizes, result.size);
        count(levels, result.levels);
      }
      if (result.fault === 0 && !isTranslated(result)) figures.passed++;
      if (result.fault !== 0 && !result.recorded) figures.suppressed++;
      if (result.recorded) {
        const full = recorder.f || recorder.pfo;
        if (full) figures.lost++;
        else figures.recorded++;
        recorder.record(
          result.fault,
          request.sid,
          BigInt.asUintN(widest(make.sagaw), request.iova),
          kindOf(request.access),
        );
      }
      checkRecord(bench, recorder, what);
      if (random.chance(40)) {
        bench.write32(REG.FRCD + 12, 1 << 31);
        recorder.f = false;
      }
      if (random.chance(40)) {
        bench.write32(REG.FSTS, FSTS.PFO);
        recorder.pfo = false;
      }
    }
    // The same again: now from the caches where they have it.
    for (const { request, result } of done) {
      figures.again++;
      check(ask(bench, request), answerOf(result), `again, ${show(request, number)}`);
    }
    // And with the tables gone: what was translated is still there (6.2.4), in the IOTLB alone.
    if (number % 8 !== 0) return;
    bench.ram.words.fill(0, 0, WORLD_FRAMES * 1024);
    for (const { request, result } of done) {
      if (!isTranslated(result)) continue;
      figures.withoutTables++;
      check(ask(bench, request), answerOf(result), `no tables, ${show(request, number)}`);
    }
  }

  beforeAll(() => {
    const benches = MAKES.flatMap((make) =>
      [true, false].map((paging) => new Bench({ ...optionsOf(make, paging), frames: WORLD_FRAMES })),
    );
    for (let number = 0; number < WORLDS; number++) {
      const bench = benches[(number % MAKES.length) * 2 + (Math.floor(number / MAKES.length) % 2)];
      runWorld(bench, number);
    }
  });

  test('on 100,000 random translations, at first and again from the caches', () => {
    expect(figures.translations).toBeGreaterThanOrEqual(100_000);
    expect(figures.again).toBeGreaterThanOrEqual(100_000);
    expect(figures.withoutTables).toBeGreaterThan(2000);
  });

  test.each([
    ['0x1', 'root entry not present'],
    ['0x2', 'context entry not present'],
    ['0x3', 'context entry invalid'],
    ['0x4', 'address beyond the width'],
    ['0x5', 'no write right'],
    ['0x6', 'no read right'],
    ['0x7', 'a paging entry that cannot be read'],
    ['0x8', 'a root table that cannot be read'],
    ['0x9', 'a context table that cannot be read'],
    ['0xa', 'reserved bit in a root entry'],
    ['0xb', 'reserved bit in a context entry'],
    ['0xc', 'reserved bit in a paging entry'],
    ['0xd', 'a request with AT other than 00b'],
    ['0xe', 'a request, or a translation, to the interrupt range'],
  ])('reason %s came up at least 1,000 times: %s', (reason) => {
    expect(reasons.get(Number(reason)) ?? 0).toBeGreaterThanOrEqual(1000);
  });

  test.each([
    [12, '4 KiB'],
    [21, '2 MiB'],
    [30, '1 GiB'],
  ])('leaves of 2^%i bytes came up at least 1,000 times (%s)', (size) => {
    expect(sizes.get(size) ?? 0).toBeGreaterThanOrEqual(1000);
  });

  test.each(KINDS)('%s requests came up at least 1,000 times', (kind) => {
    expect(kinds.get(kind) ?? 0).toBeGreaterThanOrEqual(1000);
  });

  test.each([3, 4, 5])('tables of %i levels came up at least 1,000 times', (of) => {
    expect(levels.get(of) ?? 0).toBeGreaterThanOrEqual(1000);
  });

  test('pass-through, suppressed, recorded and lost faults came up at least 1,000 times each', () => {
    const { passed, suppressed, recorded, lost } = figures;
    for (const n of [passed, suppressed, recorded, lost]) expect(n).toBeGreaterThanOrEqual(1000);
  });
});

describe('VT-d 3.7: a translation in steps ends as one at once does', () => {
  function runWorld(bench: Bench, number: number, worldSeed: number): { done: number; faults: number } {
    const make = MAKES[number];
    const world = new World(worldSeed, make, bench);
    setRoot(bench, world.root);
    const reference = referenceOf(make, bench, world.root);
    const random = new Random(worldSeed);
    const freely = random.chance(50);
    const pick = (choices: number) => (freely ? random.below(choices) : 0);
    let faults = 0;
    for (let i = 0; i < REQUESTS; i++) {
      const request = world.request();
      const result = translate(reference, request.sid, request.iova, kindOf(request.access));
      const what = show(request, worldSeed);
      bench.clearFaults();
      const flight = bench.issue(request.sid, request.iova, request.access);
      if (result.fault !== 0) {
        faults++;
        expect(flight.walk(pick), what).toBe(false);
        expect(bench.recordedReason(), what).toBe(result.recorded ? result.fault : 0);
        continue;
      }
      expect(flight.walk(pick), what).toBe(true);
      expect(flight.page, what).toBe(result.page);
      flight.perform();
      expect(flight.state).toBe('over');
    }
    return { done: REQUESTS, faults };
  }

  test.each(MAKES.map((make, i) => [make.name, i] as const))('%s: 1,600 random ones, whichever way is gone', (_, i) => {
    const bench = new Bench({ ...optionsOf(MAKES[i]), frames: WORLD_FRAMES, dmaSlots: 2 });
    let faults = 0;
    let done = 0;
    for (let seed = 0; seed < 40; seed++) {
      const one = runWorld(bench, i, 100_000 + i * 1000 + seed);
      faults += one.faults;
      done += one.done;
    }
    expect(done).toBe(1600);
    expect(faults).toBeGreaterThan(300);
    expect(done - faults).toBeGreaterThan(100);
  });
});
