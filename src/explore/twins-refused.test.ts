/** What is refused where devices are declared equal, and how it is said. */
import { describe, expect, test } from 'vitest';
import { VtdScene } from '../cases/vtd-scene.ts';
import { PROFILES } from '../iommu/vtd/index.ts';
import type { Device, Program } from '../machine/index.ts';
import { Machine, operation } from '../machine/index.ts';
import type { Reduction } from './instance.ts';
import { Instance } from './instance.ts';
import { Search } from './search.ts';

const IOVA = 0x1000n;

/** All of it. @returns number of states */
function searched(machine: Machine, without: readonly Reduction[] = []): number {
  const search = new Search(new Instance(machine, { without }), { properties: [] });
  while (!search.advance(10_000)) {}
  return search.states;
}

describe('unequal devices are refused', () => {
  const scene = () => new VtdScene({ profile: PROFILES[0], pdEntries: [0], ptEntries: [1] });

  function failure(run: () => void): string {
    try {
      run();
    } catch (error) {
      return (error as Error).message;
    }
    return 'nothing was refused';
  }

  function inSearch(machine: Machine): string {
    return failure(() => searched(machine));
  }

  test('other pages, other domains, other buses, one name', () => {
    const { machine } = scene();
    const [a, b] = [machine.device('a', 0x200, 1, [IOVA]), machine.device('b', 0x201, 1, [IOVA, 0x2000n])];
    const twins = (...devices: Device[]) => failure(() => machine.twins(devices, (d) => d.issue(IOVA, 'read')));
    expect(twins(a)).toBe('twins are at least two devices');
    expect(twins(a, b)).toBe('b and a are no twins: they aim at different pages; declare both with the same');
    expect(twins(a, machine.device('c', 0x202, 2, [IOVA]))).toBe(
      'c and a are no twins: domains 2 and 1; put them into one',
    );
    expect(twins(a, machine.device('d', 0x300, 1, [IOVA]))).toBe(
      'd and a are no twins: they are on two buses; root entries are by bus',
    );
    expect(twins(a, a)).toBe('a is a twin already; name it once');
    machine.device('e', 0x207, 1, [IOVA]);
    expect(twins(a, machine.device('e', 0x203, 1, [IOVA]))).toBe(
      'e and a are no twins: another device has its name or its source id; give each its own',
    );
  });

  test('context entries that differ, or that nobody names', () => {
    const { machine, devices } = twinsOf((nic) => nic.issue(IOVA, 'read'));
    machine.poke(0x103a01000n + 16n, 0n);
    expect(devices.length).toBe(2);
    expect(inSearch(machine)).toBe(
      'nic1 and nic0 are no twins: what memory tells hardware of them differs; give them equal context entries',
    );
    const bare = scene().machine;
    bare.configured.clear();
    const pair = [0, 1].map((i) => bare.device(`nic${i}`, 0x200 + i, 1, [IOVA]));
    bare.twins(pair, (nic) => nic.issue(IOVA, 'read'));
    expect(inSearch(bare)).toBe(
      'nic1 and nic0 are no twins: nobody says by which words hardware knows them; call machine.configures()',
    );
  });

  function twinsOf(program: (nic: Device) => Program) {
    const made = scene();
    const devices = made.devices('nic', 2, [IOVA]);
    made.machine.twins(devices, program);
    return { ...made, machine: made.machine, cpu: made.cpu, devices };
  }

  test('a context entry that the driver changes', () => {
    const { machine, cpu } = twinsOf((nic) => nic.issue(IOVA, 'read'));
    machine.actor('driver', () => cpu.write64(0x103a01000n, 0n));
    expect(inSearch(machine)).toMatch(/^memory\[\d+\]\.lo is what hardware knows of a twin and may not change/);
  });

  test('two programs', () => {
    const { machine } = twinsOf((nic) => nic.issue(IOVA, nic.name === 'nic0' ? 'read' : 'write'));
    expect(inSearch(machine)).toBe(
      "nic1 and nic0 are no twins: 'nic1 DMA write 0x1000' is where 'nic0 DMA read 0x1000' is; give them one program, and no words of their own",
    );
  });

  test('a word of software for each', () => {
    const machine = new Machine();
    const devices = [0, 1].map((i) => machine.device(`nic${i}`, 0x200 + i, 1, [IOVA]));
    const words = devices.map(({ name }) => machine.word(`${name} count`));
    machine.twins(devices, (nic) => words[nic.index].set(1));
    expect(inSearch(machine)).toContain("'nic1 count = 1' is where 'nic0 count = 1' is; give them one program");
  });

  test('a driver that starts one of them', () => {
    const { machine, devices } = twinsOf((nic) => nic.issue(IOVA, 'read'));
    machine.actor('driver', () => devices[1].dma(IOVA, 'read'));
    expect(inSearch(machine)).toBe(
      "'nic1 DMA read 0x1000' is about one of several twins; only its own program may be, or declare no twins",
    );
  });

  test('a step that tells them apart, and that nobody declared', () => {
    let put = (_: number) => {};
    const { machine } = twinsOf(function* (nic) {
      const value = nic.index;
      yield* nic.issue(IOVA, 'read');
      yield* operation('note the last one', { run: () => put(value) });
    });
    const word = machine.word('last');
    put = (value) => {
      word.value = value + 1;
    };
    expect(inSearch(machine)).toBe(
      "nic1 and nic0 are no twins: 'note the last one' tells them apart; declare no twins",
    );
  });

  test('what one of them waits for, and the other does not, where nobody that waits takes a step', () => {
    const made = scene();
    const passed = made.machine.word('passed');
    made.machine.twins(made.devices('nic', 2, [IOVA]), function* (nic) {
      const waits = nic.name === 'nic1';
      const run = () => {
        passed.value++;
      };
      yield { name: 'pass', ready: () => passed.value === 0 || !waits, run };
    });
    // Once nic0 has passed, nic1 waits; nic0 would not, but the search never comes to that: it is the same state.
    const other = made.machine.word('other');
    made.machine.actor('cpu1', () => other.set(1));
    expect(inSearch(made.machine)).toBe("nic1 and nic0 are no twins: 'other = 1' tells them apart; declare no twins");
  });

  test('caches that name devices, and nobody says so', () => {
    const { machine } = twinsOf((nic) => nic.issue(IOVA, 'read'));
    const at = machine.dma.namings.findIndex(({ base }) => machine.arena.nameOf(base).startsWith('vtd.iotlb['));
    machine.dma.namings.splice(at, 1);
    expect(inSearch(machine)).toBe(
      'nic1 and nic0 are no twins: nobody says that vtd.iotlb names devices; add it to dma.namings',
    );
  });

  test('fault records that name devices, and nobody says so', () => {
    const machine = faulting();
    machine.dma.namings.pop();
    expect(inSearch(machine)).toBe("nic1 and nic0 are no twins: 'dma[0]' tells them apart; declare no twins");
    expect(inSearch(faulting())).toBe('nothing was refused');
  });

  /** Nothing is mapped, and faults are recorded. */
  function faulting(): Machine {
    const made = new VtdScene({ profile: PROFILES[0], pdEntries: [0], ptEntries: [1], recordFaults: true });
    made.machine.twins(made.devices('nic', 2, [IOVA]), (nic) => nic.issue(IOVA, 'read'));
    return made.machine;
  }

  test('but without symmetry they are two devices like others', () => {
    const { machine, devices } = twinsOf((nic) => nic.issue(IOVA, nic.name === 'nic0' ? 'read' : 'write'));
    machine.actor('driver', () => devices[1].dma(IOVA, 'read'));
    expect(searched(machine, ['symmetry'])).toBeGreaterThan(100);
  });
});
