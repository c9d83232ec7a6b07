/**
 * Random scripts with a structure: tables in which translations succeed and every fault comes up, then DMA, changes of tables with and
 * without invalidation, switching, wild writes. What a script does is decided here once; it is the same text for both back ends.
 *
 * Some orders leave it to hardware what happens, and tell nothing: context entries are therefore changed as software must (6.5.3.3: the entry,
 * the context cache, the IOTLB). Paging entries are changed as it likes.
 */
import { Random } from '../conformance/vtd/unit.ts';
import { fillBuffer } from './common-operations.ts';
import type { Configuration } from './configurations.ts';
import { InterruptWorld } from './interrupt-world.ts';
import { Invalidations } from './invalidations.ts';
import { CLEARED, SID } from './platform.ts';
import { ScalableWorld } from './scalable-world.ts';
import type { Op, Script } from './script.ts';
import { LAYOUT } from './script.ts';
import type { Domain } from './world.ts';
import { INTERRUPTS, PS, World } from './world.ts';

export class Generator {
  private readonly random: Random;
  private readonly world: World;
  /** Of scalable mode; null in legacy mode. */
  private readonly scalable: ScalableWorld | null;
  private readonly isFirst: boolean;
  private readonly deviceTlbs: boolean;
  /** Of interrupt remapping; null where the unit has none. */
  private readonly interrupts: InterruptWorld | null;
  private readonly invalidations: Invalidations;
  private readonly ops: Op[] = [];
  private enabled = false;
  private nextStatus = 0;
  private over = false;

  constructor(seed: number, configuration: Configuration) {
    const { tables } = configuration;
    this.random = new Random(seed);
    this.invalidations = new Invalidations(this.random, tables, (op) => this.push(op));
    const store = (at: number, value: bigint) => this.push({ op: 'store', at, value });
    this.scalable = tables.mode === 'legacy' ? null : new ScalableWorld(this.random, configuration, store);
    this.world = this.scalable ?? new World(this.random, configuration, store);
    this.deviceTlbs = configuration.deviceTlbs === true;
    this.isFirst = tables.mode === 'first';
    this.interrupts =
      configuration.interrupts === undefined
        ? null
        : new InterruptWorld(this.random, configuration, (op) => this.push(op));
  }

  /** @param length DMA requests, about. @returns a script that sets a unit up and uses it */
  script(length: number): Script {
    const { random } = this;
    // In scalable mode there are no register-based invalidations (11.4.6).
    this.invalidations.queued = this.scalable !== null || random.chance(60);
    if (this.invalidations.queued) this.startQueue();
    this.ops.push(...fillBuffer(random, LAYOUT.data));
    this.interrupts?.start();
    const early = random.chance(10);
    if (early) this.dma();
    this.push({ op: 'srtp', value: this.world.rootTable });
    this.push({ op: 'te', on: 1 });
    this.enabled = true;
    for (let n = 0; n < length && !this.over; ) n += this.step();
    // The queue stops at most of them.
    if (!this.over && random.chance(30)) this.descriptor();
    return this.ops;
  }

  private push(op: Op): void {
    this.ops.push(op);
  }

  private reg(offset: number, size: 4 | 8, value: bigint): void {
    this.push({ op: 'reg', offset, size, value });
  }

  // ---- steps ----------------------------------------------------------------------------------------------------

  /** @returns DMA requests made */
  private step(): number {
    const { interrupts, random } = this;
    if (interrupts !== null && random.chance(45)) {
      interrupts.step(this.invalidations.queued);
      return 0;
    }
    const what = random.below(1000);
    if (what < 660) return this.dma();
    if (what < 700) return this.probe();
    if (what < 775) return this.edu();
    if (what < 850) this.push({ op: 'clear' });
    else if (what < 900) this.change(random.chance(70));
    else if (what < 950) this.invalidate();
    else if (what < 975) this.changeContext();
    else if (what < 985) this.wild();
    else if (what < 990) this.toggle();
    else if (what < 992) this.push({ op: 'srtp', value: this.world.rootTable });
    else if (what < 997) this.wait();
    else this.push({ op: 'dump' });
    return 0;
  }

