/**
 * The legacy-mode translation of VT-d (3.4, 3.7), one table entry at a time. Emulation loops over these functions; the
 * explorer calls one a step. Orders of checks that the specification leaves open are QEMU's: rights before reserved bits.
 */
import { get } from '../../bits/index.ts';
import type { Memory } from '../../machine/index.ts';
import { TAG } from './caches.ts';
import { FAULT } from './faults.ts';
import { missingRight, suffices } from './request.ts';
import { CONTEXT_ENTRY, levelsOf, ROOT_ENTRY, SS_PAGE, SS_TABLE } from './structures.ts';

/** Outcome of one step. */
export const STEP = { more: 0, done: 1, fault: 2 } as const;

/** What a walk depends on besides memory; fixed when the unit is built. */
export interface WalkLimits {
  /** CAP.SAGAW. */
  readonly sagaw: number;
  /** Input addresses have this many bits at most (CAP.MGAW + 1). */
  readonly mgaw: number;
  /** Host address width: entry bits 51:haw are reserved. */
  readonly haw: number;
  /** CAP.SSLPS. */
  readonly sslps: number;
  /** ECAP.SC: SNP is not reserved in leaves. */
  readonly snoopControl: boolean;
  /** ECAP.PT. */
  readonly passThrough: boolean;
  /** ECAP.DT. */
  readonly deviceTlb: boolean;
  /** Domain ids have this many bits. */
  readonly didBits: number;
}

/** Reserved bits of a structure's halves, with those that an address width adds. */
function aboveWidth(haw: number, topBit: number): number {
  // Bits topBit:haw of a qword, as a mask of its high half; haw is 32 or more.
  let mask = 0;
  for (let n = haw; n <= topBit; n++) mask |= 1 << (n - 32);
  return mask;
}

/** State of one walk: the locals of the emulation's loop, or a transaction's slot while a step is taken. */
export class Walk {
  sid = 0;
  /** Input page number: bits above 18, lower 18. */
  vpnHi = 0;
  vpnLo = 0;
  /** Rights that are needed, R 1 and W 2, or 4 for either of them (see {@link REQUEST}). */
  access = 0;
  /** Level whose entry is read next. */
  level = 0;
  /** Rights so far: R 1, W 2, ANDed over the levels. */
  perms = 3;
  did = 0;
  /** Frame of the table to read next, and of the page in the end: upper and lower 20 bits. */
  pfnHi = 0;
  pfnLo = 0;
  /** PASID of the request, −1 for one without; its PASID prefix asks for supervisor privilege, for execution. */
  pasid = -1;
  privileged = false;
  execute = false;
  /** AT of the request: 0 untranslated, 1 translation request, 2 translated. */
  at = 0;
  /** The context entry says that faults are not to be recorded. */
  fpd = false;
  /** Translation type and address width of the context entry. */
  tt = 0;
  aw = 0;
  /** Fault reason after {@link STEP}.fault. */
  fault = 0;
  /** The entry that was read last. */
  entryLo = 0;
  entryHi = 0;

  pfn(): number {
    return this.pfnHi * 0x100000 + this.pfnLo;
  }

  takePointer(lo: number, hi: number): void {
    this.pfnHi = hi & 0xfffff;
    this.pfnLo = lo >>> 12;
  }
}

export class Walker {
  readonly memory: Memory;
  private readonly limits: WalkLimits;
  /** The context entry that was read last. */
  readonly halves = new Int32Array(4);
  private readonly rootReserved: readonly number[];
  private readonly contextReserved: readonly number[];
  /** Bits of a paging entry that must be 0: lower half of one that references a table, upper half of any. */
  readonly tableReservedLo = SS_TABLE.reserved[0];
  readonly tableReservedHi: number;
  /** Lower half of a leaf, by level: PS is among them where there is no page of that size. */
  readonly leafReservedLo: Int32Array;
  /** Upper parts of page numbers from here on are beyond the width, by AW. */
  readonly vpnHiLimit: Int32Array;
  private readonly passThroughLimit: number;

