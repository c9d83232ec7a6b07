/** `explain --walk` on the RISC-V IOMMU, against a second translator, on random tables of every mode. */
import { expect, test } from 'vitest';
import type { WalkEnd } from '../../src/decode/index.ts';
import { decodeNamed, walkRiscv } from '../../src/decode/index.ts';
import type { Outcome, RiscvMachine } from './riscv-reference.ts';
import { translateRiscv } from './riscv-reference.ts';
import type { TreeLevel } from './world.ts';
import { FILLED, Seen, World } from './world.ts';

const VALID = 0xdfn;
const ppn = (at: bigint) => (at >> 12n) << 10n;
const levelsOf = (count: number, bits: number, bytes: number): TreeLevel[] =>
  Array.from({ length: count }, (_, i) => ({ shift: 12 + bits * (count - 1 - i), bytes }));

/** Tables that no second stage is in the way of lie from here on, the others below. */
const OWN = 0x10_0000_0000n;

/** A machine with tables of everything, and requests that mostly hit them. */
class Machine extends World {
  readonly extended = this.chance(50);
  readonly gxl = this.chance(15);
  readonly sxl = this.gxl || this.chance(20);
  readonly hgatpMode = this.chance(40) ? 0 : this.gxl ? 8 : 8 + this.below(3);
  readonly mode = 2 + this.below(3);
  readonly flips = this.pick([0, 1, 4]);
  readonly msi = this.extended && this.chance(40);
  readonly pdtv = this.chance(40);
  readonly pdMode = this.below(4);
  readonly sbe = this.chance(15);
  private ownNext = OWN;
  private sharedNext = 0;
  /** First stages of 4 KiB pages, the same for the guest as without one where the second stage is the identity. */
  readonly firstLevels: TreeLevel[];
  readonly machine: RiscvMachine;

  constructor(seed: number) {
    super(seed);
    const { extended, gxl } = this;
    const firstMode = this.chance(15) ? 0 : this.sxl ? 8 : 8 + this.below(3);
    this.firstLevels = this.sxl ? levelsOf(2, 10, 4) : levelsOf(Math.max(firstMode, 8) - 5, 9, 8);
    const iohgatp = this.second();
    const iosatp = firstMode === 0 ? 0n : (BigInt(firstMode) << 60n) | (this.first() >> 12n);
    const ddtp = this.directory(iohgatp, iosatp);
    this.machine = { words: this.words, ddtp, extended, gxl };
    this.lose(1);
  }

  /** Tables of the first stage and of processes are as SBE says. */
  override set(at: bigint, word: bigint, bytes = 8): void {
    const digits = word
      .toString(16)
      .padStart(2 * bytes, '0')
      .match(/../g) as string[];
    super.set(at, this.sbe && at < OWN ? BigInt(`0x${digits.reverse().join('')}`) : word, bytes);
  }

  private own(pages = 1): bigint {
    const at = this.ownNext;
    this.ownNext += BigInt(pages) << 12n;
    return at;
  }

  /** What the second stage has as well. */
  private shared(): bigint {
    const n = this.sharedNext++ & 63;
    return this.gxl || this.sxl
      ? (BigInt((n >> 2) & 3) << 22n) | (BigInt(n & 3) << 12n)
      : (BigInt(n >> 4) << 30n) | (BigInt((n >> 2) & 3) << 21n) | (BigInt(n & 3) << 12n);
  }

  private second(): bigint {
    if (this.hgatpMode === 0) return 0n;
    const levels = this.gxl ? levelsOf(2, 10, 4) : levelsOf(this.hgatpMode - 5, 9, 8);
    // Only the lowest three levels are filled: above them there is one entry, of index 0.
    const filled = levels.slice(-3);
    let top = this.tree({
      ...{ levels: filled, flips: this.flips - 1, pages: 5 },
      place: (level) => (level === 0 && filled.length === levels.length ? this.aligned() : this.own()),
      table: (next) => ppn(next) | 1n,
      page: (address) => ppn(this.chance(93) ? address : this.shared()) | VALID,
    });
    for (let above = levels.length - filled.length; above > 0; above--) {
      const at = above === 1 ? this.aligned() : this.own();
      this.set(at, ppn(top) | 1n);
      top = at;
    }
    return (BigInt(this.hgatpMode) << 60n) | (top >> 12n);
  }

