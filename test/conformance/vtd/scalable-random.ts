/** Random tables of scalable mode in which every fault and every kind of translation comes up often. */
import type { Asked, ScalableReference } from './scalable-reference-walker.ts';
import { ALL, FIRST, NESTED, pasidEntry, ScalableBench, SECOND } from './scalable-unit.ts';
import { Random, ROOT } from './unit.ts';

export interface ScalableMake {
  readonly name: string;
  readonly haw: number;
  readonly sagaw: number;
  readonly sslps: number;
  readonly fs1gp: number;
  readonly fs5lp: number;
  readonly nd: number;
  readonly zlr: number;
  readonly paging: number;
  readonly ecap: Readonly<Record<string, number>>;
}

const make = (name: string, of: Partial<ScalableMake> = {}): ScalableMake => ({
  name,
  ...{ haw: 48, sagaw: 0b00110, sslps: 3, fs1gp: 1, fs5lp: 0, nd: 6, zlr: 0, paging: 0 },
  ...of,
  ecap: { ...ALL, SC: 1, PT: 1, ...of.ecap },
});

export const SCALABLE_MAKES: readonly ScalableMake[] = [
  make('all of it', { paging: 64 }),
  make('five levels', { sagaw: 0b01110, haw: 52, fs5lp: 1, zlr: 1 }),
  make('five levels, with caches', { sagaw: 0b01110, haw: 52, fs5lp: 1, zlr: 1, paging: 64 }),
  make('no large pages', { sslps: 0, fs1gp: 0, haw: 40 }),
  make('no second stage', { ecap: { SSTS: 0, NEST: 0, SSADS: 0 } }),
  make('no first stage', { fs1gp: 0, ecap: { FSTS: 0, NEST: 0, EAFS: 0, SRS: 0, RPRIVS: 0 }, paging: 64 }),
  make('nothing is snooped', { ecap: { SMPWCS: 0, EAFS: 0, SSADS: 0, SC: 0 }, paging: 64 }),
  make('no PASIDs, no RID_PASID', { ecap: { PASID: 0, RPS: 0, PT: 0, PSS: 0 }, nd: 2 }),
  make('short PASIDs, no supervisors', { ecap: { PSS: 6, SRS: 0, RPRIVS: 0 }, paging: 64 }),
];

export const FRAMES = 512;

/** @param dmaSlots transactions in flight; without any, requests are translated at once */
export function benchOf(of: ScalableMake, dmaSlots = 0): ScalableBench {
  return new ScalableBench({
    dmaSlots,
    frames: FRAMES,
    haw: of.haw,
    cap: {
      MGAW: (of.sagaw & 8 ? 57 : 48) - 1,
      SAGAW: of.sagaw,
      SSLPS: of.sslps,
      FS1GP: of.fs1gp,
      FS5LP: of.fs5lp,
      ND: of.nd,
      ZLR: of.zlr,
    },
    ecap: of.ecap,
    caches:
      dmaSlots === 0
        ? { context: 64, iotlbSets: 16, iotlbWays: 16, pagingStructure: of.paging }
        : { context: 40, iotlbSets: 8, iotlbWays: 24, pagingStructure: Math.min(of.paging, 40) },
  });
}

/** @param words a copy of memory that is the second translator's own */
export function referenceOf(of: ScalableMake, root: bigint, words: Int32Array): ScalableReference {
  const inside = (addr: bigint) => addr >= 0n && addr >> 12n < BigInt(FRAMES);
  return {
    root,
    mgaw: of.sagaw & 8 ? 57 : 48,
    haw: of.haw,
    sagaw: of.sagaw,
    sslps: of.sslps,
    fs1gp: of.fs1gp === 1,
    fs5lp: of.fs5lp === 1,
    didBits: 4 + 2 * of.nd,
    zlr: of.zlr === 1,
    ecap: of.ecap,
    read: (addr) => {
      if (!inside(addr)) return null;
      const at = Number(addr >> 2n);
      return (BigInt((words[at + 1] as number) >>> 0) << 32n) | BigInt((words[at] as number) >>> 0);
    },
    write: (addr, value) => {
      words[Number(addr >> 2n)] = Number(BigInt.asIntN(32, value));
      words[Number(addr >> 2n) + 1] = Number(BigInt.asIntN(32, value >> 32n));
    },
  };
}

const FIRST_FRAME = 16;

/** The tables of one random world, written into a bench's memory. */
export class ScalableWorld {
  private readonly random: Random;
  private readonly of: ScalableMake;
  private readonly bench: ScalableBench;
  private readonly indices: readonly number[];
  private readonly sids: number[] = [];
  private readonly pasids: number[] = [];
  /** Root-table address; now and then one that is not memory. */
  readonly root: bigint;
  private next = FIRST_FRAME;

  constructor(seed: number, of: ScalableMake, bench: ScalableBench) {
    this.random = new Random(seed);
    this.of = of;
    this.bench = bench;
    const { random } = this;
    bench.ram.words.fill(0, 0, FRAMES * 1024);
    this.root = random.chance(2) ? this.outside() : ROOT;
    this.indices = [0, 511, random.below(512)];
    this.devices();
  }

