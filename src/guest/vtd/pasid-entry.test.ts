import { describe, expect, test } from 'vitest';
import { decode } from '../../bits/index.ts';
import { DIRECTORY, RID_PASID, ScalableScene } from '../../cases/scalable-scene.ts';
import { ADDRESS, SID } from '../../cases/unit-scene.ts';
import { Instance, runPrompt } from '../../explore/index.ts';
import { PASID_TABLE_ENTRY, PROFILES } from '../../iommu/vtd/index.ts';
import type { Device, Program } from '../../machine/index.ts';
import { FIRST_STAGE, SECOND_STAGE } from './page-table.ts';
import type { PasidTranslation, TearDown } from './pasid-entry.ts';
import { pasidEntry } from './pasid-entry.ts';

const IOVA = 0x1000n;
const PAGE = 0x21d201000n;
const DID = 5;

/** Types of descriptors (VT-d 6.5.2), and their granularities where they have one. */
const PASID_CACHE_OF_PASID = '7/1';
const IOTLB_OF_DOMAIN = '2/2';
const PASID_IOTLB_OF_PASID = '6/2';

/** Runs a driver program by itself, in one second-stage or first-stage space. */
function drive(program: (scene: ScalableScene, top: bigint, nic: Device) => Program, stage = SECOND_STAGE) {
  const scene = new ScalableScene({ profile: PROFILES[0] });
  const { machine } = scene;
  const space = scene.space({ did: DID, format: stage, ptEntries: [1] });
  scene.premap(space, IOVA, PAGE);
  scene.directory('', DIRECTORY);
  scene.attach(DIRECTORY);
  scene.buffer(DID, 'P', PAGE, [0]);
  const nic = machine.device('nic', SID, DID, [IOVA]);
  machine.actor('driver', () => program(scene, space.top, nic));
  const instance = new Instance(machine);
  runPrompt(instance);
  expect(instance.hasWaiting()).toBe(false);
  const word = (addr: bigint): bigint => {
    const at = machine.memory.locate(Number(addr >> 12n), Number(addr & 0xfffn) >> 3);
    return (BigInt(machine.memory.hi(at) >>> 0) << 32n) | BigInt(machine.memory.lo(at) >>> 0);
  };
  const entry = () => Array.from({ length: 8 }, (_, i) => word(DIRECTORY.table + BigInt(8 * i)));
  /** Every other descriptor is a wait. */
  const invalidations = () =>
    Array.from({ length: 16 }, (_, i) => word(ADDRESS.queue + BigInt(32 * i)))
      .filter((_, i) => i % 2 === 0)
      .filter((lo) => lo !== 0n)
      .map((lo) => `${lo & 0xfn}/${(lo >> 4n) & 3n}`);
  return { scene, entry, invalidations };
}

const second = (top: bigint): PasidTranslation => ({ by: 'second-stage', did: DID, second: top });
const first = (top: bigint): PasidTranslation => ({ by: 'first-stage', did: DID, first: top });

describe('an entry', () => {
  test.each([
    ['first-stage', { by: 'first-stage', did: DID, first: 0x1000n }, { PGTT: 1, FSPTPTR: 0x1000n, SSPTPTR: 0n }],
    ['second-stage', { by: 'second-stage', did: DID, second: 0x2000n }, { PGTT: 2, FSPTPTR: 0n, SSPTPTR: 0x2000n }],
    [
      'nested',
      { by: 'nested', did: DID, first: 0x1000n, second: 0x2000n },
      { PGTT: 3, FSPTPTR: 0x1000n, SSPTPTR: 0x2000n },
    ],
    ['pass-through', { by: 'pass-through', did: DID }, { PGTT: 4, FSPTPTR: 0n, SSPTPTR: 0n }],
  ] as const)('%s', (_, of, expected) => {
    const entry = decode(PASID_TABLE_ENTRY, ...pasidEntry(of));
    expect(entry).toMatchObject({ P: 1, FPD: 0, AW: 2, DID, PWSNP: 1, SSADE: 0, ...expected });
  });

  test('is set up, and requests are translated by it', () => {
    for (const [stage, of] of [
      [SECOND_STAGE, second],
      [FIRST_STAGE, first],
    ] as const) {
      let status = -1;
      const { entry, invalidations } = drive(function* (scene, top, nic) {
        expect(yield* nic.dmaStatus(IOVA, 'read')).toBe(0);
        yield* scene.pasidTable({ table: DIRECTORY.table }).setUp(RID_PASID, of(top));
        status = yield* nic.dmaStatus(IOVA, 'read');
      }, stage);
      expect(status).toBe(1);
      expect(entry()).toEqual(pasidEntry(of(ADDRESS.pml4)));
      expect(invalidations()).toEqual([]);
    }
  });

  test.each(['present-first', 'zeroed-at-once'] as TearDown[])(
    'is torn down, %s: nothing is left, and what was cached is gone',
    (tearDown) => {
      for (const [stage, of, iotlb] of [
        [SECOND_STAGE, second, IOTLB_OF_DOMAIN],
        [FIRST_STAGE, first, PASID_IOTLB_OF_PASID],
      ] as const) {
        let status = -1;
        const { entry, invalidations, scene } = drive(function* (s, top, nic) {
          const entries = s.pasidTable({ table: DIRECTORY.table, tearDown });
          yield* entries.setUp(RID_PASID, of(top));
          yield* nic.dma(IOVA, 'read');
          yield* entries.tearDown(RID_PASID, of(top));
          status = yield* nic.dmaStatus(IOVA, 'read');
        }, stage);
        expect(status).toBe(0);
        expect(entry()).toEqual(new Array(8).fill(0n));
        expect(invalidations()).toEqual([PASID_CACHE_OF_PASID, iotlb]);
        expect(scene.unit.scalableCaches?.iotlb.isEmpty()).toBe(true);
        expect(scene.unit.scalableCaches?.pasid.isEmpty()).toBe(true);
      }
    },
  );

  test('gets SSADE by one store, and its PASID and its domain are invalidated', () => {
    const { entry, invalidations } = drive(function* (scene, top) {
      const entries = scene.pasidTable({ table: DIRECTORY.table });
      yield* entries.setUp(RID_PASID, second(top));
      yield* entries.enableDirty(RID_PASID, second(top));
    });
    expect(decode(PASID_TABLE_ENTRY, ...entry())).toMatchObject({ P: 1, SSADE: 1, PGTT: 2, DID });
    expect(invalidations()).toEqual([PASID_CACHE_OF_PASID, IOTLB_OF_DOMAIN]);
  });

  test('is replaced in place, with what the old one leaves invalidated', () => {
    const { entry, invalidations } = drive(function* (scene, top) {
      const entries = scene.pasidTable({ table: DIRECTORY.table });
      yield* entries.setUp(RID_PASID, first(top));
      yield* entries.replace(RID_PASID, first(top), { by: 'pass-through', did: 7 });
    }, FIRST_STAGE);
    expect(entry()).toEqual(pasidEntry({ by: 'pass-through', did: 7 }));
    expect(invalidations()).toEqual([PASID_CACHE_OF_PASID, PASID_IOTLB_OF_PASID]);
  });
});
