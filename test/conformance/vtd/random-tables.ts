/** Random root, context and page tables in which every fault and every leaf size comes up often. */
import type { VtdOptions } from '../../../src/iommu/vtd/index.ts';
import type { Kind, Reference } from './reference-walker.ts';
import type { Bench } from './unit.ts';
import { Random, READ, WRITE } from './unit.ts';

/** One implementation: what CAP and ECAP say of it. */
export interface Make {
  readonly name: string;
  readonly haw: number;
  readonly mgaw: number;
  readonly sagaw: number;
  readonly sslps: number;
  readonly sc: number;
  readonly pt: number;
  readonly nd: number;
  readonly zlr: number;
}

const make = (name: string, of: Partial<Make> = {}): Make => ({
  name,
  ...{ haw: 48, mgaw: 48, sagaw: 0b00110, sslps: 3, sc: 1, pt: 1, nd: 6, zlr: 0 },
  ...of,
});

export const MAKES: readonly Make[] = [
  make('all of it', { zlr: 1 }),
  make('39 bits only', { sagaw: 0b00010, mgaw: 39, haw: 39 }),
  make('48 bits only, no 1 GiB pages', { sagaw: 0b00100, sslps: 1, haw: 46 }),
  make('no large pages', { sslps: 0, sc: 0, haw: 36 }),
  make('2 MiB pages only, no pass-through', { sslps: 1, pt: 0, nd: 2 }),
  make('MGAW below AW', { mgaw: 42, haw: 42, sc: 0, nd: 4 }),
  make('narrow host', { haw: 33, nd: 0, zlr: 1 }),
  make('four and five levels', { sagaw: 0b01100, mgaw: 57, haw: 52 }),
];

/** Enough for every device and table of a world, so that no cache overflows. */
const CACHES = { context: 40, iotlbSets: 16, iotlbWays: 8, pagingStructure: 96 };

export function optionsOf(of: Make, paging = true): VtdOptions {
  return {
    haw: of.haw,
    cap: { MGAW: of.mgaw - 1, SAGAW: of.sagaw, SSLPS: of.sslps, ND: of.nd, ZLR: of.zlr },
    ecap: { SC: of.sc, PT: of.pt },
    caches: { ...CACHES, pagingStructure: paging ? CACHES.pagingStructure : 0 },
  };
}

export function referenceOf(of: Make, bench: Bench, root: bigint): Reference {
  return {
    root,
    mgaw: of.mgaw,
    haw: of.haw,
    sagaw: of.sagaw,
    sslps: of.sslps,
    snoopControl: of.sc === 1,
    passThrough: of.pt === 1,
    didBits: 4 + 2 * of.nd,
    zlr: of.zlr === 1,
    read: (addr) => (addr >> 12n < BigInt(bench.ram.frames) ? bench.peek(addr) : null),
  };
}

export interface Request {
  readonly sid: number;
  readonly iova: bigint;
  readonly access: number;
}

/** Codes of the kinds of requests, written again on purpose. */
export const KINDS: readonly (readonly [Kind, number])[] = [
  ['read', 1],
  ['write', 2],
  ['atomic', 3],
  ['zero-length read', 4],
  ['long write', 10],
  ['translation', 17],
  ['translated', 33],
];

/** What the second translator calls an access. */
export const kindOf = (access: number): Kind =>
  (KINDS.find(([, code]) => code === access) as (typeof KINDS)[number])[0];

interface Domain {
  readonly top: bigint;
  readonly aw: number;
  readonly did: number;
}

/** An entry of a page table, and the addresses that it serves. */
export interface Place {
  readonly at: bigint;
  readonly level: number;
  readonly levels: number;
  readonly did: number;
  readonly base: bigint;
}

/** A context entry of a world. */
export interface ContextPlace {
  readonly at: bigint;
  readonly sid: number;
}

/** Pages of memory for a world: the first 64 are the bench's own, with the root table, the queue and the status. */
export const WORLD_FRAMES = 256;
const FIRST_FRAME = 64;

