import type { Mutation, VersionName } from '../guest/index.ts';
import { VERSIONS } from '../guest/index.ts';
import type { VtdProfile } from '../iommu/vtd/index.ts';
import type { Machine } from '../machine/index.ts';
import type { Setup } from './define.ts';
import type { SceneOptions } from './vtd-scene.ts';
import { VtdScene } from './vtd-scene.ts';

/**
 * Frames and sizes of the report of seed 003, scaled down: 4 small pages stand for 0xa0, one 2 MiB page for 0xc0000000. Both
 * mappings lead to the same frames, as guest memory that is mapped twice does (PTE 0x21d200803, PDE 0x21d200883).
 */
const FRAMES = 0x21d200000n;
const OTHER_FRAMES = 0x7f2a00000n;
const FOUR_PAGES = 0x4000n;
const TWO_MIB = 0x200000n;

/** Why no invalidation meets a DMA in flight. */
export const ORDERLY = 'the driver waits for each DMA before it goes on, so none is in flight when it invalidates';

export interface Loop {
  readonly profile: VtdProfile;
  readonly version: VersionName;
  readonly via: 'queue' | 'register';
  /** `stray`: DMA at any time. `orderly`: the driver starts it, and waits for it, while the page is mapped. */
  readonly device: 'stray' | 'orderly';
  readonly mutation?: Mutation;
  /** The small pages lead to other frames than the superpage, so that a stale translation shows. */
  readonly otherFrames?: boolean;
  /** An orderly device reads a page twice while it is mapped, so that the IOTLB is used. */
  readonly readsAgain?: boolean;
  /** DMAs of a stray device, each with a slot of its own; 2 if absent. */
  readonly dmas?: number;
}

/**
 * The loop of Longpeng's report: map small pages at 0, DMA, unmap them, map a superpage at 0 instead. PD[0] goes
 * 0x1a30a72003 → 0 → 0x21d200883.
 */
export function mergeLoop(loop: Loop): Machine {
  const options: SceneOptions = {
    profile: loop.profile,
    version: VERSIONS[loop.version],
    via: loop.via,
    recordFaults: loop.device === 'orderly',
    pdEntries: [0],
    machine: { dmaSlots: loop.dmas ?? 2 },
  };
  const scene = new VtdScene(loop.mutation === undefined ? options : { ...options, mutation: loop.mutation });
  const { machine, domain } = scene;
  const small = loop.otherFrames === true ? OTHER_FRAMES : FRAMES;
  for (let i = 0n; i < 4n; i++) scene.buffer(`page ${i}`, FRAMES + i * 0x1000n);
  if (small !== FRAMES) for (let i = 0n; i < 4n; i++) scene.buffer(`small page ${i}`, small + i * 0x1000n);
  const device = scene.device('vfio-pci', [0n, 0x1000n]);
  const orderly = loop.device === 'orderly';
  if (!orderly) device.stray([0n], 'read', loop.dmas ?? 2);

  machine.actor('driver', function* () {
    yield* domain.map(0n, small, FOUR_PAGES);
    if (orderly) {
      yield* device.dma(0n, 'read');
      yield* device.dma(0x1000n, 'read');
      if (loop.readsAgain === true) yield* device.dma(0n, 'read');
    }
    yield* domain.unmap(0n, FOUR_PAGES);
    yield* domain.map(0n, FRAMES, TWO_MIB);
    if (orderly) yield* device.dma(0n, 'read');
  });
  return machine;
}

/** The profile without what an IOTLB-only model lacks. */
export function iotlbOnly(profile: VtdProfile): VtdProfile {
  return { ...profile, pagingStructureCaches: false };
}

/** Rules that an orderly device gives no occasion for, and why. */
export const UNFIRED_ORDERLY = { 'invalidation.overtake': ORDERLY, 'invalidation.held': ORDERLY } as const;

/** The mutants of these cases. */
const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'no-superpage-flush': { noSuperpageFlush: true },
  'no-unmap-flush': { noUnmapFlush: true },
  'no-flush': { noUnmapFlush: true, noSuperpageFlush: true },
  'hint-set': { hint: true },
};

/** The mutation of the setup's mutant, if it is one of the driver's. */
export function mutationOf(setup: Setup): { mutation?: Mutation } {
  const mutation = setup.mutant === null ? undefined : MUTATIONS[setup.mutant];
  return mutation === undefined ? {} : { mutation };
}

/**
 * The two variants of vtd-merge-psc. Each kernel over the interface on which it really sends IH = 1 when the unmap freed no table: 5.11 by registers
 * (in its queue the hint was lost), 6.12.117 by the queue (in its registers the hint lands in the address mask).
 */
export function mergePsc(setup: Setup): Pick<Loop, 'version' | 'via' | 'device' | 'mutation'> {
  const { variant } = setup;
  const kernel =
    variant === 'buggy'
      ? ({ version: 'linux-5.11', via: 'register' } as const)
      : ({ version: 'linux-6.12.117', via: 'queue' } as const);
  return { device: 'orderly', ...kernel, ...mutationOf(setup) };
}
