/**
 * A second translator for an SMMUv3 (IHI 0070, 3.3, 3.4, 5.1 – 5.5; DDI 0487, D8), as plain as can be: words and shifts, and nothing of the decoder's.
 * Non-secure, VMSAv8-64 without LPA2, unprivileged data.
 */

export interface SmmuMachine {
  readonly words: ReadonlyMap<bigint, bigint>;
  readonly base: bigint;
  readonly cfg: bigint;
  /** CR2.E2H. */
  readonly e2h: boolean;
}

export interface SmmuRequest {
  readonly stream: bigint;
  readonly substream: bigint | null;
  readonly address: bigint;
  readonly write: boolean;
}

export type SmmuOutcome =
  | { readonly kind: 'page' | 'passed'; readonly address: bigint }
  | { readonly kind: 'fault'; readonly event: number }
  | { readonly kind: 'missing' | 'refused' | 'not walked' };

class Stop {
  readonly outcome: SmmuOutcome;
  constructor(outcome: SmmuOutcome) {
    this.outcome = outcome;
  }
}
const stop = (event: number): never => {
  throw new Stop({ kind: 'fault', event });
};
const notWalked = (wrong: boolean) => {
  if (wrong) throw new Stop({ kind: 'not walked' });
};

const cut = (word: bigint, hi: number, lo: number) => (word >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n);
const num = (word: bigint, hi: number, lo: number) => Number(cut(word, hi, lo));
const one = (word: bigint, n: number) => ((word >> BigInt(n)) & 1n) === 1n;
const low = (address: bigint, bits: number) => address - (address % (1n << BigInt(bits)));
const PAGES = [12, 16, 14];
const SIZES = [32, 36, 40, 42, 44, 48, 52, 52];

/** A walk of one stage. */
interface Walk {
  readonly page: number;
  readonly table: bigint;
  readonly level: number;
  readonly width: number;
  readonly out: number;
  readonly big: boolean;
  readonly place: (at: bigint, write: boolean) => bigint;
  /** Whether the leaf may be used; true where the unit writes it back. */
  readonly leaf: (word: bigint) => boolean;
  readonly table2?: (word: bigint) => void;
}

