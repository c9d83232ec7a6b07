/**
 * A second translator for legacy mode, written plainly from the specification (revision 5.10) as a peer of the model: one
 * function, whole 64-bit words, no cache. It shares nothing with the model, not even the positions of bits.
 */

export interface Reference {
  /** Root-table address in force. */
  readonly root: bigint;
  /** Input addresses have this many bits (MGAW + 1 as CAP encodes it). */
  readonly mgaw: number;
  /** Host addresses have this many bits. */
  readonly haw: number;
  readonly sagaw: number;
  /** Bit 0: 2 MiB pages, bit 1: 1 GiB pages. */
  readonly sslps: number;
  readonly snoopControl: boolean;
  readonly passThrough: boolean;
  readonly didBits: number;
  /** CAP.ZLR: a zero-length read of a page that may only be written is no fault. */
  readonly zlr: boolean;
  /** A 64-bit word, null where nothing answers. */
  readonly read: (addr: bigint) => bigint | null;
}

export interface Result {
  /** Reason of table 30, 0 for none. */
  readonly fault: number;
  /** Whether the fault is recorded: qualified ones are not where FPD is set. */
  readonly recorded: boolean;
  /** 4 KiB page that the request goes to. */
  readonly page: bigint;
  /** Bits of the page that maps it: 12, 21, 30; 0 where nothing was translated. */
  readonly size: number;
  /** Levels of the table that was walked; 0 where nothing was translated. */
  readonly levels: number;
}

/** Kinds of requests without PASID; AT is 00b except in the last two. */
export type Kind = 'read' | 'write' | 'long write' | 'atomic' | 'zero-length read' | 'translation' | 'translated';

/** Table 30's column "qualified": these are recorded whatever FPD says. */
const UNQUALIFIED = [0x1, 0x8, 0x9, 0xa];

function anyBit(word: bigint, from: number, to: number): boolean {
  for (let n = from; n <= to; n++) if ((word >> BigInt(n)) & 1n) return true;
  return false;
}

function field(word: bigint, from: number, to: number): bigint {
  return (word >> BigInt(from)) & ((1n << BigInt(to - from + 1)) - 1n);
}

