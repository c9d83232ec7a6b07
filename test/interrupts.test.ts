/**
 * Interrupt remapping as it is explored: what a driver that moves an interrupt to another processor may rely on (VT-d 6.4, 6.5.2.8, 6.5.5), and
 * that the conducts and the reductions agree on it.
 */
import { describe, expect, test } from 'vitest';
import { encode, encode64 } from '../src/bits/index.ts';
import { VtdScene } from '../src/cases/vtd-scene.ts';
import { DepthFirst, Instance, randomFrom, runAdversary, runPrompt, Search } from '../src/explore/index.ts';
import type { InvalidationQueue } from '../src/guest/index.ts';
import { FRCD_HI, FSTS, GCMD, IEC_INV_DSC, IRTA, IRTE, PROFILES } from '../src/iommu/vtd/index.ts';
import type { InterruptLine, Program } from '../src/machine/index.ts';
import { Interrupts } from '../src/machine/index.ts';

const IRT = 0x103a10000n;
const OLD = { V: 0x41, DST: 0x1200, P: 1 };
const NEW = { V: 0x42, DST: 0x3400, P: 1 };

/** Address of a request for a handle in remappable format. */
const handle = (index: number) => (0xfee00010 | (index << 5)) >>> 0;

const low = (values: Parameters<typeof encode<typeof IRTE.fields>>[1]) => encode(IRTE, values)[0];

class Scene {
  readonly scene: VtdScene;
  readonly interrupts: Interrupts;
  readonly old: InterruptLine;
  readonly fresh: InterruptLine;