export function translateSmmu({ base, cfg, e2h, words }: SmmuMachine, request: SmmuRequest): SmmuOutcome {
  const { address, stream, substream, write } = request;
  const load = (at: bigint, big = false): bigint => {
    const word = words.get(at);
    if (word === undefined) throw new Stop({ kind: 'missing' });
    if (!big) return word;
    return BigInt(`0x${(word.toString(16).padStart(16, '0').match(/../g) as string[]).reverse().join('')}`);
  };

  const walk = (
    key: bigint,
    { big, leaf, level: first, out, page, place, table: top, table2, width }: Walk,
  ): bigint => {
    let table = top;
    for (let level = first; ; level++) {
      const shift = page + (page - 3) * (3 - level);
      const high = level === first ? width - 1 : shift + page - 4;
      const at = table + 8n * cut(key, high, shift);
      const word = load(place(at, false), big);
      if (!one(word, 0)) stop(0x10);
      const isTable = level < 3 && one(word, 1);
      const isLeaf = level === 3 ? one(word, 1) : !isTable;
      // Blocks: 1 GiB and 2 MiB; 32 MiB; 4 TiB (52 bits) and 512 MiB.
      if (!isTable && (!isLeaf || (level < 3 && level < (page === 14 ? 2 : 1)))) stop(0x10);
      const offset = isTable ? page : shift;
      let output = low(cut(word, 47, 0), offset);
      if (page === 16) output |= cut(word, 15, 12) << 48n;
      if (output >> BigInt(out)) stop(0x11);
      if (isTable) {
        table2?.(word);
        table = output;
        continue;
      }
      if (leaf(word)) place(at, true);
      return output | cut(key, shift - 1, 0);
    }
  };

  const secondOf = (ste: bigint[]) => {
    const [, , two, three] = ste as [bigint, bigint, bigint, bigint];
    notWalked(!one(two, 51) || one(three, 3) || one(two, 60));
    const page = PAGES[num(two, 47, 46)];
    if (page === undefined) return stop(4);
    const size = num(two, 37, 32);
    if (size < (page === 16 ? 12 : 16) || size > (page === 16 ? 47 : 48)) stop(4);
    const sl0 = num(two, 39, 38);
    const level = page === 12 ? [2, 1, 0, 3][sl0] : [3, 2, 1][sl0];
    if (level === undefined) return stop(4);
    const width = 64 - size;
    const shift = page + (page - 3) * (3 - level);
    if (width <= shift || width > shift + page - 3 + 4) stop(4);
    const out = Math.min(SIZES[num(two, 50, 48)] as number, page === 16 ? 52 : 48);
    const ttb = cut(three, 55, 4) << 4n;
    if (ttb >> BigInt(out)) stop(4);
    return {
      ...{ page, level, width, out, table: low(ttb, width - shift + 3), big: one(two, 52) },
      ...{ affd: one(two, 53), ptw: one(two, 54), hd: one(two, 55), ha: one(two, 56), fwb: one(ste[1] as bigint, 25) },
    };
  };

  type Second = Exclude<ReturnType<typeof secondOf>, undefined>;

  const second = (s2: Second | null, ipa: bigint, writes: boolean, own: boolean): bigint => {
    if (s2 === null) return ipa;
    if (ipa >> BigInt(s2.width)) stop(0x10);
    return walk(ipa, {
      ...s2,
      place: (at) => at,
      leaf(word) {
        if (!one(word, 10) && !s2.affd && !s2.ha) stop(0x12);
        if (!writes && !one(word, 6)) stop(0x13);
        if (writes && !one(word, 7) && !(s2.hd && s2.ha && one(word, 51))) stop(0x13);
        if (own && s2.ptw && !s2.fwb && num(word, 5, 2) < 4) stop(0x13);
        return false;
      },
    });
  };

  const first = (cd: bigint[], s2: Second | null, two: boolean, privileged: boolean): bigint => {
    const [zero, ttb0, ttb1] = cd as [bigint, bigint, bigint];
    if (!one(zero, 31)) stop(0xa);
    notWalked(!one(zero, 41) || one(ttb1, 58) || one(ttb1, 59));
    const half = (n: number) => {
      const at = 16 * n;
      if (one(zero, n === 0 ? 14 : 30)) return null;
      const tg = num(zero, n === 0 ? 7 : 23, n === 0 ? 6 : 22);
      const page = n === 0 ? PAGES[tg] : [undefined, 14, 12, 16][tg];
      const size = num(zero, at + 5, at);
      if (page === undefined) return stop(0xa);
      if (size < (page === 16 ? 12 : 16) || size > (page === 16 ? 47 : 48)) stop(0xa);
      const out = Math.min(SIZES[num(zero, 34, 32)] as number, page === 16 ? 52 : 48);
      const ttb = cut(n === 0 ? ttb0 : ttb1, 55, 4) << 4n;
      if (ttb >> BigInt(out)) stop(0xa);
      return { page, width: 64 - size, out, ttb };
    };
    const halves = [half(0), two ? half(1) : null];
    const n = two && one(address, 55) ? 1 : 0;
    const chosen = halves[n];
    if (chosen == null) return stop(0x10);
    const { out, page, ttb, width } = chosen;
    const own = n === 0 ? ttb0 : ttb1;
    if (two && !privileged && one(own, 2)) stop(0x10);
    const tbi = one(zero, 38 + n);
    for (let bit = width; bit < (tbi ? 56 : 64); bit++) if (one(address, bit) !== (n === 1)) stop(0x10);
    let level = 3;
    while (page + (page - 3) * (4 - level) < width) level--;
    const shift = page + (page - 3) * (3 - level);
    let [noUser, readOnly] = [false, false];
    const ipa = walk(cut(address, width - 1, 0), {
      ...{ page, level, width, out, table: low(ttb, width - shift + 3), big: one(zero, 15) },
      place: (at, writes) => second(s2, at, writes, true),
      table2(word) {
        if (one(own, 1)) return;
        noUser ||= one(word, 61);
        readOnly ||= one(word, 62);
      },
      leaf(word) {
        let back = false;
        if (!one(word, 10)) {
          if (one(zero, 43)) back = true;
          else if (!one(zero, 35)) stop(0x12);
        }
        const user = one(word, 6) && !noUser;
        if (two && !privileged && !user) stop(0x13);
        if (two && privileged && user && one(zero, 40)) stop(0x13);
        if (!write) return back;
        if (readOnly) stop(0x13);
        if (!one(word, 7)) return back;
        if (!(one(zero, 42) && one(zero, 43) && one(word, 51))) stop(0x13);
        return true;
      },
    });
    return second(s2, ipa, write, false);
  };

  const entry = (): bigint[] => {
    const size = num(cfg, 5, 0);
    if (stream >> BigInt(size)) stop(2);
    const eight = (at: bigint) => Array.from({ length: 8 }, (_, i) => load(at + 8n * BigInt(i)));
    const table = cut(base, 55, 6) << 6n;
    if (cut(cfg, 17, 16) === 0n) return eight(low(table, size + 6) + stream * 64n);
    const split = [6, 8, 10].includes(num(cfg, 10, 6)) ? num(cfg, 10, 6) : 6;
    const level1 = load(low(table, Math.max(5, size - split - 1 + 3) + 1) + (stream >> BigInt(split)) * 8n);
    const span = num(level1, 4, 0);
    if (span === 0 || span > 11) stop(2);
    const rest = cut(stream, split - 1, 0);
    if (rest >> BigInt(span - 1)) stop(2);
    return eight(low(cut(level1, 55, 6) << 6n, 6 + span - 1) + rest * 64n);
  };

  const context = (ste: bigint[], s2: Second | null, id: bigint): bigint[] => {
    const [zero] = ste as [bigint];
    const table = cut(zero, 55, 6) << 6n;
    const format = cut(zero, 63, 59) === 0n ? 0 : num(zero, 5, 4);
    let at = table + id * 64n;
    if (format > 0) {
      const split = format === 1 ? 6 : 10;
      const level1 = load(second(s2, table + (id >> BigInt(split)) * 8n, false, true));
      if (!one(level1, 0)) stop(8);
      at = low(cut(level1, 55, 12) << 12n, split + 6) + cut(id, split - 1, 0) * 64n;
    }
    const from = second(s2, at, false, true);
    return Array.from({ length: 8 }, (_, i) => load(from + 8n * BigInt(i)));
  };

  try {
    const ste = entry();
    const [zero, word1] = ste as [bigint, bigint];
    if (!one(zero, 0)) stop(4);
    const config = num(zero, 3, 1);
    if (config < 4) return { kind: 'refused' };
    const s2 = config >= 6 ? secondOf(ste) : null;
    const past = (): SmmuOutcome =>
      s2 === null ? { kind: 'passed', address } : { kind: 'page', address: second(s2, address, write, false) };
    if (config % 2 === 0) {
      if (substream !== null) stop(8);
      return past();
    }
    const most = num(zero, 63, 59);
    const dss = num(word1, 1, 0);
    if (most > 0 && (num(zero, 5, 4) === 3 || dss === 3)) stop(4);
    if (substream !== null && (most === 0 || substream >> BigInt(most))) stop(8);
    if (most > 0 && substream === null && dss === 0) stop(6);
    if (most > 0 && substream === null && dss === 1) return past();
    if (most > 0 && substream === 0n && dss === 2) stop(6);
    const cd = context(ste, s2, substream ?? 0n);
    const world = config === 5 ? num(word1, 31, 30) : 0;
    const two = world === 0 || (world === 2 && e2h);
    return { kind: 'page', address: first(cd, s2, two, num(word1, 49, 48) === 3) };
  } catch (error) {
    if (error instanceof Stop) return error.outcome;
    throw error;
  }
}
