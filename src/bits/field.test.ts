import { describe, expect, test } from 'vitest';
import { address, bit, bits, fixed, ignored, named, oneShot, ro, w1c, width } from './field.ts';

const plain = { access: 'rw', shift: 0, fixed: null, ignored: false, values: null };

test('bit is a field of one bit', () => {
  expect(bit(31)).toEqual({ ...plain, kind: 'bits', hi: 31, lo: 31 });
});

test('bits is a run of bits', () => {
  expect(bits(39, 8)).toEqual({ ...plain, kind: 'bits', hi: 39, lo: 8 });
});

test('address is a run of bits within a qword', () => {
  expect(address(115, 76)).toEqual({ ...plain, kind: 'address', hi: 115, lo: 76 });
});

test('an address may begin with another bit than the one it begins at', () => {
  expect(address(53, 10, 12).shift).toBe(2);
  expect(address(107, 64, 12).shift).toBe(12);
  expect(address(51, 12, 12)).toEqual(address(51, 12));
});

test('values have names', () => {
  expect(named(bits(3, 2), { 0: 'none', 2: 'all' }).values).toEqual({ 0: 'none', 2: 'all' });
});

test('ignored bits are marked', () => {
  expect(ignored(70, 67)).toEqual({ ...plain, kind: 'bits', hi: 70, lo: 67, ignored: true });
});

test('a fixed field knows its value', () => {
  expect(fixed(bits(3, 0), 15)).toEqual({ ...plain, kind: 'bits', hi: 3, lo: 0, fixed: 15 });
});

test('access wrappers change the access and nothing else', () => {
  const field = bits(7, 4);
  expect(ro(field)).toEqual({ ...field, access: 'ro' });
  expect(w1c(field)).toEqual({ ...field, access: 'w1c' });
  expect(oneShot(field)).toEqual({ ...field, access: 'one-shot' });
  expect(field.access).toBe('rw');
  expect(ro(address(63, 12)).kind).toBe('address');
});

test('width counts both ends', () => {
  expect([bit(511), bits(31, 0), address(63, 0), address(51, 12)].map(width)).toEqual([1, 32, 64, 40]);
});

describe('what is no field throws', () => {
  test.each([
    ['upside down', () => bits(3, 4), 'field 3:4'],
    ['negative', () => bit(-1), 'field -1:-1'],
    ['past bit 511', () => bit(512), 'field 512:512'],
    ['fraction', () => bits(3.5, 0), 'field 3.5:0'],
    ['not a number', () => bits(Number.NaN, 0), 'field NaN:0'],
    ['33 bits', () => bits(32, 0), '32:0 is wider than 32 bits'],
    ['33 ignored bits', () => ignored(32, 0), '32:0 is wider than 32 bits'],
    ['address across qwords', () => address(64, 12), '64:12 crosses a qword'],
    ['address past bit 511', () => address(520, 515), 'field 520:515'],
    ['address beginning right of itself', () => address(53, 10, 9), '53:10 cannot begin with bit 9'],
    ['address past bit 63', () => address(53, 10, 21), '53:10 cannot begin with bit 21'],
    ['address beginning between bits', () => address(53, 10, 12.5), '53:10 cannot begin with bit 12.5'],
    ['fixed value too large', () => fixed(bits(3, 0), 16), '16 does not fit 3:0'],
    ['fixed value negative', () => fixed(bits(3, 0), -1), '-1 does not fit 3:0'],
    ['name of a value too large', () => named(bits(3, 2), { 4: 'x' }), '4 does not fit 3:2'],
    ['fixed value a fraction', () => fixed(bits(3, 0), 1.5), '1.5 does not fit 3:0'],
  ])('%s', (_, make, message) => {
    expect(make).toThrow(RangeError);
    expect(make).toThrow(message);
  });
});
