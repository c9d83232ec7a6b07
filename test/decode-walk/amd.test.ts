/** `explain --walk` on AMD-Vi, against a second translator, on random tables: levels left out, sizes in addresses, guest tables, interrupts. */
import { expect, test } from 'vitest';
import type { WalkEnd } from '../../src/decode/index.ts';
import { decodeNamed, walkAmd } from '../../src/decode/index.ts';
import type { AmdMachine, AmdOutcome } from './amd-reference.ts';
import { translateAmd } from './amd-reference.ts';
import type { TreeLevel } from './world.ts';
import { FILLED, Seen, World } from './world.ts';

const BASE = 0x40_0000_0000n;
const RIGHTS = 3n << 61n;
const levelOf = (number: number): TreeLevel => ({ shift: 12 + 9 * (number - 1), bytes: 8 });

class Machine extends World {
  readonly mode = this.pick([0, 2, 3, 3, 4, 5, 6]);
  readonly guestLevels = 4 + this.below(2);
  readonly glx = this.below(3);
  readonly hasGuest = this.chance(40);
  readonly wide = this.chance(50);
  readonly flips = this.pick([0, 1, 4]);
  /** Levels that the host's tables have: some are left out. */
  readonly numbers: number[];
  readonly guestTop: TreeLevel[];
  private ownNext = BASE + 0x1000_0000n;
  private sharedNext = 0;
  readonly machine: AmdMachine;

  constructor(seed: number) {
    super(seed);
    this.numbers = Array.from({ length: this.mode }, (_, i) => this.mode - i).filter(
      (number) => number === this.mode || number <= (this.hasGuest ? 3 : 2) || this.chance(30),
    );
    if (!this.hasGuest && this.numbers.length > 2 && this.chance(20)) this.numbers.splice(-2, 1);
    this.guestTop = Array.from({ length: this.guestLevels }, (_, i) => levelOf(this.guestLevels - i));
    const host = this.hostTables();
    const gcr3 = this.hasGuest ? this.gcr3Table() : 0n;
    for (const index of FILLED) this.entry(BASE + BigInt(index * 32), host, gcr3);
    this.machine = { words: this.words, base: BASE, wide: this.wide };
    this.lose(1);
  }

  private own(): bigint {
    this.ownNext += 0x1000n;
    return this.ownNext;
  }

  /** Pages that the host's tables map, of low indices. */
  private shared(): bigint {
    const n = this.sharedNext++ & 63;
    return (BigInt(this.mode === 2 ? 0 : n >> 4) << 30n) | (BigInt((n >> 2) & 3) << 21n) | (BigInt(n & 3) << 12n);
  }

  private hostTables(): bigint {
    if (this.mode === 0) return 0n;
    const { numbers } = this;
    return this.tree({
      ...{ levels: numbers.map(levelOf), flips: this.hasGuest ? this.flips - 1 : this.flips, pages: 10 },
      place: () => this.own(),
      table: (next, level) => next | RIGHTS | (BigInt(numbers[level + 1] as number) << 9n) | 1n,
      page: (address, level) => this.hostPage(address, numbers[level] as number),
    });
  }

  private hostPage(address: bigint, number: number): bigint {
    const to = this.hasGuest && this.chance(95) ? address : this.big(40) & ~0xfffn;
    if (this.chance(85)) return to | RIGHTS | 1n;
    // A size between those of two levels: ones above bit 11, and a zero.
    const size = BigInt(12 + 9 * (number - 1) + 1 + this.below(8));
    return ((to >> size) << size) | (((1n << (size - 1n)) - 1n) & ~0xfffn) | RIGHTS | (7n << 9n) | 1n;
  }

  private gcr3Table(): bigint {
    const top = this.guestTables();
    let table = this.own();
    for (const index of FILLED) this.set(table + BigInt(8 * index), this.flipped(top | 1n, 64, this.flips));
    for (let level = 0; level < this.glx; level++) {
      const above = this.own();
      for (const index of FILLED) this.set(above + BigInt(8 * index), this.flipped(table | 1n, 64, this.flips));
      table = above;
    }
    return table;
  }

  private guestTables(): bigint {
    const lowest = this.guestTop.slice(-2);
    let top = this.tree({
      ...{ levels: lowest, flips: this.flips, pages: 15 },
      place: () => this.shared(),
      table: (next) => next | 7n,
      page: (_, level) => (level === 0 ? ((this.shared() >> 21n) << 21n) | 0xe7n : this.shared() | 0x67n),
    });
    for (let above = this.guestLevels - 2; above > 0; above--) {
      const table = this.shared();
      for (const index of FILLED) this.set(table + BigInt(8 * index), this.flipped(top | 7n, 64, this.flips));
      top = table;
    }
    return top;
  }

