/** SMMUv3 13.1.2 – 13.1.4, 13.4.1, 13.4.3; DDI 0487, D8.4: who may read, write and execute, by everything that has a say in it. */
import { describe, expect, test } from 'vitest';
import { CR2 } from '../../../src/iommu/smmuv3/index.ts';
import { LEAF, TableBench } from './tables.ts';
import { hex, titled } from './titled.ts';
import type { BenchOptions } from './unit.ts';
import { ATOMIC, INSTRUCTION, ON_QEMU, PRIVILEGED, READ, WRITE } from './unit.ts';

const F_PERMISSION = 19;
const SID = 1;
const VA = 0x40_1000n;
const TO = 0x20_0000n;
/** A stage-1 page without AP: AF, nG. A stage-2 page without S2AP: AF, Normal memory. */
const [PAGE, PAGE_2] = [LEAF.both & ~0xc0n, LEAF.second & ~0xc0n];
const UXN = 1n << 54n;
const PXN = 1n << 53n;

/** What each letter of rights is asked with: unprivileged, then privileged. */
const KINDS = [READ, WRITE, READ | INSTRUCTION];

/** What of rights can be seen: QEMU's devices read and write, unprivileged. */
const seen = (rights: string): string => (ON_QEMU ? rights.slice(0, 2) : rights);

/** Rights as `rwx/rwx`: unprivileged, privileged, as far as they can be seen. What is refused is F_PERMISSION, and recorded as such. */
function rightsOf(bench: TableBench, address = VA): string {
  const letter = (kind: number, i: number): string => {
    const answer = bench.ask(SID, address, kind);
    const events = bench.takeEvents().map(({ ID }) => ID);
    if ('address' in answer) {
      expect(events).toEqual([]);
      return 'rwx'[i];
    }
    expect([answer.event, events]).toEqual([F_PERMISSION, [F_PERMISSION]]);
    return '-';
  };
  if (ON_QEMU) return KINDS.slice(0, 2).map(letter).join('');
  const three = (more: number) => KINDS.map((kind, i) => letter(kind | more, i)).join('');
  return `${three(0)}/${three(PRIVILEGED)}`;
}

type Context = Parameters<TableBench['stage1']>[1];

function page(low: bigint, context: Context = {}, stream = {}, options: BenchOptions = {}, e2h = 0): TableBench {
  const bench = new TableBench(options);
  if (e2h === 1) {
    bench.enable(0);
    bench.write(CR2.offset, 4, 2n | (1n << BigInt(CR2.E2H.lo)));
    bench.enable(1);
  }
  bench.map(bench.stage1(SID, context, stream), VA, TO, PAGE | low);
  return bench;
}

const ap = (value: number): bigint => BigInt(value) << 6n;
/** Without the right to execute of the unprivileged, of the privileged. */
const without = (rights: string, uxn: boolean, pxn: boolean): string =>
  `${rights.slice(0, 2)}${uxn ? '-' : rights[2]}${rights.slice(3, 6)}${pxn ? '-' : rights[6]}`;

/** Rights of a page that may be executed, by AP. What unprivileged accesses may write privileged ones may not execute. */
const MODES: [name: string, context: Context, stream: object, options: BenchOptions, e2h: number, byAp: string[]][] = [
  ['EL1', {}, {}, {}, 0, ['--x/rwx', 'rwx/rw-', '--x/r-x', 'r-x/r-x']],
  ['EL1, WXN', { WXN: 1 }, {}, {}, 0, ['--x/rw-', 'rw-/rw-', '--x/r-x', 'r-x/r-x']],
  ['EL1, PAN', { PAN: 1 }, {}, {}, 0, ['--x/rwx', 'rwx/---', '--x/r-x', 'r-x/--x']],
  ['EL1, UWXN, which VMSAv8-64 has not', { UWXN: 1 }, {}, {}, 0, ['--x/rwx', 'rwx/rw-', '--x/r-x', 'r-x/r-x']],
  ['EL1, PAN and EPAN without IDR3.EPAN', { PAN: 1, EPAN: 1 }, {}, {}, 0, ['--x/rwx', 'rwx/---', '--x/r-x', 'r-x/--x']],
  ['EL2-E2H', {}, { STRW: 2 }, {}, 1, ['--x/rwx', 'rwx/rw-', '--x/r-x', 'r-x/r-x']],
  ['EL2-E2H, PAN', { PAN: 1 }, { STRW: 2 }, {}, 1, ['--x/rwx', 'rwx/---', '--x/r-x', 'r-x/--x']],
];