  constructor(memory: Memory, limits: WalkLimits) {
    this.memory = memory;
    this.limits = limits;
    this.vpnHiLimit = Int32Array.from({ length: 4 }, (_, aw) => 2 ** (Math.min(30 + 9 * aw, limits.mgaw) - 30));
    this.passThroughLimit = 2 ** (limits.haw - 30);
    const above = aboveWidth(limits.haw, 63);
    this.rootReserved = [...ROOT_ENTRY.reserved].map((mask, i) => (i === 1 ? mask | above : mask));
    const did = CONTEXT_ENTRY.DID.lo - 64;
    const unusedDid = ((1 << (did + 16)) - 1) & ~((1 << (did + limits.didBits)) - 1);
    this.contextReserved = [...CONTEXT_ENTRY.reserved].map((mask, i) => (i === 2 ? mask | unusedDid : mask));
    this.tableReservedHi = SS_TABLE.reserved[1] | aboveWidth(limits.haw, 51);
    const leaf = SS_PAGE.reserved[0] | (limits.snoopControl ? 0 : 1 << SS_PAGE.SNP.lo);
    // Address bits below the size of a large page are reserved.
    const large = (level: 2 | 3) =>
      (((limits.sslps >>> (level - 2)) & 1) === 0 ? PS : 0) | (level === 2 ? 0x001ff000 : 0x3ffff000);
    this.leafReservedLo = Int32Array.of(0, leaf, leaf | large(2), leaf | large(3), PS, PS);
  }

  /** Step 1: the root entry of the bus. */
  root(walk: Walk, rootHi: number, rootLo: number): number {
    const at = this.memory.locate(rootHi * 0x100000 + rootLo, (walk.sid >>> 8) * 2);
    if (at < 0) return this.refuse(walk, FAULT.rootTableAddress);
    const high = this.memory.locate(rootHi * 0x100000 + rootLo, (walk.sid >>> 8) * 2 + 1);
    walk.entryLo = this.memory.lo(at);
    walk.entryHi = this.memory.hi(at);
    if ((walk.entryLo & 1) === 0) return this.refuse(walk, FAULT.rootNotPresent);
    const bad =
      (walk.entryLo & this.rootReserved[0]) |
      (walk.entryHi & this.rootReserved[1]) |
      (this.memory.lo(high) & this.rootReserved[2]) |
      (this.memory.hi(high) & this.rootReserved[3]);
    if (bad !== 0) return this.refuse(walk, FAULT.rootReserved);
    walk.takePointer(walk.entryLo, walk.entryHi);
    return STEP.more;
  }

  /** Reads the context entry that the walk points at. @returns false where nothing decodes */
  private readContext(walk: Walk): boolean {
    const word = (walk.sid & 0xff) * 2;
    const first = this.memory.locate(walk.pfn(), word);
    const second = this.memory.locate(walk.pfn(), word + 1);
    if (first < 0 || second < 0) return false;
    this.halves[0] = this.memory.lo(first);
    this.halves[1] = this.memory.hi(first);
    this.halves[2] = this.memory.lo(second);
    this.halves[3] = this.memory.hi(second);
    return true;
  }

  /** Domain id that the context entry would give; −1 where it is not present. Changes nothing. */
  peekDomain(walk: Walk): number {
    if (!this.readContext(walk)) return -1;
    return get(CONTEXT_ENTRY.P, this.halves) === 0 ? -1 : get(CONTEXT_ENTRY.DID, this.halves);
  }

