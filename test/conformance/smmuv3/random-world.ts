/**
 * Random stream tables, context descriptors and translation tables. They are made while they are walked: a word is made up when the reference translator is
 * about to read it for the first time, so that nothing is made that nobody reads, and walks get far.
 */
import type { Values } from '../../../src/bits/index.ts';
import { encodeHalves } from '../../../src/bits/index.ts';
import { CD, STE } from '../../../src/iommu/smmuv3/index.ts';
import { Random } from '../vtd/random.ts';
import type { Make, Registers, Request, Role, WorldMemory } from './reference.ts';
import { OAS_BITS } from './reference.ts';
import type { Bench, BenchOptions } from './unit.ts';

const BASE: Make = {
  ...{ S1P: 1, S2P: 1, HTTU: 2, Hyp: 1, ATS: 0, NS1ATS: 0, ASID16: 1, VMID16: 1, CD2L: 1, TTENDIAN: 0 },
  ...{ STALL_MODEL: 0, TERM_MODEL: 0, ST_LEVEL: 1, SIDSIZE: 16, SSIDSIZE: 20, ATTR_PERMS_OVR: 1 },
  ...{
    HAD: 1,
    XNX: 1,
    STT: 1,
    BBML: 2,
    FWB: 1,
    E0PD: 1,
    EPAN: 1,
    OAS: 5,
    GRAN4K: 1,
    GRAN16K: 1,
    GRAN64K: 1,
    VAX: 0,
    MINOR: 2,
  },
};

/** Implementations that differ in what a translation depends on. */
export const MAKES: readonly (readonly [name: string, make: Make])[] = [
  ['all of it', BASE],
  ['52 bits, nT counts', { ...BASE, OAS: 6, VAX: 1, BBML: 1, ATS: 1 }],
  ['44 bits, terminate only, flags not managed', { ...BASE, OAS: 4, STALL_MODEL: 1, HTTU: 0, XNX: 0, STT: 0 }],
  [
    '40 bits, Access flag alone, little-endian',
    { ...BASE, OAS: 2, HTTU: 1, TTENDIAN: 2, EPAN: 0, E0PD: 0, SIDSIZE: 6 },
  ],
  [
    '36 bits, 4 KiB alone, 8-bit identifiers',
    { ...BASE, OAS: 1, GRAN16K: 0, GRAN64K: 0, ASID16: 0, VMID16: 0, HAD: 0 },
  ],
  ['32 bits, big-endian, aborts alone', { ...BASE, OAS: 0, TTENDIAN: 3, TERM_MODEL: 1, SSIDSIZE: 0, FWB: 0 }],
  ['42 bits, 16 and 64 KiB, one level', { ...BASE, OAS: 3, GRAN4K: 0, CD2L: 0, ST_LEVEL: 0, ATTR_PERMS_OVR: 0 }],
  ['stage 1 alone', { ...BASE, S2P: 0, VMID16: 0, SSIDSIZE: 8, BBML: 0 }],
  ['stage 2 alone', { ...BASE, S1P: 0, ASID16: 0, Hyp: 0, CD2L: 0 }],
  ['SMMUv3.0', { ...BASE, MINOR: 0, Hyp: 0, STT: 0, E0PD: 0, XNX: 0, EPAN: 0, BBML: 0, FWB: 0 }],
];

/** Codes of granules, by log2. */
const TG0: Readonly<Record<number, number>> = { 12: 0, 14: 2, 16: 1 };
const TG1: Readonly<Record<number, number>> = { 12: 2, 14: 1, 16: 3 };

/** Pages of memory; the last two are queues. */
export const FRAMES = 1024;
const TABLES = BigInt(FRAMES) << 12n;

export function optionsOf(make: Make): BenchOptions {
  const of = (...names: string[]) => Object.fromEntries(names.map((name) => [name, make[name]]));
  return {
    frames: FRAMES,
    idr0: of(
      ...['S1P', 'S2P', 'HTTU', 'Hyp', 'ATS', 'NS1ATS', 'ASID16', 'VMID16', 'CD2L', 'TTENDIAN'],
      ...['STALL_MODEL', 'TERM_MODEL', 'ST_LEVEL'],
    ),
    idr1: of('SIDSIZE', 'SSIDSIZE', 'ATTR_PERMS_OVR'),
    idr3: of('HAD', 'XNX', 'STT', 'BBML', 'FWB', 'E0PD', 'EPAN'),
    idr5: { ...of('OAS', 'GRAN4K', 'GRAN16K', 'GRAN64K', 'VAX'), STALL_MAX: make.STALL_MODEL === 1 ? 0 : 64 },
    aidr: { ArchMinorRev: make.MINOR },
  };
}

