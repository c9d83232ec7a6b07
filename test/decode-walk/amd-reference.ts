/** A second translator for AMD-Vi (publication 48882, 2.2.2 to 2.2.6), as plain as can be: words and shifts, and nothing of the decoder's. */

export interface AmdMachine {
  readonly words: ReadonlyMap<bigint, bigint>;
  /** Of the device table. */
  readonly base: bigint;
  /** CONTROL.GAEn. */
  readonly wide: boolean;
}

export interface AmdRequest {
  readonly device: bigint;
  readonly pasid: bigint | null;
  readonly address: bigint;
  readonly data: bigint;
  readonly write: boolean;
}

export type AmdOutcome =
  | { readonly kind: 'page' | 'passed'; readonly address: bigint }
  | { readonly kind: 'fault'; readonly event: number }
  | { readonly kind: 'interrupt'; readonly vector: bigint | null }
  | { readonly kind: 'missing' | 'refused' };

class Stop {
  readonly outcome: AmdOutcome;
  constructor(outcome: AmdOutcome) {
    this.outcome = outcome;
  }
}
const stop = (event: number): never => {
  throw new Stop({ kind: 'fault', event });
};
const ILLEGAL = 1;
const PAGE = 2;
const INVALID = 8;

const cut = (word: bigint, hi: number, lo: number) => (word >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n);
const one = (word: bigint, n: number) => ((word >> BigInt(n)) & 1n) === 1n;
const frame = (word: bigint) => cut(word, 51, 12) << 12n;

