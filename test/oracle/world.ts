/**
 * Tables of a random script, in legacy mode: two domains, a context entry for each device, page tables in which every leaf size and every
 * fault comes up often. What is written is handed out as stores.
 */
import type { Random } from '../conformance/vtd/unit.ts';
import type { Configuration } from './configurations.ts';
import { BRIDGE, CLEARED, SID } from './platform.ts';
import { LAYOUT } from './script.ts';

export const ROOT = BigInt(CLEARED.from);
export const BRIDGED_ROOT = ROOT + BigInt(BRIDGE.bus * 16);
export const CONTEXTS = ROOT + 0x1000n;
/** Context entries of the devices behind the bridge, and in scalable mode of devices 16 – 31 of bus 0. */
export const BRIDGED_CONTEXTS = ROOT + 0x2000n;
export const UPPER_CONTEXTS = ROOT + 0x3000n;
const FIRST_TABLE = Number(ROOT) + 0xa000;
const LAST_TABLE = LAYOUT.queue - 0x10000;

/** Far above RAM, and nothing decodes there. */
export const NOWHERE = 0x4_0000_0000n;
export const INTERRUPTS = 0xfee00000n;
export const PS = 0x80n;
const SNP = 0x800n;
export const ALL_ONES = (1n << 64n) - 1n;

/** Domain ids: they differ in the highest bit. */
const DIDS = [1, 0x8001] as const;

/** An entry of a page table: where it is, what it says, and the input addresses below it. */
export interface Place {
  readonly at: number;
  readonly level: number;
  readonly base: bigint;
  readonly did: number;
  value: bigint;
}

export interface Domain {
  readonly did: number;
  readonly aw: number;
  readonly top: bigint;
  readonly places: Place[];
}

/** Takes a 64-bit store. */
export type Store = (at: number, value: bigint) => void;

export class World {
  readonly domains: Domain[] = [];
  /** Test devices that send requests here, as indices into SID.testdev: two of them, so that each sends many. */
  readonly testdevs: readonly number[];
  /** Whose tables a device has, by source id. */
  readonly owner = new Map<number, Domain>();
  /** Devices whose context entry in scalable mode has FPD set. */
  protected readonly silent = new Set<number>();
  protected readonly random: Random;
  protected readonly tables: Configuration['tables'];
  /** Whether context entries may say that a device has a cache. */
  protected readonly deviceTlbs: boolean;
  protected readonly store: Store;
  private readonly wrongness: number;
  private nextTable = FIRST_TABLE;

  constructor(random: Random, { deviceTlbs, tables }: Configuration, store: Store) {
    this.random = random;
    this.deviceTlbs = deviceTlbs === true;
    this.tables = tables;
    this.store = store;
    this.wrongness = random.pick([0, 1, 1, 4]);
    const first = random.below(SID.testdev.length);
    this.testdevs = [first, (first + 1 + random.below(SID.testdev.length - 1)) % SID.testdev.length];
    this.build();
  }

  /** What software writes to RTADDR. */
  get rootTable(): bigint {
    return ROOT;
  }

  protected build(): void {
    this.populate();
    this.rootEntry(ROOT, CONTEXTS);
    this.rootEntry(BRIDGED_ROOT, BRIDGED_CONTEXTS);
  }

  /** Reserved: 11:1, and from the host address width on; the upper half. */
  private rootEntry(at: bigint, contexts: bigint): void {
    const { random } = this;
    const spoiled = this.rare(3);
    const above = this.beyondHost(63);
    let root = contexts | 1n;
    let rootHi = 0n;
    if (spoiled) {
      const how = random.below(4);
      if (how === 0) root = random.pick([contexts, NOWHERE | 1n]);
      else if (how === 1) root |= 1n << BigInt(1 + random.below(11));
      else if (how === 2) root |= above;
      else rootHi = random.big(64);
    }
    this.store(Number(at), root);
    if (rootHi !== 0n) this.store(Number(at) + 8, rootHi);
  }

