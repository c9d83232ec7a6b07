/** Intel's debugfs files as the kernel prints them, and as its ABI document shows them: wrapped. */
import { describe, expect, test } from 'vitest';
import { only, tablesOf } from '../../../test/explained.ts';
import type { WalkResult } from '../index.ts';
import { Explainer, explain, Tables, WalkRefused, walkAny, walkVtd } from '../index.ts';

const REGSET = `IOMMU: dmar0 Register Base Address: 26be37000

Name			Offset		Contents
VER             	0x00		0x0000000000000010
GSTS            	0x1c		0x00000000c7000000
RTADDR          	0x20		0x0000000103027000
FSTS            	0x34		0x0000000000000052
FECTL           	0x38		0x0000000000000000
XYZZY           	0x3c		0x0000000000000001
IQT             	0x88		0x0000000000000140
`;

const CONTEXTS = `IOMMU dmar0: Root Table Address: 0x103027000
B.D.F	Root_entry				Context_entry				PASID	PASID_table_entry
00:02.0	0x0000000000000000:0x000000010303e001	0x0000000000000102:0x000000010303f005	-1    	0x0000000000000000:0x0000000000000000:0x0000000000000000
00:03.0	0x0000000000000000:0x000000010303e001	0x0000000000000102:0x00000001077770f1	-1    	0x0000000000000000:0x0000000000000000:0x0000000000000000
`;

/** Two rows of the ABI document, as it wraps them. */
const WRAPPED = ` IOMMU dmar1: Root Table Address: 0x103027000
 B.D.F   Root_entry
 00:02.0 0x0000000000000000:0x000000010303e001

 Context_entry
 0x0000000000000102:0x000000010303f005

 PASID   PASID_table_entry
 -1      0x0000000000000000:0x0000000000000000:0x0000000000000000

 IOMMU dmar0: Root Table Address: 0x103028000
 B.D.F   Root_entry
 00:0a.0 0x0000000000000000:0x00000001038a7001

 Context_entry
 0x0000000000000000:0x0000000103220e1d

 PASID   PASID_table_entry
 0       0x0000000000000000:0x0000000000800002:0x00000001038a5089
`;

const PAGES = `Device 0000:00:02.0 @0x10303f000
IOVA_PFN		PML5E			PML4E			PDPE			PDE			PTE
0x000000008d800 |	0x0000000000000000	0x00000001017f9003	0x00000001017fa003	0x00000001017fb003	0x000000008d800003
0x000000008d801 |	0x0000000000000000	0x00000001017f9003	0x00000001017fa003	0x00000001017fb003	0x000000008d801001
0x000000008da00 |	0x0000000000000000	0x00000001017f9003	0x00000001017fa003	0x000000021d200883	0x0000000000000000
`;

const PAGES_WRAPPED = ` Device 0000:00:02.0 @0x10303f000
 IOVA_PFN                PML5E                   PML4E
 0x000000008d800 |       0x0000000000000000      0x00000001017f9003
 0x000000008d801 |       0x0000000000000000      0x00000001017f9003

 PDPE                    PDE                     PTE
 0x00000001017fa003      0x00000001017fb003      0x000000008d800003
 0x00000001017fa003      0x00000001017fb003      0x000000008d801001
`;

const QUEUE = `Invalidation queue on IOMMU: dmar0
 Base: 0x10022e000	Head: 1	Tail: 3
Index		qw0			qw1			qw2			qw3			status
    0	0000000000000014	0000000000000000	0000000000000000	0000000000000000	0000000000000000
    1	0000000200000025	0000000100059c04	0000000000000000	0000000000000000	0000000000000000
    2	0000000000000f32	0000000000000000	0000000000000000	0000000000000000	0000000000000000
`;

const QUEUE_WRAPPED = ` Invalidation queue on IOMMU: dmar0
 Base: 0x10022e000      Head: 20        Tail: 20
 Index          qw0                    qw1                     qw2
     0   0000000000000014        0000000000000000        0000000000000000
     1   0000000200000025        0000000100059c04        0000000000000000

                qw3                  status
         0000000000000000        0000000000000000
         0000000000000000        0000000000000000
`;

