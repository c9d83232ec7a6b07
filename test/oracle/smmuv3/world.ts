/** Streams of a random script: stream table, context descriptors, and the tables that they lead to. What is written is handed out as stores. */
import { encode } from '../../../src/bits/index.ts';
import { CD, STE } from '../../../src/iommu/smmuv3/index.ts';
import type { Random } from '../../conformance/vtd/random.ts';
import type { Configuration } from './configurations.ts';
import { LAYOUT, NOWHERE, SID } from './machine.ts';
import type { Tree } from './tables.ts';
import { Tables } from './tables.ts';

/** Encodings by log2 of the granule: CD.TG0 and STE.S2TG, CD.TG1. */
const TG0: Readonly<Record<number, number>> = { 12: 0, 16: 1, 14: 2 };
const TG1: Readonly<Record<number, number>> = { 14: 1, 12: 2, 16: 3 };

/** STE.S2SL0 by granule and start level (5.2). */
function sl0(granule: number, level: number): number {
  return granule === 12 ? 2 - level : 3 - level;
}

/** An address space of stage 1, and its context descriptor. */
export interface Context {
  readonly lower: Tree;
  /** TTB1; null: EPD1. */
  readonly upper: Tree | null;
  readonly at: number;
}

export interface Stream {
  readonly sid: number;
  first: Context | null;
  second: Tree | null;
}

const ALL = [SID.edu, ...SID.testdev];

export class World {
  readonly tables: Tables;
  readonly contexts: Context[] = [];
  readonly seconds: Tree[] = [];
  readonly streams = new Map<number, Stream>();
  /** log2 of the linear table, or of two levels with {@link split}. */
  readonly log2: number;
  readonly split: number;
  /** Trees of stage 2 whose Access flags do not count: the same for all streams of a VMID, as software has to see to. */
  private readonly withoutFlag = new Set<Tree>();
  private readonly random: Random;
  private readonly stage: Configuration['stage'];
  private readonly store: (at: number, value: bigint) => void;
  private readonly ste: (at: number, words: readonly bigint[]) => void;

  constructor(
    random: Random,
    { stage }: Configuration,
    store: (at: number, value: bigint) => void,
    ste: (at: number, words: readonly bigint[]) => void,
  ) {
    this.ste = ste;
    this.random = random;
    this.stage = stage;
    this.store = store;
    this.tables = new Tables(random, store);
    // Linear tables leave out the device behind the bridge.
    this.split = random.chance(60) ? random.pick([6, 8, 10]) : 0;
    this.log2 = this.split === 0 ? 8 : 16;
    if (this.split !== 0) this.levelOne();
    if (stage !== '1') for (const vmid of [1, 0x1234]) this.seconds.push(this.second(vmid));
    if (stage !== '2') for (let n = 0; n < 3; n++) this.contexts.push(this.context(n));
    for (const sid of ALL) this.assign(sid);
  }

  private second(vmid: number): Tree {
    const tree = this.stage === 'nested' ? this.tables.identity(vmid) : this.tables.tree(2, vmid);
    if (this.random.chance(15)) this.withoutFlag.add(tree);
    return tree;
  }

  /** Level-1 descriptors of the devices that there are: two tables of level 2. */
  private levelOne(): void {
    const { random, split } = this;
    const indices = [...new Set(ALL.map((sid) => sid >> split))];
    for (const [n, index] of indices.entries()) {
      let pointer = BigInt(LAYOUT.secondStreams + n * 0x10000);
      let span = BigInt(split + 1);
      if (this.tables.rare(2)) pointer = NOWHERE;
      if (this.tables.rare(2)) span = 0n;
      if (random.chance(10) && span > 0n) span = BigInt(random.pick([split + 1, split]));
      this.store(LAYOUT.streams + 8 * index, pointer | span);
    }
  }

  private steAt(sid: number): number {
    if (this.split === 0) return LAYOUT.streams + 64 * (sid & 0xff);
    const index = [...new Set(ALL.map((each) => each >> this.split))].indexOf(sid >> this.split);
    return LAYOUT.secondStreams + index * 0x10000 + 64 * (sid & ((1 << this.split) - 1));
  }

  private context(n: number): Context {
    const { random } = this;
    const tag = random.pick([0, 0xffff, 0x100 + n]) ^ (n << 4);
    const lower = this.tables.tree(1, tag);
    const upper = random.chance(25) ? this.tables.tree(1, tag, true) : null;
    const context = { lower, upper, at: LAYOUT.contexts + 0x1000 * n };
    this.storeContext(context);
    return context;
  }

