import { describe, expect, test } from 'vitest';
import { address, bit, bits, moved, oneShot, register, ro, w1c, wo } from '../../bits/index.ts';
import { Arena } from '../../machine/index.ts';
import { RegisterFile } from './register-file.ts';

const STATUS = register('STATUS', 0x4, 'test', {
  DONE: w1c(bit(0)),
  BUSY: ro(bit(1)),
  MODE: bits(7, 4),
  GO: oneShot(bit(31)),
});
const KEY = register('KEY', 0x8, 'test', { LOCK: wo(bits(39, 24)), BASE: address(63, 48) }, 64);

function file(registers: readonly object[] = [STATUS, KEY]): RegisterFile {
  return new RegisterFile(new Arena(64), 'test', 0x14, registers);
}

describe('a register file', () => {
  test('keeps what its registers keep', () => {
    const regs = file();
    regs.put(STATUS, STATUS.DONE, 1);
    regs.put(STATUS, STATUS.BUSY, 1);
    regs.write32(0x4, -1);
    expect(regs.read32(0x4)).toBe(0xf2);
    regs.write32(0x4, 0);
    expect(regs.read32(0x4)).toBe(0x02);
  });

  test('a write changes the lanes that it carries', () => {
    const regs = file();
    regs.put(STATUS, STATUS.DONE, 1);
    regs.write32(0x4, -1, 0xf0);
    expect(regs.read32(0x4)).toBe(0xf1);
    regs.write32(0x4, -1, 0x01);
    expect(regs.read32(0x4)).toBe(0xf0);
  });

  test('write-only fields are kept, hardware sees them, software reads zero', () => {
    const regs = file();
    regs.write32(0x8, -1);
    regs.write32(0xc, -1);
    expect([regs.read32(0x8) >>> 0, regs.read32(0xc) >>> 0]).toEqual([0xff000000, 0xffff00ff]);
    expect([regs.load32(0x8), regs.load32(0xc) >>> 0]).toEqual([0, 0xffff0000]);
    expect(regs.get(KEY, KEY.LOCK)).toBe(0xffff);
  });

  test('what no register has reads as zero and drops writes', () => {
    const regs = file();
    for (const offset of [0x0, 0x10, 0x14, 0x1000, 0x7ffffffc]) {
      regs.write32(offset, -1);
      expect(regs.load32(offset)).toBe(0);
      expect(regs.read32(offset)).toBe(0);
    }
  });

  test('names the register at an offset, any byte of it', () => {
    const regs = file();
    expect([0x4, 0x7, 0x8, 0xf, 0x10].map((offset) => regs.at(offset)?.name)).toEqual([
      'STATUS',
      'STATUS',
      'KEY',
      'KEY',
      undefined,
    ]);
  });

  test('a register can be moved, not onto another', () => {
    const regs = file([STATUS, moved(KEY, 0xc)]);
    expect(regs.at(0x13)?.name).toBe('KEY');
    expect(() => file([STATUS, moved(KEY, 0x0)])).toThrow('KEY and STATUS overlap');
  });
});