describe('13.4.1 AP, UXN, PXN, WXN, PAN of stage 1', () => {
  const cases = MODES.flatMap(([name, context, stream, options, e2h, byAp]) =>
    byAp.flatMap((rights, AP) =>
      [
        [0n, 0n],
        [UXN, 0n],
        [0n, PXN],
        [UXN, PXN],
      ].map(([uxn, pxn]) => {
        const want = without(rights, uxn !== 0n, pxn !== 0n);
        return { name, AP, UXN: uxn === 0n ? 0 : 1, PXN: pxn === 0n ? 0 : 1, want, context, stream, options, e2h };
      }),
    ),
  );
  test.each(cases)('$name: AP $AP, UXN $UXN, PXN $PXN: $want', ({ want, context, stream, options, e2h, ...of }) => {
    const low = ap(of.AP) | (of.UXN === 1 ? UXN : 0n) | (of.PXN === 1 ? PXN : 0n);
    expect(rightsOf(page(low, context, stream, options, e2h))).toBe(seen(want));
  });

  // EPAN counts the unprivileged right to execute as well, so that UXN has a say in privileged data.
  test.each(
    titled(
      [
        [0, 0n, '--x/--x'],
        [0, UXN, '---/rwx'],
        [1, 0n, 'rwx/---'],
        [1, UXN, 'rw-/---'],
        [2, 0n, '--x/--x'],
        [2, UXN, '---/r-x'],
        [3, 0n, 'r-x/--x'],
        [3, UXN, 'r--/--x'],
      ],
      (AP, uxn, want) => `IDR3.EPAN, PAN and EPAN: AP ${AP}, UXN ${uxn === 0n ? 0 : 1}: ${want}`,
    ),
  )('%s', (_, AP, uxn, want) => {
    expect(rightsOf(page(ap(AP) | uxn, { PAN: 1, EPAN: 1 }, {}, { idr3: { EPAN: 1 } }))).toBe(seen(want));
  });

  test('EPAN without PAN says nothing', () => {
    expect(rightsOf(page(ap(0), { EPAN: 1 }, {}, { idr3: { EPAN: 1 } }))).toBe(seen('--x/rwx'));
  });
});

describe('13.4.1 EL2: AP[1] counts as 1, all is privileged, XN is bit 54', () => {
  const cases: [number, bigint, Context, string][] = [
    [0, 0n, {}, 'rwx'],
    [1, 0n, {}, 'rwx'],
    [2, 0n, {}, 'r-x'],
    [3, 0n, {}, 'r-x'],
    [0, UXN, {}, 'rw-'],
    [1, UXN, {}, 'rw-'],
    [2, UXN, {}, 'r--'],
    [3, UXN, {}, 'r--'],
    [1, PXN, {}, 'rwx'],
    [3, PXN, {}, 'r-x'],
    [0, 0n, { WXN: 1 }, 'rw-'],
    [1, 0n, { WXN: 1 }, 'rw-'],
    [2, 0n, { WXN: 1 }, 'r-x'],
    [3, 0n, { WXN: 1 }, 'r-x'],
    [1, 0n, { PAN: 1 }, 'rwx'],
  ];
  test.each(titled(cases, (AP, low, context, want) => `AP ${AP}, ${hex(low)}, ${JSON.stringify(context)}: ${want}`))(
    '%s',
    (_, AP, low, context, want) => {
      expect(rightsOf(page(ap(AP) | low, context, { STRW: 2 }))).toBe(seen(`${want}/${want}`));
    },
  );
});

