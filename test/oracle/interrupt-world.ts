/**
 * Interrupt remapping of a random script (VT-d 5.1, 9.9): two tables, entries in which interrupts pass and every fault comes up, the interrupts of
 * two devices, changes with and without an invalidation, switching. What QEMU is known to do otherwise comes up seldom: it ends a script.
 */
import type { Random } from '../conformance/vtd/unit.ts';
import type { Configuration } from './configurations.ts';
import { SID } from './platform.ts';
import type { Op } from './script.ts';

/** Where the tables are; IRTA.S is at most LARGEST, so that each has 32 KiB. */
const TABLES = [0x1e0000, 0x1e8000] as const;
const LARGEST = 10;
const ENTRY_BYTES = 16;
/** Far above RAM, and nothing decodes there. */
const NOWHERE = 0x4_0000_0000n;
const EIME = 0x800n;
const [P, FPD, IM] = [1n, 2n, 0x8000n];
const DELIVERY_MODES = [0n, 0n, 0n, 1n, 2n, 4n, 5n, 7n] as const;
/** Bits of SID that SQ leaves out. */
const LEFT_OUT = [0, 4, 6, 7] as const;

interface Table {
  readonly at: number;
  /** IRTA.S. */
  readonly size: number;
  /** Indexes whose entries are used. */
  readonly indexes: readonly number[];
}

export class InterruptWorld {
  private readonly random: Random;
  private readonly extended: boolean;
  private readonly push: (op: Op) => void;
  private readonly wrongness: number;
  private readonly tables: readonly Table[];
  private table: Table;
  private enabled = true;

  constructor(random: Random, { interrupts }: Configuration, push: (op: Op) => void) {
    this.random = random;
    // x2APIC mode is software's choice.
    this.extended = interrupts === 'x2APIC' && random.chance(80);
    this.push = push;
    this.wrongness = random.pick([0, 1, 1, 4]);
    this.tables = TABLES.map((at) => this.newTable(at));
    this.table = this.tables[0];
  }

  /** The tables, and remapping switched on. */
  start(): void {
    for (const table of this.tables) for (const index of table.indexes) this.write(table, index);
    this.select(this.tables[0]);
    this.push({ op: 'ire', on: 1 });
  }

  private newTable(at: number): Table {
    const { random } = this;
    const size = random.below(LARGEST + 1);
    const last = (2 << size) - 1;
    return { at, size, indexes: [0, last, ...Array.from({ length: 6 }, () => random.below(last + 1))] };
  }

  /** SIRTP. */
  private select(table: Table): void {
    this.table = table;
    const at = this.rare(1) ? NOWHERE : BigInt(table.at);
    this.push({ op: 'sirtp', value: at | BigInt(table.size) | (this.extended ? EIME : 0n) });
  }

  private write(table: Table, index: number): void {
    const [lo, hi] = this.entry();
    const at = table.at + ENTRY_BYTES * index;
    this.push({ op: 'store', at, value: lo });
    this.push({ op: 'store', at: at + 8, value: hi });
  }

  private entry(): readonly [bigint, bigint] {
    const { random } = this;
    const destination = this.extended ? random.big(32) : random.big(8) << 8n;
    let lo = P | (random.big(3) << 2n) | (random.pick(DELIVERY_MODES) << 5n) | (random.big(4) << 8n);
    lo |= (random.big(8) << 16n) | (destination << 32n);
    if (random.chance(10)) lo |= FPD;
    const [sid, sq, svt] = this.verification();
    const hi = BigInt(sid) | (BigInt(sq) << 16n) | (BigInt(svt) << 18n);
    return this.rare(8) ? this.spoilt(lo, hi) : [lo, hi];
  }

  /** SID, SQ and SVT: most entries are for one of the two devices. */
  private verification(): readonly [number, number, number] {
    const { random } = this;
    const how = random.below(100);
    const sid = random.pick(SID.sender);
    const sq = random.below(4);
    if (how < 25) return [random.below(0x10000), sq, 0];
    // A range of one bus; QEMU takes others the wrong way round.
    if (how < 35) return [(sid >> 8) * 0x101, sq, 2];
    if (how < 36) return [random.pick([0x00a5, 0xa500, 0x00ff, 0x0100]), sq, 2];
    // Bits that SQ leaves out are others, or one that it does not.
    const other = (random.below(8) & LEFT_OUT[sq]) | (random.chance(10) ? 1 << random.below(16) : 0);
    return [sid ^ other, sq, 1];
  }

