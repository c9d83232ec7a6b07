/** Lines are found however the text comes, and no text throws. */
import { describe, expect, test } from 'vitest';
import type { Report } from './index.ts';
import { Explainer, explain, LINE_FORMATS, MAX_PAGES, patternOf, printable } from './index.ts';

const FAULT =
  '[   34.000002] DMAR: [DMA Write NO_PASID] Request device [00:12.0] fault addr 0x9c000000 [fault reason 0x05] PTE Write access is not set';

function inPieces(text: string, size: number): Report {
  const explainer = new Explainer();
  explainer.begin('a');
  for (let at = 0; at < text.length; at += size) explainer.push(text.slice(at, at + size));
  explainer.end();
  return explainer.report;
}

describe('text comes in pieces', () => {
  const noise = Array.from({ length: 40 }, (_, i) => `[ ${i}.5] usb ${i}: something else\r\n`).join('');
  const text = `${noise}${FAULT}\r\n${noise}\n\n${FAULT.replace('0x9c000000', '0x9c001000')}\n${noise}${FAULT}`;
  test.each([1, 7, 64, 1000, 1 << 20])('of %d characters', (size) => {
    const { groups, unknownCount } = inPieces(text, size);
    expect(unknownCount).toBe(0);
    expect(groups).toHaveLength(1);
    const [{ count, first, last, pages }] = groups;
    expect([count, first.line, last.line]).toEqual([3, 41, 125]);
    expect(pages).toEqual([
      { page: 0x9c000000n, count: 2 },
      { page: 0x9c001000n, count: 1 },
    ]);
  });
});

test('several inputs count their lines apart', () => {
  const explainer = new Explainer();
  for (const name of ['a', 'b']) {
    explainer.begin(name);
    explainer.push(`x\n${FAULT}`);
  }
  explainer.end();
  expect(explainer.inputs).toEqual([
    { name: 'a', lines: 2 },
    { name: 'b', lines: 2 },
  ]);
  expect(explainer.report.groups[0].last).toMatchObject({ input: 'b', line: 2 });
});

describe('lines that follow', () => {
  const dump = [
    'DMAR: Dump dmar0 table entries for IOVA 0x9c000000',
    'usb 1-1: in between',
    'DMAR: root entry: 0x00000001030dc001',
    'DMAR: context entry: hi 0x0000000000000102, low 0x000000010303f005',
    'DMAR: pte level: 4, pte value: 0x00000001a30a7003',
    'DMAR: page table not present at level 3',
  ];
  test('belong to it, whatever stands between', () => {
    const [{ finding }] = explain(dump.join('\n')).groups;
    expect(finding.summary).toBe('tables of 0x9c000000 on dmar0: page table not present at level 3');
    expect(finding.structures.map(({ kind }) => kind)).toEqual(['vtd.root', 'vtd.context', 'vtd.ss-pml4e']);
  });

  test('are not waited for forever, and another fault between is found', () => {
    const between = Array.from({ length: 100 }, () => 'usb 1-1: in between');
    const { groups } = explain([dump[0], FAULT, ...between, ...dump.slice(2)].join('\n'));
    expect(groups.map(({ finding }) => finding.kind)).toEqual(['vtd.fault', 'vtd.table-dump']);
    expect(groups[1].finding.structures).toEqual([]);
  });

  test('of the old two-line form give the reason, and without it none is made up', () => {
    const first = 'DMAR:[DMA Write] Request device [02:00.0] fault addr 7f6de000 ';
    const [whole] = explain(`${first}\nDMAR:[fault reason 05] PTE Write access is not set\n`).groups;
    expect(whole.finding.code?.value).toBe(5);
    const [half] = explain(`${first}\n`).groups;
    expect(half.finding).toMatchObject({ code: null, causes: [] });
    expect(half.finding.summary).toContain('for a reason that is not in the log');
  });
});