describe('DDI 0487, D8.4.3: hierarchical permissions', () => {
  const PXN_TABLE = 1n << 59n;
  const UXN_TABLE = 1n << 60n;
  const apTable = (value: number): bigint => BigInt(value) << 61n;

  /** A page below tables of levels 1 and 2 with attributes. */
  function below(AP: number, first: bigint, second: bigint, context: Context = {}, stream = {}, options = {}) {
    const bench = new TableBench(options);
    const table = bench.stage1(SID, context, stream);
    bench.map(table, VA, TO, PAGE | ap(AP));
    for (const [level, more] of [
      [1, first],
      [2, second],
    ] as const) {
      const at = bench.place(table, VA, { level });
      bench.poke(at, bench.peek(at) | more);
    }
    return bench;
  }

  /** By APTable, rights by AP. */
  const BY_AP_TABLE = [
    ['--x/rwx', 'rwx/rw-', '--x/r-x', 'r-x/r-x'],
    ['--x/rwx', '--x/rwx', '--x/r-x', '--x/r-x'],
    ['--x/r-x', 'r-x/r-x', '--x/r-x', 'r-x/r-x'],
    ['--x/r-x', '--x/r-x', '--x/r-x', '--x/r-x'],
  ];
  const cases = BY_AP_TABLE.flatMap((byAp, table) =>
    byAp.map((want, AP): [number, number, string] => [table, AP, want]),
  );
  test.each(cases)('APTable %i, AP %i: %s, at whichever level', (table, AP, want) => {
    expect(rightsOf(below(AP, apTable(table), 0n))).toBe(seen(want));
    expect(rightsOf(below(AP, 0n, apTable(table)))).toBe(seen(want));
  });

  test.each([
    [1, 2, '--x/r-x'],
    [2, 1, '--x/r-x'],
    [1, 1, '--x/rwx'],
    [2, 2, 'r-x/r-x'],
    [3, 0, '--x/r-x'],
  ])('APTable %i above APTable %i: both count', (first, second, want) => {
    expect(rightsOf(below(1, apTable(first), apTable(second)))).toBe(seen(want));
  });

  test.each(
    titled(
      [
        [UXN_TABLE, 0n, 'r--/r-x'],
        [0n, UXN_TABLE, 'r--/r-x'],
        [PXN_TABLE, 0n, 'r-x/r--'],
        [0n, PXN_TABLE, 'r-x/r--'],
        [UXN_TABLE, PXN_TABLE, 'r--/r--'],
      ],
      (first, second, want) => `UXNTable, PXNTable: ${hex(first)} above ${hex(second)}: ${want}`,
    ),
  )('%s', (_, first, second, want) => {
    expect(rightsOf(below(3, first, second))).toBe(seen(want));
  });

  test.each([
    ['APTable[0] is ignored', 1, apTable(1), 'rwx'],
    ['APTable[1] takes writing', 1, apTable(2), 'r-x'],
    ['APTable 3: writing alone', 1, apTable(3), 'r-x'],
    ['bit 60 is XNTable', 1, UXN_TABLE, 'rw-'],
    ['PXNTable is ignored', 1, PXN_TABLE, 'rwx'],
  ])('EL2: %s', (_, AP, table, want) => {
    expect(rightsOf(below(AP, table, 0n, {}, { STRW: 2 }))).toBe(seen(`${want}/${want}`));
  });

  test.each([
    [1, 1, 'rwx/rw-'],
    [1, 0, '---/r--'],
    [0, 1, '---/r--'],
  ])('5.4 IDR3.HAD %i, HAD0 %i: %s', (HAD, HAD0, want) => {
    const all = apTable(3) | UXN_TABLE | PXN_TABLE;
    expect(rightsOf(below(1, all, all, { HAD0 }, {}, { idr3: { HAD } }))).toBe(seen(want));
  });

  test.each([
    [1, 0, 'rwx/rw-', '---/r--'],
    [0, 1, '---/r--', 'rwx/rw-'],
    [1, 1, 'rwx/rw-', 'rwx/rw-'],
  ])('5.4 HAD0 %i is of the lower range, HAD1 %i of the upper', (HAD0, HAD1, lower, upper) => {
    const all = apTable(3) | UXN_TABLE | PXN_TABLE;
    const high = 0xffff_ff80_0000_0000n + VA;
    const bench = new TableBench();
    const tables = [bench.table(), bench.table()];
    bench.stage1(SID, { TTB0: tables[0], TTB1: tables[1], T1SZ: 25, TG1: 2, EPD1: 0, HAD0, HAD1 });
    for (const table of tables) {
      bench.map(table, VA, TO, PAGE | ap(1));
      const at = bench.place(table, VA, { level: 1 });
      bench.poke(at, bench.peek(at) | all);
    }
    expect([rightsOf(bench), rightsOf(bench, high)]).toEqual([seen(lower), seen(upper)]);
  });
});