export function translateAmd({ base, wide, words }: AmdMachine, request: AmdRequest): AmdOutcome {
  const { address, data, device, pasid, write } = request;
  const load = (at: bigint): bigint => {
    const word = words.get(at);
    if (word === undefined) throw new Stop({ kind: 'missing' });
    return word;
  };
  const need = write ? 62 : 61;

  /** Version 1. @param bit of the right */
  const host = (q0: bigint, gpa: bigint, bit: number): bigint => {
    let level = one(q0, 1) ? Number(cut(q0, 11, 9)) : 0;
    if (level === 0) return gpa;
    if (gpa >> BigInt(12 + 9 * level)) stop(PAGE);
    let table = frame(q0);
    for (;;) {
      const entry = load(table + cut(gpa, 20 + 9 * (level - 1), 12 + 9 * (level - 1)) * 8n);
      if (!one(entry, 0)) stop(PAGE);
      const next = Number(cut(entry, 11, 9));
      const leaf = next === 0 || next === 7;
      if (cut(entry, 60, 52) & (leaf ? 0b001111111n : 0b111111111n)) stop(PAGE);
      if (!one(entry, bit)) stop(PAGE);
      if (leaf) {
        let size = BigInt(12 + 9 * (level - 1));
        if (next === 7) {
          size = 12n;
          while (size < 52n && one(entry, Number(size))) size++;
          size++;
        }
        const mask = (1n << size) - 1n;
        return (frame(entry) & ~mask) | (gpa & mask);
      }
      if (next >= level) stop(PAGE);
      for (let skipped = level - 1; skipped > next; skipped--)
        if (cut(gpa, 20 + 9 * (skipped - 1), 12 + 9 * (skipped - 1))) stop(PAGE);
      table = frame(entry);
      level = next;
    }
  };

  /** Version 2. */
  const guest = (q0: bigint, root: bigint, levels: number): bigint => {
    const width = 12 + 9 * levels;
    const top = address >> BigInt(width - 1);
    if (top !== 0n && top !== (1n << BigInt(65 - width)) - 1n) stop(PAGE);
    let table = root;
    for (let level = levels - 1; ; level--) {
      const shift = 12 + 9 * level;
      const entry = load(host(q0, table + cut(address, shift + 8, shift) * 8n, 61));
      if (!one(entry, 0)) stop(PAGE);
      const large = level > 0 && one(entry, 7);
      if (large && level > 2) stop(PAGE);
      if (large && cut(entry, 20, 13)) stop(PAGE);
      if (!one(entry, 2) || (write && !one(entry, 1))) stop(PAGE);
      if (level > 0 && !large) {
        table = frame(entry);
        continue;
      }
      const size = BigInt(shift);
      // Bit 12 of a large page is PAT.
      const page = large ? frame(entry) & ~0x1000n : frame(entry);
      if (page % (1n << size)) stop(PAGE);
      return page | (address & ((1n << size) - 1n));
    }
  };

  const gcr3 = (q0: bigint, q1: bigint, id: bigint): bigint => {
    const levels = Number(cut(q0, 57, 56)) + 1;
    if (levels === 4) stop(ILLEGAL);
    let table = (cut(q0, 60, 58) << 12n) | (cut(q1, 31, 16) << 15n) | (cut(q1, 63, 43) << 31n);
    if (id >> BigInt(9 * levels)) throw new Stop({ kind: 'refused' });
    for (let level = levels - 1; level >= 0; level--) {
      const entry = load(table + cut(id, 9 * level + 8, 9 * level) * 8n);
      if (!one(entry, 0)) stop(PAGE);
      if (cut(entry, 11, 1) || cut(entry, 63, 52)) stop(PAGE);
      table = frame(entry);
    }
    return table;
  };

  const interrupt = (q2: bigint): AmdOutcome => {
    if (!write) stop(INVALID);
    if (!one(q2, 0)) return { kind: 'interrupt', vector: null };
    const control = cut(q2, 61, 60);
    if (control === 0n) stop(INVALID);
    if (control === 1n) return { kind: 'interrupt', vector: null };
    if (control === 3n || cut(q2, 4, 1) > 11n) stop(ILLEGAL);
    const index = cut(data, 10, 0);
    if (index >> cut(q2, 4, 1)) stop(PAGE);
    const table = cut(q2, 51, 6) << 6n;
    if (!wide) {
      const word = load((table + index * 4n) & ~7n);
      const irte = index % 2n === 1n ? word >> 32n : word & 0xffffffffn;
      if (!one(irte, 0)) return one(irte, 1) ? { kind: 'refused' } : stop(PAGE);
      if (irte >> 24n || one(irte, 7)) stop(PAGE);
      return { kind: 'interrupt', vector: cut(irte, 23, 16) };
    }
    const [low, high] = [load(table + index * 16n), load(table + index * 16n + 8n)];
    if (!one(low, 0))
      return !one(low, 7) && one(low, 1) ? { kind: 'refused' } : one(low, 1) ? { kind: 'refused' } : stop(PAGE);
    const forGuest = one(low, 7);
    if (forGuest ? cut(low, 4, 3) || cut(high, 11, 8) || cut(high, 55, 52) : cut(low, 63, 32) || cut(high, 55, 8))
      stop(PAGE);
    return { kind: 'interrupt', vector: cut(high, 7, 0) };
  };

  try {
    const at = base + device * 32n;
    const [q0, q1, q2] = [0n, 8n, 16n, 24n].map((offset) => load(at + offset)) as [bigint, bigint, bigint, bigint];
    if (pasid === null && address >> 20n === 0xfeen) return interrupt(q2);
    if (!one(q0, 0)) return { kind: 'passed', address };
    if (cut(q0, 6, 2) || one(q0, 63)) stop(ILLEGAL);
    if (one(q0, 1) && cut(q0, 11, 9) === 7n) stop(ILLEGAL);
    const guestTables = one(q0, 1) && one(q0, 55) && (pasid !== null || one(q0, 54));
    if (!guestTables && pasid !== null) return { kind: 'refused' };
    let gpa = address;
    if (guestTables) {
      const root = gcr3(q0, q1, pasid ?? 0n);
      if (cut(q2, 55, 54) > 1n) stop(ILLEGAL);
      gpa = guest(q0, root, 4 + Number(cut(q2, 55, 54)));
    }
    if (!one(q0, need)) stop(PAGE);
    const translated = one(q0, 1) && cut(q0, 11, 9) !== 0n;
    if (!translated) return { kind: guestTables ? 'page' : 'passed', address: gpa };
    return { kind: 'page', address: host(q0, gpa, need) };
  } catch (error) {
    if (error instanceof Stop) return error.outcome;
    throw error;
  }
}