const join = (halves: Int32Array): bigint[] =>
  Array.from(
    { length: halves.length / 2 },
    (_, i) => (BigInt(halves[2 * i + 1] >>> 0) << 32n) | BigInt(halves[2 * i] >>> 0),
  );

export class World implements WorldMemory {
  readonly regs: Registers;
  /** A word is of two kinds at once: what the flags of one become would change the other. */
  tainted = false;
  private readonly random: Random;
  private readonly make: Make;
  private readonly bench: Bench;
  private readonly oas: number;
  private readonly made = new Map<bigint, string>();
  /** One stream and one CD: what it has is shared with nobody, and may be global, or of EL2. */
  private readonly single: boolean;
  /** In percent, of each thing that can be wrong. */
  private readonly flaws: number;
  private readonly big: boolean;
  private next = 0n;
  private readonly bases: bigint[];

  constructor(seed: number, make: Make, bench: Bench) {
    const random = new Random(seed);
    this.random = random;
    this.make = make;
    this.bench = bench;
    this.oas = OAS_BITS[make.OAS];
    this.single = random.chance(40);
    this.flaws = random.pick([0, 0, 1, 4]);
    this.big = make.TTENDIAN === 3 || (make.TTENDIAN === 0 && random.chance(30));
    bench.ram.words.fill(0, 0, (FRAMES - 2) * 1024);
    const split = make.ST_LEVEL === 1 && random.chance(50) ? random.pick([6, 8, 10]) : 0;
    this.regs = {
      base: this.table(12),
      log2: random.pick([2, 3, 4, 8, 9, 20]),
      split,
      e2h: make.Hyp === 1 && random.chance(50),
    };
    const far = random.big(64);
    this.bases = [
      0n,
      0x1f_f000n,
      random.big(26),
      random.big(36),
      random.big(48),
      -random.big(30) - 1n,
      -random.big(39) - 1n,
      random.big(40) | (random.big(8) << 56n),
      far,
    ].map((base) => BigInt.asUintN(64, base));
  }

  private flaw(): boolean {
    return this.random.chance(this.flaws);
  }

  /** Where a table of 2^bits bytes may be: not in each other, until there is no more room. */
  private table(bits: number): bigint {
    const size = 1n << BigInt(Math.max(bits, 12));
    if (this.flaw()) return (this.random.big(this.oas) >> BigInt(bits)) << BigInt(bits);
    this.next = (this.next + size - 1n) & -size;
    if (this.next + size > TABLES / 2n) this.next = 0n;
    const at = this.next;
    this.next += size;
    return at;
  }

  read(address: bigint): bigint | null {
    return address + 8n <= TABLES ? this.bench.peek(address & -8n) : null;
  }

  need(address: bigint, role: Role): void {
    const kind = role.what === 'first' || role.what === 'second' ? 'descriptor' : role.what;
    let words: readonly bigint[] | null = null;
    for (let i = 0; i < role.words; i++) {
      const at = address + BigInt(8 * i);
      const known = this.made.get(at);
      if (known !== undefined && known !== kind) this.tainted = true;
      if (known !== undefined || this.read(at) === null) continue;
      // The queues.
      if (at >= TABLES - 0x2000n) this.tainted = true;
      words ??= this.makeUp(role);
      this.made.set(at, kind);
      this.bench.poke(at, words[i]);
    }
  }

  private makeUp(role: Role): readonly bigint[] {
    switch (role.what) {
      case 'l1std': {
        const span = this.flaw() ? this.random.below(32) : this.regs.split + 1 - this.random.below(2);
        return [this.table(6 + span) | BigInt(span)];
      }
      case 'ste':
        return join(encodeHalves(STE, this.ste(role.sid as number)));
      case 'l1cd':
        return [this.table(16) | (this.flaw() ? 0n : 1n)];
      case 'cd':
        return join(encodeHalves(CD, this.cd(role.sid as number, role.index as number)));
      default:
        return [this.swapped(this.descriptor(role))];
    }
  }

  private swapped(value: bigint): bigint {
    if (!this.big) return value;
    let out = 0n;
    for (let i = 0n; i < 64n; i += 8n) out |= ((value >> i) & 0xffn) << (56n - i);
    return out;
  }

  private granule(): number {
    const { make, random } = this;
    const has = [
      ...(make.GRAN4K === 1 ? [12] : []),
      ...(make.GRAN16K === 1 ? [14] : []),
      ...(make.GRAN64K === 1 ? [16] : []),
    ];
    return this.flaw() ? random.pick([12, 14, 16]) : random.pick(has);
  }

