import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Arena, EventLog, RamMemory } from '../../machine/index.ts';
import { EVERY_PAGE } from './caches.ts';
import type { VtdOptions } from './core.ts';
import { Vtd } from './index.ts';

/** Register offsets and bits (VT-d 11.4), written again on purpose. */
const GCMD = 0x18;
const RTADDR = 0x20;
const PMEN = 0x64;
const TE = 2 ** 31;
const SRTP = 2 ** 30;

/** Frames: 1 the root table, 2 the context table, from 3 on paging tables; 16 and above are beyond memory. */
const FRAMES = 16;
const TABLES = 3;

/**
 * A unit, and the same one with a log, where every miss goes the long way.
 * @param log is never on: that there is one is enough
 */
function unit(memory: RamMemory, options: VtdOptions, log: EventLog | null): { vtd: Vtd; arena: Arena } {
  const arena = new Arena(1024);
  const parts = { arena, tables: memory, memory };
  const vtd = new Vtd(log === null ? parts : { ...parts, log }, options);
  for (const [offset, value] of [
    [RTADDR, 0x1000],
    [GCMD, SRTP],
    [GCMD, TE],
  ] as const) {
    vtd.write(offset, 4, value | 0, 0);
    for (const agent of vtd.agents) while (agent.choices() > 0) agent.step(0);
  }
  return { vtd, arena };
}

/** The first word in which two states differ, −1 for none. */
function differing(a: Int32Array, b: Int32Array): number {
  return a.findIndex((word, i) => word !== b[i]);
}

/** Half of them ordinary; the others with one thing or another that is not. */
const entry = fc
  .record({
    frame: fc.integer({ min: TABLES, max: FRAMES - 1 }),
    rights: fc.constantFrom(3, 3, 3, 3, 3, 3, 2, 1, 0),
    odd: fc.oneof(
      { weight: 6, arbitrary: fc.constant([0, 0]) },
      {
        weight: 4,
        arbitrary: fc.constantFrom(
          // A large page, aligned to 2 MiB, to 1 GiB, or to neither; SNP; reserved bits; the frame beyond memory, above 4 GiB, for interrupts.
          [0x00200080, 0],
          [0x40000080, 0],
          [0x80, 0],
          [0x800, 0],
          [0, 0x40000000],
          [0, 0x20000],
          [0x00800000, 0],
          [0, 1],
          [0xfee00000 | 0, 0],
          [0x7c, 0],
        ),
      },
    ),
  })
  .map(({ frame, rights, odd }) => {
    const [lo, hi] = odd as [number, number];
    // Large pages are where the odd bits say, or they would never be aligned.
    const base = (lo & 0x80) !== 0 && lo !== 0x80 ? 0 : frame << 12;
    return { lo: base | lo | rights, hi };
  });

/** Of each level's index only the last bit is used: few tables give many walks. */
const page = fc.integer({ min: 0, max: 63 }).map((bits) => ({
  vpnLo: (bits & 1) | (((bits >> 1) & 1) << 9),
  vpnHi: ((bits >> 2) & 1) | (((bits >> 3) & 1) << 9) | (bits >> 4 === 3 ? 1 << 18 : 0),
}));

const action = fc.oneof(
  { weight: 8, arbitrary: fc.record({ sid: fc.integer({ min: 0, max: 3 }), page, access: fc.constantFrom(1, 2) }) },
  { weight: 1, arbitrary: fc.record({ table: fc.integer({ min: TABLES, max: FRAMES - 1 }), index: fc.nat(1), entry }) },
  { weight: 1, arbitrary: fc.record({ drop: fc.constantFrom('context', 'pages', 'page', 'paging'), page }) },
  { weight: 1, arbitrary: fc.record({ protect: fc.nat(1) }) },
);

const context = fc.record({
  aw: fc.constantFrom(1, 2, 2, 2, 3),
  tt: fc.constantFrom(0, 0, 0, 0, 2),
  fpd: fc.nat(1),
  top: fc.integer({ min: TABLES, max: TABLES + 3 }),
});