  constructor(profile = PROFILES[0], cap: object = {}) {
    const scene = new VtdScene({ profile, recordFaults: true, unit: { ecap: { IR: 1, MHMV: 15 }, cap } });
    const { machine, unit } = scene;
    this.scene = scene;
    this.interrupts = new Interrupts(machine);
    this.old = this.interrupts.line('the old vector', 0x12, OLD.V);
    this.fresh = this.interrupts.line('the new vector', 0x34, NEW.V);
    machine.frame('interrupt remapping table', IRT, machine.owner('the kernel', 'other'), [10, 11, 12, 13]);
    machine.poke(IRT + 80n, low(OLD));
    machine.poke(IRT + 96n, low(OLD));
    const write = (offset: number, size: number, value: bigint) =>
      unit.write(offset, size, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
    write(IRTA.offset, 8, encode64(IRTA, { IRTA: IRT, S: 3 }));
    write(GCMD.offset, 4, encode64(GCMD, { TE: 1, QIE: 1, SIRTP: 1 }));
    write(GCMD.offset, 4, encode64(GCMD, { TE: 1, QIE: 1, IRE: 1 }));
  }

  get machine() {
    return this.scene.machine;
  }

  *flush(values: { G: number; IIDX?: number; IM?: number }): Program {
    yield* (this.scene.queue as InvalidationQueue).submit(encode(IEC_INV_DSC, values), 'queues IEC invalidate');
  }
}

interface Found {
  readonly outcomes: ReadonlySet<string>;
  readonly states: number;
}

function explore(
  scene: Scene,
  outcome: () => string,
  how: 'breadth-first' | 'plain' | 'reduced' = 'breadth-first',
): Found {
  const outcomes = new Set<string>();
  const options = {
    properties: [{ id: 'never', broken: () => false }],
    maxStates: 2_000_000,
    onEnd: () => outcomes.add(outcome()),
  };
  const instance = new Instance(scene.machine, { without: how === 'plain' ? ['automata', 'symmetry'] : [] });
  const search =
    how === 'reduced' ? new DepthFirst(instance, { ...options, ample: true }) : new Search(instance, options);
  if (search instanceof DepthFirst) search.begin();
  while (!search.advance(100_000)) {}
  expect(search.exhausted).toBe(true);
  return { outcomes, states: search.states };
}

describe('moving an interrupt: what may still arrive at the old vector when the driver gives it to somebody else', () => {
  const HOW = {
    'IEC invalidation and a wait': { flush: { G: 1, IIDX: 5 }, late: false },
    'a global invalidation': { flush: { G: 0 }, late: false },
    'nothing at all': { flush: null, late: true },
    'the invalidation of another index': { flush: { G: 1, IIDX: 6 }, late: true },
  } as const;

  test.each(Object.entries(HOW))('6.5.2.8, 6.5.5 %s', (_, { flush, late }) => {
    const scene = new Scene();
    const { machine, interrupts, old, fresh } = scene;
    const nic = scene.scene.device('nic', []);
    machine.actor('driver', function* () {
      yield* scene.scene.cpu.write64(IRT + 80n, low(NEW));
      if (flush !== null) yield* scene.flush(flush);
      // What came until now is serviced; from here on the vector is another's.
      yield* old.service();
    });
    machine.actor(
      'nic',
      function* () {
        yield* interrupts.send(nic, handle(5), 0);
        yield* interrupts.send(nic, handle(5), 0);
      },
      'device',
    );
    const { outcomes } = explore(scene, () => `${old.pending ? 'late' : 'clean'} ${fresh.pending ? 'moved' : '-'}`);
    expect(outcomes.has('late -')).toBe(late);
    expect([...outcomes].some((one) => one.startsWith('late'))).toBe(late);
    expect(outcomes.has('clean moved')).toBe(true);
    expect(outcomes.has('clean -')).toBe(true);
    expect(interrupts.unexpected).toBe(false);
  });

  test('the old vector comes late in two ways: by a cached entry, and by an interrupt in flight', () => {
    // QEMU's profile has no cache and drains nothing: what is late there was in flight.
    for (const [profile, late] of [
      [PROFILES[0], false],
      [PROFILES[1], true],
    ] as const) {
      const scene = new Scene(profile);
      const { machine, interrupts, old } = scene;
      const nic = scene.scene.device('nic', []);
      machine.actor('driver', function* () {
        yield* scene.scene.cpu.write64(IRT + 80n, low(NEW));
        yield* scene.flush({ G: 0 });
        yield* old.service();
      });
      machine.actor('nic', () => interrupts.send(nic, handle(5), 0), 'device');
      const { outcomes } = explore(scene, () => `${old.pending}`);
      expect(outcomes.has('true')).toBe(late);
    }
  });

  test('5.2.4 a handler that has the interrupt sees the data', () => {
    for (const ordered of [true, false]) {
      const scene = new Scene();
      const { machine, interrupts, old } = scene;
      const page = 0x21d200000n;
      scene.scene.buffer('P', page, [0]);
      scene.scene.premap(0n, page, 1);
      const nic = scene.scene.device('nic', [0n]);
      const seen = machine.word('seen');
      machine.actor('driver', function* () {
        yield* old.wait();
        yield* seen.set((yield* scene.scene.cpu.read64(page)) === 0n ? 1 : 2);
      });
      machine.actor(
        'nic',
        function* () {
          if (ordered) yield* nic.issue(0n, 'write');
          yield* interrupts.send(nic, handle(5), 0);
          if (!ordered) yield* nic.issue(0n, 'write');
        },
        'device',
      );
      const { outcomes } = explore(scene, () => `${seen.value}`);
      expect([...outcomes].sort()).toEqual(ordered ? ['2'] : ['1', '2']);
    }
  });
});

/** Stores to entries, invalidations of all kinds, interrupts of two devices, remapping off and on again: the random program of a seed. */
function randomProgram(seed: number): { scene: Scene; outcome: () => string } {
  const random = randomFrom(seed);
  const profile = PROFILES[random(4) === 0 ? 1 : 0];
  const scene = new Scene(profile, { CM: random(3) === 0 ? 1 : 0, ESIRTPS: random(2) });
  const { machine, interrupts, old, fresh } = scene;
  const { cpu, unit } = scene.scene;
  const nic = scene.scene.device('nic', []);
  const steps: (() => Program)[] = [];
  for (let i = 0; i < 1 + random(3); i++) {
    const index = 5 + random(2);
    const at = IRT + BigInt(16 * index);
    const value = [low(NEW), low(OLD), 0n, low({ ...NEW, DLM: 3 }), low({ ...NEW, FPD: 1, P: 0 })][random(5)] as bigint;
    const on = random(2) === 0;
    const step = [
      () => cpu.write64(at, value),
      () => cpu.write64(at, value),
      () => scene.flush({ G: 1, IIDX: index, IM: 0 }),
      () => scene.flush({ G: 0 }),
      () => old.service(),
      () => interrupts.send(nic, handle(index), 0),
      () => cpu.mmioWrite(unit, GCMD.offset, 4, encode64(GCMD, { TE: 1, QIE: 1, IRE: on ? 1 : 0, SIRTP: on ? 0 : 1 })),
    ][random(7)] as () => Program;
    steps.push(step);
  }
  const sends = Array.from({ length: 1 + random(2) }, () => handle(5 + random(3)));
  machine.actor('driver', function* () {
    for (const step of steps) yield* step();
  });
  machine.actor(
    'nic',
    function* () {
      for (const address of sends) yield* interrupts.send(nic, address, 0);
    },
    'device',
  );
  const outcome = () => {
    const faults = [FSTS.offset, FRCD_HI.offset, FRCD_HI.offset + 4].map((offset) => unit.regs.read32(offset));
    return [old.pending, fresh.pending, interrupts.unexpected, ...faults].join(' ');
  };
  return { scene, outcome };
}

const PROGRAMS = 600;

describe('prompt, adversary and every search agree on interrupts', () => {
  test(`${PROGRAMS} random programs`, () => {
    const figures = { outcomes: 0, nasty: 0, reduced: 0, faults: 0 };
    for (let seed = 0; seed < PROGRAMS; seed++) {
      const of = (how: 'breadth-first' | 'plain' | 'reduced') => {
        const { scene, outcome } = randomProgram(seed);
        return explore(scene, outcome, how);
      };
      const all = of('breadth-first');
      figures.outcomes += all.outcomes.size;
      if ([...all.outcomes].some((one) => !one.endsWith('0 0 0'))) figures.faults++;
      const conducted = (conduct: (instance: Instance) => void) => {
        const { scene, outcome } = randomProgram(seed);
        conduct(new Instance(scene.machine));
        return outcome();
      };
      const prompt = conducted((instance) => runPrompt(instance, randomFrom(seed + 7)));
      expect(all.outcomes, `prompt, seed ${seed}`).toContain(prompt);
      for (let a = 0; a < 3; a++) {
        const adversary = conducted((instance) => runAdversary(instance, 3 * seed + a));
        expect(all.outcomes, `adversary ${a}, seed ${seed}`).toContain(adversary);
        if (adversary !== prompt) figures.nasty++;
      }
      if (seed % 4 !== 0) continue;
      for (const how of ['plain', 'reduced'] as const) {
        const found = of(how);
        expect([...found.outcomes].sort(), `${how}, seed ${seed}`).toEqual([...all.outcomes].sort());
        if (how === 'reduced' && found.states < all.states) figures.reduced++;
      }
    }
    expect(figures.outcomes / PROGRAMS).toBeGreaterThan(1.5);
    expect(figures.nasty).toBeGreaterThan(PROGRAMS / 10);
    expect(figures.faults).toBeGreaterThan(PROGRAMS / 10);
  });
});