const INTERRUPTS = ` Remapped Interrupt supported on IOMMU: dmar0
 IR table address:100900000

 Entry SrcID   DstID    Vct IRTE_high           IRTE_low
 0     00:0a.0 00000080 24  0000000000040050    000000800024000d
 1     00:0a.0 00000001 ef  0000000000000050    0000000100ef000d

 Posted Interrupt supported on IOMMU: dmar0
 IR table address:100900000
 Entry SrcID   PDA_high PDA_low  Vct IRTE_high          IRTE_low
`;

test('iommu_regset: what is wrong is told first, what is not known is named', () => {
  const { details, severity, structures, summary } = only(REGSET);
  expect(summary).toBe('registers of dmar0 at 0x26be37000: 7 values; a fault is recorded and not serviced');
  expect(severity).toBe('warning');
  expect(details).toEqual([
    ['FSTS.PPF', 'a fault is recorded and not serviced'],
    ['FSTS.IQE', 'the invalidation queue has stopped'],
    ['FSTS.ITE', 'the invalidation queue has stopped'],
    ['not known', 'XYZZY 0x1'],
  ]);
  expect(structures.map(({ kind }) => kind)).toEqual([
    ...['vtd.ver', 'vtd.gsts', 'vtd.rtaddr', 'vtd.fsts', 'vtd.fectl', 'vtd.iqt'],
  ]);
});

test('registers of all ones are no registers', () => {
  const gone = REGSET.replaceAll(/0x[0-9a-f]{16}/g, '0xffffffffffffffff');
  const { causes, summary } = only(gone);
  expect(summary).toBe('dmar0: the registers read as all ones: the unit does not answer');
  expect(causes).toEqual([{ id: 'registers-gone', sure: 'likely' }]);
});

describe('dmar_translation_struct', () => {
  test('one row a line: reserved bits, and a domain id with two tables', () => {
    const { details, structures, summary } = only(CONTEXTS);
    expect(summary).toBe('dmar0: root table at 0x103027000, 2 context entries');
    expect(structures.map(({ kind }) => kind)).toEqual(['vtd.root', 'vtd.context', 'vtd.root', 'vtd.context']);
    expect(details).toEqual([
      ['00:03.0', 'vtd.context: bits 7:4 are reserved, and set'],
      ['domain 1', '00:02.0 and 00:03.0 have different tables under one domain id'],
    ]);
  });

  test('wrapped, legacy and scalable', () => {
    const { groups } = explain(WRAPPED);
    expect(groups.map(({ finding }) => finding.summary)).toEqual([
      'dmar1: root table at 0x103027000, 1 context entry',
      'dmar0: root table at 0x103028000, 1 context entry',
    ]);
    expect(groups[1].finding.structures.map(({ kind }) => kind)).toEqual([
      'vtd.sm-root',
      'vtd.sm-context',
      'vtd.pasid',
    ]);
  });
});

describe('domain_translation_struct', () => {
  test.each([
    ['one row a line', PAGES, 3],
    ['wrapped', PAGES_WRAPPED, 2],
  ])('%s', (_, text, rows) => {
    expect(only(text).summary).toBe(`page tables of 0000:00:02.0 at 0x10303f000: ${rows} rows, 4 levels`);
    const { words } = tablesOf(text);
    expect(words.get(0x10303f000n)).toBe(0x1017f9003n);
    expect(words.get(0x1017f9010n)).toBe(0x1017fa003n);
    expect(words.get(0x1017fa360n)).toBe(0x1017fb003n);
    expect(words.get(0x1017fb008n)).toBe(0x8d801001n);
  });
});

