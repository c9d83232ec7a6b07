/**
 * Tables of a random script in scalable mode (VT-d 3.4.3, 9.2 – 9.7): for each device a context entry, a PASID directory and a PASID table,
 * of which the first entry is used, as requests have no PASID. Devices share the tables of their domain: those of the second stage are as in
 * legacy mode, those of the first stage are made here.
 */
import { BRIDGE } from './platform.ts';
import type { Domain, Place } from './world.ts';
import {
  ALL_ONES,
  BRIDGED_CONTEXTS,
  BRIDGED_ROOT,
  CONTEXTS,
  NOWHERE,
  PS,
  ROOT,
  UPPER_CONTEXTS,
  World,
} from './world.ts';

/** RTADDR.TTM 01b. */
const SCALABLE = 0x400n;
const DIRECTORIES = Number(ROOT) + 0x4000;
const PASID_TABLES = Number(ROOT) + 0x7000;
const [P, FPD, DTE, A, D] = [1n, 2n, 4n, 0x20n, 0x40n];
/** P, R/W, U/S. */
const ALL = 7n;
const PGTT = { first: 1n, second: 2n, passThrough: 4n } as const;
/** Rights of leaves, and how often. */
const RIGHTS = [ALL, ALL, ALL, ALL, ALL, ALL, 5n, 5n, 3n, 6n] as const;

export class ScalableWorld extends World {
  override get rootTable(): bigint {
    return ROOT | SCALABLE;
  }

  private get isFirst(): boolean {
    return this.tables.mode === 'first';
  }

  protected override build(): void {
    this.populate();
    // Behind the bridge there is no device of the upper half.
    const bridged = this.random.chance(50) ? UPPER_CONTEXTS | P : 0n;
    for (const [at, contexts] of [
      [ROOT, CONTEXTS],
      [ROOT + 8n, UPPER_CONTEXTS],
      [BRIDGED_ROOT, BRIDGED_CONTEXTS],
    ])
      this.store(Number(at), this.rootHalf(contexts));
    this.store(Number(BRIDGED_ROOT) + 8, bridged);
  }

  /** One half of a root entry. */
  private rootHalf(contexts: bigint): bigint {
    const { random } = this;
    const half = contexts | P;
    if (!this.rare(2)) return half;
    const how = random.below(3);
    // A half with reserved bits refuses the devices of the other one, too, in QEMU: seldom.
    if (how === 2 && random.chance(20))
      return half | random.pick([1n << BigInt(1 + random.below(11)), this.beyondHost(63)]);
    return how === 0 ? contexts : NOWHERE | P;
  }

  private contextEntryAt(sid: number): number {
    const table = sid >> 8 === BRIDGE.bus ? BRIDGED_CONTEXTS : (sid & 0x80) !== 0 ? UPPER_CONTEXTS : CONTEXTS;
    return Number(table) + (sid & 0x7f) * 32;
  }

  /** The device's own pages, counted from 0. */
  private device(sid: number): number {
    return this.requesters.indexOf(sid);
  }

  override assign(sid: number, domain: Domain): void {
    const at = this.contextEntryAt(sid);
    const words = this.deviceEntry(sid);
    words.forEach((word, i) => this.store(at + 8 * i, word));
    if ((words[0] & FPD) === 0n) this.silent.delete(sid);
    else this.silent.add(sid);
    this.enter(sid, domain);
  }

  /** Gives a device PASID-directory and PASID-table entry, of a domain or broken ones. */
  enter(sid: number, domain: Domain): void {
    this.owner.set(sid, domain);
    const device = this.device(sid);
    this.store(DIRECTORIES + 0x1000 * device, this.directoryEntry(BigInt(PASID_TABLES + 0x1000 * device)));
    this.pasidEntry(sid, domain).forEach((word, i) => this.store(PASID_TABLES + 0x1000 * device + 8 * i, word));
  }

  private deviceEntry(sid: number): bigint[] {
    const { random } = this;
    const words = [BigInt(DIRECTORIES + 0x1000 * this.device(sid)) | P, 0n, 0n, 0n];
    if (random.chance(5)) words[0] |= FPD;
    if (this.deviceTlbs && random.chance(60)) words[0] |= DTE;
    // PDTS: larger directories.
    if (random.chance(20)) words[0] |= random.big(3) << 9n;
    if (!this.rare(8)) return words;
    const how = random.below(9);
    if (how === 0) words[0] &= ~P;
    else if (how === 1) words.fill(0n);
    else if (how === 2) words[0] |= 1n << BigInt(5 + random.below(4));
    else if (how === 3) words[0] |= this.beyondHost(63);
    else if (how === 4) words[1] |= 1n << BigInt(21 + random.below(43));
    else if (how === 5) words[2 + random.below(2)] |= 1n << BigInt(random.below(64));
    else if (how === 6) words[0] = (words[0] & 0xfffn) | NOWHERE;
    // DTE, PASIDE and PRE; RID_PASID and RID_PRIV: of functions that the unit lacks. Seldom: QEMU takes them.
    else if (how === 7 && random.chance(20)) words[0] |= 1n << BigInt(2 + random.below(3));
    else if (random.chance(20)) words[1] |= 1n << BigInt(random.below(21));
    return words;
  }

