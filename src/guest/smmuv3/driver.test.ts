/** Driver code against the SMMU: what it writes is what hardware reads, and what it invalidates is gone. */
import { describe, expect, test } from 'vitest';
import type { SmmuSpaceOptions } from '../../cases/smmu-scene.ts';
import { SmmuScene, STREAM } from '../../cases/smmu-scene.ts';
import { Instance, runPrompt } from '../../explore/index.ts';
import { EVENT, PROFILES } from '../../iommu/smmuv3/index.ts';
import type { Device, Program } from '../../machine/index.ts';
import { ABORT_STE, BYPASS_STE } from './ste.ts';

const DID = 1;
const IOVA = 0x1000n;
const PAGE = 0x21d201000n;
const BLOCK = 0x21d200000n;
const TAGS = { 'stage 1': { stage: 1, asid: 7 }, 'stage 2': { stage: 2, vmid: 3 } } as const;

/** Runs driver code. @returns whether each DMA of it succeeded, in order */
function drive(
  tag: SmmuSpaceOptions['tag'],
  program: (parts: { scene: SmmuScene; nic: Device; tell: (status: number) => Program } & Domain) => Program,
) {
  const scene = new SmmuScene({ profile: PROFILES[0] });
  const { machine, unit } = scene;
  const space = scene.space({ did: DID, tag, l2Entries: [0, 1], l3Entries: [0, 1, 2, 511] });
  unit.stream(STREAM, ABORT_STE);
  scene.buffer(DID, 'P', PAGE);
  scene.buffer(DID, 'first page of the block', BLOCK);
  const nic = machine.device('nic', STREAM, DID, [0n, IOVA]);
  const told = machine.word('what became of DMA', 1);
  const tell = function* (status: number): Program {
    yield {
      name: `tell ${status}`,
      run: () => {
        told.value = told.value * 2 + status;
      },
    };
  };
  const configuration = unit.configuration(scene.cpu, scene.queue);
  machine.actor('driver', () => program({ scene, nic, tell, domain: scene.domain(space), space, configuration }));
  const instance = new Instance(machine);
  runPrompt(instance);
  expect(instance.hasWaiting()).toBe(false);
  return { told: told.value.toString(2).slice(1), scene };
}

type Domain = {
  domain: ReturnType<SmmuScene['domain']>;
  space: ReturnType<SmmuScene['space']>;
  configuration: ReturnType<SmmuScene['unit']['configuration']>;
};

describe.each(Object.entries(TAGS))('%s', (_, tag) => {
  test('attach, map, unmap: DMA succeeds while the page is mapped, and reaches it', () => {
    const { told, scene } = drive(tag, function* ({ nic, tell, domain, space, configuration }) {
      yield* tell(yield* nic.dmaStatus(IOVA, 'read'));
      yield* configuration.writeSte(STREAM, space.ste());
      yield* tell(yield* nic.dmaStatus(IOVA, 'read'));
      yield* domain.map(IOVA, PAGE, 0x1000n);
      yield* tell(yield* nic.dmaStatus(IOVA, 'write'));
      yield* domain.unmap(IOVA, 0x1000n);
      yield* tell(yield* nic.dmaStatus(IOVA, 'write'));
      yield* configuration.writeSte(STREAM, ABORT_STE);
      yield* tell(yield* nic.dmaStatus(IOVA, 'read'));
    });
    expect(told).toBe('00100');
    expect(scene.unit.smmu.caches.describe().some((line) => line.includes('0x21d201000'))).toBe(false);
  });

  test('a block, split in each way, and unmapped', () => {
    for (const order of ['bbm', 'swap', 'nt'] as const) {
      const { told } = drive(tag, function* ({ nic, tell, domain, space, configuration }) {
        yield* configuration.writeSte(STREAM, space.ste());
        yield* domain.map(0n, BLOCK, 0x200000n);
        yield* tell(yield* nic.dmaStatus(IOVA, 'read'));
        yield* domain.split(0n, order);
        yield* tell(yield* nic.dmaStatus(IOVA, 'read'));
        yield* domain.unmap(0n, 0x1000n);
        yield* tell(yield* nic.dmaStatus(0n, 'read'));
        yield* tell(yield* nic.dmaStatus(IOVA, 'read'));
      });
      expect(`${order} ${told}`).toBe(`${order} 1101`);
    }
  });
});

test('from bypass into a domain and back, by hitless changes', () => {
  const { told } = drive(TAGS['stage 2'], function* ({ nic, tell, domain, space, configuration }) {
    yield* configuration.writeSte(STREAM, BYPASS_STE);
    yield* tell(yield* nic.dmaStatus(IOVA, 'read'));
    yield* domain.map(IOVA, PAGE, 0x1000n);
    yield* configuration.writeSte(STREAM, space.ste());
    yield* tell(yield* nic.dmaStatus(IOVA, 'read'));
    yield* configuration.writeSte(STREAM, BYPASS_STE);
    yield* tell(yield* nic.dmaStatus(IOVA, 'read'));
  });
  // Where it bypasses, 0x1000 is no memory of this machine.
  expect(told).toBe('010');
  expect(EVENT.F_TRANSLATION).toBe(0x10);
});