/** Rights by XN[1:0], bits 54 and 53, with IDR3.XNX and without. */
const EXECUTES = {
  1: ['x/x', 'x/-', '-/-', '-/x'],
  0: ['x/x', 'x/x', '-/-', '-/-'],
} as const;
const DATA = ['--', 'r-', '-w', 'rw'];

describe('13.4.3 S2AP and XN of stage 2', () => {
  const cases = ([1, 0] as const).flatMap((XNX) =>
    DATA.flatMap((data, S2AP) =>
      EXECUTES[XNX].map((x, XN): [number, number, number, string] => [XNX, S2AP, XN, `${data}${x[0]}/${data}${x[2]}`]),
    ),
  );
  test.each(cases)('IDR3.XNX %i, S2AP %i, XN %i: %s', (XNX, S2AP, XN, want) => {
    const bench = new TableBench({ idr3: { XNX } });
    bench.map(bench.stage2(SID), VA, TO, PAGE_2 | ap(S2AP) | (BigInt(XN) << 53n));
    expect(rightsOf(bench)).toBe(seen(want));
  });
});

describe('13.4 both stages: what both permit', () => {
  const cases: [number, number, number, string][] = [
    [1, 3, 0, 'rwx/rw-'],
    [1, 1, 0, 'r-x/r--'],
    [1, 2, 0, '-wx/-w-'],
    [1, 0, 0, '--x/---'],
    [1, 3, 2, 'rw-/rw-'],
    [1, 3, 1, 'rwx/rw-'],
    [1, 3, 3, 'rw-/rw-'],
    [0, 3, 0, '--x/rwx'],
    [0, 3, 1, '--x/rw-'],
    [0, 3, 3, '---/rwx'],
    [0, 1, 0, '--x/r-x'],
    [2, 3, 0, '--x/r-x'],
    [2, 2, 0, '--x/--x'],
    [3, 3, 0, 'r-x/r-x'],
    [3, 3, 1, 'r-x/r--'],
    [3, 1, 2, 'r--/r--'],
    [3, 2, 3, '---/--x'],
  ];
  test.each(cases)('AP %i, S2AP %i, XN %i: %s', (AP, S2AP, XN, want) => {
    const bench = new TableBench();
    const { table, under } = bench.nested(SID);
    // Beyond memory, so that nothing else needs the page.
    const ipa = 0x4000_0000n;
    bench.map(table, VA, ipa, PAGE | ap(AP));
    bench.map(under, ipa, TO, PAGE_2 | ap(S2AP) | (BigInt(XN) << 53n));
    expect(rightsOf(bench)).toBe(seen(want));
    // Again from what is cached.
    expect(rightsOf(bench)).toBe(seen(want));
  });
});

