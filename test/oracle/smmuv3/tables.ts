/** Random translation tables of VMSAv8-64 for either stage: every leaf size and every fault comes up often. */
import type { Random } from '../../conformance/vtd/random.ts';
import { LAYOUT, NOWHERE } from './machine.ts';

/** A descriptor that software has stored. */
export interface Place {
  readonly at: number;
  readonly level: number;
  /** First input address. */
  readonly base: bigint;
  readonly bits: number;
  value: bigint;
}

/** A tree of tables with what configures it. */
export interface Tree {
  readonly stage: 1 | 2;
  /** log2 of the granule. */
  readonly granule: number;
  readonly inputBits: number;
  readonly startLevel: number;
  readonly top: number;
  /** ASID, or VMID. */
  readonly tag: number;
  readonly places: Place[];
}

const AF = 1n << 10n;
const NON_GLOBAL = 1n << 11n;
const [TABLE, BLOCK, PAGE] = [3n, 1n, 3n];

/** log2 of what an entry of a level maps. */
export const sizeBits = (granule: number, level: number) => granule + (3 - level) * (granule - 3);

/** Granule, bits of the input address, start level. */
const SHAPES: Readonly<Record<1 | 2, readonly (readonly [granule: number, inputBits: number, startLevel: number])[]>> =
  {
    1: [
      [12, 48, 0],
      [12, 39, 1],
      [12, 40, 0],
      [12, 32, 1],
      [12, 25, 2],
      [14, 47, 1],
      [14, 36, 2],
      [14, 48, 0],
      [16, 42, 2],
      [16, 48, 1],
      [16, 29, 3],
    ],
    2: [
      [12, 39, 1],
      [12, 44, 0],
      [12, 30, 2],
      [14, 36, 2],
      [14, 44, 1],
      [16, 42, 2],
    ],
  };

/** Of stage 2 with up to 16 top tables, one behind another: QEMU uses one only, and there are few of these for that. */
const CONCATENATED: readonly (readonly [granule: number, inputBits: number, startLevel: number])[] = [
  [12, 40, 1],
  [12, 43, 1],
  [12, 34, 2],
  [14, 40, 2],
  [16, 44, 2],
  [16, 32, 3],
];

export class Tables {
  /** How much is wrong: in half of the worlds little, in some nothing, in some much. */
  readonly wrongness: number;
  private readonly random: Random;
  private readonly store: (at: number, value: bigint) => void;
  private next: number = LAYOUT.tables;

  constructor(random: Random, store: (at: number, value: bigint) => void) {
    this.random = random;
    this.store = store;
    this.wrongness = random.pick([0, 1, 1, 1, 4]);
  }

  rare(percent: number): boolean {
    return this.random.chance(percent * this.wrongness);
  }

  private allocate(bytes: number): number {
    const size = Math.max(bytes, 4096);
    const at = Math.ceil(this.next / size) * size;
    this.next = at + size;
    return at;
  }

  /** Whether there is room for one more table of a granule. */
  private hasRoom(granule: number): boolean {
    return this.next + 2 * 2 ** granule + (1 << 20) < LAYOUT.tablesEnd;
  }

  /** A tree with a few entries a table. @param upper the part of the address space that is all ones above (TTB1) */
  tree(stage: 1 | 2, tag: number, upper = false): Tree {
    const concatenated = stage === 2 && this.random.chance(3);
    const [granule, inputBits, startLevel] = this.random.pick(concatenated ? CONCATENATED : SHAPES[stage]);
    const entries = 2 ** (inputBits - sizeBits(granule, startLevel));
    const top = this.allocate(entries * 8);
    const tree: Tree = { stage, granule, inputBits, startLevel, top, tag, places: [] };
    const base = upper ? (1n << 64n) - (1n << BigInt(inputBits)) : 0n;
    this.fill(tree, top, startLevel, base, entries);
    return tree;
  }

  /** What a guest's tables and data need, of stage 2: each address leads to itself, but for some of the data. Blocks, and pages of the data. */
  identity(tag: number): Tree {
    const [granule, inputBits, startLevel] = [12, 40, 1];
    const top = this.allocate(8 * 2 ** (inputBits - 30));
    const tree: Tree = { stage: 2, granule, inputBits, startLevel, top, tag, places: [] };
    const middle = this.allocate(4096);
    this.store(top + 8, BigInt(middle) | TABLE);
    const whole = AF | (3n << 6n) | (0xfn << 2n);
    for (let n = 0; n < 8; n++) {
      const base = 0x4000_0000n + BigInt(n << 21);
      const isData = base === BigInt(LAYOUT.data);
      const paged = isData && this.random.chance(60);
      const value = paged ? this.pages(tree, whole) : base | BLOCK | whole;
      this.store(middle + 8 * n, value);
      if (isData && !paged) tree.places.push({ at: middle + 8 * n, level: 2, base, bits: 21, value });
    }
    return tree;
  }

