import { expect, test } from 'vitest';
import { Instance, runPrompt } from '../explore/index.ts';
import { ABORT_STE } from '../guest/index.ts';
import { PROFILES } from '../iommu/smmuv3/index.ts';
import { OTHER_SPACE, SmmuScene, STREAM } from './smmu-scene.ts';
import { OTHER_SMMU, SmmuUnit } from './smmu-unit.ts';

const [PROFILE] = PROFILES;
const IOVA = 0x1000n;
const PAGES = [0x21d201000n, 0x21d301000n];

test('two SMMUs in one machine: each has its own tables, queue and devices, under one StreamID', () => {
  const scene = new SmmuScene({ profile: PROFILE, several: true });
  const { machine, cpu, unit } = scene;
  const other = new SmmuUnit(machine, { profile: PROFILE, place: OTHER_SMMU, several: true });
  const l3Entries = [1];
  const spaces = [
    scene.space({ did: 1, tag: { stage: 1, asid: 1 }, name: 'the first', l3Entries }),
    scene.space({ did: 2, tag: { stage: 2, vmid: 1 }, name: 'the second', pages: OTHER_SPACE, l3Entries }),
  ];
  const units = [unit, other];
  const nics = units.map(({ smmu }, i) => {
    units[i].stream(STREAM, spaces[i].ste());
    scene.buffer(i + 1, `P${i}`, PAGES[i], [0]);
    scene.premap(spaces[i], IOVA, PAGES[i]);
    return machine.device(`nic${i}`, STREAM, i + 1, [IOVA], { translator: smmu });
  });
  const configuration = other.configuration(cpu, other.queue(cpu));
  const results = machine.word('results', 1);
  machine.actor('driver', function* () {
    for (let round = 0; round < 2; round++) {
      for (const nic of nics) {
        const status = yield* nic.dmaStatus(IOVA, 'write');
        yield {
          name: `result ${status}`,
          run: () => {
            results.value = results.value * 2 + status;
          },
        };
      }
      yield* configuration.writeSte(STREAM, ABORT_STE);
    }
  });
  const instance = new Instance(machine);
  runPrompt(instance);
  expect(instance.hasWaiting()).toBe(false);
  // The STE of one is changed; the other's device does not notice.
  expect(results.value.toString(2)).toBe('11110');
  expect(unit.smmu.caches.describe().length).toBeGreaterThan(0);
  const at = machine.memory.locate(Number(PAGES[0] >> 12n), 0);
  expect(machine.memory.lo(at)).not.toBe(0);
});

test('an SMMU without events has no queue of them', () => {
  const { cpu, queue, unit } = new SmmuScene({ profile: PROFILE });
  expect(() => unit.eventQueue(cpu, queue)).toThrow('give it events');
});
