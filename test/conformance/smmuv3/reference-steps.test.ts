/** SMMUv3 3.3, 3.21: a translation in steps ends as one at once does, whichever way its look-ups go. */
import { describe, expect, test } from 'vitest';
import { CMD_STALL_TERM, EVENTS } from '../../../src/iommu/smmuv3/index.ts';
import { Random } from '../vtd/random.ts';
import { Flight } from './flight.ts';
import { MAKES, optionsOf, World } from './random-world.ts';
import type { Request } from './reference.ts';
import { translate } from './reference.ts';
import { Bench, modelOnly, READ, WRITE } from './unit.ts';

modelOnly('requests in steps');

const WORLDS = 24;
const REQUESTS = 24;

const numberOf = (name: string): number => Number(Object.entries(EVENTS).find(([, event]) => event.name === name)?.[0]);

describe('in steps', () => {
  const benchOf = (make: (typeof MAKES)[number][1]) => {
    const options = optionsOf(make);
    return new Bench({
      ...options,
      dmaSlots: 2,
      stalls: 4,
      caches: { ste: 8, cd: 32, tlbWays: 48, ipaWays: 96, walk: 96, levelOne: 16 },
    });
  };

  /** What of a random request a machine's device can send: words, and addresses of 61 bits with their sign. */
  function sendable({ address, write, ssid, privileged, sid }: Request): Request {
    const isWrite = write;
    return {
      ...{
        sid: sid & 0xffff,
        ssid,
        address: BigInt.asUintN(64, BigInt.asIntN(61, address)) & ~7n,
        write: isWrite,
        read: !isWrite,
      },
      ...{ instruction: false, privileged: privileged && ssid >= 0 },
    };
  }

  test.each(MAKES.map(([name, make]) => [name, make] as const))(
    '%s',
    (name, make) => {
      const bench = benchOf(make);
      const figures = { done: 0, refused: 0, steps: 0, most: 0, ways: 0 };
      for (let number = 0; number < WORLDS; number++) {
        const random = new Random(77 * number + name.length);
        bench.enable(0);
        const world = new World(5000 + number, make, bench);
        bench.write(0x2c, 4, world.regs.e2h ? 3n : 2n);
        bench.streamTable(world.regs.base, world.regs.log2, world.regs.split);
        bench.enable(1);
        bench.forget();
        const freely = random.chance(70);
        for (let i = 0; i < REQUESTS; i++) {
          if (i % 8 === 0) bench.forget();
          const request = sendable(world.request());
          const want = translate(make, world.regs, world, request);
          if (world.tainted) break;
          const what = `world ${number}, ${JSON.stringify(request, (_, v) => (typeof v === 'bigint' ? `0x${v.toString(16)}` : v))}`;
          const flight = new Flight(
            bench,
            request.sid,
            request.address,
            request.write ? WRITE : READ,
            request.ssid,
            request.privileged,
          );
          let { left } = flight;
          let steps = 0;
          while (flight.phase <= 2 && flight.choices > 0) {
            const { choices } = flight;
            figures.ways = Math.max(figures.ways, choices);
            flight.step(freely ? random.below(choices) : 0);
            steps++;
            if (flight.phase > 2) break;
            if (flight.left >= left && flight.choices > 0)
              expect(flight.left, `${what}: steps left`).toBeLessThan(left);
            left = flight.left;
          }
          figures.steps += steps;
          figures.most = Math.max(figures.most, steps);
          const events = bench.takeEvents();
          if ('address' in want) {
            if (!flight.isTranslated) expect({ events, phase: flight.phase }, what).toEqual(want);
            expect(flight.page, what).toBe(want.address & ~0xfffn);
            expect(events, what).toEqual([]);
            for (const [at, value] of want.writes) expect(bench.peek(at), what).toBe(value);
            figures.done++;
            flight.end();
            continue;
          }
          figures.refused++;
          if (want.event !== null && want.stalls) {
            expect([flight.phase, flight.choices], what).toEqual([2, 0]);
            bench.command(CMD_STALL_TERM, { StreamID: request.sid });
            flight.walk();
          }
          expect(flight.isTranslated, what).toBe(false);
          expect(
            events.map(({ ID }) => ID),
            what,
          ).toEqual(want.event !== null && want.recorded ? [numberOf(want.event)] : []);
          // RAZ/WI: the device is told nothing.
          expect(flight.end(), what).toBe(want.event !== null && want.razwi ? 1 : 0);
        }
      }
      expect(figures.done).toBeGreaterThan(30);
      expect(figures.refused).toBeGreaterThan(60);
      expect(figures.ways).toBeGreaterThan(1);
    },
    60_000,
  );
});
