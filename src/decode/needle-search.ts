/**
 * Finds any of many texts in a long one, without looking at most of its characters (Wu and Manber's algorithm): the last two characters of a window tell how
 * far it may be moved. The window is as long as the shortest text, so that none may be very short.
 */

/** Pairs of characters that are told apart. */
const PAIRS = 1 << 12;

/** Length that each text has at least: the longer, the faster. */
export const SHORTEST = 7;

export class NeedleSearch {
  readonly needles: readonly string[];
  /** Which of the needles was found last. */
  found = -1;
  private readonly span: number;
  /** By pair, how far the window may be moved. */
  private readonly shifts: Uint8Array;
  /** By pair at the end of the window, needles that may begin with it. */
  private readonly buckets: readonly (readonly number[])[];

  /** @throws RangeError where one is shorter than {@link SHORTEST} */
  constructor(needles: readonly string[]) {
    const short = needles.find(({ length }) => length < SHORTEST);
    if (short !== undefined) throw new RangeError(`'${short}' has fewer than ${SHORTEST} characters`);
    this.needles = needles;
    this.span = Math.min(255, ...needles.map(({ length }) => length));
    const { span } = this;
    this.shifts = new Uint8Array(PAIRS).fill(span - 1);
    const buckets: number[][] = Array.from({ length: PAIRS }, () => []);
    needles.forEach((needle, id) => {
      for (let end = 1; end < span; end++) {
        const pair = pairOf(needle.charCodeAt(end - 1), needle.charCodeAt(end));
        this.shifts[pair] = Math.min(this.shifts[pair], span - 1 - end);
        if (end === span - 1) buckets[pair].push(id);
      }
    });
    this.buckets = buckets;
  }

  /** Where the first needle at or behind `from` begins, and {@link found} is it; -1 if there is none. */
  next(text: string, from: number): number {
    const { buckets, needles, shifts, span } = this;
    const { length } = text;
    for (let end = from + span - 1; end < length; ) {
      const pair = pairOf(text.charCodeAt(end - 1), text.charCodeAt(end));
      const shift = shifts[pair];
      if (shift > 0) {
        end += shift;
        continue;
      }
      const start = end - span + 1;
      for (const id of buckets[pair]) {
        if (text.startsWith(needles[id], start)) {
          this.found = id;
          return start;
        }
      }
      end++;
    }
    return -1;
  }

  /** Each needle that the text has, once each, in no order. */
  all(text: string): number[] {
    const ids: number[] = [];
    for (let at = this.next(text, 0); at >= 0; at = this.next(text, at + 1)) {
      // Several may begin here: they have the end of the window in common, and so the bucket.
      const end = at + this.span - 1;
      for (const id of this.buckets[pairOf(text.charCodeAt(end - 1), text.charCodeAt(end))])
        if (text.startsWith(this.needles[id], at) && !ids.includes(id)) ids.push(id);
    }
    return ids;
  }
}

function pairOf(a: number, b: number): number {
  return ((a << 5) ^ b) & (PAIRS - 1);
}