  /** An address that some entry maps, or would map, and where that leads. */
  private address(sid: number): { iova: bigint; gpa: bigint } {
    const { random } = this;
    const domain = this.world.owner.get(sid) as Domain;
    const place = random.pick(domain.places);
    const bits = BigInt(12 + 9 * (place.level - 1));
    let offset = BigInt(random.below(LAYOUT.dataBytes / 4)) * 4n;
    if (place.level === 1) offset &= 0xfffn;
    else if (place.level > 2) offset |= BigInt(LAYOUT.data);
    let iova = place.base | offset;
    if (random.chance(2)) iova |= 1n << BigInt(random.pick([39, 48, 30 + random.below(34)]));
    // Not canonical: the sign is missing, or is where it should not be.
    if (this.isFirst && random.chance(1))
      iova ^= random.pick([0xffffn << 48n, 0x1ffffn << 47n, 1n << 47n, 1n << 48n, 1n << 63n]);
    // In the interrupt range QEMU has something else in the way: seldom.
    if (iova >= INTERRUPTS - 0x1000n && iova <= INTERRUPTS + 0x100000n) iova += 0x200000n;
    if (this.enabled && random.below(2000) === 0) iova = INTERRUPTS | offset;
    const frame = place.value & 0xffffffffff000n & ~((1n << bits) - 1n);
    return { iova, gpa: this.enabled ? this.inRam(frame | offset) : this.inRam(iova) };
  }

  /** Where a test device may look: nothing decodes at some addresses, registers do at others. */
  private inRam(gpa: bigint): bigint {
    return gpa >= BigInt(CLEARED.from) && gpa < BigInt(LAYOUT.data + LAYOUT.dataBytes) ? gpa : BigInt(LAYOUT.data);
  }

  private dma(): number {
    const { random } = this;
    const device = random.pick(this.world.testdevs);
    const { iova, gpa } = this.address(SID.testdev[device]);
    let length = 4;
    if (random.chance(8)) length = 4 * (1 + random.below(16));
    if (random.chance(1)) length = 1 + random.below(64);
    if (!this.enabled && !isData(iova)) return this.idle();
    this.push({ op: 'dma', device, iova, length, gpa });
    return 1;
  }

  /** While nothing is translated, DMA goes where it may. */
  private idle(): number {
    const gpa = BigInt(LAYOUT.data + this.random.below(LAYOUT.dataBytes / 4) * 4);
    this.push({ op: 'dma', device: this.random.pick(this.world.testdevs), iova: gpa, length: 4, gpa });
    return 1;
  }

  private edu(): number {
    const { random } = this;
    const { iova } = this.address(SID.edu);
    const length = random.pick([4, 8, 64, 256]);
    const inside = (random.below(64) * 64) & ~255;
    if (!this.enabled && !isData(iova)) return this.idle();
    const write = random.chance(50);
    this.push({ op: 'edu', write, iova, inside, length });
    // The other right, of what may be cached now.
    if (!random.chance(40)) return 1;
    this.push({ op: 'edu', write: !write, iova, inside: (inside + 256) % 4096, length });
    return 2;
  }

  /** A paging entry changes. @param told whether the caches are told of it */
  private change(told: boolean): void {
    const { random } = this;
    const place = random.pick(random.pick(this.world.domains).places);
    place.value = this.world.changed(place);
    this.push({ op: 'store', at: place.at, value: place.value });
    if (!told) return;
    const am = 9 * (place.level - 1);
    if (am <= 18 && random.chance(60)) this.invalidations.page(place.did, place.base, am);
    else if (random.chance(50)) this.invalidations.domain(place.did);
    else this.invalidations.all();
  }

  /** A page is used, changed and used again; between, what may or may just not cover it is invalidated. @returns DMA requests made */
  private probe(): number {
    const { random } = this;
    const device = random.pick(this.world.testdevs);
    const { did, places } = this.world.owner.get(SID.testdev[device]) as Domain;
    const place = random.pick(places);
    if (!this.enabled || (place.level > 1 && (place.value & PS) === 0n)) return this.dma();
    const bits = 12 + 9 * (place.level - 1);
    const offset = BigInt(place.level === 1 ? 0 : LAYOUT.data + random.below(LAYOUT.dataBytes / 4096) * 4096);
    const iova = place.base | (offset & ((1n << BigInt(bits)) - 1n));
    const use = () => {
      const frame = place.value & 0xffffffffff000n & ~((1n << BigInt(bits)) - 1n);
      const gpa = this.inRam(frame | (iova & ((1n << BigInt(bits)) - 1n)));
      this.push({ op: 'dma', device, iova, length: 4, gpa });
    };
    use();
    place.value = this.world.changed(place);
    this.push({ op: 'store', at: place.at, value: place.value });
    const am = random.below(19);
    // One address bit is another one: the highest that is masked, the lowest that is not, that of the page's size, any, or none.
    const bit = random.pick([am + 11, am + 12, am + 12, bits, 12 + random.below(20), 64]);
    this.invalidations.page(
      random.chance(80) ? did : random.pick(this.world.domains).did,
      BigInt.asUintN(64, iova ^ ((1n << BigInt(bit)) & ~0xfffn)),
      am,
    );
    use();
    return 2;
  }