describe('13.1.1, 13.1.2 kinds of accesses', () => {
  const passes = (bench: TableBench, kind: number): boolean => 'address' in bench.ask(SID, VA, kind);

  test.each([
    ['rw', 3, true],
    ['r-', 1, false],
    ['-w', 2, false],
    ['--', 0, false],
  ])('an atomic needs to read and to write: S2AP %s', (_, S2AP, want) => {
    const bench = new TableBench();
    bench.map(bench.stage2(SID), VA, TO, PAGE_2 | ap(S2AP));
    expect([passes(bench, ATOMIC), passes(bench, ATOMIC | INSTRUCTION)]).toEqual([want, want]);
  });

  test('a write is data, though it is marked as an instruction', () => {
    expect([passes(page(ap(1) | UXN), WRITE | INSTRUCTION), passes(page(ap(3)), WRITE | INSTRUCTION)]).toEqual([
      true,
      false,
    ]);
  });

  test('an instruction needs the right to execute alone, data the right to read', () => {
    const bench = new TableBench();
    bench.map(bench.stage2(SID), VA, TO, PAGE_2 | ap(0));
    expect([passes(bench, READ | INSTRUCTION), passes(bench, READ)]).toEqual([true, false]);
  });
});

describe('5.2 PRIVCFG, INSTCFG; 13.1.4', () => {
  /** Unprivileged accesses may execute alone, privileged ones read and write. */
  const LOW = ap(0) | PXN;
  const RIGHTS = '--x/rw-';

  const values = [0, 1, 2, 3];
  const cases = values.flatMap((PRIVCFG) => values.map((INSTCFG): [number, number] => [PRIVCFG, INSTCFG]));
  test.each(cases)(
    'IDR1.ATTR_PERMS_OVR, PRIVCFG %i, INSTCFG %i: rights, and the record’s PnU and InD',
    (priv, inst) => {
      const bench = page(LOW, {}, { PRIVCFG: priv, INSTCFG: inst }, { idr1: { ATTR_PERMS_OVR: 1 } });
      for (const kind of [READ, READ | INSTRUCTION, WRITE, WRITE | INSTRUCTION]) {
        for (const more of [0, PRIVILEGED]) {
          // 2 takes the attribute away, 3 sets it; 1 behaves as 0.
          const pnu = priv === 2 ? 0 : priv === 3 ? 1 : more === 0 ? 0 : 1;
          const isInstruction = inst === 2 ? false : inst === 3 || (kind & INSTRUCTION) !== 0;
          const ind = kind === READ || kind === (READ | INSTRUCTION) ? (isInstruction ? 1 : 0) : 0;
          const letter = (kind & WRITE) !== 0 ? 1 : ind === 1 ? 2 : 0;
          const may = RIGHTS[4 * pnu + letter] !== '-';
          const answer = bench.ask(SID, VA, kind | more);
          expect('address' in answer, `${kind | more}`).toBe(may);
          expect(bench.takeEvents()).toMatchObject(may ? [] : [{ ID: F_PERMISSION, PnU: pnu, InD: ind }]);
        }
      }
    },
  );

  test.each([
    [2, 2],
    [2, 3],
    [3, 2],
    [3, 3],
  ])('IDR1.ATTR_PERMS_OVR 0: PRIVCFG %i, INSTCFG %i say nothing', (PRIVCFG, INSTCFG) => {
    expect(rightsOf(page(LOW, {}, { PRIVCFG, INSTCFG }))).toBe(seen(RIGHTS));
  });

  test.each([
    [2, 'rwx/rwx'],
    [3, 'rw-/rw-'],
  ])('stage 2 alone with IDR3.XNX: PRIVCFG %i: %s', (PRIVCFG, want) => {
    const bench = new TableBench({ idr1: { ATTR_PERMS_OVR: 1 } });
    // Unprivileged execution alone.
    bench.map(bench.stage2(SID, { PRIVCFG }), VA, TO, PAGE_2 | ap(3) | (1n << 53n));
    expect(rightsOf(bench)).toBe(seen(want));
  });
});