describe('invalidation_queue', () => {
  test('what waits is told apart from what is done', () => {
    const { details, severity, summary } = only(QUEUE);
    expect(summary).toMatch(/^invalidation queue of dmar0 at 0x10022e000: head 1, tail 3: descriptors are waiting/);
    expect(severity).toBe('warning');
    expect(details).toEqual([
      ['[0]', 'interrupt entry cache invalidate descriptor, index-selective: done'],
      ['[1]', 'invalidation wait descriptor: not executed yet'],
      ['[2]', 'has no type that the specification has'],
    ]);
  });

  test('wrapped', () => {
    const { structures, summary } = only(QUEUE_WRAPPED);
    expect(summary).toContain('head 20, tail 20, nothing is waiting');
    expect(structures.map(({ words }) => words)).toEqual([
      [0x14n, 0n, 0n, 0n],
      [0x200000025n, 0x100059c04n, 0n, 0n],
    ]);
  });
});

test('ir_translation_struct', () => {
  const { groups } = explain(INTERRUPTS);
  expect(groups.map(({ finding }) => [finding.summary, finding.details])).toEqual([
    ['remapped interrupts of dmar0: 2 entries', [['[1]', 'any requester may use it (SVT 0)']]],
    ['posted interrupts of dmar0: 0 entries', []],
  ]);
});

test('lines of the log between tables end nothing', () => {
  const lines = PAGES.split('\n');
  lines.splice(3, 0, '[   34.000002] DMAR: DRHD: handling fault status reg 2');
  const { groups } = explain(lines.join('\n'));
  expect(groups.map(({ finding }) => finding.kind).sort()).toEqual(['vtd.fault-status', 'vtd.page-tables']);
  expect(groups.find(({ finding }) => finding.kind === 'vtd.page-tables')?.finding.summary).toContain('3 rows');
});