  private stalls(): number {
    if (this.flaw()) return this.random.below(2);
    return this.make.STALL_MODEL === 0 ? (this.random.chance(5) ? 1 : 0) : this.make.STALL_MODEL === 2 ? 1 : 0;
  }

  private ste(sid: number): Partial<Values<typeof STE.fields>> {
    const { make, random } = this;
    const chance = (percent: number) => (random.chance(percent) ? 1 : 0);
    const configs = [
      ...(make.S1P === 1 ? [5, 5, 5] : []),
      ...(make.S2P === 1 ? [6] : []),
      ...(make.S1P === 1 && make.S2P === 1 ? [7, 7, 7] : []),
    ];
    const Config = random.chance(4) ? 4 : this.flaw() ? random.below(8) : random.pick(configs);
    const substreams = make.SSIDSIZE === 0 || this.single ? 0 : random.pick([0, 1, 3, 6, 8, 11]);
    const S1CDMax = this.flaw() ? random.below(32) : Math.min(substreams, make.SSIDSIZE);
    const el2 = make.Hyp === 1 && Config === 5 && (this.single || this.regs.e2h) && random.chance(50);
    const granule = this.granule();
    const [S2SL0, S2T0SZ] = this.stage2Shape(granule);
    const managed = make.HTTU > 0 && random.chance(60);
    return {
      V: this.flaw() ? 0 : 1,
      Config,
      S1Fmt: make.CD2L === 0 && !this.flaw() ? 0 : random.below(4),
      S1ContextPtr: this.table(16),
      S1CDMax,
      S1DSS: random.below(4),
      S1STALLD: make.STALL_MODEL === 0 && !this.flaw() ? 0 : chance(this.flaws),
      EATS: this.flaw() ? random.below(4) : 0,
      STRW: el2 ? 2 : this.flaw() && !(make.Hyp === 1 && Config === 5) ? random.below(4) : 0,
      PRIVCFG: random.chance(20) ? random.below(4) : 0,
      INSTCFG: random.chance(20) ? random.below(4) : 0,
      S2VMID: (sid + 1 + (this.flaw() ? 256 : 0)) & 0xffff,
      S2T0SZ,
      S2SL0,
      S2TG: this.flaw() ? 3 : TG0[granule],
      S2PS: random.chance(20) ? random.below(8) : 5 + random.below(3),
      S2AA64: this.flaw() ? 0 : 1,
      S2ENDI: (this.big ? 1 : 0) ^ (this.flaw() ? 1 : 0),
      S2AFFD: chance(50),
      S2PTW: chance(30),
      S2FWB: chance(30),
      S2HA: managed || this.flaw() ? 1 : 0,
      S2HD: (managed && make.HTTU === 2 && random.chance(70)) || this.flaw() ? 1 : 0,
      S2S: this.stalls(),
      S2R: chance(80),
      S2TTB: this.table(granule + 4) | (random.chance(30) ? random.big(8) & ~15n : 0n),
    };
  }

  /** S2SL0 and S2T0SZ that go together, mostly. */
  private stage2Shape(granule: number): [number, number] {
    const { make, oas, random } = this;
    if (this.flaw()) return [random.below(4), random.below(64)];
    const stride = granule - 3;
    const most = make.STT === 0 ? 39 : granule === 16 ? 47 : 48;
    const least = make.MINOR === 0 ? 64 - oas : Math.max(granule === 16 ? 12 : 16, 64 - oas);
    const shapes: [number, number][] = [];
    for (let sl0 = 0; sl0 < 4; sl0++) {
      const level = granule === 12 ? [2, 1, 0, 3][sl0] : 3 - sl0;
      const below = granule + stride * (3 - level);
      for (let size = least; size <= most; size++)
        if (64 - size >= below + 1 && 64 - size <= below + stride + 4) shapes.push([sl0, size]);
    }
    // What the OAS or STT do not allow is among them.
    return random.pick(shapes);
  }