  /** Pages that it has written, from the first page of memory on. */
  get frames(): number {
    return this.next;
  }

  private frame(): bigint {
    return BigInt(this.next++) << 12n;
  }

  private full(): boolean {
    return this.next > FRAMES - 40;
  }

  private outside(): bigint {
    return BigInt(FRAMES + this.random.below(0x1000)) << 12n;
  }

  /** One bit of `word` in `from` … `to` is set, now and then. */
  private spoilt(word: bigint, from: number, to: number, percent: number): bigint {
    const { random } = this;
    return random.chance(percent) && to >= from ? word | (1n << BigInt(from + random.below(to - from + 1))) : word;
  }

  private devices(): void {
    const { bench, of, random } = this;
    const entries = this.pasidTable();
    for (const bus of [0, 1]) {
      const at = ROOT + BigInt(bus * 16);
      for (const half of [0, 1]) {
        const table = this.frame();
        let root = random.chance(4) ? this.outside() | 1n : table | (random.chance(4) ? 0n : 1n);
        root = this.spoilt(root, 1, 11, 2);
        bench.poke(at + BigInt(8 * half), this.spoilt(root, of.haw, 63, 2));
        for (const fn of [0, 0x7f]) {
          this.sids.push(bus * 256 + half * 128 + fn);
          this.context(table + BigInt(fn * 32), entries);
        }
      }
    }
  }

  private context(at: bigint, directory: bigint): void {
    const { bench, of, random } = this;
    const paside = of.ecap.PASID === 1 && random.chance(90) ? 8n : 0n;
    let lo = (random.chance(3) ? this.outside() : directory) | (random.chance(4) ? 0n : 1n) | paside;
    if (random.chance(20)) lo |= 2n;
    lo |= BigInt(random.chance(80) ? 0 : random.below(8)) << 9n;
    lo = this.spoilt(this.spoilt(lo, 2, 8, 4), of.haw, 63, 2);
    let hi = of.ecap.RPS === 1 ? BigInt(random.pick(this.pasids)) : 0n;
    if (random.chance(3)) hi = random.big(20);
    if (of.ecap.RPRIVS === 1 && random.chance(20)) hi |= 1n << 20n;
    bench.pokeAll(at, [lo, this.spoilt(hi, 20, 63, 3), this.spoilt(0n, 0, 63, 1), this.spoilt(0n, 0, 63, 1)]);
  }

  /** @returns address of the directory */
  private pasidTable(): bigint {
    const { bench, of, random } = this;
    const directory = this.frame();
    for (const index of [0, 1]) {
      const table = this.frame();
      let entry = (random.chance(3) ? this.outside() : table) | (random.chance(4) ? 0n : 1n);
      if (random.chance(10)) entry |= 2n;
      bench.poke(directory + BigInt(index * 8), this.spoilt(this.spoilt(entry, 2, 11, 3), of.haw, 63, 2));
      for (const low of [0, 1, 2, 3, 63]) {
        this.pasids.push(index * 64 + low);
        bench.pokeAll(table + BigInt(low * 64), this.entry(this.pasids.length));
      }
    }
    this.pasids.push(0x80, 0x1fff, 0x2000);
    return directory;
  }

  private entry(did: number): bigint[] {
    const { of, random } = this;
    const { ecap } = of;
    const can = [ecap.FSTS, ecap.SSTS, ecap.NEST, ecap.PT].flatMap((has, i) => (has === 1 ? [i + 1] : []));
    const often = ecap.NEST === 1 && random.chance(45) ? [NESTED] : can;
    const pgtt = random.chance(4) ? random.below(8) : random.pick(often);
    const aws = [1, 2, 3].filter((aw) => (of.sagaw >> aw) & 1);
    const aw = ecap.SSTS === 0 ? 0 : random.chance(4) ? random.below(8) : random.pick(aws);
    const fspm = ecap.FSTS === 0 ? 0 : random.chance(4) ? random.below(4) : of.fs5lp === 1 ? random.below(2) : 0;
    const levels = aw >= 1 && aw <= 3 ? aw + 2 : 4;
    const nested = pgtt === NESTED;
    const second = pgtt === SECOND || nested ? this.second(levels, levels, nested) : 0n;
    const first = pgtt === FIRST || nested ? this.first(4 + (fspm & 1), nested) : 0n;
    const flag = (name: string, percent: number) => (ecap[name] === 1 && random.chance(percent) ? 1 : 0);
    const words = pasidEntry({
      pgtt,
      did: did & (2 ** (4 + 2 * of.nd) - 1),
      aw,
      second: ecap.SSTS === 1 && random.chance(4) ? this.outside() : second,
      first:
        ecap.FSTS === 1 && random.chance(5)
          ? random.chance(50)
            ? this.outside()
            : random.big(of.haw - 12) << 12n
          : first,
      fspm,
      present: random.chance(4) ? 0 : 1,
      snoop: flag('SMPWCS', 92),
      sre: flag('SRS', 60),
      wpe: ecap.FSTS === 1 && random.chance(50) ? 1 : 0,
      eafe: flag('EAFS', 30),
      ssade: ecap.SSTS === 1 ? flag('SSADS', 30) : 0,
      fpd: random.chance(10) ? 1 : 0,
    });
    return words.map((word, i) => this.spoilt(word, 0, 63, i < 3 ? 4 : 1));
  }

