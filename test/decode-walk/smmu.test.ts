/** `explain --walk` on an SMMUv3, against a second translator, on random tables of every granule, nested ones and concatenated ones too. */
import { expect, test } from 'vitest';
import type { WalkEnd, WalkResult } from '../../src/decode/index.ts';
import { decodeNamed, WalkRefused, walkSmmu } from '../../src/decode/index.ts';
import type { SmmuMachine, SmmuOutcome } from './smmu-reference.ts';
import { translateSmmu } from './smmu-reference.ts';
import type { TreeLevel } from './world.ts';
import { FILLED, Seen, World } from './world.ts';

/** Tables that no second stage is in the way of lie from here on, the others below. */
const OWN = 0x8000_0000_0000n;
const GRANULES = [12, 14, 16] as const;
const TG0 = { 12: 0n, 14: 2n, 16: 1n } as const;
const TG1 = { 12: 2n, 14: 1n, 16: 3n } as const;
type Page = (typeof GRANULES)[number];

/** A way of one stage: its levels, first one first, and the bits that it translates. */
class Shape {
  readonly page: Page;
  readonly start: number;
  readonly width: number;
  readonly levels: TreeLevel[];

  constructor(page: Page, start: number, width: number) {
    [this.page, this.start, this.width] = [page, start, width];
    this.levels = Array.from({ length: 4 - start }, (_, i) => ({ shift: this.shift(start + i), bytes: 8 }));
  }

  shift(level: number): number {
    return this.page + (this.page - 3) * (3 - level);
  }
}

class Machine extends World {
  readonly nested = this.chance(50);
  readonly secondAlone = !this.nested && this.chance(30);
  readonly one: Shape;
  readonly two: Shape;
  readonly bigEndian = this.chance(10);
  readonly flips = this.pick([0, 1, 4]);
  readonly format = this.below(3);
  readonly substreams = this.pick([0, 0, 8]);
  readonly e2h = this.chance(50);
  readonly split = this.pick([6, 8, 10]);
  readonly linear = this.chance(40);
  private ownNext = OWN;
  private sharedNext = 0;
  readonly machine: SmmuMachine;

  constructor(seed: number) {
    super(seed);
    const page = this.pick(GRANULES);
    this.two = this.shapeOf(page, 2);
    this.one = this.shapeOf(this.nested ? page : this.pick(GRANULES), 1);
    const s2 = this.nested || this.secondAlone ? this.secondTables() : 0n;
    const entry = this.contexts(this.firstTables());
    this.machine = { words: this.words, e2h: this.e2h, ...this.streams(entry, s2) };
    this.lose(1);
  }

  /** Levels with at least two bits of an index, so that FILLED fits. */
  private shapeOf(page: Page, stage: 1 | 2): Shape {
    const start = this.pick(page === 12 ? [0, 1, 1, 2, 3] : page === 14 ? [1, 1, 2, 3] : [1, 2, 2, 3]);
    const shift = page + (page - 3) * (3 - start);
    const most = Math.min(48, shift + page - 3 + (stage === 2 ? 4 : 0));
    return new Shape(page, start, Math.max(17, Math.min(most, shift + 2 + this.below(page + 1))));
  }

  private own(bytes: number): bigint {
    const size = BigInt(bytes);
    this.ownNext = ((this.ownNext + size - 1n) / size) * size;
    const at = this.ownNext;
    this.ownNext += size;
    return at;
  }

  /** What the second stage has as well, if it is nested: pages of low indices. */
  private shared(): bigint {
    const n = this.sharedNext++ & 63;
    const digits = this.nested ? this.two : new Shape(16, 2, 42);
    const use = digits.levels.slice(-3);
    return use.reduce(
      (sum, { shift }, i) => sum | (BigInt((n >> (2 * (use.length - 1 - i))) & 3) << BigInt(shift)),
      0n,
    );
  }

  private secondTables(): bigint {
    const { levels, page, width } = this.two;
    // Above the lowest three levels there is one entry.
    const filled = levels.slice(-3);
    const first = levels[0] as TreeLevel;
    const rootBytes = 8 * 2 ** Math.max(2, width - first.shift);
    const target = (address: bigint, shift: number) => this.whole(this.chance(93) ? address : this.shared(), shift);
    let top = this.tree({
      ...{ levels: filled, flips: this.nested ? this.flips - 1 : this.flips, pages: page === 12 ? 5 : 3 },
      place: (level) => this.own(level === 0 && filled.length === levels.length ? rootBytes : 2 ** page),
      table: (next) => next | 3n,
      page: (address, level) => {
        const last = level === filled.length - 1;
        return target(address, (filled[level] as TreeLevel).shift) | (last ? 0x7ffn : 0x7fdn);
      },
    });
    if (filled.length < levels.length) {
      const root = this.own(rootBytes);
      this.set(root, top | 3n);
      top = root;
    }
    return top;
  }