/** Translates the page of `iova` for a requester with translation on, in legacy mode, without device TLBs. */
export function translate(unit: Reference, sid: number, iova: bigint, kind: Kind): Result {
  const page = (iova >> 12n) << 12n;
  let fpd = false;
  const fault = (reason: number): Result => ({
    fault: reason,
    recorded: !fpd || UNQUALIFIED.includes(reason),
    page: 0n,
    size: 0,
    levels: 0,
  });
  const interrupt = (addr: bigint) => addr >= 0xfee00000n && addr <= 0xfeefffffn;

  const untranslated = kind !== 'translation' && kind !== 'translated';

  // 3.15: interrupts and zero-length reads are not translated, other requests are refused before FPD is known.
  if (untranslated && interrupt(page)) {
    if (kind !== 'write' && kind !== 'zero-length read') return fault(0xe);
    return { fault: 0, recorded: false, page, size: 0, levels: 0 };
  }

  // 9.1: the root entry of the bus.
  const rootAt = unit.root + BigInt(sid >> 8) * 16n;
  const root = [unit.read(rootAt), unit.read(rootAt + 8n)];
  if (root[0] === null || root[1] === null) return fault(0x8);
  if ((root[0]! & 1n) === 0n) return fault(0x1);
  if (anyBit(root[0]!, 1, 11) || anyBit(root[0]!, unit.haw, 63) || root[1] !== 0n) return fault(0xa);

  // 9.3: the context entry of the device and function.
  const contextAt = field(root[0]!, 12, 63) * 4096n + BigInt(sid & 0xff) * 16n;
  const lo = unit.read(contextAt);
  const hi = unit.read(contextAt + 8n);
  if (lo === null || hi === null) return fault(0x9);
  fpd = field(lo, 1, 1) === 1n;
  if (field(lo, 0, 0) === 0n) return fault(0x2);
  const tt = Number(field(lo, 2, 3));
  // Bits of hi: AW 2:0, ignored 6:3, reserved 7, DID 23:8, reserved 63:24. SSPTPTR is ignored where TT = 10b.
  if (anyBit(lo, 4, 11) || (tt !== 2 && anyBit(lo, unit.haw, 63))) return fault(0xb);
  if (anyBit(hi, 7, 7) || anyBit(hi, 24, 63) || anyBit(hi, 8 + unit.didBits, 23)) return fault(0xb);
  const aw = Number(field(hi, 0, 2));
  if (((unit.sagaw >> aw) & 1) === 0) return fault(0x3);
  if (tt === 1 || tt === 3 || (tt === 2 && !unit.passThrough)) return fault(0x3);

  // LCT.5: what a context entry does not allow without device TLBs.
  if (!untranslated) return fault(0xd);

  // Pass-through: host addresses only.
  if (tt === 2) {
    if (iova >> BigInt(unit.haw) !== 0n) return fault(0x4);
    return { fault: 0, recorded: false, page, size: 0, levels: 0 };
  }

  // 3.7: the address must fit the page table and MGAW.
  if (iova >> BigInt(Math.min(30 + 9 * aw, unit.mgaw)) !== 0n) return fault(0x4);

  // 3.7, 9.8: down the tables.
  let table = field(lo, 12, 63) * 4096n;
  const rights = { read: true, write: true };
  const levels = aw + 2;
  for (let level = levels; ; level--) {
    const shift = 12 + 9 * (level - 1);
    const entry = unit.read(table + field(iova, shift, shift + 8) * 8n);
    if (entry === null) return fault(level === levels ? 0x3 : 0x7);
    rights.read &&= field(entry, 0, 0) === 1n;
    rights.write &&= field(entry, 1, 1) === 1n;
    // Rights before reserved bits: the specification gives no order, QEMU does. W before R: nor here.
    const writes = kind === 'write' || kind === 'long write' || kind === 'atomic';
    const reads = kind === 'read' || kind === 'atomic' || (kind === 'zero-length read' && !unit.zlr);
    if (writes && !rights.write) return fault(0x5);
    if (reads && !rights.read) return fault(0x6);
    if (kind === 'zero-length read' && !rights.read && !rights.write) return fault(0x6);
    // 51:HAW, and IW where it is not enabled.
    if (anyBit(entry, unit.haw, 51) || anyBit(entry, 62, 62)) return fault(0xc);
    const large = level > 1 && field(entry, 7, 7) === 1n;
    const supported = (level === 2 && (unit.sslps & 1) !== 0) || (level === 3 && (unit.sslps & 2) !== 0);
    if (large && !supported) return fault(0xc);
    if (large && anyBit(entry, 12, shift - 1)) return fault(0xc);
    const leaf = level === 1 || large;
    // SNP: never where a table is referenced, only with snoop control in a leaf.
    if (anyBit(entry, 11, 11) && !(leaf && unit.snoopControl)) return fault(0xc);
    const frame = field(entry, 12, 51) * 4096n;
    if (leaf) {
      const size = 1n << BigInt(shift);
      const out = frame | (page & (size - 1n));
      if (interrupt(out)) return fault(0xe);
      return { fault: 0, recorded: false, page: out, size: shift, levels };
    }
    table = frame;
  }
}

/** Fault recording with one record (7.2.1): the first fault stays; a second one sets PFO, and then nothing is recorded. */
export class ReferenceRecorder {
  pfo = false;
  f = false;
  fi = 0n;
  sid = 0;
  reason = 0;
  /** T1 and T2 (11.4.7.6). */
  type = 0n;

  record(reason: number, sid: number, iova: bigint, kind: Kind): void {
    if (this.pfo) return;
    if (this.f) {
      this.pfo = true;
      return;
    }
    this.f = true;
    this.fi = (iova >> 12n) << 12n;
    this.sid = sid;
    this.reason = reason;
    this.type =
      kind === 'write' || kind === 'long write' ? 0n : kind === 'atomic' ? (1n << 62n) | (1n << 28n) : 1n << 62n;
  }
}
