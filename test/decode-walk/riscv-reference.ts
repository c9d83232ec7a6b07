/**
 * A second translator for the RISC-V IOMMU (specification 1.0.1, 2.3; Privileged architecture, 10.3.2 and 15.5), as plain as can be: words and shifts, and
 * nothing of the decoder's. Of a unit that has every capability, with fctl.BE = 0.
 */

export interface RiscvMachine {
  readonly words: ReadonlyMap<bigint, bigint>;
  readonly ddtp: bigint;
  /** Contexts of 64 bytes. */
  readonly extended: boolean;
  readonly gxl: boolean;
}

export type Outcome =
  | { readonly kind: 'page' | 'passed'; readonly address: bigint }
  | { readonly kind: 'fault'; readonly cause: number }
  | { readonly kind: 'missing' | 'interrupt' };

class Stop {
  readonly outcome: Outcome;
  constructor(outcome: Outcome) {
    this.outcome = outcome;
  }
}
const stop = (cause: number): never => {
  throw new Stop({ kind: 'fault', cause });
};

const cut = (word: bigint, hi: number, lo: number) => (word >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n);
const one = (word: bigint, n: number) => ((word >> BigInt(n)) & 1n) === 1n;
const page = (ppn: bigint) => ppn << 12n;

export function translateRiscv(
  machine: RiscvMachine,
  device: bigint,
  process: bigint | null,
  iova: bigint,
  write: boolean,
): Outcome {
  try {
    return new Run(machine, write).run(device, process, iova);
  } catch (error) {
    if (error instanceof Stop) return error.outcome;
    throw error;
  }
}

class Run {
  private readonly m: RiscvMachine;
  private readonly write: boolean;
  private gade = false;
  private sade = false;
  private sbe = false;
  private sxl = false;
  private iohgatp = 0n;

  constructor(machine: RiscvMachine, write: boolean) {
    this.m = machine;
    this.write = write;
  }

  /** @param guest of the first stage or of the process directory: SBE says its byte order */
  private load(at: bigint, bytes = 8, guest = false): bigint {
    const word = this.raw(at, bytes);
    if (!guest || !this.sbe) return word;
    const digits = word.toString(16).padStart(2 * bytes, '0');
    return BigInt(`0x${(digits.match(/../g) as string[]).reverse().join('')}`);
  }

  private raw(at: bigint, bytes: number): bigint {
    const word = this.m.words.get(at - (at % 8n));
    if (word === undefined) throw new Stop({ kind: 'missing' });
    if (bytes === 8) return word;
    return at % 8n === 4n ? word >> 32n : word & 0xffffffffn;
  }

  run(device: bigint, process: bigint | null, iova: bigint): Outcome {
    const mode = this.m.ddtp & 15n;
    if (mode === 0n) stop(256);
    if (mode === 1n) return { kind: 'passed', address: iova };
    const dc = this.deviceContext(device, Number(mode) - 1);
    const [tc, iohgatp, ta, fsc] = dc as [bigint, bigint, bigint, bigint];
    this.gade = one(tc, 7);
    this.sade = one(tc, 8);
    this.sbe = one(tc, 10);
    this.sxl = one(tc, 11);
    this.iohgatp = iohgatp;
    this.checkContext(dc, tc, iohgatp, ta, fsc);
    const pdtv = one(tc, 5);
    const pdMode = Number(fsc >> 60n);
    if (process !== null && !pdtv) stop(260);
    if (process !== null && pdtv && pdMode !== 0 && process >= [0n, 256n, 1n << 17n, 1n << 20n][pdMode]) stop(260);
    let iosatp = fsc;
    if (pdtv) {
      const wanted = process ?? (one(tc, 9) ? 0n : null);
      iosatp = wanted === null || pdMode === 0 ? 0n : this.processContext(cut(fsc, 43, 0), pdMode, wanted);
    }
    return this.twoStages(iosatp, iova, dc);
  }

  private deviceContext(device: bigint, levels: number): bigint[] {
    const size = this.m.extended ? 64n : 32n;
    const index = this.m.extended
      ? [cut(device, 5, 0), cut(device, 14, 6), cut(device, 23, 15)]
      : [cut(device, 6, 0), cut(device, 15, 7), cut(device, 23, 16)];
    if (device >> 24n) stop(260);
    if (levels < 3 && index[2]) stop(260);
    if (levels < 2 && index[1]) stop(260);
    let a = page(cut(this.m.ddtp, 53, 10));
    for (let i = levels - 1; i > 0; i--) {
      const ddte = this.load(a + (index[i] as bigint) * 8n);
      if (!one(ddte, 0)) stop(258);
      if (cut(ddte, 9, 1) || cut(ddte, 63, 54)) stop(259);
      a = page(cut(ddte, 53, 10));
    }
    const at = a + (index[0] as bigint) * size;
    const dc = Array.from({ length: Number(size / 8n) }, (_, i) => this.load(at + 8n * BigInt(i)));
    if (!one(dc[0] as bigint, 0)) stop(258);
    return dc;
  }

