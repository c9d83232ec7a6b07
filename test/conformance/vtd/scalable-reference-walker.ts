/**
 * A second translator for scalable mode, written plainly from the specification (revision 5.10) as a peer of the model: whole 64-bit words,
 * no cache, each stage one function. It shares nothing with the model, not even the positions of bits.
 */

export interface ScalableReference {
  readonly root: bigint;
  /** Input addresses of the second stage have this many bits at most (MGAW + 1 as CAP encodes it). */
  readonly mgaw: number;
  readonly haw: number;
  readonly sagaw: number;
  readonly sslps: number;
  readonly fs1gp: boolean;
  readonly fs5lp: boolean;
  readonly didBits: number;
  readonly zlr: boolean;
  /** ECAP: SC, PT, FSTS, SSTS, NEST, PASID, SRS, RPS, RPRIVS, SMPWCS, EAFS, SSADS by name. */
  readonly ecap: Readonly<Record<string, number>>;
  /** A 64-bit word, null where nothing answers. */
  readonly read: (addr: bigint) => bigint | null;
  readonly write: (addr: bigint, value: bigint) => void;
}

export interface Asked {
  readonly sid: number;
  /** 64 bits. */
  readonly address: bigint;
  readonly reads: boolean;
  readonly writes: boolean;
  /** A read of no byte. */
  readonly empty: boolean;
  /** −1 for a request without. */
  readonly pasid: number;
  readonly supervisor: boolean;
}

export interface Outcome {
  readonly fault: number;
  readonly recorded: boolean;
  readonly page: bigint;
  readonly pgtt: number;
}

class Fault extends Error {
  readonly reason: number;

  constructor(reason: number) {
    super();
    this.reason = reason;
  }
}

/** Table 30, column "qualified". */
const UNQUALIFIED = [0x31, 0x33, 0x34, 0x38, 0x39, 0x3a, 0x40, 0x50, 0x58];

function field(word: bigint, from: number, to = from): bigint {
  return (word >> BigInt(from)) & ((1n << BigInt(to - from + 1)) - 1n);
}

const set = (word: bigint, from: number, to = from) => field(word, from, to) !== 0n;
const inInterruptRange = (page: bigint) => page >> 20n === 0xfeen;