  private aligned(): bigint {
    this.ownNext = (this.ownNext + 0x3fffn) & ~0x3fffn;
    return this.own(4);
  }

  private first(): bigint {
    // A whole tree of five levels would be large: the upper ones have one entry.
    const filled = this.firstLevels.slice(-2);
    let top = this.tree({
      ...{ levels: filled, flips: this.flips, pages: 10 },
      place: () => this.shared(),
      table: (next) => ppn(next) | 1n,
      page: (address, level) => this.firstPage(address, level === 0 && filled.length === 2 ? (this.sxl ? 22 : 21) : 12),
    });
    for (let above = this.firstLevels.length - filled.length; above > 0; above--) {
      const at = this.shared();
      for (const index of FILLED)
        this.set(at + BigInt(index * 8), this.flipped(index === 3 ? 0n : ppn(top) | 1n, 64, this.flips));
      top = at;
    }
    return top;
  }

  private firstPage(address: bigint, shift: number): bigint {
    const range = !this.sxl && shift === 12 && this.chance(10);
    const target = shift > 12 ? (address >> BigInt(shift)) << BigInt(shift) : this.shared();
    return ppn(range ? (target & ~0xffffn) | 0x8000n : target) | VALID | (range ? 1n << 63n : 0n);
  }

  private directory(iohgatp: bigint, iosatp: bigint): bigint {
    const context = this.own(2);
    for (const index of FILLED) this.context(context + BigInt(index * (this.extended ? 64 : 32)), iohgatp, iosatp);
    let top = context;
    for (let level = 1; level < this.mode - 1; level++) {
      const at = this.own();
      for (const index of FILLED) this.set(at + BigInt(index * 8), this.flipped(ppn(top) | 1n, 64, this.flips - 1));
      top = at;
    }

    const mode = this.chance(2) ? this.below(2) : this.mode;
    return ppn(top) | BigInt(mode);
  }

  private context(at: bigint, iohgatp: bigint, iosatp: bigint): void {
    const tc =
      1n |
      (this.pdtv ? 1n << 5n : 0n) |
      (this.pdtv && this.chance(50) ? 1n << 9n : 0n) |
      (this.sbe ? 1n << 10n : 0n) |
      (this.sxl ? 1n << 11n : 0n);
    const updates = (this.chance(30) ? 1n << 7n : 0n) | (this.chance(30) ? 1n << 8n : 0n);
    const fsc = this.pdtv ? (BigInt(this.pdMode) << 60n) | (this.processes(iosatp) >> 12n) : iosatp;
    const words = [tc | updates, iohgatp, 0x5000n, fsc];
    if (this.extended) words.push(...this.messages(), 0n);
    words.forEach((word, i) => this.set(at + BigInt(8 * i), this.flipped(word, 64, this.flips - 2)));
  }

  private processes(iosatp: bigint): bigint {
    if (this.pdMode === 0) return 0n;
    let top = this.shared();
    // Contexts lie where no page-table entry is filled.
    for (const index of FILLED) {
      this.set(top + BigInt(index * 16 + 0x100), this.flipped(1n, 64, 4 * this.flips));
      this.set(top + BigInt(index * 16 + 0x108), this.flipped(iosatp, 64, this.flips));
    }
    for (let level = 1; level < this.pdMode; level++) {
      const at = this.shared();
      for (const index of FILLED)
        this.set(at + BigInt(index * 8 + 0x20), this.flipped(ppn(top) | 1n, 64, 2 * this.flips));
      top = at;
    }
    return top;
  }

