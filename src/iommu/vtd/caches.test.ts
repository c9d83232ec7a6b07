import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Arena } from '../../machine/index.ts';
import { didOf, EVERY_PAGE, levelTag, TAG, VtdCaches } from './caches.ts';

const SIZES = { context: 4, iotlbSets: 64, iotlbWays: 4, pagingStructure: 8, pagingSets: 2 };

/** One line for each translation that the IOTLB holds: what it is for. */
function held(caches: VtdCaches): string[] {
  return caches.describe().filter((line) => line.startsWith('IOTLB'));
}

/** A translation: requester, domain, level and page. Few pages, which meet. */
const translation = fc.record({
  sid: fc.integer({ min: 0, max: 11 }).map((n) => n * 8),
  level: fc.constantFrom(1, 1, 1, 2, 3),
  vpnHi: fc.integer({ min: 0, max: 2 }),
  vpnLo: fc.integer({ min: 0, max: 70 }).chain((n) => fc.constantFrom(n, n << 9, 0x3ff00 + n)),
});

/** Domains follow from requesters, as they do where context entries do not change. */
const domainOf = (sid: number) => 1 + (sid % 3);

function fill(
  caches: VtdCaches,
  { sid, level, vpnHi, vpnLo }: { sid: number; level: number; vpnHi: number; vpnLo: number },
) {
  const tag = levelTag(level) | (3 << TAG.perms) | (domainOf(sid) << TAG.did);
  caches.fillTranslation(sid, tag, vpnHi, vpnLo, 7, 0);
}

test.each([
  ['few requesters, which are known', 4],
  ['more than are kept', 11],
])('an invalidation drops what is in its scope and nothing else: %s', (_, most) => {
  const invalidation = fc.record({
    did: fc.integer({ min: -1, max: 3 }).map((did) => (did === 0 ? -1 : did)),
    am: fc.constantFrom(0, 0, 1, 4, 5, 6, 9, 18, 19, EVERY_PAGE),
    vpnHi: fc.integer({ min: 0, max: 2 }),
    vpnLo: fc.integer({ min: 0, max: 70 }).chain((n) => fc.constantFrom(n, n << 9, 0x3ff00 + n)),
  });
  let dropped = 0;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.array(translation, { maxLength: 30 }), invalidation), { maxLength: 6 }),
      (rounds) => {
        const arena = new Arena();
        const caches = new VtdCaches(arena, SIZES, true);
        for (const [translations, { did, am, vpnHi, vpnLo }] of rounds) {
          for (const one of translations) if (one.sid <= most * 8) fill(caches, one);
          const before: number[] = [];
          for (let i = 0; i < caches.iotlb.entries; i++) if (caches.tag(caches.iotlb.at(i)) !== 0) before.push(i);
          const inScope = (i: number) => {
            const at = caches.iotlb.at(i);
            const domain = did < 0 || didOf(caches.tag(at)) === did;
            return domain && caches.isInBlock(at, am, vpnHi, vpnLo);
          };
          const kept = before.filter((i) => !inScope(i));
          caches.dropTranslations(did, am, vpnHi, vpnLo);
          const after: number[] = [];
          for (let i = 0; i < caches.iotlb.entries; i++) if (caches.tag(caches.iotlb.at(i)) !== 0) after.push(i);
          expect(after).toEqual(kept);
          dropped += before.length - after.length;
        }
      },
    ),
    { seed: 7, numRuns: 300 },
  );
  expect(dropped).toBeGreaterThan(100);
});

test('what was filled in is found, by page and by every page of a large one', () => {
  fc.assert(
    fc.property(fc.array(translation, { minLength: 1, maxLength: 3 }), (translations) => {
      const caches = new VtdCaches(new Arena(), SIZES, true);
      for (const one of translations) {
        fill(caches, one);
        const { sid, level, vpnHi, vpnLo } = one;
        const last = vpnLo | ((1 << (9 * (level - 1))) - 1);
        for (const page of [vpnLo, last]) {
          expect(caches.findTranslation(sid, vpnHi, page, 2)).toBeGreaterThanOrEqual(0);
          expect(caches.findTranslation(sid + 1, vpnHi, page, 2)).toBe(-1);
        }
        const found = caches.findTranslation(sid, vpnHi, vpnLo, 1);
        expect(caches.nthTranslation(sid, vpnHi, vpnLo, 1, 0)).toBe(found);
      }
    }),
    { seed: 7, numRuns: 300 },
  );
});

test('as many neighbouring pages as there are entries fit', () => {
  const caches = new VtdCaches(new Arena(), SIZES, true);
  for (let page = 0; page < 256; page++) fill(caches, { sid: 8, level: 1, vpnHi: 1, vpnLo: 0x100 + page });
  expect(held(caches)).toHaveLength(256);
  for (let page = 0; page < 256; page++) expect(caches.findTranslation(8, 1, 0x100 + page, 1)).toBeGreaterThan(0);
});

test('a state that was restored is the one that is looked at', () => {
  const arena = new Arena();
  const caches = new VtdCaches(arena, SIZES, true);
  const empty = arena.snapshot();
  fill(caches, { sid: 8, level: 2, vpnHi: 0, vpnLo: 0x200 });
  caches.fillContext(8, TAG.valid | (5 << TAG.did), 0, 9);
  const context = caches.findContext(8);
  const full = arena.snapshot();
  arena.restore(empty);
  expect(caches.findTranslation(8, 0, 0x201, 1)).toBe(-1);
  expect(caches.findContext(8)).toBe(-1);
  // Another unit that has seen nothing itself.
  const other = new Arena();
  const copy = new VtdCaches(other, SIZES, true);
  other.restore(full);
  expect(copy.findTranslation(8, 0, 0x201, 1)).toBeGreaterThan(0);
  expect(copy.findContext(8)).toBe(context);
  copy.dropTranslations(domainOf(8), 0, 0, 0x2ff);
  expect(held(copy)).toEqual([]);
});

test('a context entry is not taken for another requester of the same guess', () => {
  const caches = new VtdCaches(new Arena(), SIZES, true);
  for (const sid of [0x0010, 0x0135, 0x025b]) caches.fillContext(sid, TAG.valid | ((sid + 1) << TAG.did), 0, 0);
  for (let round = 0; round < 2; round++) {
    for (const sid of [0x0010, 0x0135, 0x025b]) {
      const at = caches.findContext(sid);
      expect([caches.contextSid(at), didOf(caches.tag(at))]).toEqual([sid, sid + 1]);
    }
  }
});

test('sizes that cannot be are refused', () => {
  const arena = () => new Arena();
  expect(() => new VtdCaches(arena(), { ...SIZES, iotlbSets: 3 }, true)).toThrow(/power of two/);
  expect(() => new VtdCaches(arena(), { ...SIZES, context: 0 }, true)).toThrow(RangeError);
});
