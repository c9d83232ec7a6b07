/**
 * DDI 0487, D8, and SMMUv3 3.4, 3.13, 5.4: what a walk finds is the same where the STE and the CD are cached and where they are not, for the first stage
 * alone and for both. Each case is one thing that is not ordinary.
 */
import { describe, expect, test } from 'vitest';
import type { Values } from '../../../src/bits/index.ts';
import type { CD, STE } from '../../../src/iommu/smmuv3/index.ts';
import { LEAF, TableBench } from './tables.ts';
import { MEMORY, READ, WRITE } from './unit.ts';

const SID = 1;
const VA = 0x4060_5000n;
/** Another address, whose tables are others: the request that has the configuration cached. */
const BEFORE = 0x8000_0000n;
const IPA = 0x1_0060_5000n;
const TO = 0x60_5000n;
const [F_WALK_EABT, F_TRANSLATION, F_ADDR_SIZE, F_ACCESS, F_PERMISSION] = [0x0b, 0x10, 0x11, 0x12, 0x13];
const AF = 1n << 10n;
const READ_ONLY = 1n << 7n;
const DBM = 1n << 51n;
const NOWHERE = 1n << 46n;
/** APTable 2 and UXNTable in a table descriptor. */
const AP_TABLE = 2n << 61n;

/** Stage 1's table, and stage 2's where both translate; `address` is what stage 1 leads to. */
interface Made {
  readonly bench: TableBench;
  readonly table: bigint;
  readonly under: bigint;
  readonly address: bigint;
}

interface Case {
  readonly title: string;
  readonly cd?: Partial<Values<typeof CD.fields>>;
  readonly ste?: Partial<Values<typeof STE.fields>>;
  readonly spoil?: (made: Made) => void;
  readonly kind?: number;
  readonly answer: object;
  /** Of the record. */
  readonly event?: object;
}

/** Changes a stage-1 descriptor. */
const first =
  (level: number, change: (was: bigint) => bigint) =>
  ({ bench, table }: Made) => {
    const at = bench.place(table, VA, { level });
    bench.poke(at, change(bench.peek(at)));
  };
/** Changes a stage-2 descriptor of what stage 1 leads to. */
const second =
  (level: number, change: (was: bigint) => bigint) =>
  ({ bench, under, address }: Made) => {
    const at = bench.place(under, address, { level });
    bench.poke(at, change(bench.peek(at)));
  };

const FOUND = { address: TO };
const of1 = { S2: 0, CLASS: 2 };
const of2 = { S2: 1, CLASS: 2 };
const refused = (event: number) => ({ event });

const FIRST: readonly Case[] = [
  { title: 'nothing unusual, a read', answer: FOUND },
  { title: 'nothing unusual, a write', kind: WRITE, answer: FOUND },
  ...[1, 2, 3].flatMap((level): Case[] => [
    {
      title: `F_TRANSLATION, type 00 at level ${level}`,
      spoil: first(level, (was) => was & ~3n),
      answer: refused(F_TRANSLATION),
      event: of1,
    },
    {
      title: `F_ADDR_SIZE at level ${level}, beyond IPS`,
      cd: { IPS: 1 },
      spoil: first(level, (was) => was | (1n << 36n)),
      answer: refused(F_ADDR_SIZE),
      event: of1,
    },
  ]),
  {
    title: 'F_TRANSLATION, type 01 at level 3',
    spoil: first(3, (was) => was & ~2n),
    answer: refused(F_TRANSLATION),
    event: of1,
  },

  { title: 'F_ACCESS', spoil: first(3, (was) => was & ~AF), answer: refused(F_ACCESS), event: of1 },
  { title: 'AF 0 with AFFD', cd: { AFFD: 1 }, spoil: first(3, (was) => was & ~AF), answer: FOUND },
  {
    title: 'F_PERMISSION, a write to what AP makes read-only',
    kind: WRITE,
    spoil: first(3, (was) => was | READ_ONLY),
    answer: refused(F_PERMISSION),
    event: { ...of1, RnW: 0 },
  },
  {
    title: 'F_PERMISSION, what APTable makes read-only',
    kind: WRITE,
    spoil: first(2, (was) => was | AP_TABLE),
    answer: refused(F_PERMISSION),
    event: of1,
  },
  {
    title: 'APTable with HAD0',
    cd: { HAD0: 1 },
    kind: WRITE,
    spoil: first(2, (was) => was | AP_TABLE),
    answer: FOUND,
  },
];

/** Of stage 1 alone: with stage 2 it is an IPA beyond S2T0SZ. */
const NOT_THERE = [1, 2].map(
  (level): Case => ({
    title: `F_WALK_EABT, a table of level ${level + 1} nowhere`,
    spoil: first(level, () => NOWHERE | 3n),
    answer: refused(F_WALK_EABT),
    event: { FetchAddr: NOWHERE + 8n * ((VA >> BigInt(30 - 9 * level)) & 511n) },
  }),
);

const HTTU: readonly Case[] = [
  { title: 'HA sets AF', cd: { HA: 1 }, spoil: first(3, (was) => was & ~AF), answer: FOUND },
  {
    title: 'a page that is writable-clean',
    kind: WRITE,
    cd: { HA: 1, HD: 1 },
    spoil: first(3, (was) => was | READ_ONLY | DBM),
    answer: FOUND,
  },
];