  private invalidate(): void {
    const { random } = this;
    const { did, places } = random.pick(this.world.domains);
    if (this.deviceTlbs && this.invalidations.queued && random.chance(30)) {
      const sid = random.chance(80) ? random.pick(this.world.requesters) : random.below(0x10000);
      return this.invalidations.deviceTlb(sid, random.pick(places).base);
    }
    if (this.scalable !== null && random.chance(20)) return this.invalidations.pasids(random.pick([0, 1, 3]), did);
    const how = random.below(5);
    if (how < 2)
      return this.invalidations.page(did, random.pick(places).base, random.below(this.invalidations.queued ? 19 : 21));
    if (how === 2) return this.invalidations.domain(random.pick([did, did, random.below(0x10000)]));
    if (how === 3) return this.invalidations.all();
    this.invalidations.context(random.pick([1, 2, 3]), random.below(4), random.pick([...this.world.owner.keys()]), did);
  }

  /** As software must: the entry, the context cache, the IOTLB (6.5.3.3). */
  private changeContext(): void {
    const { random } = this;
    const { world } = this;
    const sid = random.pick([...world.owner.keys()]);
    const before = this.world.owner.get(sid) as Domain;
    const after = random.pick(this.world.domains);
    if (this.scalable !== null) return this.changeEntries(this.scalable, sid, before, after);
    world.assign(sid, after);
    // Any function that FM makes the same.
    const fm = random.below(4);
    this.invalidations.context(random.pick([1, 3]), fm, sid | (random.below(8) & [0, 4, 6, 7][fm]), before.did);
    if (random.chance(50)) this.invalidations.all();
    else for (const { did } of this.world.domains) this.invalidations.domain(did);
  }

  /** As software must: entries, context cache, PASID cache, IOTLB (6.5.3.3, table 28). */
  private changeEntries(world: ScalableWorld, sid: number, before: Domain, after: Domain): void {
    const { random } = this;
    if (random.chance(50)) {
      world.assign(sid, after);
      const fm = random.below(4);
      this.invalidations.context(random.pick([1, 2, 3]), fm, sid | (random.below(8) & [0, 4, 6, 7][fm]), before.did);
    } else world.enter(sid, after);
    const granularity = random.pick([0, 1, 3]);
    for (const { did } of granularity === 3 ? [before] : this.world.domains)
      this.invalidations.pasids(granularity, did);
    if (random.chance(40)) return this.invalidations.all();
    for (const { did } of this.world.domains) {
      // IOTLB, or PASID-based.
      const lo = random.chance(50) ? 0x22n : 0x26n;
      this.push({ op: 'inv', lo: lo | (BigInt(did) << 16n), hi: 0n });
    }
  }

  private startQueue(): void {
    const size = this.random.below(2);
    this.reg(0x88, 8, 0n);
    const wide = this.scalable === null ? 0 : 0x800;
    this.reg(0x90, 8, BigInt(LAYOUT.queue | size | wide));
    this.push({ op: 'qie', on: 1 });
  }

  /** A wait descriptor that writes a status, raises the event, or both. */
  private wait(): void {
    const { random } = this;
    if (!this.invalidations.queued) return;
    const address = BigInt(LAYOUT.status + 4 * (this.nextStatus++ & 511));
    const flags = random.pick([2, 2, 2, 3, 1, 6]);
    const lo = 5n | (BigInt(flags) << 4n) | (BigInt(random.word()) << 32n);
    this.push({ op: 'inv', lo, hi: (flags & 2) !== 0 ? address : 0n });
  }

  private toggle(): void {
    this.enabled = !this.enabled;
    this.push({ op: 'te', on: this.enabled ? 1 : 0 });
  }

