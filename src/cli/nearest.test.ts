import { describe, expect, test } from 'vitest';
import { nearest, unknownName } from './nearest.ts';

describe('the names most like a mistyped one', () => {
  const names = ['linux-5.11', 'linux-5.13', 'linux-6.12.117', 'ideal'];
  test.each([
    ['a letter too few', 'linux-5.1', ['linux-5.11', 'linux-5.13']],
    ['two letters swapped', 'idael', ['ideal']],
    ['another case', 'IDEAL', ['ideal']],
    ['a part of it', 'linux', ['linux-5.11', 'linux-5.13', 'linux-6.12.117']],
    ['none: all, as they are few', 'zzzzzzzz', names],
  ])('%s', (_, name, expected) => {
    expect(nearest(name, names)).toEqual(expected);
  });

  test('none of many', () => {
    const many = Array.from({ length: 13 }, (_, i) => `name-number-${i}`);
    expect(nearest('zzzz', many)).toEqual([]);
    expect(unknownName('case', 'zzzz', many)).toBe("no case 'zzzz'; 'pinhole list' names them");
  });

  test('as a line', () => {
    expect(unknownName('case', 'D9', ['D1', 'D2', 'K5'])).toBe("no case 'D9'; did you mean D1 or D2?");
    expect(unknownName('mutant', 'x', [], ' of D3')).toBe("no mutant 'x' of D3; 'pinhole list' names them");
  });
});
