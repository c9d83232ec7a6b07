import { expect, test } from 'vitest';
import { DefinitionError, defineMeasure, MODELS } from '../cases/index.ts';
import { measured, measurementLines, measurementResult, toCsv } from './measured.ts';
import { PLAIN } from './story.ts';

const PRICES = defineMeasure({
  id: 'M1',
  title: 'what it costs',
  thread: '002',
  model: 'vtd',
  variants: { one: 'with one unit', two: 'with two units' },
  notes: ['exits are of the guest'],
  measure: ({ variant, profile }) => ({
    columns: [
      { key: 'design', title: 'design' },
      { key: 'tableBytes', title: 'bytes of tables' },
    ],
    rows: [
      { design: 'shared, once', tableBytes: 4096 },
      { design: `"${profile.name}"`, tableBytes: variant === 'one' ? 8 : 1_234_567 },
    ],
  }),
});
const [spec] = MODELS.vtd.profiles;
const both = ['one', 'two'].map((variant) => measured(PRICES, variant, spec));

test('people read a table, numbers to the right', () => {
  expect(measurementLines(both[1], PLAIN)).toEqual([
    'M1 two (spec): measured, with two units',
    '  design        bytes of tables',
    '  shared, once            4,096',
    '  "spec"              1,234,567',
    '  exits are of the guest',
    '',
  ]);
});

test('scripts read columns and rows, beside the keys of every run', () => {
  expect(measurementResult(both[0])).toMatchObject({
    case: 'M1',
    verdict: 'measured',
    expected: 'measured',
    trace: null,
    figures: { rows: [{ design: 'shared, once', tableBytes: 4096 }, { tableBytes: 8 }] },
  });
});

test('CSV: one header a case, quoted where it must be', () => {
  expect(toCsv(both).split('\n')).toEqual([
    'case,variant,profile,design,tableBytes',
    'M1,one,spec,"shared, once",4096',
    'M1,one,spec,"""spec""",8',
    'M1,two,spec,"shared, once",4096',
    'M1,two,spec,"""spec""",1234567',
  ]);
});

test('a measured case without variants is refused', () => {
  expect(() => defineMeasure({ ...PRICES, variants: {} })).toThrow(DefinitionError);
});