  private checkContext(dc: bigint[], tc: bigint, iohgatp: bigint, ta: bigint, fsc: bigint): void {
    const bad = (wrong: boolean) => {
      if (wrong) stop(259);
    };
    bad(cut(tc, 23, 12) !== 0n || cut(tc, 63, 32) !== 0n);
    bad(cut(ta, 11, 0) !== 0n || cut(ta, 39, 32) !== 0n);
    bad(cut(fsc, 59, 44) !== 0n);
    if (this.m.extended) {
      const [, , , , msiptp, mask, pattern, last] = dc as bigint[];
      bad(cut(msiptp as bigint, 59, 44) !== 0n || (msiptp as bigint) >> 60n > 1n);
      bad((mask as bigint) >> 52n !== 0n || (pattern as bigint) >> 52n !== 0n || last !== 0n);
    }
    const [ats, pri, t2gpa, pdtv, prpr] = [one(tc, 1), one(tc, 2), one(tc, 3), one(tc, 5), one(tc, 6)];
    bad(!ats && (t2gpa || pri));
    bad(!pri && prpr);
    bad(t2gpa && iohgatp >> 60n === 0n);
    bad(pdtv && fsc >> 60n > 3n);
    bad(!pdtv && !this.firstMode(fsc >> 60n));
    bad(!pdtv && one(tc, 9));
    const hgatp = iohgatp >> 60n;
    bad(hgatp !== 0n && (this.m.gxl ? hgatp !== 8n : hgatp < 8n || hgatp > 10n));
    bad(hgatp !== 0n && (iohgatp & 3n) !== 0n);
    bad(this.m.gxl && !this.sxl);
  }

  private firstMode(mode: bigint): boolean {
    return mode === 0n || (this.sxl ? mode === 8n : mode >= 8n && mode <= 10n);
  }

  private processContext(root: bigint, levels: number, process: bigint): bigint {
    const index = [cut(process, 7, 0), cut(process, 16, 8), cut(process, 19, 17)];
    let a = page(root);
    for (let i = levels - 1; ; i--) {
      a = this.own(a);
      if (i === 0) break;
      const pdte = this.load(a + (index[i] as bigint) * 8n, 8, true);
      if (!one(pdte, 0)) stop(266);
      if (cut(pdte, 9, 1) || cut(pdte, 63, 54)) stop(267);
      a = page(cut(pdte, 53, 10));
    }
    const at = a + (index[0] as bigint) * 16n;
    const ta = this.load(at, 8, true);
    const fsc = this.load(at + 8n, 8, true);
    if (!one(ta, 0)) stop(266);
    if (cut(ta, 11, 3) || cut(ta, 63, 32) || cut(fsc, 59, 44) || !this.firstMode(fsc >> 60n)) stop(267);
    return fsc;
  }

  private twoStages(iosatp: bigint, iova: bigint, dc: bigint[]): Outcome {
    const mode = iosatp >> 60n;
    let gpa = iova;
    if (mode !== 0n) gpa = this.first(iosatp, iova);
    const [, , , , msiptp, mask, pattern] = dc;
    if (msiptp !== undefined && msiptp >> 60n === 1n) {
      const free = mask as bigint;
      if (((gpa >> 12n) | free) === ((pattern as bigint) | free)) return this.message(gpa, cut(msiptp, 43, 0), free);
    }
    if (this.iohgatp >> 60n === 0n) return { kind: mode === 0n ? 'passed' : 'page', address: gpa };
    return { kind: 'page', address: this.second(gpa, this.write) };
  }

