/** SMMUv3 3.3, 3.4, 5, 7.3, 13.4: the model translates as a second translator does, at first and from its caches. */
import { beforeAll, describe, expect, test } from 'vitest';
import { CMD_STALL_TERM, EVENTS } from '../../../src/iommu/smmuv3/index.ts';
import { MAKES, optionsOf, World } from './random-world.ts';
import type { Request, Result } from './reference.ts';
import { translate } from './reference.ts';
import { Bench, INSTRUCTION, modelOnly, PRIVILEGED, READ, WRITE } from './unit.ts';

modelOnly('SMMUs with everything, and as many random worlds');

const WORLDS = 1000;
const REQUESTS = 30;

function kindOf(request: Request): number {
  return (
    (request.read ? READ : 0) |
    (request.write ? WRITE : 0) |
    (request.instruction ? INSTRUCTION : 0) |
    (request.privileged ? PRIVILEGED : 0)
  );
}

const numberOf = (name: string): number => Number(Object.entries(EVENTS).find(([, event]) => event.name === name)?.[0]);

describe('a second translator', () => {
  const events = new Map<string, number>();
  const stages = new Map<number, number>();
  const sizes = new Map<number, number>();
  const figures = { translations: 0, done: 0, updates: 0, stalls: 0, suppressed: 0, razwi: 0, silent: 0, tainted: 0 };
  const count = <K>(of: Map<K, number>, key: K) => of.set(key, (of.get(key) ?? 0) + 1);

  function show(world: number, { sid, ssid, address, ...how }: Request): string {
    const what = Object.entries(how)
      .filter(([, is]) => is)
      .map(([name]) => name);
    return `world ${world} of ${MAKES[world % MAKES.length][0]}: ${sid}/${ssid} 0x${address.toString(16)} ${what.join(' ')}`;
  }

  function check(bench: Bench, request: Request, want: Result, what: string): void {
    const got = bench.ask(request.sid, request.address, kindOf(request), request.ssid);
    const recorded = bench.takeEvents();
    if ('address' in want) {
      if (!('address' in got) || got.address !== want.address) expect(got, what).toEqual({ address: want.address });
      expect(recorded, what).toEqual([]);
      for (const [at, value] of want.writes)
        if (bench.peek(at) !== value)
          expect(bench.peek(at).toString(16), `${what}: flags at 0x${at.toString(16)}`).toBe(value.toString(16));
      figures.done++;
      figures.updates += want.writes.size;
      count(stages, want.stages);
      for (const size of want.sizes) count(sizes, size);
      return;
    }
    if (want.event === null) {
      expect([got, recorded], what).toEqual([{ event: 0 }, []]);
      figures.silent++;
      return;
    }
    expect(got, what).toEqual({ event: numberOf(want.event) });
    count(events, want.event);
    if (!want.recorded) figures.suppressed++;
    if (want.razwi) figures.razwi++;
    expect(recorded.length, `${what}: ${want.event}`).toBe(want.recorded ? 1 : 0);
    if (want.recorded) {
      const seen = Object.fromEntries(
        Object.keys(want.fields)
          .filter((key) => key in recorded[0])
          .map((key) => [key, recorded[0][key]]),
      );
      const wanted = Object.fromEntries(Object.entries(want.fields).filter(([key]) => key in recorded[0]));
      expect({ ID: recorded[0].ID, ...seen }, what).toEqual({ ID: numberOf(want.event), ...wanted });
    }
    if (!want.stalls) return;
    figures.stalls++;
    bench.command(CMD_STALL_TERM, { StreamID: request.sid });
  }

  function runWorld(bench: Bench, number: number): void {
    const make = MAKES[number % MAKES.length][1];
    bench.enable(0);
    const world = new World(number, make, bench);
    bench.forget();
    bench.write(0x2c, 4, world.regs.e2h ? 3n : 2n);
    bench.streamTable(world.regs.base, world.regs.log2, world.regs.split);
    bench.enable(1);
    const asked: Request[] = [];
    for (let i = 0; i < REQUESTS; i++) asked.push(world.request());
    for (const [pass, again] of [
      ['', ''],
      ['again, ', 'x'],
    ]) {
      for (const request of asked) {
        const want = translate(make, world.regs, world, request);
        if (world.tainted) {
          figures.tainted++;
          return;
        }
        check(bench, request, want, pass + show(number, request));
        if (again === '') figures.translations++;
      }
    }
  }

  beforeAll(() => {
    const benches = MAKES.map(([, make]) => new Bench(optionsOf(make)));
    for (let number = 0; number < WORLDS; number++) runWorld(benches[number % MAKES.length], number);
  }, 240_000);

  test('15,000 random translations and more, at first and again from the caches', () => {
    expect(figures.translations).toBeGreaterThan(15_000);
    expect(figures.done).toBeGreaterThan(5000);
  });

  test.each([
    'C_BAD_STREAMID',
    'F_STE_FETCH',
    'C_BAD_STE',
    'C_BAD_SUBSTREAMID',
    'F_STREAM_DISABLED',
    'F_CD_FETCH',
    'C_BAD_CD',
    'F_WALK_EABT',
    'F_TRANSLATION',
    'F_ADDR_SIZE',
    'F_ACCESS',
    'F_PERMISSION',
  ])('%s came up at least 200 times', (name) => {
    expect(events.get(name) ?? 0).toBeGreaterThanOrEqual(200);
  });

  test.each([
    ['bypass', 0],
    ['stage 1', 1],
    ['stage 2', 2],
    ['both stages', 3],
  ])('%s came up at least 400 times', (_, of) => {
    expect(stages.get(of) ?? 0).toBeGreaterThanOrEqual(400);
  });

  test.each([12, 14, 16, 21, 25, 29, 30])('leaves of 2^%i bytes came up at least 200 times', (size) => {
    expect(sizes.get(size) ?? 0).toBeGreaterThanOrEqual(200);
  });

  test('so did flags that were set, stalls, RAZ/WI, what is not recorded, and what is refused silently', () => {
    const { updates, stalls, razwi, suppressed, silent } = figures;
    for (const n of [updates, stalls, razwi, suppressed, silent]) expect(n).toBeGreaterThanOrEqual(100);
    // A leaf of 4 TiB, which 52 bits of address alone have.
    expect(sizes.get(42) ?? 0).toBeGreaterThan(5);
  });
});
