/**
 * Random scripts with a structure: tables in which translations succeed and every fault comes up, then DMA, changes of tables with and without
 * invalidation, wild commands and registers. What a script does is decided here once; it is the same text for both back ends.
 */
import type { Fields, Layout, Values } from '../../../src/bits/index.ts';
import { encode } from '../../../src/bits/index.ts';
import {
  CMD_CFGI_ALL,
  CMD_CFGI_CD,
  CMD_CFGI_CD_ALL,
  CMD_CFGI_STE,
  CMD_CFGI_STE_RANGE,
  CMD_SYNC,
  CMD_TLBI_NH_ALL,
  CMD_TLBI_NH_ASID,
  CMD_TLBI_NH_VA,
  CMD_TLBI_NH_VAA,
  CMD_TLBI_NSNH_ALL,
  CMD_TLBI_S2_IPA,
  CMD_TLBI_S12_VMALL,
} from '../../../src/iommu/smmuv3/index.ts';
import { Random } from '../../conformance/vtd/random.ts';
import { fillBuffer } from '../common-operations.ts';
import type { Configuration } from './configurations.ts';
import { LAYOUT, SID } from './machine.ts';
import type { Op, Script } from './script.ts';
import type { Place, Tree } from './tables.ts';
import type { Stream } from './world.ts';
import { World } from './world.ts';

/** CR0: SMMUEN, EVENTQEN, CMDQEN. */
const ENABLED = 0xdn;
const TG: Readonly<Record<number, number>> = { 12: 1, 14: 2, 16: 3 };

export class Generator {
  private readonly random: Random;
  private readonly world: World;
  private readonly stage: Configuration['stage'];
  private readonly ops: Op[] = [];
  private enabled = false;

  constructor(seed: number, configuration: Configuration) {
    this.random = new Random(seed);
    this.stage = configuration.stage;
    this.world = new World(
      this.random,
      configuration,
      (at, value) => this.push({ op: 'store', at, value }),
      (at, words) => this.push({ op: 'ste', at, words }),
    );
  }

  /** @param length DMA requests, about. @returns a script that sets an SMMU up and uses it */
  script(length: number): Script {
    const { random, world } = this;
    if (random.chance(10)) this.reg(0xa0, 8, BigInt(LAYOUT.events | random.below(5)));
    this.reg(0x80, 8, BigInt(LAYOUT.streams));
    this.reg(0x88, 4, BigInt(world.log2 | (world.split << 6) | (world.split === 0 ? 0 : 1 << 16)));
    this.ops.push(...fillBuffer(random, LAYOUT.data));
    if (random.chance(10)) this.idle();
    this.reg(0x20, 4, ENABLED);
    this.enabled = true;
    for (let n = 0; n < length; ) n += this.step();
    return this.ops;
  }

  private push(op: Op): void {
    this.ops.push(op);
  }

  private reg(offset: number, size: 4 | 8, value: bigint): void {
    this.push({ op: 'reg', offset, size, value });
  }

  private command<F extends Fields>(of: Layout<F>, values: Partial<Values<F>> = {}): void {
    const [lo, hi] = encode(of, values);
    this.push({ op: 'cmd', lo, hi });
  }

  /** @returns DMA requests made */
  private step(): number {
    const what = this.random.below(1000);
    if (what < 640) return this.dma();
    if (what < 760) return this.probe();
    if (what < 840) return this.edu();
    if (what < 890) this.change(this.random.chance(70));
    else if (what < 940) this.invalidate();
    else if (what < 970) this.changeStream();
    else if (what < 980) this.wild();
    else if (what < 985) this.toggle();
    else if (what < 997) this.command(CMD_SYNC, { CS: this.random.below(3) });
    else this.push({ op: 'dump' });
    return 0;
  }

  private get devices(): number[] {
    return SID.testdev.map((_, i) => i);
  }

  private treesOf({ first, second }: Stream): readonly Tree[] {
    if (first !== null) return first.upper === null ? [first.lower] : [first.lower, first.lower, first.upper];
    return second === null ? [] : [second];
  }

  /** An address that some entry of the stream maps, or would map, and where that leads. */
  private address(sid: number): { iova: bigint; gpa: bigint } {
    const { random } = this;
    const trees = this.treesOf(this.world.streams.get(sid) as Stream);
    const offset = BigInt(random.below(LAYOUT.dataBytes / 4)) * 4n;
    if (trees.length === 0 || !this.enabled)
      return { iova: BigInt(LAYOUT.data) + offset, gpa: BigInt(LAYOUT.data) + offset };
    const place = random.pick(random.pick(trees).places);
    let { iova, gpa } = this.inPlace(place, offset);
    if (random.chance(2)) iova ^= 1n << BigInt(30 + random.below(34));
    if (random.chance(2)) iova ^= BigInt(random.below(256)) << 56n;
    if (gpa < BigInt(LAYOUT.data) || gpa >= BigInt(LAYOUT.data + LAYOUT.dataBytes)) gpa = BigInt(LAYOUT.data);
    iova = BigInt.asUintN(64, iova);
    return { iova, gpa };
  }

