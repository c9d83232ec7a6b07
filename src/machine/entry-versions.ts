/**
 * Entries of several words that software changes as a whole: a context entry, a PASID-table entry, an interrupt remapping entry. A mix of words
 * of two versions is not meant by anybody, and hardware that acts on one breaks I5.
 */
import type { Facts } from './facts.ts';
import { FACT } from './facts.ts';

/** Versions of one entry: halves of its words, lower first. */
interface Declared {
  readonly name: string;
  readonly pfn: number;
  readonly word: number;
  readonly versions: readonly Int32Array[];
  /** Of each version: bits that count. */
  readonly masks: readonly Int32Array[];
}

export class EntryVersions {
  private readonly facts: Facts;
  private readonly declared: Declared[] = [];

  constructor(facts: Facts) {
    this.facts = facts;
  }

  /**
   * Declares an entry and all values that it is ever meant to have. Those that are not present need not be among them: hardware does not act
   * on the rest of such a one.
   * @param addr byte address of the first of its 64-bit words. @param versions the words of each
   * @param used of each version: the bits that hardware looks at in an entry that says so, where it ignores others; all if absent
   */
  declare(
    name: string,
    addr: bigint,
    versions: readonly (readonly bigint[])[],
    used: readonly (readonly bigint[])[] = versions.map((words) => words.map(() => -1n)),
  ): void {
    if (new Set([...versions, ...used].map((words) => words.length)).size !== 1)
      throw new RangeError(`versions of ${name} differ in their number of words; give each all of them`);
    this.declared.push({
      name,
      pfn: Number(addr >> 12n),
      word: Number(addr & 0xfffn) >> 3,
      versions: versions.map((words) => Int32Array.from(words.flatMap(halvesOf))),
      masks: used.map((words) => Int32Array.from(words.flatMap(halvesOf))),
    });
  }

  /**
   * Hardware acts on an entry that is present.
   * @param word index of its first 64-bit word in the page. @param halves of its words, lower first; more may follow
   * @returns its name where these are of no version that was declared, else null
   */
  used(pfn: number, word: number, halves: Int32Array): string | null {
    for (const entry of this.declared) {
      if (entry.pfn !== pfn || entry.word !== word) continue;
      const { masks, versions } = entry;
      if (versions.some((version, v) => version.every((half, i) => ((half ^ halves[i]) & masks[v][i]) === 0))) continue;
      this.facts.bits |= FACT.tornEntry;
      return entry.name;
    }
    return null;
  }
}

function halvesOf(word: bigint): number[] {
  return [Number(BigInt.asIntN(32, word)), Number(BigInt.asIntN(32, word >> 32n))];
}