  /** A page of the host: memory or not. */
  private page(): bigint {
    const { of, random } = this;
    if (random.chance(4)) return 0xfee00000n + (BigInt(random.below(256)) << 12n);
    return random.big(of.haw - 12) << 12n;
  }

  private second(level: number, levels: number, forTables: boolean): bigint {
    const { bench, of, random } = this;
    const table = this.frame();
    // First-stage tables lie in the lowest 2 MiB of the guest, which are the host's.
    const low = forTables;
    for (const index of new Set(this.indices)) {
      // The way to the first-stage tables is all right more often than others, as each of their entries takes it.
      const path = low && index === 0;
      const kind = path && random.chance(70) ? 50 : random.below(100);
      const rights = random.chance(path ? 96 : 88) ? 3n : BigInt(random.below(4));
      let entry: bigint;
      const large = (level === 2 || level === 3) && !path && random.chance(25);
      if (level === 1 || large) {
        const below = BigInt(12 + 9 * (level - 1));
        entry = (random.chance(4) ? this.page() : (this.page() >> below) << below) | (large ? 0x80n : 0n);
      } else {
        entry = path
          ? this.second(level - 1, levels, true)
          : this.full() || kind < 4
            ? this.outside()
            : this.second(level - 1, levels, false);
      }
      entry |= rights;
      if (random.chance(30)) entry |= random.big(64) & 0x9ff000000000037cn;
      if (kind >= 95) entry = this.spoilt(entry, of.haw, 51, 100);
      else if (kind >= 93) entry |= 1n << BigInt(random.pick([7, 11, 62]));
      bench.poke(table + BigInt(index * 8), entry);
    }
    if (low && level === 1) {
      for (let frame = 0; frame < 512; frame++) {
        const rights = random.chance(96) ? 3n : BigInt(random.below(4));
        bench.poke(table + BigInt(frame * 8), (BigInt(frame) << 12n) | rights);
      }
    }
    return table;
  }

  private first(level: number, nested: boolean): bigint {
    const { bench, of, random } = this;
    const table = this.frame();
    for (const index of new Set(this.indices)) {
      const kind = random.below(100);
      let entry: bigint;
      const large = (level === 2 || level === 3) && random.chance(nested ? 10 : 25);
      if (level === 1 || large) {
        const below = BigInt(12 + 9 * (level - 1));
        const near = random.big(2) << 12n;
        const frame = nested && random.chance(85) ? near : this.page();
        entry = (random.chance(4) ? frame : (frame >> below) << below) | (large ? 0x80n : 0n);
        if (random.chance(20)) entry |= large ? 0x1000n : 0x80n;
      } else entry = this.full() || kind < 4 ? this.outside() : this.first(level - 1, nested);
      if (!random.chance(4)) entry |= 1n;
      if (!random.chance(8)) entry |= 2n;
      if (!random.chance(8)) entry |= 4n;
      if (random.chance(60)) entry |= random.big(64) & 0xfff0000000000f78n;
      if (random.chance(50)) entry |= 0x20n;
      if (kind >= 96) entry = this.spoilt(entry, of.haw, 51, 100);
      else if (kind >= 94 && level > 1) entry |= 1n << BigInt(random.pick([7, 13, 14, 20, 29]));
      bench.poke(table + BigInt(index * 8), entry);
    }
    return table;
  }

  request(): Asked {
    const { of, random } = this;
    const sid = random.chance(2) ? random.below(0x10000) : random.pick(this.sids);
    let address = 0n;
    for (let level = 1; level <= 5; level++) {
      const index = random.chance(97) ? random.pick(this.indices) : random.below(512);
      address |= BigInt(index) << BigInt(12 + 9 * (level - 1));
    }
    const kind = random.below(100);
    const bits = random.pick([39, 47, 48, 48, 56, 57]);
    if (kind < 60) address = BigInt.asUintN(64, BigInt.asIntN(bits, address));
    else if (kind < 92) address = BigInt.asUintN(bits, address);
    else if (kind < 94) address = 0xfee00000n | (random.big(9) << 12n);
    else if (kind < 96) address = BigInt.asUintN(64, address | (1n << 60n));
    const use = random.below(100);
    const writes = use < 45;
    const reads = use >= 45 || use < 8;
    const empty = use >= 95;
    const withPasid = of.ecap.PASID === 1 ? random.chance(60) : random.chance(5);
    return {
      sid,
      address,
      writes,
      reads: reads && !empty,
      empty,
      pasid: withPasid ? (random.chance(3) ? random.below(1 << 20) : random.pick(this.pasids)) : -1,
      supervisor: withPasid && random.chance(30),
    };
  }
}