/** The tables of one random world, written into a bench's memory. */
export class World {
  /** Root-table address; now and then one that is not memory. */
  readonly root: bigint;
  private readonly random: Random;
  private readonly of: Make;
  private readonly bench: Bench;
  private readonly domains: Domain[] = [];
  private readonly buses: readonly number[];
  private readonly functions: readonly number[];
  /** Indices that are used at every level: a few, so that paths meet. */
  private readonly indices: readonly number[];
  /** Page-table entries that were written, upper ones after those below them. */
  readonly places: Place[] = [];
  readonly contexts: ContextPlace[] = [];
  private readonly loops: boolean;
  private next = FIRST_FRAME;

  /** @param loops whether tables may reference themselves, so that one entry serves several addresses (6.2.8) */
  constructor(seed: number, of: Make, bench: Bench, loops = true) {
    this.loops = loops;
    this.random = new Random(seed);
    this.of = of;
    this.bench = bench;
    const { random } = this;
    bench.ram.words.fill(0, 0, WORLD_FRAMES * 1024);
    this.root = random.chance(2) ? BigInt(bench.ram.frames + random.below(1000)) << 12n : 0x1000n;
    this.buses = [0, random.below(256), 255];
    this.functions = [0, 0xff, random.below(256), random.below(256)];
    this.indices = [0, 511, random.below(512), random.below(512)];
    for (let did = 1; did <= 3; did++) this.domains.push(this.domain(did));
    if (this.root === 0x1000n) this.buses.forEach((bus) => void this.rootEntry(bus));
  }

  private frame(): bigint {
    return BigInt(this.next++) << 12n;
  }

  /** A host page that is not memory, or is: for leaves. */
  private page(): bigint {
    const { random, of } = this;
    if (random.chance(4)) return 0xfee00000n + (BigInt(random.below(256)) << 12n);
    return (random.big(of.haw - 12) >> (random.chance(50) ? 8n : 0n)) << 12n;
  }

  private outside(): bigint {
    return BigInt(this.bench.ram.frames + this.random.below(0x10000)) << 12n;
  }

  private rootEntry(bus: number): void {
    const { random, of } = this;
    const at = this.root + BigInt(bus * 16);
    const kind = random.below(100);
    if (kind < 3) return this.bench.poke(at, random.big(64) & ~1n);
    if (kind < 6) return this.bench.poke(at, this.outside() | 1n);
    const table = this.frame();
    let lo = table | 1n;
    if (kind < 8) lo |= 1n << BigInt(1 + random.below(11));
    else if (kind < 9) lo |= 1n << BigInt(of.haw + random.below(64 - of.haw));
    else if (kind < 10) this.bench.poke(at + 8n, 1n << BigInt(random.below(64)));
    this.bench.poke(at, lo);
    for (const fn of this.functions) {
      this.contexts.push({ at: table + BigInt(fn * 16), sid: bus * 256 + fn });
      this.contextEntry(table + BigInt(fn * 16));
    }
  }

  /** Writes another random entry over a context entry. */
  contextEntry(at: bigint): void {
    const { random, of } = this;
    const domain = random.pick(this.domains);
    const kind = random.below(110);
    const fpd = random.chance(30) ? 2n : 0n;
    let lo = domain.top | fpd | 1n;
    let hi = BigInt(domain.aw) | (BigInt(domain.did) << 8n) | (BigInt(random.below(16)) << 3n);
    if (kind < 4) lo = random.big(64) & ~1n;
    else if (kind < 7) lo |= 1n << BigInt(4 + random.below(8));
    else if (kind < 9) lo |= 1n << BigInt(of.haw + random.below(64 - of.haw));
    else if (kind < 11) hi |= 1n << BigInt(random.chance(30) ? 7 : 24 + random.below(40));
    else if (kind < 13 && of.nd < 6) hi |= 1n << BigInt(23 - random.below(12 - 2 * of.nd));
    else if (kind < 16) hi = (hi & ~7n) | BigInt(random.below(8));
    else if (kind < 19) lo |= random.chance(50) ? 4n : 12n;
    else if (kind < 27) lo = (random.chance(30) ? random.big(64) & ~0xfffn : 0n) | 9n | fpd;
    else if (kind < 29) lo = this.outside() | 1n | fpd;
    // A domain id stands for one table of one width (6.2.1): what else an entry may say leads nowhere.
    if ((hi & 7n) !== BigInt(domain.aw) && (lo & 0xcn) === 0n && (lo & 1n) === 1n) {
      lo = this.outside() | (lo & 0xfffn);
    }
    if (lo >> 12n !== domain.top >> 12n && hi >> 8n === BigInt(domain.did)) {
      hi = (hi & 0xffn) | (BigInt(4 + random.below(12)) << 8n);
    }
    this.bench.poke(at, lo);
    this.bench.poke(at + 8n, hi);
  }

