import { expect, test } from 'vitest';
import { EntryVersions } from './entry-versions.ts';
import { FACT, Facts } from './facts.ts';

const [PFN, AT] = [0x80000, 0x80000040n];
const OLD = [0x11n, 0x22n];
const NEW = [0x1_0000_0011n, 0x33n];

/** Halves of two words of 64 bits. */
const halves = (...words: bigint[]) =>
  Int32Array.from(words.flatMap((word) => [Number(BigInt.asIntN(32, word)), Number(BigInt.asIntN(32, word >> 32n))]));

/** What is said of an entry that hardware acts on, and whether it is a fact. */
function used(versions: EntryVersions, facts: Facts, ...words: bigint[]) {
  facts.bits = 0;
  return [versions.used(PFN, 8, halves(...words)), (facts.bits & FACT.tornEntry) !== 0];
}

test('each version is itself; a mix of two is torn', () => {
  const facts = new Facts();
  const versions = new EntryVersions(facts);
  versions.declare('the entry', AT, [OLD, NEW]);
  expect(used(versions, facts, ...OLD)).toEqual([null, false]);
  expect(used(versions, facts, ...NEW)).toEqual([null, false]);
  expect(used(versions, facts, NEW[0], OLD[1])).toEqual(['the entry', true]);
  // Another entry of the page is nobody's.
  expect(versions.used(PFN, 16, halves(NEW[0], OLD[1]))).toBeNull();
});

test('bits that hardware ignores in a version may be anything, in that version alone', () => {
  const facts = new Facts();
  const versions = new EntryVersions(facts);
  const all = 0xffff_ffff_ffff_ffffn;
  // In the old one the second word is ignored.
  versions.declare(
    'the entry',
    AT,
    [OLD, NEW],
    [
      [all, 0n],
      [all, all],
    ],
  );
  expect(used(versions, facts, OLD[0], 0x99n)).toEqual([null, false]);
  expect(used(versions, facts, NEW[0], 0x99n)).toEqual(['the entry', true]);
  expect(() => versions.declare('the entry', AT, [OLD, NEW], [[all], [all]])).toThrow(
    'differ in their number of words',
  );
});
