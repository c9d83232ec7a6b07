import { describe, expect, test } from 'vitest';
import { encode64 } from '../../bits/index.ts';
import { INVARIANTS } from '../../cases/invariants.ts';
import type { SceneOptions } from '../../cases/vtd-scene.ts';
import { VtdScene } from '../../cases/vtd-scene.ts';
import { Instance, runPrompt, Search } from '../../explore/index.ts';
import { GCMD, GSTS, PROFILES } from '../../iommu/vtd/index.ts';
import type { Program } from '../../machine/index.ts';
import { maskFor } from './domain.ts';
import type { InvalidationQueue } from './invalidation.ts';
import { NewMapping } from './new-mapping.ts';
import { VERSIONS } from './versions.ts';
import { WriteBuffers } from './write-buffer.ts';

const PD = 0x1a1cacb000n;
const PT = 0x1a30a72000n;
const FRAMES = 0x21d200000n;

/** Runs a driver program by itself. @returns the 64-bit word at an address afterwards, and the machine's scene */
function drive(program: (scene: VtdScene) => Program, options: Partial<SceneOptions> = {}) {
  const scene = new VtdScene({ profile: PROFILES[0], pdEntries: [0, 1, 2], ptEntries: [0, 1, 2, 3, 511], ...options });
  scene.machine.actor('driver', () => program(scene));
  const instance = new Instance(scene.machine);
  runPrompt(instance);
  expect(instance.hasWaiting()).toBe(false);
  const word = (addr: bigint): bigint => {
    const at = scene.machine.memory.locate(Number(addr >> 12n), Number(addr & 0xfffn) >> 3);
    const { memory } = scene.machine;
    return (BigInt(memory.hi(at) >>> 0) << 32n) | BigInt(memory.lo(at) >>> 0);
  };
  const ownerOf = (addr: bigint) => scene.machine.frames.ownerOf(scene.machine.frames.find(Number(addr >> 12n)));
  return { scene, word, ownerOf };
}

describe('map', () => {
  test('small pages: tables are linked R|W, leaves are R|W|SNP', () => {
    const { word } = drive(({ domain }) => domain.map(0n, FRAMES, 0x2000n));
    expect(word(PD)).toBe(PT | 3n);
    expect([word(PT), word(PT + 8n), word(PT + 16n)]).toEqual([0x21d200803n, 0x21d201803n, 0n]);
  });

  test('an aligned 2 MiB range is one PDE with PS', () => {
    const { word } = drive(({ domain }) => domain.map(0n, FRAMES, 0x200000n));
    expect(word(PD)).toBe(0x21d200883n);
  });

  test('a range whose frame is not aligned takes small pages only', () => {
    const { word } = drive(({ domain }) => domain.map(0n, FRAMES + 0x1000n, 0x4000n));
    expect(word(PD)).toBe(PT | 3n);
    expect(word(PT)).toBe(0x21d201803n);
  });

  test('superpages, then a tail of small pages', () => {
    const { word } = drive(({ domain }) => domain.map(0n, FRAMES, 0x401000n));
    expect([word(PD), word(PD + 8n), word(PD + 16n)]).toEqual([0x21d200883n, 0x21d400883n, PT | 3n]);
    expect(word(PT)).toBe(0x21d600803n);
  });

  test("to map what is mapped is the driver's bug, and says so", () => {
    expect(() =>
      drive(function* ({ domain }) {
        yield* domain.map(0n, FRAMES, 0x1000n);
        yield* domain.map(0n, FRAMES, 0x1000n);
      }),
    ).toThrow('PTE[0] at 0x1a30a72000 is already 0x21d200803');
  });
});

describe('unmap', () => {
  test('a table that is not covered stays', () => {
    const { word, ownerOf } = drive(function* ({ domain }) {
      yield* domain.map(0n, FRAMES, 0x2000n);
      yield* domain.unmap(0n, 0x2000n);
    });
    expect([word(PD), word(PT), word(PT + 8n)]).toEqual([PT | 3n, 0n, 0n]);
    expect(ownerOf(PT)).not.toBe(0);
  });

  test('a table that is covered whole is taken out uncleared and freed after the flush', () => {
    const { word, ownerOf } = drive(function* ({ domain }) {
      yield* domain.map(0n, FRAMES + 0x1000n, 0x4000n);
      yield* domain.unmap(0n, 0x200000n);
    });
    expect(word(PD)).toBe(0n);
    expect(word(PT)).toBe(0x21d201803n);
    expect(ownerOf(PT)).toBe(0);
  });

  test('part of a superpage takes the whole of it', () => {
    const { word } = drive(function* ({ domain }) {
      yield* domain.map(0n, FRAMES, 0x200000n);
      yield* domain.unmap(0n, 0x1000n);
    });
    expect(word(PD)).toBe(0n);
  });
});