  private messages(): bigint[] {
    if (!this.msi) return [0n, 0n, 0n];
    const root = this.own();
    for (let index = 0; index < 16; index++) {
      const basic = this.chance(50);
      const low = basic ? ppn(this.shared()) | 7n : ((this.shared() >> 9n) << 7n) | 3n;
      this.set(root + BigInt(index * 16), this.flipped(this.chance(10) ? 0n : low, 64, 8));
      this.set(root + BigInt(index * 16 + 8), this.flipped(basic ? this.big(64) : ppn(this.shared()) | 5n, 64, 5));
    }
    return [(1n << 60n) | (root >> 12n), 3n | (3n << 18n), 0n];
  }

  device(): bigint {
    const [low, middle] = this.extended ? [6n, 15n] : [7n, 16n];
    const index = () => BigInt(this.pick(FILLED));
    const id = index() | (this.mode > 2 ? index() << low : 0n) | (this.mode > 3 ? index() << middle : 0n);
    return this.chance(3) ? id ^ (1n << BigInt(this.below(24))) : id;
  }

  process(): bigint | null {
    if (!this.pdtv ? this.chance(95) : this.chance(25)) return null;
    const index = () => BigInt(this.pick(FILLED));
    // 4 and 16 are where `processes` has put the entries.
    const id =
      (index() + 16n) | (this.pdMode > 1 ? (index() + 4n) << 8n : 0n) | (this.pdMode > 2 ? (index() + 4n) << 17n : 0n);
    return this.chance(5) ? id ^ (1n << BigInt(this.below(20))) : id & 0xfffffn;
  }
}

function same(end: WalkEnd, want: Outcome): boolean {
  if (end.kind === 'fault') return want.kind === 'fault' && end.code.value === want.cause;
  if (end.kind === 'page' || end.kind === 'passed') return want.kind === end.kind && end.address === want.address;
  return end.kind === want.kind;
}

test('5,000 machines: every mode of every table', () => {
  const seen = new Seen();
  for (let seed = 0; seed < 5000; seed++) {
    const world = new Machine(seed);
    const tables = world.tables();
    const { machine } = world;
    tables.give(decodeNamed('riscv.ddtp', [machine.ddtp]));
    tables.give(decodeNamed('riscv.fctl', [machine.gxl ? 4n : 0n]));
    // Every capability, and MSI_FLAT as the contexts have it.
    tables.give(decodeNamed('riscv.capabilities', [0xff_ffff_ffbf_ff10n | (machine.extended ? 1n << 22n : 0n)]));
    for (let n = 0; n < 4; n++) {
      const [device, process] = [world.device(), world.process()];
      const iova = world.address(world.firstLevels);
      const question = {
        address: iova,
        device: `0x${device.toString(16)}`,
        pasid: process === null ? null : Number(process),
      };
      const result = walkRiscv(tables, question);
      for (const access of ['read', 'write'] as const) {
        const want = translateRiscv(machine, device, process, iova, access === 'write');
        const end = result[access];
        const what = `machine ${seed}: ${access} of ${question.device} process ${process} at 0x${iova.toString(16)}`;
        if (!same(end, want)) expect({ end, what }).toEqual(want);
        seen.add(want.kind === 'fault' ? String(want.cause) : want.kind);
        if (want.kind === 'page') seen.add(`page, second stage ${world.hgatpMode}, ${world.sxl ? 32 : 64}`);
      }
    }
  }
  const often = [
    'page',
    'passed',
    'missing',
    'interrupt',
    '13',
    '15',
    '21',
    '23',
    '256',
    '258',
    '259',
    '260',
    '262',
    '263',
    '266',
    '267',
  ];
  for (const key of often) expect(seen.of(key), `${key} came up; ${seen.text}`).toBeGreaterThan(20);
  for (const mode of ['0, 32', '0, 64', '8, 32', '8, 64', '9, 64', '10, 64'])
    expect(seen.of(`page, second stage ${mode}`), seen.text).toBeGreaterThan(100);
});