  /** A table of the pages of data. */
  private pages(tree: Tree, whole: bigint): bigint {
    const table = this.allocate(4096);
    for (let n = 0; n < LAYOUT.dataBytes / 4096; n++) {
      const base = BigInt(LAYOUT.data + 4096 * n);
      const value = this.random.chance(60) ? base | PAGE | whole : this.leaf(2, 12, 3);
      this.store(table + 8 * n, value);
      tree.places.push({ at: table + 8 * n, level: 3, base, bits: 12, value });
    }
    return BigInt(table) | TABLE;
  }

  private fill(tree: Tree, table: number, level: number, base: bigint, entries: number): void {
    const { random } = this;
    const { granule, stage } = tree;
    const bits = sizeBits(granule, level);
    const count = level === 3 ? 8 : level === tree.startLevel ? 2 : 3;
    const indices = new Set<number>();
    for (let tries = 0; indices.size < Math.min(count, entries) && tries < 40; tries++)
      indices.add(random.pick([0, 1, entries - 1, random.below(entries), random.below(entries)]));
    for (const index of indices) {
      if (index >= entries) continue;
      const place: Place = {
        at: table + 8 * index,
        level,
        base: base + (BigInt(index) << BigInt(bits)),
        bits,
        value: 0n,
      };
      const mayBeLeaf =
        level === 3 || (level === 2 ? random.chance(30) : level === 1 && granule === 12 && random.chance(15));
      if (mayBeLeaf || !this.hasRoom(granule)) place.value = this.leaf(stage, granule, level);
      else {
        const below = this.allocate(2 ** granule);
        place.value = this.reference(stage, below, level);
        this.fill(tree, below, level + 1, place.base, 2 ** (granule - 3));
      }
      tree.places.push(place);
      this.store(place.at, place.value);
    }
  }

  private reference(stage: 1 | 2, table: number, _level: number): bigint {
    const { random } = this;
    let value = BigInt(table) | TABLE;
    // 58:51 and 11:2 are ignored.
    if (random.chance(15)) value |= (random.big(8) << 51n) | (random.big(10) << 2n);
    if (stage === 1 && random.chance(2)) value |= 1n << BigInt(random.pick([59, 60]));
    if (!this.rare(3)) return value;
    const how = random.below(4);
    if (how === 0) return value & ~1n;
    if (how === 1) return (value & 0xfffn) | NOWHERE;
    if (how === 2) return value | (1n << BigInt(44 + random.below(4)));
    return stage === 1 ? value | (1n << BigInt(61 + random.below(2))) : value & ~2n;
  }

  /** What an entry says that maps a block or a page. */
  leaf(stage: 1 | 2, granule: number, level: number): bigint {
    const { random } = this;
    const bits = BigInt(sizeBits(granule, level));
    const target = BigInt(LAYOUT.data + random.below(LAYOUT.dataBytes / 4096) * 4096);
    let value = ((target >> bits) << bits) | (level === 3 ? PAGE : BLOCK) | AF;
    if (stage === 1) {
      // AP[1] without AP[2], mostly: read and write for all.
      value |= random.pick([1n, 1n, 1n, 1n, 3n, 3n]) << 6n;
      value |= (random.big(3) << 2n) | (random.big(2) << 8n) | NON_GLOBAL;
      if (random.chance(10)) value |= random.big(2) << 53n;
    } else {
      value |= random.pick([3n, 3n, 3n, 3n, 1n, 2n, 0n]) << 6n;
      value |= (0xfn << 2n) | (random.big(2) << 8n);
    }
    // 58:55 and, without hierarchical attributes, 62:59 are ignored.
    if (random.chance(15)) value |= random.big(4) << 55n;
    if (!this.rare(6)) return value;
    const how = random.below(7);
    if (how === 0) return value & ~1n;
    if (how === 1) return value & ~AF;
    if (how === 2) return (value & 0xfffn) | ((NOWHERE >> bits) << bits);
    if (how === 3) return value | (1n << BigInt(44 + random.below(4)));
    if (how === 4) return level === 3 ? value & ~2n : value | (1n << BigInt(random.pick([12, Number(bits) - 1])));
    if (how === 5) return 0n;
    return random.big(64) & ~1n;
  }

  /** What software makes of an entry. */
  changed(tree: Tree, { level, value }: Place): bigint {
    if (level === 3 || (value & 3n) === BLOCK || (value & 1n) === 0n) return this.leaf(tree.stage, tree.granule, level);
    return this.random.chance(50) ? value & ~1n : value;
  }
}