  private domain(did: number): Domain {
    const { random, of } = this;
    const widths = [1, 2, 3].filter((aw) => (of.sagaw >> aw) & 1);
    const aw = random.pick(widths);
    return { top: this.table(aw + 2, aw + 2, did, 0n), aw, did };
  }

  /** A table at a level with entries at the usual indices. */
  private table(level: number, levels: number, did: number, above: bigint): bigint {
    const table = this.frame();
    for (const index of new Set(this.indices)) {
      const base = above | (BigInt(index) << BigInt(12 + 9 * (level - 1)));
      const place = { at: table + BigInt(index * 8), level, levels, did, base };
      this.places.push(place);
      this.bench.poke(place.at, this.entry(place));
    }
    return table;
  }

  /** Another random entry for a place. */
  entry(place: Place): bigint {
    const { level, levels, did, base } = place;
    const { random, of } = this;
    const kind = random.below(100);
    // Not present, with whatever else.
    if (kind < 6) return random.chance(30) ? 0n : random.big(64) & ~3n;
    const rights = random.chance(87) ? 3n : BigInt(1 + random.below(2));
    // Bits that hardware ignores: 63, 61:52, 10:8, 6:2.
    const ignored = random.chance(40) ? random.big(64) & 0xbff000000000077cn : 0n;
    let entry: bigint;
    const large = (level === 2 || level === 3) && random.chance(level === 2 ? 35 : 20);
    if (level === 1 || large) {
      const below = BigInt(12 + 9 * (level - 1));
      const aligned = !large || random.chance(85);
      entry = aligned ? (this.page() >> below) << below : this.page();
      entry |= rights | ignored | (large ? 0x80n : random.chance(20) ? 0x80n : 0n);
      if (random.chance(10)) entry |= 0x800n;
    } else {
      const full = this.next > WORLD_FRAMES - 20;
      const below = () => (full ? this.outside() : this.table(level - 1, levels, did, base));
      const pointer = kind < 14 ? this.outside() : this.loops && kind < 17 ? (place.at >> 12n) << 12n : below();
      entry = pointer | rights | ignored;
      if (kind >= 17 && kind < 19) entry |= 0x800n;
      if (level >= 4 && kind >= 19 && kind < 22) entry |= 0x80n;
    }
    if (kind >= 94 && of.haw < 52) entry |= 1n << BigInt(of.haw + random.below(52 - of.haw));
    else if (kind >= 92) entry |= 1n << 62n;
    return entry;
  }

  request(): Request {
    const { random, of } = this;
    const bus = random.chance(3) ? random.below(256) : random.pick(this.buses);
    const fn = random.chance(3) ? random.below(256) : random.pick(this.functions);
    let iova = 0n;
    for (let level = 1; level <= 5; level++) {
      const usual = random.chance(98);
      const index = usual ? random.pick(this.indices) : random.below(512);
      iova |= BigInt(index) << BigInt(12 + 9 * (level - 1));
    }
    // Most requests fit the narrowest table in sight; a few are beyond every width, up to 60 bits.
    const width = random.below(100);
    const narrow = random.pick([39, 39, of.mgaw]);
    if (width < 66) iova = BigInt.asUintN(narrow, iova);
    else if (width < 69) iova |= 1n << BigInt(39 + random.below(21));
    else if (width < 71) iova = 0xfee00000n + BigInt(random.below(3) - 1) * 0x100000n + (random.big(8) << 12n);
    else if (width >= 98) iova = BigInt.asUintN(of.mgaw, iova) | (1n << BigInt(of.mgaw - 1));
    return { sid: bus * 256 + fn, iova, access: random.chance(50) ? READ : WRITE };
  }
}