  /** Domains, and a device's way to one of them. */
  protected populate(): void {
    for (const did of DIDS) this.domains.push(this.domain(did));
    for (const sid of this.requesters) {
      this.assign(sid, this.random.pick(this.domains));
    }
  }

  /** Source ids of the devices that send requests here. */
  get requesters(): readonly number[] {
    return [SID.edu, ...this.testdevs.map((which) => SID.testdev[which])];
  }

  private contextAt(sid: number): number {
    return Number(sid >> 8 === BRIDGE.bus ? BRIDGED_CONTEXTS : CONTEXTS) + (sid & 0xff) * 16;
  }

  private contextEntry(domain: Domain): [bigint, bigint] {
    const { random } = this;
    let lo = domain.top | 1n;
    let hi = BigInt(domain.aw) | (BigInt(domain.did) << 8n);
    if (random.chance(5)) lo |= 2n;
    // TT 01b: translation requests are taken besides.
    if (this.deviceTlbs && random.chance(60)) lo |= 4n;
    // 70:67 are ignored.
    if (random.chance(5)) hi |= BigInt(random.below(16)) << 3n;
    if (!this.rare(12)) return [lo, hi];
    switch (random.below(9)) {
      case 0:
        return [lo & ~1n, hi];
      case 1:
        return [(lo & ~0xcn) | (BigInt(random.below(3) + 1) * 4n), hi];
      case 2:
        return [
          ((random.chance(70) ? lo : lo | this.beyondHost(63)) & ~0xcn) | 8n,
          (hi & ~7n) | (this.tables.haw === 39 ? 1n : 2n),
        ];
      case 3:
        return [lo | (1n << BigInt(4 + random.below(8))), hi];
      case 4:
        return [lo | this.beyondHost(63), hi];
      case 5:
        return [lo, hi | (1n << BigInt(24 + random.below(40)))];
      case 6:
        return [lo, hi | 0x80n];
      case 7:
        return [lo, (hi & ~7n) | BigInt(random.below(8))];
      default:
        return [(lo & 0xfffn) | NOWHERE, hi];
    }
  }

  private domain(did: number): Domain {
    const aw = this.random.pick(this.tables.aw);
    const domain: Domain = { did, aw, top: BigInt(this.nextTable), places: [] };
    this.table(domain, aw + 2, 0n);
    return domain;
  }

  /** Fills a table of a level. Index 0 of level 2 stays empty: a page of 1 GiB at 0 then leads past the first 2 MiB. */
  protected table(domain: Domain, level: number, base: bigint): number {
    const { random } = this;
    const at = this.nextTable;
    this.nextTable += 0x1000;
    const indices = new Set<number>();
    const count = level === 1 ? 8 : level === 2 ? 4 : 2;
    while (indices.size < count) {
      const index = this.index(level);
      if (level !== 2 || index !== 0) indices.add(index);
    }
    for (const index of indices) {
      const below = this.extended(base | (BigInt(index) << BigInt(12 + 9 * (level - 1))));
      const place: Place = { at: at + index * 8, level, base: below, did: domain.did, value: 0n };
      const leaf = level === 1 || (level <= 3 && random.chance(level === 2 ? 30 : 20));
      place.value = leaf || this.nextTable >= LAST_TABLE ? this.leaf(level) : this.branch(domain, level, below);
      domain.places.push(place);
      this.store(place.at, place.value);
    }
    return at;
  }

  /** Of an entry in a table of a level. */
  protected index(_level: number): number {
    const { random } = this;
    return random.pick([0, 1, 511, random.below(512), random.below(512)]);
  }

  private branch(domain: Domain, level: number, base: bigint): bigint {
    return this.reference(level, BigInt(this.table(domain, level - 1, base)));
  }

  /** The address as devices send it. */
  protected extended(address: bigint): bigint {
    return address;
  }