  /** Step 2: the context entry of the function. Leaves the second-stage pointer, the domain and the top level. */
  context(walk: Walk): number {
    if (!this.readContext(walk)) return this.refuse(walk, FAULT.contextTableAddress);
    const { halves, limits } = this;
    walk.entryLo = halves[0];
    walk.entryHi = halves[1];
    walk.fpd = get(CONTEXT_ENTRY.FPD, halves) !== 0;
    if (get(CONTEXT_ENTRY.P, halves) === 0) return this.refuse(walk, FAULT.contextNotPresent);
    const tt = get(CONTEXT_ENTRY.TT, halves);
    for (let i = 0; i < 4; i++) {
      // SSPTPTR is ignored where the entry says pass-through.
      const mask = i === 1 && tt !== 2 ? this.contextReserved[1] | aboveWidth(limits.haw, 63) : this.contextReserved[i];
      if ((halves[i] & mask) !== 0) return this.refuse(walk, FAULT.contextReserved);
    }
    const aw = get(CONTEXT_ENTRY.AW, halves);
    if (((limits.sagaw >>> aw) & 1) === 0) return this.refuse(walk, FAULT.contextInvalid);
    const supported = tt === 0 || (tt === 1 && limits.deviceTlb) || (tt === 2 && limits.passThrough);
    if (!supported) return this.refuse(walk, FAULT.contextInvalid);
    return this.enter(walk, tt, aw, get(CONTEXT_ENTRY.DID, halves), halves[1] & 0xfffff, halves[0] >>> 12);
  }

  /** As {@link context}, from a context-cache entry's tag and pointer. */
  enter(walk: Walk, tt: number, aw: number, did: number, tableHi: number, tableLo: number): number {
    walk.did = did;
    walk.tt = tt;
    walk.aw = aw;
    walk.pfnHi = tableHi;
    walk.pfnLo = tableLo;
    walk.level = levelsOf(aw);
    walk.perms = 3;
    // Step 3: the address must fit the table's width and MGAW, or the host's where it is passed through (table 30, LGN.1).
    const beyond = walk.vpnHi < 0 || walk.vpnHi >= (tt === 2 ? this.passThroughLimit : this.vpnHiLimit[aw]);
    if (beyond) return this.refuse(walk, FAULT.beyondAddressWidth);
    return tt === 2 ? STEP.done : STEP.more;
  }

  /** Step 4, once a level: one second-stage paging entry (VT-d 3.7, 9.8). @param top whether it is the first one */
  entry(walk: Walk, top: boolean): number {
    const { level } = walk;
    const at = this.memory.locate(walk.pfn(), indexAt(level, walk.vpnHi, walk.vpnLo));
    if (at < 0) return this.refuse(walk, top ? FAULT.contextInvalid : FAULT.tableAddress);
    const lo = this.memory.lo(at);
    const hi = this.memory.hi(at);
    walk.entryLo = lo;
    walk.entryHi = hi;
    const perms = walk.perms & lo & 3;
    if (!suffices(perms, walk.access)) return this.refuse(walk, missingRight(perms, walk.access));
    const leaf = level === 1 || (lo & PS) !== 0;
    const reserved = (lo & (leaf ? this.leafReservedLo[level] : this.tableReservedLo)) | (hi & this.tableReservedHi);
    if (reserved !== 0) return this.refuse(walk, FAULT.pagingReserved);
    walk.perms = perms;
    walk.takePointer(lo, hi);
    if (!leaf) {
      walk.level = level - 1;
      return STEP.more;
    }
    return STEP.done;
  }

  private refuse(walk: Walk, reason: number): number {
    walk.fault = reason;
    return STEP.fault;
  }
}

/** In an entry above level 1: a leaf. */
export const PS = 1 << SS_PAGE.PS.lo;

/** Index of the entry at a level for a page. */
export function indexAt(level: number, vpnHi: number, vpnLo: number): number {
  const shift = 9 * (level - 1);
  return (shift < 18 ? vpnLo >>> shift : vpnHi >>> (shift - 18)) & 511;
}

/** Whether a page frame lies in 0xFEE00000 … 0xFEEFFFFF, where no translation may lead (table 30, LGN.4). */
export function isInterruptFrame(pfnHi: number, pfnLo: number): boolean {
  return pfnHi === 0 && pfnLo >>> 8 === 0xfee;
}

/** Tag of the context-cache entry for what the walk has read. */
export function contextTag(walk: Walk): number {
  return (
    TAG.valid | ((walk.fpd ? 1 : 0) << TAG.fpd) | (walk.tt << TAG.tt) | (walk.aw << TAG.aw) | (walk.did << TAG.did)
  );
}