  private whole(address: bigint, shift: number): bigint {
    // Some are beyond a small output size.
    const far = this.chance(3) ? 1n << 46n : 0n;
    return (((address >> BigInt(shift)) << BigInt(shift)) | far) & 0xffff_ffff_ffffn;
  }

  private firstTables(): bigint {
    const { levels } = this.one;
    const filled = levels.slice(-2);
    const swap = (word: bigint) => (this.bigEndian ? swapped(word) : word);
    const blocks = levels.length > 1 ? 12 : 0;
    const put = (word: bigint) => swap(this.flipped(word, 64, this.flips));
    let top = this.tree({
      ...{ levels: filled, flips: 0, pages: blocks },
      place: () => this.shared(),
      table: (next) => put(next | 3n | (this.chance(3) ? BigInt(1 + this.below(3)) << 61n : 0n)),
      page: (_, level) => {
        const last = level === filled.length - 1;
        const to = this.whole(this.shared(), (filled[level] as TreeLevel).shift);
        return put(
          to |
            (this.chance(85) ? 0x740n : BigInt(this.below(8)) << 6n) |
            4n |
            (last ? 3n : 1n) |
            (this.chance(10) ? 1n << 51n : 0n),
        );
      },
    });
    for (let above = levels.length - 2; above > 0; above--) {
      const table = this.shared();
      for (const index of FILLED) this.set(table + BigInt(8 * index), put(top | 3n));
      top = table;
    }
    return top;
  }

  /** @returns of the STE: S1ContextPtr with S1Fmt and S1CDMax */
  private contexts(table: bigint): bigint {
    const { page, width } = this.one;
    const size = BigInt(64 - width);
    const flags =
      (this.bigEndian ? 1n << 15n : 0n) | (this.chance(20) ? 1n << 43n : 0n) | (this.chance(20) ? 1n << 42n : 0n);
    const tbi =
      (this.chance(20) ? 1n << 38n : 0n) | (this.chance(20) ? 1n << 39n : 0n) | (this.chance(20) ? 1n << 35n : 0n);
    const zero =
      size |
      (TG0[page] << 6n) |
      (size << 16n) |
      (TG1[page] << 22n) |
      (1n << 31n) |
      (BigInt(this.chance(85) ? 5 : this.below(8)) << 32n) |
      (1n << 41n) |
      flags |
      tbi;
    const words = [zero | (1n << 45n), table, table | (this.chance(20) ? 2n : 0n), 0xff44n];
    const cds = this.shared();
    // CDs lie where no descriptor is filled.
    for (const index of this.substreams === 0 ? [0] : FILLED)
      for (let i = 0; i < 8; i++)
        this.set(cds + BigInt(64 * (index + 4) + 8 * i), this.flipped(words[i] ?? 0n, 64, 2 * this.flips));
    const zeroth = cds + 256n;
    if (this.substreams === 0 || this.format === 0) return zeroth | (BigInt(this.substreams) << 59n);
    // CDs of two-level tables begin at a page: substreams are asked for from 4 on.
    const first = this.shared();
    for (const index of FILLED) this.set(first + BigInt(64 + 8 * index), this.flipped(cds | 1n, 64, this.flips));
    return (first + 64n) | (BigInt(this.format) << 4n) | (BigInt(this.substreams) << 59n);
  }

  private streams(context: bigint, s2: bigint): { base: bigint; cfg: bigint } {
    const { page, start, width } = this.two;
    const sl0 = page === 12 ? [2, 1, 0, 3][start] : 3 - start;
    const config = this.nested ? 7 : this.secondAlone ? 6 : 5;
    const make = (at: bigint) => {
      const own = this.chance(3) ? this.below(8) : config;
      const zero = 1n | (BigInt(own) << 1n) | context;
      const one =
        BigInt(this.pick([0, 1, 2, 2, 2])) |
        (BigInt(this.chance(85) ? 0 : 2) << 30n) |
        (BigInt(this.chance(90) ? 2 : 3) << 48n);
      const two =
        (BigInt(64 - width) << 32n) |
        (BigInt(sl0 as number) << 38n) |
        (TG0[page] << 46n) |
        (BigInt(this.chance(90) ? 5 : this.below(8)) << 48n) |
        (1n << 51n) |
        (this.chance(10) ? 1n << 54n : 0n) |
        (this.chance(20) ? 3n << 55n : 0n) |
        (1n << 58n);
      [zero, one, two, s2, 0n, 0n, 0n, 0n].forEach((word, i) =>
        this.set(at + BigInt(8 * i), this.flipped(word, 64, this.flips)),
      );
    };
    const size = 12;
    if (this.linear) {
      const base = this.own(64 * 2 ** size);
      for (const index of FILLED) make(base + BigInt(64 * index));
      return { base, cfg: BigInt(size) };
    }
    const level2 = this.own(64 * 2 ** this.split);
    for (const index of FILLED) make(level2 + BigInt(64 * index));
    const base = this.own(8 * 2 ** size);
    const span = BigInt(this.pick([2, 3, this.split + 1]));
    for (const index of FILLED) this.set(base + BigInt(8 * index), this.flipped(level2 | span, 64, this.flips));
    return { base, cfg: BigInt(size) | (BigInt(this.split) << 6n) | (1n << 16n) };
  }