  private spoilt(lo: bigint, hi: bigint): readonly [bigint, bigint] {
    const { random } = this;
    // Requesters are verified, or not, after the reserved bits in QEMU: none is verified here.
    const anybody = hi & ~0xc0000n;
    switch (random.below(random.chance(15) ? 8 : 4)) {
      case 0:
        return [lo & ~P, hi];
      case 1:
        return [lo | (1n << BigInt(random.pick([12, 13, 14, 24, 31, 24 + random.below(8)]))), anybody];
      case 2:
        // The ends of the reserved field more often than others.
        return [lo, anybody | (1n << BigInt(random.pick([20, 63, 20 + random.below(44)])))];
      case 3:
        return [random.big(64) & ~P, random.big(64)];
      // What QEMU does not look at, or otherwise.
      case 4:
        return [lo | IM, anybody];
      case 5:
        return [(lo & ~0xe0n) | (random.pick([3n, 6n]) << 5n), anybody];
      case 6:
        return [lo | (1n << BigInt(random.pick([32 + random.below(8), 48 + random.below(16)]))), anybody];
      default:
        return [lo, hi | 0xc0000n];
    }
  }

  /** @param queued whether there is a queue for invalidations */
  step(queued: boolean): void {
    const { random } = this;
    const what = random.below(100);
    if (what < 78) this.interrupt();
    else if (what < 90) this.change(queued && random.chance(70));
    else if (what < 94 && queued) this.invalidate(random.pick(this.table.indexes));
    else if (what < 97) this.select(random.pick(this.tables));
    else if (what < 99) {
      this.enabled = !this.enabled;
      this.push({ op: 'ire', on: this.enabled ? 1 : 0 });
    } else if (random.chance(10)) this.push({ op: 'cfi', on: random.below(2) });
  }

  private change(told: boolean): void {
    const index = this.random.pick(this.table.indexes);
    this.write(this.table, index);
    if (told) this.invalidate(index);
  }

  /** 6.5.2.8: the index, a block with it, or all. */
  private invalidate(index: number): void {
    const { random } = this;
    const mask = random.chance(50) ? 0 : random.below(random.chance(2) ? 32 : 16);
    const block = Math.floor(index / 2 ** mask) * 2 ** mask;
    let lo = random.chance(80) ? 0x14n | (BigInt(mask) << 27n) | (BigInt(block) << 32n) : 4n;
    // Reserved: the queue stops, and interrupts go on.
    if (this.rare(1) && random.chance(20)) lo |= 1n << BigInt(random.pick([5, 8, 12, 26, 48, 63]));
    this.push({ op: 'inv', lo, hi: 0n });
  }

  /** An interrupt of one of the devices: mostly by an entry that there is, seldom by none, or not to be remapped. */
  private interrupt(): void {
    const { random, table } = this;
    const sender = random.below(SID.sender.length);
    let data = random.below(0x10000);
    if (random.below(this.enabled ? 300 : 2) === 0) {
      const address = (0xfee00000 | (random.below(0x8000) << 5) | (random.below(4) << 2)) >>> 0;
      return this.push({ op: 'msi', sender, address, data });
    }
    let index = random.pick(table.indexes);
    if (random.chance(6)) index = random.pick([2 << table.size, random.below(0x10000)]) & 0xffff;
    const hasSubhandle = random.chance(50);
    if (hasSubhandle) {
      data = random.pick([0, index, random.below(index + 1)]);
      index -= data;
      // Together 17 bits.
      if (random.below(400) === 0) [index, data] = [0xffff, 1 + random.below(8)];
    }
    const address = 0xfee00010 | ((index & 0x7fff) << 5) | ((index >> 15) << 2) | (hasSubhandle ? 8 : 0);
    this.push({ op: 'msi', sender, address: address >>> 0, data });
  }

  private rare(percent: number): boolean {
    return this.random.chance(percent * this.wrongness);
  }
}