  private directoryEntry(table: bigint): bigint {
    const { random } = this;
    const entry = table | P;
    if (!this.rare(3)) return entry;
    // Reserved bits are not looked at (see the profile).
    return random.pick([
      0n,
      table,
      NOWHERE | P,
      entry | this.beyondHost(51),
      entry | (1n << BigInt(2 + random.below(10))),
    ]);
  }

  /**
   * Where the context entry has FPD set no levels are asked for that there are not: QEMU 11.1 ends with an assertion then, as it walks by an
   * entry that it has not checked (vtd_sspte_nonzero_rsvd).
   */
  private pasidEntry(sid: number, { aw, did, top }: Domain): bigint[] {
    const { random, isFirst } = this;
    const words = [P | (BigInt(aw) << 2n), BigInt(did), 0n, 0n, 0n, 0n, 0n, 0n];
    const pointer = isFirst ? 2 : 0;
    words[pointer] |= top;
    const pgtt = random.chance(7) ? PGTT.passThrough : isFirst ? PGTT.first : PGTT.second;
    words[0] |= pgtt << 6n;
    if (random.chance(2)) words[0] |= FPD;
    if (!this.rare(8)) return words;
    const how = random.below(8);
    const crashes = this.silent.has(sid) && (how === 2 || how === 3);
    // A difference that is known (0x59, 0x5B): seldom, as each leaves one less to compare.
    if (crashes || (how === 0 && random.chance(50))) words.fill(0n);
    else if (how === 1) words[0] = (words[0] & ~0x1c0n) | (random.big(3) << 6n);
    else if (how === 2) words[0] = (words[0] & ~0x1cn) | (random.big(3) << 2n);
    else if (how === 3) words[2] = (words[2] & ~0xcn) | (random.big(2) << 2n);
    else if (how === 4) words[pointer] = (words[pointer] & 0xfffn) | NOWHERE;
    else if (how === 5) words[pointer] |= this.beyondHost(51);
    else if (how === 6) words[random.pick([1, 3, 4, 5, 6, 7])] |= 1n << BigInt(16 + random.below(48));
    else if (random.chance(20)) words[0] &= ~P;
    return words;
  }

  // ---- first stage ------------------------------------------------------------------------------------------------

  /** Addresses of the upper half less often: QEMU records them with bits that VT-d does not. */
  protected override index(level: number): number {
    const index = super.index(level);
    return this.isFirst && level === 4 && this.random.chance(70) ? index & 255 : index;
  }

  protected override extended(address: bigint): bigint {
    return this.isFirst && (address & (1n << 47n)) !== 0n ? address | (0xffffn << 48n) : address;
  }

  override changed(place: Place): bigint {
    if (!this.isFirst || place.level === 1 || (place.value & PS) !== 0n) return super.changed(place);
    return this.random.chance(50) ? place.value ^ BigInt(1 + this.random.below(7)) : (place.value & ~0xfffn) | ALL | A;
  }

  protected override reference(level: number, table: bigint): bigint {
    if (!this.isFirst) return super.reference(level, table);
    const { random } = this;
    let value = table | ALL | this.flags(A) | this.spare();
    if (!this.rare(4)) return value;
    const how = random.below(5);
    if (how < 2) value &= ~(1n << BigInt(random.below(3)));
    else if (how === 2) value |= this.beyondHost(51);
    else if (how === 3 && level === 4) value |= PS;
    else value = (value & 0xfffn) | NOWHERE;
    return value;
  }

  override leaf(level: number): bigint {
    if (!this.isFirst) return super.leaf(level);
    const { random } = this;
    let value = this.target(level) | (level > 1 ? PS : 0n) | random.pick(RIGHTS);
    value |= this.flags(A | D) | this.spare();
    // PAT: bit 7 of a PTE, bit 12 of others.
    if (random.chance(10)) value |= level === 1 ? 0x80n : 0x1000n;
    if (!this.rare(6)) return value;
    if (level > 1 && random.chance(40)) return value | this.misaligned(level, 13);
    const how = random.below(3);
    if (how === 0) value |= this.beyondHost(51);
    else if (how === 1) value = random.chance(10) ? ALL_ONES : value;
    else value = random.big(64) & ~P;
    return value;
  }

  /** Mostly set, as software does that wants no updates. */
  private flags(all: bigint): bigint {
    return this.random.chance(97) ? all : this.random.pick([0n, A, D]) & all;
  }

  /** Bits that are ignored: 63:52, 11, 9:8 (G and one more), 10 (EA), 4:3. */
  private spare(): bigint {
    const { random } = this;
    return random.chance(15) ? (random.big(12) << 52n) | (random.big(4) << 8n) | (random.big(2) << 3n) : 0n;
  }
}