const SECOND: readonly Case[] = [
  ...[1, 2, 3].flatMap((level): Case[] => [
    {
      title: `F_TRANSLATION of stage 2, type 00 at level ${level}`,
      spoil: second(level, (was) => was & ~3n),
      answer: refused(F_TRANSLATION),
      event: { ...of2, IPA },
    },
    {
      title: `F_ADDR_SIZE of stage 2 at level ${level}, beyond S2PS`,
      ste: { S2PS: 4 },
      spoil: second(level, (was) => was | (1n << 44n)),
      answer: refused(F_ADDR_SIZE),
      event: { ...of2, IPA },
    },
  ]),
  {
    title: 'F_ACCESS of stage 2',
    spoil: second(3, (was) => was & ~AF),
    answer: refused(F_ACCESS),
    event: { ...of2, IPA },
  },
  { title: 'AF 0 of stage 2 with S2AFFD', ste: { S2AFFD: 1 }, spoil: second(3, (was) => was & ~AF), answer: FOUND },
  {
    title: 'F_PERMISSION of stage 2, a write to what S2AP lets be read',
    kind: WRITE,
    spoil: second(3, (was) => was & ~READ_ONLY),
    answer: refused(F_PERMISSION),
    event: { ...of2, IPA, RnW: 0 },
  },
  {
    title: 'F_TRANSLATION of stage 2, an IPA beyond S2T0SZ',
    spoil: first(3, (was) => was | (1n << 39n)),
    answer: refused(F_TRANSLATION),
    event: { ...of2, IPA: IPA | (1n << 39n) },
  },
  ...[1, 2].map(
    (level): Case => ({
      title: `F_ADDR_SIZE of a table of level ${level + 1} beyond IPS, which stage 2 would have`,
      cd: { IPS: 1 },
      spoil: (made) => {
        const beyond = 1n << 36n;
        const block = made.bench.place(made.table, VA, { level: level + 1 }) & ~0x1f_ffffn;
        made.bench.map(made.under, beyond | block, block, LEAF.second, { level: 2 });
        first(level, (was) => was | beyond)(made);
      },
      answer: refused(F_ADDR_SIZE),
      event: of1,
    }),
  ),
  {
    title: 'F_TRANSLATION of stage 2 of a table',
    spoil: first(2, () => 0x70_0000_0000n | 3n),
    answer: refused(F_TRANSLATION),
    event: { S2: 1, CLASS: 1 },
  },
];

function make(both: boolean, { cd = {}, ste = {} }: Case): Made {
  const bench = new TableBench();
  if (!both) {
    const table = bench.stage1(SID, cd, ste);
    bench.map(table, VA, TO);
    bench.map(table, BEFORE, 0x7000n);
    return { bench, table, under: 0n, address: TO };
  }
  const { table, under } = bench.nested(SID, cd, ste);
  bench.map(table, VA, IPA);
  bench.map(table, BEFORE, MEMORY);
  bench.map(under, IPA, TO, LEAF.second);
  return { bench, table, under, address: IPA };
}

describe.each([false, true])('with a configuration that is cached: %s', (warm) => {
  function check(both: boolean, of: Case): void {
    const made = make(both, of);
    const { bench } = made;
    of.spoil?.(made);
    if (warm) expect(bench.ask(SID, BEFORE)).toHaveProperty('address');
    expect(bench.ask(SID, VA, of.kind ?? READ)).toEqual(of.answer);
    expect(bench.takeEvents()).toMatchObject('event' in of.answer ? [{ ID: of.answer.event, ...of.event }] : []);
  }

  const named = (cases: readonly Case[]) => cases.map((of) => [of.title, of] as const);
  test.each(named([...FIRST, ...NOT_THERE, ...HTTU]))('stage 1: %s', (_, of) => check(false, of));
  test.each(named([...FIRST, ...HTTU, ...SECOND]))('both stages: %s', (_, of) => check(true, of));

  /** log2 of what stage 1 and stage 2 map with a leaf: a translation holds for the smaller. */
  test.each([
    [21, 12],
    [12, 21],
    [30, 21],
    [21, 21],
  ])('both stages: a translation of 2^%i and 2^%i bytes holds for the smaller', (log1, log2) => {
    const { bench, table, under } = make(true, { title: '', answer: {} });
    const level = (log: number) => 3 - (log - 12) / 9;
    const small = 1n << BigInt(Math.min(log1, log2));
    const [from, ipa] = [0x10_0000_0000n >> 1n, 0x8_4000_0000n];
    const pages = [0n, 1n];
    if (log1 <= log2)
      for (const page of pages)
        bench.map(table, from + page * small, ipa + (1n - page) * small, LEAF.both, { level: level(log1) });
    else bench.map(table, from, ipa, LEAF.both, { level: level(log1) });
    if (log2 < log1)
      for (const page of pages)
        bench.map(under, ipa + page * small, 0x4000_0000n + (1n - page) * small, LEAF.second, { level: level(log2) });
    else
      for (let at = 0n; at < 2n * small; at += 1n << BigInt(log2))
        bench.map(under, ipa + at, 0x4000_0000n + at, LEAF.second, { level: level(log2) });
    if (warm) bench.ask(SID, BEFORE);
    for (const page of pages)
      expect(bench.ask(SID, from + page * small + 0x10n)).toEqual({
        address: 0x4000_0000n + (1n - page) * small + 0x10n,
      });
    expect(bench.ask(SID, from + 0x20n)).toEqual({ address: 0x4000_0000n + small + 0x20n });
  });
});