describe('what is no format', () => {
  test('is named as unknown where it looks like a fault', () => {
    const { unknown, unknownCount, groups } = explain('x\nAMD-Vi: Event logged [FOO_BAR address=0x1]\n');
    expect(groups).toEqual([]);
    expect(unknownCount).toBe(1);
    expect(unknown[0]).toMatchObject({ at: { line: 2 }, line: 'AMD-Vi: Event logged [FOO_BAR address=0x1]' });
  });

  test('numbers that no format has', () => {
    const { unknownCount, groups } = explain(FAULT.replace('00:12.0', '00:ff.9'));
    expect([groups.length, unknownCount]).toEqual([0, 1]);
  });

  test('a reason that the specification has not is told as such', () => {
    const [{ finding }] = explain(FAULT.replace('0x05', '0xee')).groups;
    expect(finding.code).toEqual({
      value: 0xee,
      name: 'FR',
      meaning: 'a reason that revision 5.10 has not',
      clause: null,
    });
    expect(finding.causes).toEqual([]);
  });

  test('a line without end is looked at in part', () => {
    const report = inPieces(`${FAULT} ${'x'.repeat(1 << 20)}\n${FAULT}`, 4096);
    expect(report.groups[0].count).toBe(2);
    expect(report.cutCount).toBe(1);
    expect(report.groups[0].last.line).toBe(2);
  });
});

test('what is grouped is bounded, and says so', () => {
  const lines = Array.from({ length: MAX_PAGES + 10 }, (_, i) =>
    FAULT.replace('0x9c000000', `0x${(i * 0x2000).toString(16)}`),
  );
  const [group, ...others] = explain(lines.join('\n')).groups;
  expect(others).toEqual([]);
  expect([group.count, group.pages.length, group.otherPages]).toEqual([MAX_PAGES + 10, MAX_PAGES, 10]);
  expect(patternOf(group)).toBe('scattered');
  const run = explain(
    lines
      .slice(0, 4)
      .join('\n')
      .replaceAll(/0x(\d+)000 /g, (_, n) => `0x${(Number(n) / 2).toString(16)}000 `),
  );
  expect(patternOf(run.groups[0])).toBe('run');
});

test('nothing reaches a terminal that is no text', () => {
  expect(printable('a\u001b[31mb\u009bc\u202ed\u0000\te\r')).toBe('a\\x1b[31mb\\x9bc\\x202ed\\x00 e\\x0d');
});

/** A small generator of its own: the same lines each time. */
function lcg(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test('a million lines that were damaged: none throws, each is counted', () => {
  const random = lcg(1);
  const seeds = [
    ...LINE_FORMATS.map(({ example }) => example),
    ...LINE_FORMATS.flatMap(({ follow }) => follow?.example ?? []),
    ...LINE_FORMATS.map(({ example }) => JSON.stringify({ MESSAGE: example })),
  ];
  const glue = [
    '0x',
    'ffffffffffffffff',
    '[',
    ']',
    ':',
    '.',
    ' ',
    '\t',
    '\u0000',
    '\u001b[31m',
    'é',
    '\ud800',
    '{"MESSAGE":',
    '-1',
    '99999999999999999999',
    '%s',
    ...seeds.map((seed) => seed.slice(0, 30)),
  ];
  const explainer = new Explainer();
  explainer.begin('fuzz');
  const count = 1_000_000;
  for (let done = 0; done < count; ) {
    const lines: string[] = [];
    for (; lines.length < 10_000; done++) {
      let line = seeds[random(seeds.length)];
      for (let n = random(4); n >= 0; n--) {
        const at = random(line.length + 1);
        const cut = random(3) === 0 ? random(12) : 0;
        const with_ = random(2) === 0 ? glue[random(glue.length)] : String.fromCharCode(32 + random(95));
        line = line.slice(0, at) + (random(4) === 0 ? '' : with_) + line.slice(at + cut);
      }
      lines.push(line.replaceAll('\n', ' '));
    }
    explainer.push(`${lines.join('\n')}\n`);
  }
  explainer.end();
  expect(explainer.inputs).toEqual([{ name: 'fuzz', lines: count }]);
  const { groups, unknownCount, ungrouped } = explainer.report;
  const found = groups.reduce((sum, group) => sum + group.count, 0) + ungrouped;
  // Many lines survive, many do not: the test is of both.
  expect(found).toBeGreaterThan(count / 10);
  expect(unknownCount).toBeGreaterThan(count / 100);
  for (const { finding } of groups) expect(finding.summary).not.toMatch(/undefined|NaN/);
});
