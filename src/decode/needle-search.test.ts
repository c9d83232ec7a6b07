import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LINE_FORMATS } from './formats.ts';
import { NeedleSearch, SHORTEST } from './needle-search.ts';

/** Few characters, so that needles overlap, contain one another, and nearly match. */
const word = (min: number, max: number) =>
  fc.string({ unit: fc.constantFrom('a', 'b', ' '), minLength: min, maxLength: max });

test('finds what includes() finds, and where indexOf() does', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(word(SHORTEST, 10), { minLength: 1, maxLength: 12 }),
      word(0, 200),
      fc.nat(50),
      (needles, text, from) => {
        const search = new NeedleSearch(needles);
        const places = needles.map((needle) => text.indexOf(needle, from)).filter((at) => at >= 0);
        const at = search.next(text, from);
        expect(at).toBe(places.length === 0 ? -1 : Math.min(...places));
        if (at >= 0) expect(text.startsWith(needles[search.found] as string, at)).toBe(true);
        const all = needles.flatMap((needle, id) => (text.includes(needle) ? [id] : []));
        expect(search.all(text).sort((a, b) => a - b)).toEqual(all);
      },
    ),
    { numRuns: 2000 },
  );
});

test('each format is found among all others, amid a text, and at its end', () => {
  const needles = [...new Set(LINE_FORMATS.map(({ needle }) => needle))];
  const search = new NeedleSearch(needles);
  for (const needle of needles) {
    expect(search.next(`${'x'.repeat(100)}${needle}yyy`, 0), needle).toBe(100);
    expect(search.next(`${'\u{1f600}'.repeat(10)}${needle}`, 0), needle).toBe(20);
  }
});

test('one that is too short is refused', () => {
  expect(() => new NeedleSearch(['vtd_'])).toThrow(RangeError);
});