  private message(gpa: bigint, root: bigint, mask: bigint): Outcome {
    let file = '';
    for (let n = 51; n >= 0; n--) if (one(mask, n)) file += one(gpa >> 12n, n) ? '1' : '0';
    const at = page(root) | (BigInt(`0b0${file}`) * 16n);
    const [low, high] = [this.load(at), this.load(at + 8n)];
    if (!one(low, 0)) stop(262);
    if (one(low, 63)) return { kind: 'interrupt' };
    const form = cut(low, 2, 1);
    if (form === 3n) {
      if (cut(low, 9, 3) || cut(low, 62, 54)) stop(263);
      return { kind: 'page', address: page(cut(low, 53, 10)) | (gpa & 0xfffn) };
    }
    if (form !== 1n) stop(263);
    if (cut(low, 6, 3) || cut(low, 62, 54) || cut(high, 63, 61) || cut(high, 59, 54)) stop(263);
    return { kind: 'interrupt' };
  }

  private first(iosatp: bigint, iova: bigint): bigint {
    const cause = this.write ? 15 : 13;
    const [levels, bits, bytes] = this.sxl ? [2, 10, 4] : [Number(iosatp >> 60n) - 5, 9, 8];
    if (this.sxl) {
      if (iova >> 32n) stop(cause);
    } else {
      const top = BigInt.asUintN(64, iova) >> BigInt(11 + levels * bits);
      if (top !== 0n && top !== (1n << BigInt(53 - levels * bits)) - 1n) stop(cause);
    }
    let a = page(cut(iosatp, 43, 0));
    for (let i = levels - 1; i >= 0; i--) {
      const at = a + cut(iova, 12 + bits * i + bits - 1, 12 + bits * i) * BigInt(bytes);
      const pte = this.load(this.own(at), bytes, true);
      const next = this.entry(pte, i, bytes, cause, () => {
        if (!one(pte, this.write ? 2 : 1) || !one(pte, 4)) stop(cause);
        if (one(pte, 6) && (!this.write || one(pte, 7))) return;
        if (!this.sade) stop(cause);
        this.own(at, true);
      });
      if (next !== null) return this.within(next, pte, iova, i, bits);
      a = page(cut(pte, bytes === 4 ? 31 : 53, 10));
    }
    return stop(cause);
  }

  private second(gpa: bigint, write: boolean): bigint {
    const cause = this.write ? 23 : 21;
    const [levels, bits, bytes] = this.m.gxl ? [2, 10, 4] : [Number(this.iohgatp >> 60n) - 5, 9, 8];
    const width = 14 + bits * levels;
    if (gpa >> BigInt(width) || (this.sxl && gpa >> 34n)) stop(cause);
    let a = page(cut(this.iohgatp, 43, 0));
    for (let i = levels - 1; i >= 0; i--) {
      const top = i === levels - 1 ? bits + 1 : bits - 1;
      const pte = this.load(a + cut(gpa, 12 + bits * i + top, 12 + bits * i) * BigInt(bytes), bytes);
      const next = this.entry(pte, i, bytes, cause, () => {
        if (!one(pte, write ? 2 : 1) || !one(pte, 4)) stop(cause);
        if (!(one(pte, 6) && (!write || one(pte, 7))) && !this.gade) stop(cause);
      });
      if (next !== null) return this.within(next, pte, gpa, i, bits);
      a = page(cut(pte, bytes === 4 ? 31 : 53, 10));
    }
    return stop(cause);
  }

  /** What the IOMMU reads, or writes, for itself. */
  private own(address: bigint, write = false): bigint {
    return this.iohgatp >> 60n === 0n ? address : this.second(address, write);
  }

  /** @returns the frame of a page, null of a table */
  private entry(pte: bigint, i: number, bytes: number, cause: number, rights: () => void): bigint | null {
    const [v, r, w, x, n] = [one(pte, 0), one(pte, 1), one(pte, 2), one(pte, 3), one(pte, 63)];
    if (!v || (w && !r)) stop(cause);
    // 60:59 are software's with Svrsw60t59b.
    if (bytes === 8 && (cut(pte, 58, 54) || cut(pte, 62, 61) === 3n)) stop(cause);
    if (!r && !x) {
      if (one(pte, 4) || one(pte, 6) || one(pte, 7) || (bytes === 8 && pte >> 61n)) stop(cause);
      return null;
    }
    const frame = cut(pte, bytes === 4 ? 31 : 53, 10);
    if (n && i > 0) stop(cause);
    if (n && (frame & 15n) !== 8n) stop(cause);
    if (frame % (1n << BigInt(i * (bytes === 4 ? 10 : 9)))) stop(cause);
    rights();
    return frame;
  }

  private within(frame: bigint, pte: bigint, address: bigint, i: number, bits: number): bigint {
    const offset = one(pte, 63) ? 16n : BigInt(12 + bits * i);
    const mask = (1n << offset) - 1n;
    return (page(frame) & ~mask) | (address & mask);
  }
}