  private inPlace({ base, bits, value }: Place, offset: bigint): { iova: bigint; gpa: bigint } {
    const mask = (1n << BigInt(bits)) - 1n;
    const inside = bits > 16 ? (BigInt(LAYOUT.data) & mask) | offset : offset & mask;
    return { iova: base | inside, gpa: (value & 0xfffffffff000n & ~mask) | inside };
  }

  private dma(): number {
    const device = this.random.pick(this.devices);
    const { iova, gpa } = this.address(SID.testdev[device]);
    this.push({ op: 'dma', device, iova, length: 4, gpa });
    return 1;
  }

  private idle(): void {
    const gpa = BigInt(LAYOUT.data + this.random.below(LAYOUT.dataBytes / 4) * 4);
    this.push({ op: 'dma', device: 0, iova: gpa, length: 4, gpa });
  }

  private edu(): number {
    const { random } = this;
    const { iova } = this.address(SID.edu);
    const inside = random.below(1024) * 4;
    const write = random.chance(50);
    this.push({ op: 'edu', write, iova, inside, length: 4 });
    if (!random.chance(40)) return 1;
    this.push({ op: 'edu', write: !write, iova, inside: (inside + 4) % 4096, length: 4 });
    return 2;
  }

  private allTrees(): readonly Tree[] {
    const { contexts, seconds } = this.world;
    return [...contexts.flatMap(({ lower, upper }) => (upper === null ? [lower] : [lower, upper])), ...seconds];
  }

  private set(tree: Tree, place: Place): void {
    place.value = this.world.tables.changed(tree, place);
    this.push({ op: 'store', at: place.at, value: place.value });
  }

  /** A descriptor changes. @param told whether the caches are told of it */
  private change(told: boolean): void {
    const tree = this.random.pick(this.allTrees());
    const place = this.random.pick(tree.places);
    this.set(tree, place);
    if (told) this.tell(tree, place);
  }

  private tell(tree: Tree, place: Place): void {
    const { random } = this;
    const how = random.below(10);
    if (how === 0) return this.command(CMD_TLBI_NSNH_ALL);
    if (how === 1) return tree.stage === 2 ? this.command(CMD_TLBI_S12_VMALL, { VMID: tree.tag }) : this.allStage1();
    if (tree.stage === 2) {
      this.byAddress(tree, place.base, place.bits);
      // Of both stages together (4.4.3.1).
      if (this.stage === 'nested') this.command(CMD_TLBI_NH_ALL, { VMID: tree.tag });
      return;
    }
    this.byAddress(tree, place.base, place.bits);
  }

  private get vmids(): readonly number[] {
    return this.stage === '1' ? [0] : [0x77, ...this.world.seconds.map(({ tag }) => tag)];
  }

  private allStage1(): void {
    for (const VMID of this.vmids) this.command(CMD_TLBI_NH_ALL, { VMID });
  }

  /** Invalidates what an entry maps, by one address or by a range, for every VMID that may have it. */
  private byAddress(tree: Tree, base: bigint, bits: number): void {
    const { random } = this;
    const pages = bits - tree.granule;
    const range = random.chance(40) && pages <= 31 ? this.range(tree.granule, pages) : {};
    const Leaf = random.below(2);
    if (tree.stage === 2)
      return this.command(CMD_TLBI_S2_IPA, { VMID: tree.tag, Address: base & 0xfffffffffffffn, Leaf, ...range });
    const every = random.chance(20);
    for (const VMID of this.vmids) {
      const common = { VMID, Address: BigInt.asUintN(64, base), Leaf, ...range };
      if (every) this.command(CMD_TLBI_NH_VAA, common);
      else this.command(CMD_TLBI_NH_VA, { ...common, ASID: tree.tag });
    }
  }

  /** (NUM + 1) × 2^SCALE granules: as many as the entry has, and more. */
  private range(granule: number, pages: number): object {
    const { random } = this;
    const more = random.below(3);
    if (pages + more === 0) return { TG: TG[granule], NUM: 1, SCALE: 0 };
    return { TG: TG[granule], NUM: random.below(2), SCALE: Math.min(31, pages + more) };
  }

  /** A page is used, changed and used again; between, what may or may just not cover it is invalidated. @returns DMA requests made */
  private probe(): number {
    const { random } = this;
    const device = random.pick(this.devices);
    const trees = this.treesOf(this.world.streams.get(SID.testdev[device]) as Stream);
    if (trees.length === 0 || !this.enabled) return this.dma();
    const tree = random.pick(trees);
    const place = random.pick(tree.places);
    const offset = BigInt(random.below(LAYOUT.dataBytes / 4)) * 4n;
    const use = () => {
      const { iova, gpa } = this.inPlace(place, offset);
      const inData = gpa >= BigInt(LAYOUT.data) && gpa < BigInt(LAYOUT.data + LAYOUT.dataBytes);
      this.push({
        op: 'dma',
        device,
        iova: BigInt.asUintN(64, iova),
        length: 4,
        gpa: inData ? gpa : BigInt(LAYOUT.data),
      });
    };
    use();
    this.set(tree, place);
    // One address bit is another one: of the entry's size, above it, or none.
    const bit = random.pick([place.bits - 1, place.bits, place.bits + 1, 64, 64]);
    const address = BigInt.asUintN(64, place.base ^ ((1n << BigInt(bit)) & ~0xfffn));
    if (random.chance(80))
      this.byAddress(tree, address & ~((1n << BigInt(tree.granule)) - 1n), random.pick([tree.granule, place.bits]));
    use();
    return 2;
  }