describe('split', () => {
  test.each(['bbm', 'swap'] as const)('%s: the table says in small leaves what the large one said', (order) => {
    const { word, ownerOf, scene } = drive(function* ({ domain }) {
      yield* domain.map(0n, FRAMES, 0x200000n);
      yield* domain.split(0x1000n, order);
    });
    expect(word(PD)).toBe(PT | 3n);
    expect([word(PT), word(PT + 8n), word(PT + 511n * 8n)]).toEqual([0x21d200803n, 0x21d201803n, 0x21d3ff803n]);
    expect(scene.machine.frames.owners[ownerOf(PT)].kind).toBe('table');
  });

  test('there must be a large leaf', () => {
    expect(() =>
      drive(function* ({ domain }) {
        yield* domain.map(0n, FRAMES, 0x1000n);
        yield* domain.split(0n, 'swap');
      }),
    ).toThrow('there is no 2 MiB leaf to split');
  });
});

describe('write buffers (CAP.RWBF)', () => {
  /** Whether a DMA that follows a map succeeds in every run. */
  function isVisible(required: boolean): boolean {
    const scene = new VtdScene({
      profile: PROFILES[0],
      pdEntries: [0],
      ptEntries: [0],
      machine: { coherentWalker: false },
      unit: { cap: { RWBF: 1 }, ecap: { C: 1 } },
    });
    const { machine, unit, cpu, queue } = scene;
    scene.buffer('P', FRAMES);
    const device = scene.device('nic', [0n]);
    const buffers = new WriteBuffers(unit, required, machine.word('lock'), encode64(GCMD, { TE: 1, QIE: 1 }));
    const newMapping = new NewMapping(machine, cpu, { cachingMode: false, buffers });
    const domain = scene.domainOn(cpu, queue as InvalidationQueue, newMapping);
    machine.actor('driver', function* () {
      yield* domain.map(0n, FRAMES, 0x1000n);
      yield* device.dma(0n, 'read');
    });
    const search = new Search(new Instance(machine), { properties: [INVARIANTS.I4, INVARIANTS.I9] });
    while (!search.advance(1000)) {}
    expect(search.exhausted || search.violations.length > 0).toBe(true);
    // WBF is one-shot: translation and the queue stay on.
    expect(unit.read(GSTS.offset, 4).lo >>> 0).toBe(Number(encode64(GSTS, { TES: 1, QIES: 1, RTPS: 1 })));
    return search.violations.length === 0;
  }

  test('a mapping is visible once they are flushed, whatever the CPU writes back', () => {
    expect(isVisible(true)).toBe(true);
    expect(isVisible(false)).toBe(false);
  });
});

describe('the address mask of a range', () => {
  /** Whether the block of 2^mask pages that holds `first` has every page of the range. */
  const covers = (mask: number, first: number, pages: number) =>
    Math.floor(first / 2 ** mask) === Math.floor((first + pages - 1) / 2 ** mask);

  test('shared bits cover every range, with the smallest block that does', () => {
    for (let first = 0; first < 64; first++) {
      for (let pages = 1; pages <= 64; pages++) {
        const mask = maskFor(VERSIONS.ideal, first, pages);
        expect(covers(mask, first, pages)).toBe(true);
        expect(mask === 0 || !covers(mask - 1, first, pages) || 2 ** (mask - 1) < pages).toBe(true);
      }
    }
  });

  test('rounding up misses the end of unaligned ranges: pages 3 and 4', () => {
    expect(maskFor(VERSIONS['linux-5.11'], 3, 2)).toBe(1);
    expect(covers(1, 3, 2)).toBe(false);
    expect(maskFor(VERSIONS.ideal, 3, 2)).toBe(3);
  });
});

describe('a walker that does not snoop (ECAP.C = 0)', () => {
  function mapThenDma(mutation: SceneOptions['mutation']) {
    const scene = new VtdScene({
      profile: PROFILES[0],
      pdEntries: [0],
      ptEntries: [0],
      machine: { coherentWalker: false },
      ...(mutation === undefined ? {} : { mutation }),
    });
    scene.buffer('P', FRAMES);
    const device = scene.device('nic', [0n]);
    scene.machine.actor('driver', function* () {
      yield* scene.domain.map(0n, FRAMES, 0x1000n);
      yield* device.dma(0n, 'read');
    });
    const search = new Search(new Instance(scene.machine), { properties: [INVARIANTS.I4] });
    while (!search.advance(1000)) {}
    return search;
  }

  test('with every table store written back, DMA after map succeeds', () => {
    const search = mapThenDma(undefined);
    expect(search.exhausted).toBe(true);
    expect(search.violations).toEqual([]);
  });

  test('without clflush, the walk reads what memory had before', () => {
    expect(mapThenDma({ noCacheFlush: true }).violations.map((v) => v.property)).toEqual(['I4']);
  });
});

describe('a CPU whose stores are seen late', () => {
  test.each(['tso', 'relaxed'] as const)('%s: the doorbell does not overtake the descriptors', (stores) => {
    const scene = new VtdScene({ profile: PROFILES[0], pdEntries: [0], ptEntries: [0], stores });
    scene.buffer('P', FRAMES);
    scene.premap(0n, FRAMES, 1);
    const device = scene.device('nic', [0n]);
    scene.machine.actor('driver', function* () {
      yield* scene.domain.unmap(0n, 0x1000n);
      yield* device.dma(0n, 'read');
    });
    const search = new Search(new Instance(scene.machine), { properties: [INVARIANTS.I1, INVARIANTS.I9] });
    while (!search.advance(1000)) {}
    expect(search.exhausted).toBe(true);
    expect(search.violations).toEqual([]);
  });
});
