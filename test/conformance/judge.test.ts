import { describe, expect, test } from 'vitest';
import { DEVIATIONS as VTD_ORACLE } from '../oracle/deviations.ts';
import { DEVIATIONS as SMMU_ORACLE } from '../oracle/smmuv3/deviations.ts';
import type { ExpectedFailures, Ran } from './judge.ts';
import { countsOfFiles, judge } from './judge.ts';
import { DEVIATIONS as SMMU } from './smmuv3/qemu-deviations.ts';
import { DEVIATIONS as VTD } from './vtd/qemu-deviations.ts';

const FILE = 'vtd/a.test.ts';
const ran = (name: string, state: Ran['state'], why = ''): Ran => ({ file: FILE, name, state, why });
const list = (...tests: string[]): ExpectedFailures[] => [
  { name: 'one', title: 'it does', clause: '1', qemu: 'f', permitted: false, tests: { [FILE]: tests } },
];
const good = ran('good', 'passed');
const bad = ran('bad, of 3', 'failed', 'expected 1 to be 2');
const skipped = ran('inside', 'skipped', 'needs the model: inside: the unit itself');

describe('a run on another implementation', () => {
  test('passes and failures that are expected are counted together, skips by their reason', () => {
    const { counts, lines } = judge([good, bad, skipped, ran('missing', 'todo')], list('bad'));
    expect(counts).toEqual({ passed: 2, failed: 0, pending: 1, todo: 1 });
    expect(lines).toContain('skipped     1 inside');
    expect(lines).toContain('            1 the unit itself');
    expect(lines.at(-1)).toBe('run on QEMU 2 (1 as specified, 1 expected deviations), 1 skipped, 1 todo, 0 failed');
  });

  test.each([
    ['a failure that is not in the list', [good, bad], list()],
    ['a test of the list that passes', [good, bad], list('bad', 'good')],
    ['a part of which one passes', [ran('bad, of 4', 'passed'), bad], list('bad')],
    ['an entry without a test', [good], list('gone')],
    ['an entry of which all are skipped', [good, skipped], list('inside')],
    ['a skip without a reason', [good, ran('left out', 'skipped')], list()],
  ])('%s fails it', (_, tests, expected) => {
    const { counts, lines } = judge(tests, expected);
    expect(counts.failed).toBe(1);
    expect(lines.filter((line) => line.startsWith('FAILED '))).toHaveLength(1);
  });

  test('where only some files were run, entries of the others may have no test', () => {
    const other: ExpectedFailures = { ...list('bad')[0], tests: { 'vtd/b.test.ts': ['bad'] } };
    expect(judge([good], [other], true).counts.failed).toBe(0);
    expect(judge([good], [other]).counts.failed).toBe(1);
  });
});

describe.each([
  { iommu: 'VT-d', list: VTD, oracle: VTD_ORACLE, common: 20, clause: /^VT-d \d/, qemu: /^vtd_/ },
  {
    ...{ iommu: 'SMMUv3', list: SMMU, oracle: SMMU_ORACLE, common: 10 },
    ...{ clause: /^(SMMUv3|DDI 0487) D?\d/, qemu: /^(smmu|decode_|oas2bits|queue_|s2|select_tt)/ },
  },
])('the list of QEMU, $iommu', ({ list, oracle, common, clause: ofClause, qemu: ofQemu }) => {
  test('what the oracle knows by the same name is permitted there, or is not, as here', () => {
    const known = list.flatMap(({ name, permitted }) => {
      const same = oracle.find((each) => each.name === name);
      return same === undefined ? [] : [{ name, permitted, oracle: same.permitted }];
    });
    expect(known.length).toBeGreaterThan(common);
    expect(known.filter((each) => each.permitted !== each.oracle)).toEqual([]);
  });

  test('names are unique, each has a clause, a function and a test', () => {
    expect(new Set(list.map(({ name }) => name)).size).toBe(list.length);
    for (const { name, clause, qemu, tests } of list) {
      expect(clause, name).toMatch(ofClause);
      expect(qemu, name).toMatch(ofQemu);
      expect(Object.values(tests).flat().length, name).toBeGreaterThan(0);
    }
  });
});

test('counts of each file', () => {
  expect(countsOfFiles([good, bad, skipped, ran('missing', 'todo')])).toEqual([
    `${FILE}: run 2, as specified 1, otherwise 1, skipped 1 (1 inside)`,
  ]);
});