  private entry(at: bigint, host: bigint, gcr3: bigint): void {
    const guest = this.hasGuest
      ? (1n << 55n) | (this.chance(60) ? 1n << 54n : 0n) | (BigInt(this.glx) << 56n) | (((gcr3 >> 12n) & 7n) << 58n)
      : 0n;
    const q0 = host | (BigInt(this.mode) << 9n) | RIGHTS | guest | (this.chance(95) ? 3n : 1n);
    const q1 = 0x25n | (((gcr3 >> 15n) & 0xffffn) << 16n) | ((gcr3 >> 31n) << 43n);
    const length = this.pick([2, 9, 11, 12]);
    const mode = this.hasGuest ? BigInt(this.guestLevels - 4) << 54n : 0n;
    const q2 = this.interrupts() | (BigInt(length) << 1n) | mode | (BigInt(this.pick([2, 2, 2, 1, 0, 3])) << 60n);
    const words = [q0, q1, q2 | (this.chance(90) ? 1n : 0n), 0n];
    words.forEach((word, i) => this.set(at + BigInt(8 * i), this.flipped(word, 64, this.flips - 2)));
  }

  private interrupts(): bigint {
    const table = this.own();
    for (let index = 0; index < 8; index++) {
      const low =
        BigInt(this.below(256)) | (this.wide ? BigInt(this.below(256)) << 8n : BigInt(this.below(65536)) << 8n);
      if (!this.wide) this.set(table + BigInt(4 * index), this.flipped(low & ~0x80n, 32, 4), 4);
      else {
        this.set(table + BigInt(16 * index), this.flipped(low | 1n, 64, 4));
        this.set(table + BigInt(16 * index + 8), this.flipped(BigInt(this.below(256)), 64, 4));
      }
    }
    return table;
  }

  request() {
    const device = BigInt(this.pick(FILLED));
    const wantsPasid = this.hasGuest ? this.chance(60) : this.chance(3);
    const upper = (level: number) => (this.glx >= level ? BigInt(this.pick(FILLED)) << BigInt(9 * level) : 0n);
    const pasid = wantsPasid ? (BigInt(this.pick(FILLED)) | upper(1) | upper(2)) & 0xfffffn : null;
    const levels = this.hasGuest && this.chance(90) ? this.guestTop : this.numbers.map(levelOf);
    const plain = levels.length === 0 ? this.big(48) : this.address(levels);
    const address = this.chance(10) ? 0xfee00000n | BigInt(this.below(2 ** 20)) : plain;
    const far = this.chance(5) && pasid !== null ? pasid ^ (1n << BigInt(this.below(20))) : pasid;
    return { device, pasid: far, address, data: BigInt(this.below(9)) };
  }
}

function same(end: WalkEnd, want: AmdOutcome): boolean {
  if (end.kind === 'fault') return want.kind === 'fault' && end.code.value === want.event;
  if (end.kind === 'page' || end.kind === 'passed') return want.kind === end.kind && end.address === want.address;
  if (end.kind !== 'interrupt' || want.kind !== 'interrupt') return end.kind === want.kind;
  return want.vector === null
    ? end.text.includes('passes')
    : end.text.startsWith(`vector 0x${want.vector.toString(16)} `);
}

test('5,000 machines', () => {
  const seen = new Seen();
  for (let seed = 0; seed < 5000; seed++) {
    const world = new Machine(seed);
    const tables = world.tables();
    tables.give(decodeNamed('amdvi.device-table-base', [BASE | 0x1ffn]));
    tables.give(decodeNamed('amdvi.control', [(1n << 16n) | (world.wide ? 1n << 17n : 0n) | 1n]));
    for (let n = 0; n < 4; n++) {
      const { address, data, device, pasid } = world.request();
      const question = {
        ...{ address, data: Number(data), device: `0x${device.toString(16)}` },
        pasid: pasid === null ? null : Number(pasid),
      };
      const result = walkAmd(tables, question);
      for (const access of ['read', 'write'] as const) {
        const want = translateAmd(world.machine, { address, data, device, pasid, write: access === 'write' });
        const end = result[access];
        const what = `machine ${seed}: ${access} of ${device} PASID ${pasid} at 0x${address.toString(16)}`;
        if (!same(end, want)) expect({ end, what }).toEqual(want);
        seen.add(want.kind === 'fault' ? String(want.event) : want.kind);
        if (want.kind === 'page') seen.add(`page, mode ${world.mode}${world.hasGuest ? ', guest' : ''}`);
      }
      if (result.read.kind === 'page' && Math.log2(result.read.bytes) % 9 !== 3) seen.add('size in the address');
      const v1 = result.steps.filter(({ structure }) => structure.kind === 'amdvi.pte').length;
      if (result.read.kind === 'page' && !world.hasGuest && v1 < world.mode && v1 === world.numbers.length)
        seen.add('levels left out');
    }
  }
  for (const key of [
    'page',
    'passed',
    'missing',
    'interrupt',
    'refused',
    '1',
    '2',
    '8',
    'size in the address',
    'levels left out',
  ])
    expect(seen.of(key), `${key} came up; ${seen.text}`).toBeGreaterThan(100);
  for (const mode of [0, 2, 3, 4, 5, 6])
    for (const guest of [', guest', ...(mode === 0 ? [] : [''])])
      expect(seen.of(`page, mode ${mode}${guest}`), `${mode}${guest}; ${seen.text}`).toBeGreaterThan(100);
});
