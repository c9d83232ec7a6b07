import { expect, test } from 'vitest';
import { DIRECTORY, RID_PASID, ScalableScene } from '../../cases/scalable-scene.ts';
import { SID } from '../../cases/unit-scene.ts';
import { Instance, runPrompt } from '../../explore/index.ts';
import { PROFILES } from '../../iommu/vtd/index.ts';
import type { Device, Program } from '../../machine/index.ts';
import { DirtyTracking } from './dirty-tracking.ts';
import type { PasidTable, PasidTranslation } from './pasid-entry.ts';

const FRAMES = 0x21d200000n;
const DID = 1;
const D = 1n << 9n;

interface Parts {
  readonly tracking: DirtyTracking;
  readonly entries: PasidTable;
  readonly nic: Device;
  readonly of: PasidTranslation;
  readonly pde: () => bigint;
}

/** Runs a driver program by itself, over a page of 2 MiB of which pages 0, 1 and 3 are looked at. */
function drive(program: (parts: Parts) => Program): void {
  const scene = new ScalableScene({ profile: PROFILES[0] });
  const { machine, cpu } = scene;
  const space = scene.space({ did: DID, ptEntries: [0, 1, 3] });
  const of: PasidTranslation = { by: 'second-stage', did: DID, second: space.top };
  scene.directory('', DIRECTORY);
  scene.attach(DIRECTORY);
  scene.enter(DIRECTORY, RID_PASID, of);
  scene.premapLarge(space, 0n, FRAMES);
  for (const page of [0n, 1n, 3n]) scene.buffer(DID, `page ${page}`, FRAMES + page * 4096n, [0]);
  const nic = machine.device('nic', SID, DID, [0n, 0x1000n, 0x3000n]);
  const tracking = new DirtyTracking(machine, cpu, scene.table(space), scene.domain(space));
  const entries = scene.pasidTable({ table: DIRECTORY.table });
  const pde = () => {
    const at = machine.memory.locate(Number(space.pd >> 12n), 0);
    return (BigInt(machine.memory.hi(at) >>> 0) << 32n) | BigInt(machine.memory.lo(at) >>> 0);
  };
  machine.actor('driver', () => program({ tracking, entries, nic, of, pde }));
  const instance = new Instance(machine);
  runPrompt(instance);
  expect(instance.hasWaiting()).toBe(false);
}

test('a report has what was written since the one before, page by page after the split', () => {
  drive(function* ({ tracking, entries, nic, of }) {
    yield* entries.enableDirty(RID_PASID, of);
    expect(yield* tracking.split(0)).toBe(false);
    expect(yield* tracking.readAndClear(0, 512)).toEqual([]);
    yield* nic.dma(0x1000n, 'write');
    yield* nic.dma(0x3000n, 'write');
    yield* nic.dma(0n, 'read');
    expect((yield* tracking.readAndClear(0, 512)).map(({ pfn }) => pfn)).toEqual([1, 3]);
    yield* nic.dma(0x3000n, 'write');
    // Of a part of the range.
    expect(yield* tracking.readAndClear(0, 3)).toEqual([]);
    expect(yield* tracking.readAndClear(0, 512)).toEqual([{ pfn: 3, level: 1 }]);
    expect(yield* tracking.readAndClear(0, 512)).toEqual([]);
  });
});

test('before the split, the whole large page is reported; the split says whether it was dirty', () => {
  drive(function* ({ tracking, entries, nic, of, pde }) {
    yield* entries.enableDirty(RID_PASID, of);
    yield* nic.dma(0x1000n, 'write');
    expect(pde() & D).toBe(D);
    expect(yield* tracking.readAndClear(0, 512)).toEqual([{ pfn: 0, level: 2 }]);
    expect(pde() & D).toBe(0n);
    yield* nic.dma(0x1000n, 'write');
    expect(yield* tracking.split(1)).toBe(true);
    expect(yield* tracking.readAndClear(0, 512)).toEqual([]);
  });
});

test('without SSADE no flag is set, and a small page is not split', () => {
  drive(function* ({ tracking, nic, pde }) {
    yield* nic.dma(0n, 'write');
    expect(pde() & D).toBe(0n);
    expect(yield* tracking.split(0)).toBe(false);
  });
  expect(() =>
    drive(function* ({ tracking }) {
      yield* tracking.split(0);
      yield* tracking.split(0);
    }),
  ).toThrow('is a small one');
});