export function translateScalable(unit: ScalableReference, asked: Asked): Outcome {
  const { ecap, haw } = unit;
  const page = (asked.address >> 12n) << 12n;
  let fpd = false;
  let pgtt = 0;

  const must = (condition: boolean, reason: number): void => {
    if (!condition) throw new Fault(reason);
  };
  const load = (addr: bigint, reason: number): bigint => {
    const word = unit.read(addr);
    if (word === null) throw new Fault(reason);
    return word;
  };

  const run = (): bigint => {
    const dword = asked.writes && !asked.reads;
    if (asked.pasid < 0 && inInterruptRange(page)) {
      if (dword || asked.empty) return page;
      throw new Fault(0x87);
    }
    // 9.2
    const bus = BigInt(asked.sid >> 8);
    const upper = (asked.sid & 0x80) !== 0;
    const rootAt = unit.root + bus * 16n;
    const roots = [load(rootAt, 0x38), load(rootAt + 8n, 0x38)];
    const root = roots[upper ? 1 : 0] as bigint;
    must(set(root, 0), 0x39);
    must(!set(root, 1, 11) && !set(root, haw, 63), 0x3a);
    // 9.4
    const contextAt = (root & ~0xfffn) + BigInt(asked.sid & 0x7f) * 32n;
    const context = [0n, 8n].map((at) => load(contextAt + at, 0x40)) as [bigint, bigint];
    fpd = set(context[0], 1);
    must(set(context[0], 0), 0x41);
    must(!set(context[0], 2) && !set(context[0], 4, 8) && !set(context[0], haw, 63), 0x42);
    must(ecap.PASID === 1 || !set(context[0], 3), 0x42);
    must(ecap.RPS === 1 || !set(context[1], 0, 19), 0x42);
    must(ecap.RPRIVS === 1 || !set(context[1], 20), 0x42);
    must(!set(context[1], 21, 63), 0x42);
    for (const at of [16n, 24n]) must(load(contextAt + at, 0x40) === 0n, 0x42);
    const known = 1n << (field(context[0], 9, 11) + 13n);
    const ridPasid = field(context[1], 0, 19);
    must(ridPasid < known, 0x43);
    let pasid = ridPasid;
    let supervisor = set(context[1], 20);
    if (asked.pasid >= 0) {
      pasid = BigInt(asked.pasid);
      supervisor = asked.supervisor;
      must(set(context[0], 3), 0x45);
      must(pasid >> (BigInt(ecap.PSS as number) + 1n) === 0n, 0x89);
      must(pasid < known, 0x46);
      must(pasid !== ridPasid, 0x48);
    }
    // 9.5
    const directory = load((context[0] & ~0xfffn) + (pasid >> 6n) * 8n, 0x50);
    fpd ||= set(directory, 1);
    must(set(directory, 0), 0x51);
    must(!set(directory, 2, 11) && !set(directory, haw, 63), 0x52);
    // 9.6
    const entryAt = (directory & ~0xfffn) + (pasid & 63n) * 64n;
    const head = load(entryAt, 0x58);
    fpd ||= set(head, 1);
    must(set(head, 0), 0x59);
    const [, second, third, ...rest] = [0, 1, 2, 3, 4, 5, 6, 7].map((n) => load(entryAt + BigInt(8 * n), 0x58));
    const [w1, w2] = [second as bigint, third as bigint];
    must(!set(head, 5) && !set(head, 10, 11) && !set(head, haw, 63), 0x5a);
    must(ecap.SSTS === 1 || !(set(head, 2, 4) || set(head, 12, 63)), 0x5a);
    must((ecap.SSTS === 1 && ecap.SSADS === 1) || !set(head, 9), 0x5a);
    must(!set(w1, unit.didBits, 22) && !set(w1, 25, 63), 0x5a);
    must(ecap.SMPWCS === 1 || !set(w1, 23), 0x5a);
    must(ecap.SC === 1 || !set(w1, 24), 0x5a);
    must(!set(w2, 1) && !set(w2, 8, 11) && !set(w2, haw, 63), 0x5a);
    must(ecap.SRS === 1 || !set(w2, 0), 0x5a);
    must(ecap.FSTS === 1 || !(set(w2, 2, 4) || set(w2, 12, 63)), 0x5a);
    must(ecap.EAFS === 1 || !set(w2, 7), 0x5a);
    for (const word of rest) must(word === 0n, 0x5a);
    pgtt = Number(field(head, 6, 8));
    const has = [0, ecap.FSTS, ecap.SSTS, ecap.NEST, ecap.PT, 0, 0, 0][pgtt];
    must(has === 1, 0x5b);
    const aw = Number(field(head, 2, 4));
    const useSecond = pgtt === 2 || pgtt === 3;
    if (useSecond) must(((unit.sagaw >> aw) & 1) === 1, 0x5b);
    const inputBits = BigInt(Math.min(30 + 9 * aw, unit.mgaw));
    const fspm = Number(field(w2, 2, 3));
    must(fspm <= (unit.fs5lp ? 1 : 0), 0x5b);
    const firstTop = w2 & ~0xfffn;
    if (pgtt === 3) must(firstTop >> inputBits === 0n, 0x5b);
    if (supervisor) must(set(w2, 0), 0x5d);
    const snooped = ecap.SMPWCS === 1 && set(w1, 23);
    const flags2 = set(head, 9);

    // 3.9
    if (pgtt === 4) {
      must(asked.address >> BigInt(haw) === 0n, 0x83);
      must(!inInterruptRange(page), 0x87);
      return page;
    }

    /** 3.7, of a page address. `top`: reading the first table of the first stage. @returns page and rights */
    const throughSecond = (input: bigint, use: 'page' | 'table', top: boolean): { out: bigint; writable: boolean } => {
      let table = head & ~0xfffn;
      let [r, w] = [true, true];
      for (let level = aw + 2; ; level--) {
        const shift = 12 + 9 * (level - 1);
        const at = table + field(input, shift, shift + 8) * 8n;
        const entry = load(at, level === aw + 2 ? 0x7b : 0x78);
        r &&= set(entry, 0);
        w &&= set(entry, 1);
        must(r || w, 0x79);
        if (use === 'page') {
          must(!asked.writes || w, 0x85);
          must(!asked.reads || r, 0x86);
          must(!asked.empty || unit.zlr || r, 0x86);
        } else {
          must(r, top ? 0x75 : 0x76);
          must(!flags2 || w, 0x77);
        }
        const large = level > 1 && set(entry, 7);
        const size = level === 2 ? (unit.sslps & 1) !== 0 : level === 3 && (unit.sslps & 2) !== 0;
        must(!set(entry, haw, 51) && !set(entry, 62) && (!large || size), 0x7a);
        must(!large || !set(entry, 12, shift - 1), 0x7a);
        const leaf = level === 1 || large;
        must(!set(entry, 11) || (leaf && ecap.SC === 1), 0x7a);
        const frame = entry & 0xffffffffff000n;
        const out = leaf ? frame | (input & ((1n << BigInt(shift)) - 1n) & ~0xfffn) : frame;
        if (leaf && use === 'page') must(!inInterruptRange(out), 0x87);
        if (flags2) {
          const dirty = leaf && (use === 'table' || asked.writes);
          const now = entry | 0x100n | (dirty ? 0x200n : 0n);
          if (now !== entry) {
            must(snooped, 0x7c);
            unit.write(at, now);
          }
        }
        if (leaf) return { out, writable: w };
        table = frame;
      }
    };

    if (pgtt === 2) {
      must(asked.address >> inputBits === 0n, 0x84);
      return throughSecond(page, 'page', false).out;
    }

    // 3.6, 3.8
    const bits = fspm === 1 ? 57 : 48;
    must(BigInt.asUintN(64, BigInt.asIntN(bits, asked.address)) === asked.address, 0x80);
    const wpe = set(w2, 4);
    const eafe = set(w2, 7);
    let pointer = firstTop;
    for (let level = 4 + fspm; ; level--) {
      const shift = 12 + 9 * (level - 1);
      const top = level === 4 + fspm;
      const where = pgtt === 3 ? throughSecond(pointer, 'table', top) : { out: pointer, writable: true };
      const at = where.out + field(asked.address, shift, shift + 8) * 8n;
      const entry = load(at, top ? 0x73 : 0x70);
      must(set(entry, 0), 0x71);
      must(supervisor || set(entry, 2), 0x81);
      must(!asked.writes || set(entry, 1) || (supervisor && !wpe), 0x85);
      const large = level > 1 && set(entry, 7);
      must(!set(entry, haw, 51), 0x72);
      must(!large || level === 2 || (level === 3 && unit.fs1gp), 0x72);
      must(!large || !set(entry, 13, shift - 1), 0x72);
      const leaf = level === 1 || large;
      const frame = entry & 0xffffffffff000n & (leaf ? ~((1n << BigInt(shift)) - 1n) : -1n);
      if (pgtt === 3) must(frame >> inputBits === 0n, 0x74);
      const out = leaf ? frame | (asked.address & ((1n << BigInt(shift)) - 1n) & ~0xfffn) : frame;
      if (leaf && pgtt === 1) must(!inInterruptRange(out), 0x87);
      const used = 0x20n | (eafe ? 0x400n : 0n);
      const dirty = leaf && asked.writes ? 0x40n : 0n;
      if ((entry | used | dirty) !== entry) {
        must(snooped, 0x90);
        must(where.writable, 0x77);
      }
      // The dirty flag waits for the second stage, which may yet refuse the page.
      if ((entry | used) !== entry) unit.write(at, entry | used);
      if (!leaf) {
        pointer = frame;
        continue;
      }
      const result = pgtt === 3 ? throughSecond(out, 'page', false).out : out;
      const latest = load(at, 0);
      if (dirty !== 0n && (latest & dirty) === 0n) unit.write(at, latest | used | dirty);
      return result;
    }
  };

  try {
    return { fault: 0, recorded: false, page: run(), pgtt };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const { reason } = error;
    return { fault: reason, recorded: !fpd || UNQUALIFIED.includes(reason), page: 0n, pgtt };
  }
}