  /** What no driver does: registers written at random, descriptors that are none. */
  private wild(): void {
    const { random } = this;
    switch (random.below(11)) {
      case 0:
        // FEDATA … FEUADDR, IEDATA … IEUADDR.
        return this.reg(random.pick([0x3c, 0x40, 0x44, 0xa4, 0xa8, 0xac]), 4, BigInt(random.word()));
      case 1:
        // FECTL, IECTL: with IM = 0 messages are sent, to the local interrupt controllers or to nobody.
        return this.reg(random.pick([0x38, 0xa0]), 4, BigInt(random.word()));
      case 2:
        return this.reg(random.pick([0x9c, 0x34]), 4, BigInt(random.word()));
      case 3:
        // Read-only and reserved registers.
        return this.reg(
          random.pick([0x00, 0x04, 0x08, 0x0c, 0x10, 0x14, 0x1c, 0x48, 0x60, 0x80, 0x84]),
          4,
          BigInt(random.word()),
        );
      case 4:
        // Written and not set: it takes effect with SRTP only, which writes it again.
        return this.reg(0x20, 8, random.big(64));
      case 5:
        // Fault records: bit 127 clears, the rest is read-only.
        return this.reg(random.pick([0x220, 0x224, 0x228, 0x22c]), 4, BigInt(random.word()));
      case 6:
        if (this.invalidations.queued && !random.chance(5)) return;
        // Granularity 0 is none; without IVT and ICC nothing happens.
        this.reg(0xf8, 8, (random.big(1) << 63n) | (random.big(2) << 60n) | random.big(48));
        return this.reg(0x28, 8, random.pick([random.big(34), (1n << 63n) | random.big(32)]));
      case 7:
        // The queue is switched off, as software may behind a wait only; or its address is changed while it is on.
        if (!this.invalidations.queued) return;
        if (random.chance(70)) this.push({ op: 'inv', lo: 0x25n, hi: BigInt(LAYOUT.status) });
        this.push({ op: 'qie', on: 0 });
        this.invalidations.queued = false;
        // Nothing could be invalidated any more.
        if (this.scalable !== null) this.over = true;
        return;
      case 8:
        if (!this.invalidations.queued) return this.reg(0x90, 8, random.big(64));
        return;
      case 9:
        // GCMD: commands of functions that the unit lacks, with the states of the others.
        if (this.over) return;
        return this.reg(
          0x18,
          4,
          this.command() |
            (1n << BigInt(random.pick(this.interrupts === null ? [22, 23, 24, 25, 27, 28, 29] : [22, 27, 28, 29]))),
        );
      default:
        this.descriptor();
    }
  }

  /** State bits of GCMD as they are. */
  private command(): bigint {
    return (BigInt(this.enabled ? 1 : 0) << 31n) | (BigInt(this.invalidations.queued ? 1 : 0) << 26n);
  }

  private descriptor(): void {
    const { random } = this;
    if (!this.invalidations.queued) return;
    const pasid = this.scalable === null ? [] : [0x7n, 0x17n, 0x37n, 0x26n, 0x36n];
    const devices = this.deviceTlbs ? [0x3n, 0x3n, ...(this.scalable === null ? [] : [0x8n])] : [];
    const valid = random.pick([0x12n, 0x22n, 0x32n, 0x11n, 0x31n, 0x25n, ...pasid, ...devices]);
    // A good one with a bit too many, an address mask beyond CAP.MAMV among them.
    const spoilt = valid | (1n << BigInt(random.below(64)));
    this.push({
      op: 'inv',
      lo: random.chance(50) ? spoilt : random.big(4),
      hi: random.chance(70) ? 0n : random.big(7),
      ...(this.scalable !== null && random.chance(40) ? { upper: upperBit(random) } : {}),
    });
    // The queue may have stopped there, and nothing could be invalidated any more: that is the end of the script.
    this.over = true;
  }
}

/** A bit of the upper 128, which have none. */
function upperBit(random: Random): readonly [bigint, bigint] {
  const bit = 1n << BigInt(random.below(64));
  return random.chance(50) ? [bit, 0n] : [0n, bit];
}

function isData(iova: bigint): boolean {
  return iova >= BigInt(LAYOUT.data) && iova < BigInt(LAYOUT.data + LAYOUT.dataBytes);
}
