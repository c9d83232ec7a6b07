import type { Arena, Region } from './arena.ts';

/** Most (device, page) pairs that devices of a case aim at. */
const MAX_TARGETS = 32;

/** A page frame number of up to 45 bits, split where it never needs more than 32 bits: low 18 bits, the rest. */
export function splitVpn(vpn: number): { hi: number; lo: number } {
  const hi = Math.floor(vpn / 0x40000);
  return { hi, lo: vpn - hi * 0x40000 };
}

/** Page number of a byte address of 64 bits; negative in the upper half, as canonical addresses are sign-extended (VT-d 3.6). */
export function pageOf(iova: bigint): number {
  return Number(BigInt.asIntN(64, iova) >> 12n);
}

export const GRANT = { none: 0, changing: 1, granted: 2 } as const;

/** One page that one device may aim at. */
export interface Target {
  readonly device: number;
  readonly did: number;
  /** Input page frame number (byte address / 4096). */
  readonly vpn: number;
}

/**
 * What software has promised about each page that a device may aim at: nothing, `changing` (a map or unmap call is
 * under way, so any outcome is legal), or granted to a page frame. Written by notes in the driver code when a call begins and
 * when it has returned; read by nobody but the invariants.
 */
export class Grants {
  readonly targets: Target[] = [];
  /** Told of every target whose promise changes. */
  onChange: (target: number) => void = () => {};
  private readonly arena: Arena;
  private readonly region: Region;
  private readonly call: Region;

  constructor(arena: Arena) {
    this.arena = arena;
    this.region = arena.region('grants', ['state', 'pfnHi', 'pfnLo'], MAX_TARGETS);
    this.call = arena.region('call', ['firstHi', 'firstLo', 'lastHi', 'lastLo']);
    // Before the first call the range is empty.
    arena.set(this.call.base + 2, -1);
  }

  /** Index of the target, declared on first use. Only before the machine starts. */
  target(device: number, did: number, vpn: number): number {
    const known = this.find(device, vpn);
    if (known >= 0) return known;
    if (this.targets.length === MAX_TARGETS)
      throw new RangeError(`devices of a case aim at no more than ${MAX_TARGETS} pages`);
    return this.targets.push({ device, did, vpn }) - 1;
  }

  find(device: number, vpn: number): number {
    return this.targets.findIndex((t) => t.device === device && t.vpn === vpn);
  }

  /** A call that changes pages [vpn, vpn + count) of the domain begins. */
  begin(did: number, vpn: number, count: number): void {
    const first = splitVpn(vpn);
    const last = splitVpn(vpn + count - 1);
    this.arena.set(this.call.base, first.hi);
    this.arena.set(this.call.base + 1, first.lo);
    this.arena.set(this.call.base + 2, last.hi);
    this.arena.set(this.call.base + 3, last.lo);
    this.each(did, vpn, count, (t) => this.put(t, GRANT.changing, 0));
  }

  /** The call that mapped the pages to frames from `pfn` on has returned. */
  granted(did: number, vpn: number, count: number, pfn: number): void {
    this.each(did, vpn, count, (t) => this.put(t, GRANT.granted, pfn + this.targets[t].vpn - vpn));
  }

  /** The call that unmapped the pages has returned: from now on nothing may use them. */
  revoked(did: number, vpn: number, count: number): void {
    this.each(did, vpn, count, (t) => this.put(t, GRANT.none, 0));
  }

  /** Offsets of the words that say what is promised of a target. */
  wordsOf(target: number): number[] {
    return [0, 1, 2].map((i) => this.region.base + target * 3 + i);
  }

  state(target: number): number {
    return this.arena.words[this.region.base + target * 3];
  }

  /** Whether the target is granted to that frame. */
  isFor(target: number, pfnHi: number, pfnLo: number): boolean {
    const at = this.region.base + target * 3;
    return this.arena.words[at + 1] === pfnHi && this.arena.words[at + 2] === pfnLo;
  }

  /** Whether the target lies in the range of the last call that began. */
  inLastCall(target: number): boolean {
    const w = this.arena.words;
    const at = this.call.base;
    const vpn = this.targets[target].vpn;
    return vpn >= w[at] * 0x40000 + w[at + 1] && vpn <= w[at + 2] * 0x40000 + w[at + 3];
  }

  private each(did: number, vpn: number, count: number, change: (target: number) => void): void {
    this.targets.forEach((t, i) => {
      if (t.did === did && t.vpn >= vpn && t.vpn < vpn + count) change(i);
    });
  }

  private put(target: number, state: number, pfn: number): void {
    const at = this.region.base + target * 3;
    this.arena.set(at, state);
    this.arena.set(at + 1, Math.floor(pfn / 0x100000));
    this.arena.set(at + 2, pfn % 0x100000);
    this.onChange(target);
  }
}
