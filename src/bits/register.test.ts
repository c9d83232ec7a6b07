import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Access, Field } from './field.ts';
import { bit, bits, oneShot, ro, w1c } from './field.ts';
import { afterWrite, register, triggered } from './register.ts';

const GCMD = register('GCMD_REG', 0x18, 'test', { TE: bit(31), SRTP: oneShot(bit(30)) });
const CCMD = register('CCMD_REG', 0x28, 'test', { ICC: bit(63), CAIG: ro(bits(60, 59)), ERR: w1c(bit(33)) }, 64);

test('fields are members, beside offset, clause and width', () => {
  expect(GCMD.TE).toEqual(bit(31));
  expect(GCMD).toMatchObject({ name: 'GCMD_REG', offset: 0x18, clause: 'test', width: 32 });
  expect(CCMD.width).toBe(64);
});

test('a field that is not declared does not compile', () => {
  // @ts-expect-error GCMD has TE, and no TEE: a misspelt field must not reach a test, let alone a register
  expect(GCMD.TEE).toBeUndefined();
  // @ts-expect-error a declaration is not changed after it was loaded
  expect(() => (GCMD.offset = 0)).toThrow(TypeError);
});

test('a field of 64 bits is too high for a register of 32', () => {
  expect(() => register('R', 0, 'test', { F: bit(32) })).toThrow('R.F 32:32 exceeds 32 bits');
});

describe('a write', () => {
  /** Bit by bit, as a data sheet says it. */
  function plainWrite(accessOf: (n: number) => Access | null, old: number, written: number) {
    let held = 0;
    let started = 0;
    for (let n = 0; n < 32; n++) {
      const was = (old >>> n) & 1;
      const asked = (written >>> n) & 1;
      let is = was;
      switch (accessOf(n)) {
        case 'rw':
        case 'wo':
          is = asked;
          break;
        case 'w1c':
          is = asked === 1 ? 0 : was;
          break;
        case 'one-shot':
          if (asked === 1) started |= 1 << n;
          break;
        case 'ro':
        case null:
          break;
      }
      held |= is << n;
    }
    return { held, started };
  }

  const accesses = fc.array(fc.constantFrom<(Access | null)[]>('rw', 'ro', 'wo', 'w1c', 'one-shot', null), {
    minLength: 64,
    maxLength: 64,
  });

  test('does to each bit what its access says', () => {
    const half = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
    fc.assert(
      fc.property(accesses, fc.constantFrom(0, 1), half, half, half, (access, at, old, written, lanes) => {
        const fields: Record<string, Field> = {};
        access.forEach((a, n) => {
          if (a !== null) fields[`B${n}`] = { ...bit(n), access: a };
        });
        const reg = register('R', 0, 'test', fields, 64);
        const { held, started } = plainWrite((n) => access[32 * at + n], old, written);
        expect(afterWrite(reg, at, old, written)).toBe(held);
        // Bytes that a write does not carry keep what they hold.
        expect(afterWrite(reg, at, old, written, lanes)).toBe((held & lanes) | (old & ~lanes));
        expect(triggered(reg, at, written)).toBe(started);
      }),
      { numRuns: 1000 },
    );
  });

  test('is dropped by reserved and read-only bits', () => {
    expect(afterWrite(CCMD, 1, 0, -1)).toBe(1 << 31);
    expect(afterWrite(CCMD, 1, 3 << 27, 0)).toBe(3 << 27);
  });

  test('of one clears a w1c bit, of zero keeps it', () => {
    expect(afterWrite(CCMD, 1, 2, 2)).toBe(0);
    expect(afterWrite(CCMD, 1, 2, 0)).toBe(2);
  });

  test('starts a one-shot bit and does not keep it', () => {
    expect(afterWrite(GCMD, 0, 0, 1 << 30)).toBe(0);
    expect(triggered(GCMD, 0, -1)).toBe(1 << 30);
  });

  test('reaches a field that crosses the halves in each of them', () => {
    const reg = register('R', 0, 'test', { F: bits(33, 30) }, 64);
    expect([afterWrite(reg, 0, 0, -1) >>> 0, afterWrite(reg, 1, 0, -1)]).toEqual([0xc0000000, 3]);
  });
});