  /** What an entry of a level says that references a table. */
  protected reference(level: number, table: bigint): bigint {
    const { random } = this;
    // Where it may only be read, or only be written, below.
    const rights = random.chance(3) ? BigInt(1 + random.below(2)) : 3n;
    let value = table | rights | this.ignored(level, false);
    if (!this.rare(4)) return value;
    const how = random.below(5);
    if (how === 0) value &= ~BigInt(1 + random.below(3));
    else if (how === 1) value |= SNP;
    else if (how === 2) value |= this.beyondHost(51);
    else if (how === 3) value |= level === 4 ? PS : 1n << 62n;
    else value = (value & 0xfffn) | NOWHERE;
    return value;
  }

  /** What software makes of an entry. */
  changed({ level, value }: Place): bigint {
    if (level === 1 || (value & PS) !== 0n) return this.leaf(level);
    return this.random.chance(50) ? value ^ BigInt(1 + this.random.below(3)) : (value & ~0xfffn) | 3n;
  }

  /** What an entry of a level says that maps a page. */
  leaf(level: number): bigint {
    const { random, tables } = this;
    const size = BigInt(level > 1 ? PS : 0n);
    const rights = random.pick([3n, 3n, 3n, 3n, 3n, 1n, 2n, 0n]);
    let value = this.target(level) | size | rights | this.ignored(level, true);
    if (tables.snoopControl && random.chance(20)) value |= SNP;
    if (!this.rare(6)) return value;
    if (level > 1 && random.chance(40)) return value | this.misaligned(level, 12);
    const how = random.below(5);
    if (how === 0) value |= SNP;
    else if (how === 1) value |= this.beyondHost(51);
    else if (how === 2) value |= 1n << 62n;
    else if (how === 3) value = random.chance(10) ? ALL_ONES : value;
    else value = random.big(64) & ~3n;
    return value;
  }

  /** An address bit below the size of a level's page: one of the ends more often than others. @param from lowest that there is */
  protected misaligned(level: number, from: number): bigint {
    const top = 11 + 9 * (level - 1);
    return 1n << BigInt(this.random.pick([from, top, from + this.random.below(top + 1 - from)]));
  }

  /** Bits that are ignored: 61:52 and 63; 10:8 and 6:2, which are so in legacy mode. */
  private ignored(level: number, leaf: boolean): bigint {
    const { random } = this;
    if (!random.chance(15)) return 0n;
    let bits = (random.big(10) << 52n) | (random.big(1) << 63n) | (random.big(3) << 8n) | (random.big(5) << 2n);
    if (leaf && level === 1) bits |= random.big(1) << 7n;
    return bits;
  }

  protected target(level: number): bigint {
    const { random } = this;
    if (random.chance(2)) return NOWHERE;
    if (level === 3) return random.chance(3) ? INTERRUPTS & ~0x3fffffffn : 0n;
    if (random.chance(2)) return INTERRUPTS;
    if (level === 2) return BigInt(LAYOUT.data);
    return BigInt(LAYOUT.data + random.below(LAYOUT.dataBytes / 4096) * 4096);
  }

  /** One bit from the host address width to `top`: one of the ends more often than others. */
  protected beyondHost(top: number): bigint {
    const { random } = this;
    const { haw } = this.tables;
    return 1n << BigInt(random.pick([haw, top, haw + random.below(top + 1 - haw)]));
  }

  /** Whether something is to be wrong here: in half of the worlds little, in some nothing, in some much. */
  protected rare(percent: number): boolean {
    return this.random.chance(percent * this.wrongness);
  }

  /** Gives a device a context entry, of a domain or a broken one. */
  assign(sid: number, domain: Domain): void {
    this.owner.set(sid, domain);
    const [lo, hi] = this.contextEntry(domain);
    this.store(this.contextAt(sid), lo);
    this.store(this.contextAt(sid) + 8, hi);
  }
}