describe('a walk', () => {
  const walk = (
    text: string,
    address: bigint,
    device: string | null = '00:02.0',
    pasid: number | null = null,
  ): WalkResult => walkVtd(tablesOf(text), { address, device, pasid });

  test('through the root table, the context entry and the pages', () => {
    const { assumed, read, steps, write } = walk(CONTEXTS + PAGES, 0x8d801234n);
    expect(steps.map(({ address, what }) => [what, address])).toEqual([
      ['root entry of bus 0x0', 0x103027000n],
      ['context entry of 00:02.0', 0x10303e100n],
      ['PML4E of 0x0', 0x10303f000n],
      ['PDPE of 0x80000000', 0x1017f9010n],
      ['PDE of 0x8d800000', 0x1017fa360n],
      ['PTE of 0x8d801000', 0x1017fb008n],
    ]);
    expect(read).toEqual({ kind: 'page', address: 0x8d801234n, bytes: 4096 });
    expect(write).toMatchObject({ kind: 'fault', code: { value: 5 } });
    expect(assumed).toEqual([]);
  });

  test('to a large page, and to a word that no input has', () => {
    const { read } = walk(CONTEXTS + PAGES, 0x8db12345n);
    expect(read).toEqual({ kind: 'page', address: 0x21d312345n, bytes: 2 ** 21 });
    expect(walk(CONTEXTS + PAGES, 0x8d802000n).read).toEqual({
      ...{ kind: 'missing', address: 0x1017fb010n, what: 'PTE of 0x8d802000' },
    });
    const more = walk(`${CONTEXTS}${PAGES}\n0x1017fb010: 0x8d802007\n`, 0x8d802000n);
    expect(more.write).toEqual({ kind: 'page', address: 0x8d802000n, bytes: 4096 });
  });

  test('with the pages alone: what is taken for granted is said', () => {
    const { assumed, read } = walk(PAGES, 0x8d800000n, null);
    expect(read.kind).toBe('page');
    expect(assumed).toEqual([
      'a second stage: bit 2 is clear in its entries; add dmar_translation_struct to be sure',
      '4 levels, as the rows have',
    ]);
  });

  test('through memory alone, from RTADDR', () => {
    const memory = ['0x103027000: 0x10303e001 0x0', '0x10303e100: 0x10303f001 0x102', '0x10303f000: 0x0'].join('\n');
    const { read, steps } = walk(`${REGSET}${memory}\n`, 0x1000n);
    expect(steps).toHaveLength(3);
    expect(read).toMatchObject({ kind: 'fault', code: { value: 6, clause: 'VT-d 7.1.3, table 30' } });
  });

  test('of a PASID, whose entry is told without its place', () => {
    const { assumed, read, steps } = walk(WRAPPED, 0x1000n, '00:0a.0');
    expect(steps.map(({ address, structure }) => [structure.kind, address === null])).toEqual([
      ['vtd.sm-root', false],
      ['vtd.sm-context', false],
      ['vtd.pasid', true],
    ]);
    expect(read).toEqual({ kind: 'missing', address: 0x1038a5000n, what: 'PML4E of 0x0' });
    expect(assumed).toEqual(['words 3 to 7 of the PASID-table entry are 0: the dump does not have them']);
  });

  test.each([
    ['RTADDR', 'RTADDR: 0x103027000\n0x103027000: 0x10303e001 0x0\n0x10303e100: 0x10303f001 0x102\n', '00:02.0', 3],
    ['a context entry', 'vtd.context: 0x000000010303f005 0x102\n', null, 2],
    ['a PASID-table entry', 'vtd.pasid: 0x10303f089 0x2 0 0 0 0 0 0\n', null, 2],
  ])('from a line: %s', (_, line, device, count) => {
    const { read, steps } = walkAny(tablesOf(`${line}0x10303f000: 0x0\n`), { address: 0x1000n, device, pasid: null });
    expect(steps).toHaveLength(count);
    expect(read).toMatchObject({ kind: 'fault', code: { name: 'FR' } });
    expect(steps.at(-1)?.what).toBe('PML4E of 0x0');
  });

  test.each([
    ['no device', WRAPPED, null, 'the inputs have 00:02.0, 00:0a.0'],
    ['nothing', 'x\n', null, 'the inputs name none'],
    ['another device', PAGES, '00:1f.0', 'nothing says where the tables of 00:1f.0 are'],
    ['no rows', PAGES.split('\n').slice(0, 2).join('\n'), '00:02.0', 'the page table has no rows'],
  ])('is refused with what is missing: %s', (_, text, device, message) => {
    expect(() => walk(text, 0n, device)).toThrow(WalkRefused);
    expect(() => walk(text, 0n, device)).toThrow(message);
  });
});

test('200,000 damaged lines of dumps: none throws', () => {
  let state = 7;
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const lines = [REGSET, CONTEXTS, WRAPPED, PAGES, PAGES_WRAPPED, QUEUE, QUEUE_WRAPPED, INTERRUPTS].flatMap((text) =>
    text.split('\n'),
  );
  const glue = [
    '0x',
    'ffffffffffffffff',
    '|',
    ':',
    ' ',
    '\t',
    '-1',
    '99999999',
    'Device 0000:00:02.0 @0x0',
    '0x1000: 0x1',
    'é',
  ];
  const tables = new Tables();
  const explainer = new Explainer(tables);
  explainer.begin('fuzz');
  for (let n = 0; n < 200_000; n++) {
    let line = lines[random(lines.length)] as string;
    if (random(3) > 0) {
      const at = random(line.length + 1);
      line = line.slice(0, at) + (glue[random(glue.length)] as string) + line.slice(at + random(8));
    }
    explainer.push(`${line}\n`);
    if (n % 20_000 !== 0) continue;
    for (const device of [null, '00:02.0', '00:0a.0']) {
      try {
        walkVtd(tables, { address: BigInt(random(2 ** 31)), device, pasid: random(2) === 0 ? null : random(4) });
      } catch (error) {
        expect(error).toBeInstanceOf(WalkRefused);
      }
    }
  }
  explainer.end();
  expect(explainer.inputs[0].lines).toBe(200_000);
  expect(tables.words.size).toBeGreaterThan(100);
});