  /** Writes a context descriptor, a broken one now and then. */
  storeContext({ lower, upper, at }: Context): void {
    const { random } = this;
    const values = {
      ...{ V: 1, AA64: 1, A: 1, R: random.chance(90) ? 1 : 0, ASID: lower.tag, ASET: random.below(2), IPS: 4 },
      ...{ T0SZ: 64 - lower.inputBits, TG0: TG0[lower.granule], TTB0: BigInt(lower.top), SH0: random.pick([0, 2, 3]) },
      ...{ TBI0: random.chance(15) ? 1 : 0, TBI1: random.chance(15) ? 1 : 0, AFFD: random.chance(15) ? 1 : 0 },
      ...(upper === null
        ? { EPD1: 1 }
        : { T1SZ: 64 - upper.inputBits, TG1: TG1[upper.granule], TTB1: BigInt(upper.top) }),
    };
    this.write(at, encode(CD, { ...values, ...(this.tables.rare(4) ? this.brokenContext() : {}) }));
  }

  private brokenContext(): object {
    const { random } = this;
    return random.pick([
      { V: 0 },
      { AA64: 0 },
      { A: 0 },
      { S: 1 },
      { HA: 1 },
      { HA: 1, HD: 1 },
      { T0SZ: random.pick([0, 15, 40, 63]) },
      { TG0: 3 },
      { ENDI: 1 },
      { EPD0: 1 },
      { TTB0: 1n << 44n },
      { IPS: 0, TTB0: 1n << 32n },
      // QEMU ends where it is more (an assertion in oas2bits).
      { IPS: random.below(6) },
      { TTB0: NOWHERE },
    ]);
  }

  /** Gives a stream an STE. */
  assign(sid: number): void {
    const { random, stage } = this;
    const how = random.below(100);
    const first = stage !== '2' && how < (stage === 'nested' ? 75 : 88) ? random.pick(this.contexts) : null;
    const nested = stage === 'nested' && first !== null && how < 45;
    const second =
      stage === '1' || (first !== null && !nested) || (first === null && how >= 92) ? null : random.pick(this.seconds);
    this.streams.set(sid, { sid, first, second });
    const bypass = how < 96 ? 4 : random.pick([0, 0, 1, 2, 3]);
    const config =
      first === null && second === null ? bypass : 4 | (first === null ? 0 : 1) | (second === null ? 0 : 2);
    const values = {
      ...{ V: 1, Config: config, SHCFG: 1, MEV: random.below(2), EATS: 0 },
      ...(first === null ? {} : { S1ContextPtr: BigInt(first.at), S1CIR: random.below(4) }),
      ...(second === null ? (stage === '1' ? {} : { S2VMID: 0x77 }) : this.secondFields(second)),
    };
    const broken = config >= 5 && this.tables.rare(4) ? this.broken(second !== null, first !== null) : {};
    this.ste(this.steAt(sid), encode(STE, { ...values, ...broken }).slice(0, 4));
  }

  private secondFields(tree: Tree): object {
    const { random } = this;
    return {
      ...{ S2VMID: tree.tag, S2T0SZ: 64 - tree.inputBits, S2SL0: sl0(tree.granule, tree.startLevel) },
      ...{ S2TG: TG0[tree.granule], S2PS: 4, S2AA64: 1, S2TTB: BigInt(tree.top) },
      ...{ S2AFFD: this.withoutFlag.has(tree) ? 1 : 0, S2R: random.chance(90) ? 1 : 0 },
    };
  }

  private broken(second: boolean, first: boolean): object {
    const { random } = this;
    const both = [{ V: 0 }, { Config: random.pick([0, 1, 2, 3]) }];
    const ofSecond = [
      { S2ENDI: 1 },
      { S2TG: 3 },
      { S2SL0: 3 },
      { S2T0SZ: random.pick([0, 15, 19, 40, 63]) },
      { S2TTB: 1n << 44n },
      { S2S: 1 },
      { S2PS: random.below(8) },
    ];
    const ofFirst = [{ S1ContextPtr: NOWHERE }, { S1STALLD: 1 }, { S1CDMax: 1 }];
    return random.pick([...both, ...(second ? ofSecond : []), ...(first ? ofFirst : [])]);
  }

  private write(at: number, words: readonly bigint[]): void {
    words.forEach((word, i) => this.store(at + 8 * i, word));
  }
}