  private invalidate(): void {
    const { random, world } = this;
    const tree = random.pick(this.allTrees());
    const sid = random.pick([...world.streams.keys(), random.below(0x10000)]);
    const how = random.below(10);
    if (how < 3) return this.byAddress(tree, random.pick(tree.places).base, random.pick([tree.granule, 21, 30]));
    if (how === 3 && this.stage !== '2')
      return this.command(CMD_TLBI_NH_ASID, {
        VMID: random.pick(this.vmids),
        ASID: random.pick([tree.tag, random.below(0x10000)]),
      });
    if (how === 4 && this.stage !== '1') return this.command(CMD_TLBI_S12_VMALL, { VMID: random.pick(this.vmids) });
    if (how === 5) return this.command(CMD_TLBI_NSNH_ALL);
    if (how === 6) return this.command(CMD_CFGI_STE, { StreamID: sid, Leaf: random.below(2) });
    if (how === 7) return this.command(CMD_CFGI_STE_RANGE, { StreamID: sid, Range: random.below(17) });
    if (how === 8) return this.command(CMD_CFGI_ALL);
    if (this.stage !== '2') this.command(CMD_CFGI_CD_ALL, { StreamID: sid });
  }

  /** Another STE, or its CD anew, and the caches are told. */
  private changeStream(): void {
    const { random, world } = this;
    const sid = random.pick([...world.streams.keys()]);
    const { first } = world.streams.get(sid) as Stream;
    if (first !== null && random.chance(40)) {
      world.storeContext(first);
      for (const [other, stream] of world.streams)
        if (stream.first === first)
          this.command(CMD_CFGI_CD, { StreamID: other, SubstreamID: 0, Leaf: random.below(2) });
    } else {
      world.assign(sid);
      if (random.chance(80)) this.command(CMD_CFGI_STE, { StreamID: sid, Leaf: 1 });
      else this.command(CMD_CFGI_ALL);
    }
    this.command(CMD_TLBI_NSNH_ALL);
  }

  /** What no driver does: commands that are none, registers written at random. */
  private wild(): void {
    const { random } = this;
    switch (random.below(5)) {
      case 0: {
        // An opcode that is reserved, or refused for want of something: the queue stops, and goes on behind it.
        const op = random.pick([0x00, 0x07, 0x08, 0x14, 0x29, 0x47, 0x50, 0x60, 0x70, 0x80, 0xff]);
        this.push({ op: 'cmd', lo: BigInt(op), hi: 0n });
        return this.mend();
      }
      case 1:
        if (this.stage === '2') this.command(CMD_TLBI_NH_ALL);
        else if (this.stage === '1') this.command(CMD_TLBI_S12_VMALL);
        else this.push({ op: 'cmd', lo: 0x03n | (1n << 10n), hi: 0n });
        return this.mend();
      case 2:
        // Commands that QEMU knows and ignores.
        return this.push({ op: 'cmd', lo: BigInt(random.pick([0x01, 0x02])), hi: 0n });
      case 3:
        // Read-only registers.
        return this.reg(random.pick([0x00, 0x04, 0x0c, 0x14, 0x24, 0x40, 0x60]), 4, BigInt(random.word()));
      default:
        // MSI registers and GBPA without Update.
        return this.reg(0x44, 4, BigInt(random.word() & 0x7fffffff));
    }
  }

  /** Acknowledges an error of the command queue, with a CMD_SYNC in the place of the command. */
  private mend(): void {
    this.push({ op: 'reg', offset: 0x20, size: 4, value: ENABLED & ~8n });
    this.push({ op: 'reg', offset: 0x98, size: 4, value: 0n });
    this.push({ op: 'reg', offset: 0x9c, size: 4, value: 0n });
    // Toggled by each error: both values are written, the right one last.
    this.errors ^= 1;
    this.push({ op: 'reg', offset: 0x64, size: 4, value: BigInt(this.errors) });
    this.push({ op: 'reg', offset: 0x20, size: 4, value: this.enabled ? ENABLED : ENABLED & ~1n });
  }

  private errors = 0;

  /** Switched off: transactions bypass, or are aborted. */
  private toggle(): void {
    const { random } = this;
    if (this.enabled && random.chance(50)) this.reg(0x44, 4, 0x80001000n | (BigInt(random.below(2)) << 20n));
    this.enabled = !this.enabled;
    this.reg(0x20, 4, this.enabled ? ENABLED : ENABLED & ~1n);
  }
}
