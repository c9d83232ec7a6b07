/** `explain --walk` against the second translators of the conformance suite, on random tables of every shape. */
import { describe, expect, test } from 'vitest';
import type { WalkEnd, WalkResult, Words } from '../../src/decode/index.ts';
import { Tables, walkVtd } from '../../src/decode/index.ts';
import { bdf } from '../../src/machine/index.ts';
import type { Make } from '../conformance/vtd/random-tables.ts';
import { optionsOf, referenceOf, WORLD_FRAMES, World } from '../conformance/vtd/random-tables.ts';
import { translate } from '../conformance/vtd/reference-walker.ts';
import type { ScalableMake } from '../conformance/vtd/scalable-random.ts';
import { benchOf, ScalableWorld, referenceOf as scalableReferenceOf } from '../conformance/vtd/scalable-random.ts';
import { translateScalable } from '../conformance/vtd/scalable-reference-walker.ts';
import { Bench } from '../conformance/vtd/unit.ts';

/** Memory, as a dump of all of it would have it. */
function tablesOf(memory: Int32Array, root: bigint, scalable: boolean): Tables {
  const has = (at: bigint) => at >> 2n < BigInt(memory.length);
  const half = (at: number) => BigInt((memory[at] as number) >>> 0);
  const get = (at: bigint) => (has(at) ? (half(Number(at >> 2n) + 1) << 32n) | half(Number(at >> 2n)) : undefined);
  const words: Words = {
    ...{ has, get, size: memory.length / 2 },
    set() {
      throw new Error('a walk changes nothing');
    },
  };
  const tables = new Tables(words);
  tables.rootTables.set('dmar0', { address: root, scalable });
  return tables;
}

/** What a walk ends with, as the second translators say it. @param unreadable reasons of words that are not there */
function same(end: WalkEnd, fault: number, page: bigint, unreadable: readonly number[]): boolean {
  if (end.kind === 'fault') return end.code.value === fault;
  if (end.kind === 'missing') return unreadable.includes(fault);
  return fault === 0 && 'address' in end && end.address >> 12n === page >> 12n;
}

/** Whether an entry on the way has something that the second translators' units lack: device-TLBs, memory types, host permission tables. */
function needsMore({ steps }: WalkResult): boolean {
  return steps.some(({ structure }) =>
    structure.fields.some(
      ({ name, value }) =>
        (structure.kind === 'vtd.context' && name === 'TT' && value === 1n) ||
        (structure.kind === 'vtd.sm-context' && ['DTE', 'PRE', 'HPTE', 'EPTR'].includes(name) && value !== 0n) ||
        (structure.kind === 'vtd.pasid' && /^(CD|EMTE|PAT|HPT\w+)$/.test(name) && value !== 0n),
    ),
  );
}

/** Everything that the specification has: what an implementation lacks is not in a dump. */
const ALL: Make = { name: 'all', haw: 52, mgaw: 57, sagaw: 0b01110, sslps: 3, sc: 1, pt: 1, nd: 6, zlr: 0 };

test('legacy mode', () => {
  const bench = new Bench({ ...optionsOf(ALL), frames: WORLD_FRAMES });
  const seen = new Map<string, number>();
  for (let seed = 0; seed < 200; seed++) {
    const world = new World(seed, ALL, bench);
    const reference = referenceOf(ALL, bench, world.root);
    const tables = tablesOf(bench.ram.words.subarray(0, WORLD_FRAMES * 1024), world.root, false);
    for (let n = 0; n < 40; n++) {
      const { iova, sid } = world.request();
      // 3.15: such requests are no DMA.
      if (iova >> 20n === 0xfeen) continue;
      const result = walkVtd(tables, { address: iova, device: bdf(sid), pasid: null });
      if (needsMore(result)) continue;
      const { read, write } = result;
      for (const [end, kind] of [
        [read, 'read'],
        [write, 'write'],
      ] as const) {
        const want = translate(reference, sid, iova, kind);
        const what = `world ${seed}: ${kind} of ${bdf(sid)} at 0x${iova.toString(16)}`;
        if (!same(end, want.fault, want.page, [0x3, 0x7, 0x8, 0x9])) expect({ end, what }).toEqual(want);
        const key = end.kind === 'fault' ? end.code.value.toString(16) : end.kind;
        seen.set(key, (seen.get(key) ?? 0) + 1);
      }
    }
  }
  const often = ['page', 'passed', 'missing', '1', '2', '3', '4', '5', '6', 'a', 'b', 'c', 'e'];
  for (const key of often) expect(seen.get(key) ?? 0, `${key} came up`).toBeGreaterThan(20);
});

describe('scalable mode', () => {
  const FULL: ScalableMake = {
    ...{ name: 'all', haw: 52, sagaw: 0b01110, sslps: 3, fs1gp: 1, fs5lp: 1, nd: 6, zlr: 1, paging: 0 },
    ecap: {
      FSTS: 1,
      SSTS: 1,
      NEST: 1,
      PASID: 1,
      SRS: 1,
      RPS: 1,
      RPRIVS: 1,
      SMPWCS: 1,
      EAFS: 1,
      SSADS: 1,
      SC: 1,
      PT: 1,
      PSS: 19,
    },
  };
  test('first stage, second stage, nested, pass-through', () => {
    const bench = benchOf(FULL);
    const seen = new Map<string, number>();
    for (let seed = 0; seed < 200; seed++) {
      const world = new ScalableWorld(seed, FULL, bench);
      const { words } = bench.ram;
      // Flags that a walk sets are not kept: nothing of them is in the dump.
      const reference = { ...scalableReferenceOf(FULL, world.root, words), write: () => {} };
      const tables = tablesOf(words, world.root, true);
      for (let n = 0; n < 40; n++) {
        const { address, pasid, sid } = world.request();
        if (address >> 20n === 0xfeen) continue;
        const result = walkVtd(tables, { address, device: bdf(sid), pasid: pasid < 0 ? null : pasid });
        if (needsMore(result)) continue;
        for (const kind of ['read', 'write'] as const) {
          const asked = {
            sid,
            address,
            reads: kind === 'read',
            writes: kind === 'write',
            empty: false,
            pasid,
            supervisor: false,
          };
          const want = translateScalable(reference, asked);
          const end = result[kind];
          const what = `world ${seed}: ${kind} of ${bdf(sid)} PASID ${pasid} at 0x${address.toString(16)}`;
          // Whether a table can be written, or must be snooped, no dump tells: reasons 0x77, 0x7c, 0x90.
          if ([0x77, 0x7c, 0x90].includes(want.fault)) continue;
          if (!same(end, want.fault, want.page, [0x38, 0x40, 0x50, 0x58, 0x70, 0x73, 0x78, 0x7b]))
            expect({ end, what }).toEqual(want);
          const key = end.kind === 'fault' ? end.code.value.toString(16) : end.kind;
          seen.set(key, (seen.get(key) ?? 0) + 1);
        }
      }
    }
    const often = [
      'page',
      'passed',
      'missing',
      '39',
      '41',
      '45',
      '46',
      '51',
      '59',
      '5a',
      '5b',
      '71',
      '72',
      '79',
      '7a',
      '80',
      '81',
      '85',
      '86',
    ];
    for (const key of often) expect(seen.get(key) ?? 0, `${key} came up`).toBeGreaterThan(10);
  });
});