test.each<[string, VtdOptions]>([
  ['no paging-structure caches', { caches: { pagingStructure: 0 } }],
  ['some', { caches: { pagingStructure: 4, pagingSets: 2 } }],
  ['no large pages, no SNP', { caches: { pagingStructure: 0 }, cap: { SSLPS: 0 }, ecap: { SC: 0 } }],
])('the short way of a miss and the long one: same answers, same frames, same state: %s', (_, options) => {
  let short = 0;
  let long = 0;
  fc.assert(
    fc.property(
      fc.array(context, { minLength: 4, maxLength: 4 }),
      fc.array(fc.tuple(entry, entry), { minLength: FRAMES - TABLES, maxLength: FRAMES - TABLES }),
      fc.array(action, { minLength: 20, maxLength: 60 }),
      (contexts, tables, actions) => {
        const memory = new RamMemory(FRAMES);
        const put = (frame: number, word: number, lo: number, hi: number) =>
          memory.write(memory.locate(frame, word), lo, hi);
        put(1, 0, 0x2001, 0);
        contexts.forEach(({ aw, tt, fpd, top }, sid) => {
          put(2, 2 * sid, (top << 12) | (tt << 2) | (fpd << 1) | 1, 0);
          put(2, 2 * sid + 1, aw | ((1 + (sid >> 1)) << 8), 0);
        });
        tables.forEach((pair, i) => {
          for (const [index, { lo, hi }] of pair.entries()) put(TABLES + i, index, lo, hi);
        });
        const all: VtdOptions = {
          ...options,
          cap: { SAGAW: 0b01110, MGAW: 56, PLMR: 1, PHMR: 1, ...options.cap },
          haw: 48,
          caches: { iotlbSets: 2, iotlbWays: 2, context: 3, ...options.caches },
        };
        const units = [unit(memory, all, null), unit(memory, all, new EventLog())];
        for (const act of actions) {
          const answers = units.map(({ vtd, arena }) => {
            if ('sid' in act) {
              const reason = vtd.translate(act.sid, act.page.vpnHi, act.page.vpnLo, act.access);
              return [reason, ...(reason === 0 ? [vtd.frameHi, vtd.frameLo] : [])];
            }
            if ('drop' in act) {
              const { caches } = vtd;
              if (act.drop === 'context') caches.context.dropAll();
              if (act.drop === 'pages') caches.dropTranslations(-1, EVERY_PAGE, 0, 0);
              if (act.drop === 'page') caches.dropTranslations(1, 0, act.page.vpnHi, act.page.vpnLo);
              if (act.drop === 'paging') for (const cache of caches.paging) cache.dropAll();
            }
            if ('protect' in act) {
              vtd.write(PMEN, 4, act.protect === 1 ? 1 << 31 : 0, 0);
              for (const agent of vtd.agents) while (agent.choices() > 0) agent.step(0);
            }
            return arena.words.length;
          });
          if ('table' in act) put(act.table, act.index, act.entry.lo, act.entry.hi);
          expect(answers[0]).toEqual(answers[1]);
          expect(differing(units[0].arena.words, units[1].arena.words)).toBe(-1);
          if ('sid' in act) (answers[0] as number[])[0] === 0 ? short++ : long++;
        }
      },
    ),
    { numRuns: 300, seed: 1 },
  );
  expect(short, 'translations that were granted').toBeGreaterThan(500);
  expect(long, 'and refused').toBeGreaterThan(500);
});

test('misses of the emulator go the short way: the tables say so, once the long way is closed', () => {
  const memory = new RamMemory(FRAMES);
  memory.write(memory.locate(1, 0), 0x2001, 0);
  memory.write(memory.locate(2, 0), 0x3001, 0);
  memory.write(memory.locate(2, 1), 2 | (1 << 8), 0);
  for (let table = 3; table < 7; table++) memory.write(memory.locate(table, 0), ((table + 1) << 12) | 3, 0);
  memory.write(memory.locate(6, 1), 0x9003, 0);
  const { vtd } = unit(memory, { caches: { pagingStructure: 0 } }, null);
  expect(vtd.translate(0, 0, 0, 1)).toBe(0);
  // The long way reads the entry by Walker.entry, which is closed for a moment.
  const walker = (vtd as unknown as { core: { walker: { entry: unknown } } }).core.walker;
  walker.entry = () => {
    throw new Error('the long way');
  };
  expect(vtd.translate(0, 0, 1, 2)).toBe(0);
  expect(vtd.frameLo).toBe(9);
  expect(() => vtd.translate(0, 0, 2, 2)).toThrow('the long way');
});