  request() {
    const upper = this.linear ? 0n : BigInt(this.pick(FILLED)) << BigInt(this.split);
    const stream = upper | BigInt(this.pick(FILLED));
    const shape = this.secondAlone ? this.two : this.one;
    const address = this.address(shape.levels);
    const high = !this.secondAlone && this.chance(25) ? (1n << 64n) - (1n << BigInt(shape.width)) : 0n;
    const top = this.chance(8) ? BigInt(this.below(256)) << 56n : 0n;
    const id = BigInt(this.pick(FILLED));
    const leafs = this.format === 0 ? 0n : BigInt(this.pick(FILLED)) << (this.format === 1 ? 6n : 10n);
    const substream = this.chance(this.substreams > 0 ? 60 : 5)
      ? this.format === 0
        ? id
        : (id + 4n) | (leafs & 0xffn)
      : null;
    return {
      address: BigInt.asUintN(64, (address | high) ^ top),
      stream: this.chance(3) ? stream ^ (1n << BigInt(this.below(20))) : stream,
      substream: substream !== null && this.chance(5) ? substream ^ (1n << BigInt(this.below(20))) : substream,
    };
  }
}

function swapped(word: bigint): bigint {
  return BigInt(`0x${(word.toString(16).padStart(16, '0').match(/../g) as string[]).reverse().join('')}`);
}

function same(end: WalkEnd, want: SmmuOutcome): boolean {
  if (end.kind === 'fault') return want.kind === 'fault' && end.code.value === want.event;
  if (end.kind === 'page' || end.kind === 'passed') return want.kind === end.kind && end.address === want.address;
  return end.kind === want.kind;
}

/** Null where a format is not walked. */
function walked(...asked: Parameters<typeof walkSmmu>): WalkResult | null {
  try {
    return walkSmmu(...asked);
  } catch (error) {
    if (error instanceof WalkRefused && error.message.includes('is not walked here')) return null;
    throw error;
  }
}

test('5,000 machines', () => {
  const seen = new Seen();
  for (let seed = 0; seed < 5000; seed++) {
    const world = new Machine(seed);
    const { base, cfg, e2h } = world.machine;
    const tables = world.tables();
    tables.give(decodeNamed('smmuv3.strtab-base', [base]));
    tables.give(decodeNamed('smmuv3.strtab-base-cfg', [cfg]));
    tables.give(decodeNamed('smmuv3.cr2', [e2h ? 1n : 0n]));
    for (let n = 0; n < 4; n++) {
      const { address, stream, substream } = world.request();
      const pasid = substream === null ? null : Number(substream);
      const result = walked(tables, { address, device: `0x${stream.toString(16)}`, pasid });
      for (const access of ['read', 'write'] as const) {
        const want = translateSmmu(world.machine, { address, stream, substream, write: access === 'write' });
        if (result === null) {
          if (want.kind === 'not walked') seen.add('not walked');
          continue;
        }
        const end = result[access];
        const what = `machine ${seed}: ${access} of ${stream} substream ${substream} at 0x${address.toString(16)}`;
        if (!same(end, want)) expect({ end, what }).toEqual(want);
        seen.add(want.kind === 'fault' ? `0x${want.event.toString(16)}` : want.kind);
        if (want.kind !== 'page') continue;
        const stages = world.nested ? 'nested' : world.secondAlone ? 'stage 2' : 'stage 1';
        seen.add(`${stages}, 2^${world.nested || world.secondAlone ? world.two.page : world.one.page}`);
        if (world.two.width > world.two.shift(world.two.start) + world.two.page - 3 && stages !== 'stage 1')
          seen.add('concatenated');
        if (address >> 63n === 1n) seen.add('TTB1');
        if (world.bigEndian && stages !== 'stage 2') seen.add('big-endian');
        if (pasid !== null) seen.add(`substream, S1Fmt ${world.format}`);
      }
    }
  }
  const faults = ['0x2', '0x4', '0x6', '0x8', '0xa', '0x10', '0x11', '0x12', '0x13'];
  const kinds = ['page', 'passed', 'missing', 'refused', 'not walked', ...faults, 'concatenated', 'TTB1', 'big-endian'];
  for (const key of kinds) expect(seen.of(key), `${key} came up; ${seen.text}`).toBeGreaterThan(20);
  for (const stages of ['stage 1', 'stage 2', 'nested'])
    for (const page of GRANULES)
      expect(seen.of(`${stages}, 2^${page}`), `${stages} ${page}; ${seen.text}`).toBeGreaterThan(100);
  for (const format of [0, 1, 2]) expect(seen.of(`substream, S1Fmt ${format}`), seen.text).toBeGreaterThan(50);
});