  private cd(sid: number, index: number): Partial<Values<typeof CD.fields>> {
    const { make, random } = this;
    const chance = (percent: number) => (random.chance(percent) ? 1 : 0);
    const size = (granule: number) => {
      if (this.flaw()) return random.below(64);
      const least = make.VAX === 1 && granule === 16 ? 12 : 16;
      const most = make.STT === 0 ? 39 : granule === 16 ? 47 : 48;
      return random.chance(60) ? least : least + random.below(most - least + 1);
    };
    const [granule0, granule1] = [this.granule(), this.granule()];
    const managed = make.HTTU > 0 && random.chance(60);
    const asid = 1 + (sid % 8) * 1000 + index;
    return {
      V: this.flaw() ? 0 : 1,
      AA64: this.flaw() ? 0 : 1,
      T0SZ: size(granule0),
      TG0: this.flaw() ? 3 : TG0[granule0],
      T1SZ: size(granule1),
      TG1: this.flaw() ? 0 : TG1[granule1],
      EPD0: chance(10),
      EPD1: chance(30),
      ENDI: (this.big ? 1 : 0) ^ (this.flaw() ? 1 : 0),
      IPS: random.chance(20) ? random.below(8) : 5 + random.below(3),
      AFFD: chance(50),
      WXN: chance(20),
      PAN: chance(30),
      EPAN: chance(50),
      TBI0: chance(40),
      TBI1: chance(40),
      E0PD0: chance(10),
      E0PD1: chance(10),
      HAD0: chance(30),
      HAD1: chance(30),
      HA: managed || this.flaw() ? 1 : 0,
      HD: (managed && make.HTTU === 2 && random.chance(70)) || this.flaw() ? 1 : 0,
      S: this.stalls(),
      R: chance(80),
      A: make.TERM_MODEL === 1 && !this.flaw() ? 1 : chance(70),
      ASET: chance(30),
      ASID: make.ASID16 === 1 ? asid : this.flaw() ? 256 + asid : asid % 256,
      TTB0: this.table(granule0) | (random.chance(30) ? random.big(8) & ~15n : 0n),
      TTB1: this.table(granule1),
    };
  }

  private descriptor({ what, level = 3, granule = 12, input = 0n }: Role): bigint {
    const { oas, random } = this;
    const bit = (at: number, percent: number) => (random.chance(percent) ? 1n << BigInt(at) : 0n);
    if (this.flaw()) return random.big(64) & ~1n;
    const shift = granule + (granule - 3) * (3 - level);
    const hasBlocks = granule === 12 ? level === 1 || level === 2 : level === 2 || (level === 1 && granule === 16);
    const isLeaf = level === 3 || (hasBlocks ? random.chance(25) : this.flaw());
    if (!isLeaf) {
      const wrong = this.flaw() ? 1n << BigInt(Math.min(32 + random.below(16), 47)) : 0n;
      return 3n | this.table(granule) | wrong | bit(59, 5) | bit(60, 5) | bit(61, 5) | bit(62, 5) | bit(10, 50);
    }
    const kind = level === 3 ? (this.flaw() ? 1n : 3n) : 1n;
    const size = BigInt(shift);
    // Stage 2 mostly gives what it gets, where there is memory: tables of stage 1 are there.
    const identity = (what === 'second' && random.chance(80)) || this.flaw();
    const output = identity ? input : random.chance(80) ? TABLES / 2n + random.big(20) : random.big(oas);
    const address = ((output & 0xffff_ffff_ffffn) >> size) << size;
    const common = kind | address | bit(10, 85) | bit(51, 40) | bit(52, 10) | bit(54, 30) | bit(53, 20);
    const nT = level < 3 ? bit(16, 20) : 0n;
    const high = granule === 16 && random.chance(5) ? random.big(4) << 12n : 0n;
    if (what === 'second')
      return common | nT | high | bit(6, 92) | bit(7, 70) | (random.chance(85) ? 0xfn << 2n : random.big(4) << 2n);
    return (
      common | nT | high | bit(6, 60) | bit(7, 30) | (this.single ? bit(11, 50) : 1n << 11n) | (random.big(3) << 2n)
    );
  }

  request(): Request {
    const { make, random } = this;
    const sids = this.single ? [3] : [0, 1, 2, 3, 3];
    const sid = this.flaw() ? random.pick([63, 64, 65, 255, 0x1000, 0xffff_ffff]) : random.pick(sids);
    const ssid = random.chance(this.single ? 3 : 40) ? random.pick([0, 1, 2, 5, 63, 64, 700, 2000]) : -1;
    const write = random.chance(40);
    const offset = random.chance(60) ? random.big(14) : random.pick([0n, 0x20_0000n, 0x4000_0000n]) + random.big(12);
    const base = random.pick(random.chance(70) ? this.bases.slice(0, 3) : this.bases);
    return {
      sid,
      ssid: make.SSIDSIZE === 0 && !random.chance(5) ? -1 : ssid,
      address: BigInt.asUintN(64, base + offset),
      write,
      read: !write || random.chance(20),
      instruction: random.chance(20),
      privileged: random.chance(30),
    };
  }
}
