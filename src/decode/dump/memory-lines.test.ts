/** The same words, as each tool prints them. */
import { describe, expect, test } from 'vitest';
import { takeMemoryLine } from './memory-lines.ts';
import { Tables } from './tables.ts';

const AT = 0x1000n;
const LOW = 0x000000010303f003n;
const HIGH = 0x8000000000000102n;

describe('one line of', () => {
  test.each([
    ['gdb x/2gx', '0x1000:\t0x000000010303f003\t0x8000000000000102'],
    ['gdb with a symbol', '0x1000 <pgd+16>:\t0x000000010303f003\t0x8000000000000102'],
    ['gdb x/4wx', '0x1000:\t0x0303f003\t0x00000001\t0x00000102\t0x80000000'],
    ['QEMU xp /2gx', '0000000000001000: 0x000000010303f003 0x8000000000000102'],
    ['QEMU xp /4wx', '0000000000001000: 0x0303f003 0x00000001 0x00000102 0x80000000'],
    ['crash rd -p', '            1000:  000000010303f003 8000000000000102   ................'],
    [
      'crash rd -p, where the text looks like words',
      '            1000:  000000010303f003 8000000000000102   abcdabcdabcdabcd',
    ],
    ['by hand', '0x1000: 0x10303f003 0x8000000000000102'],
    ['hexdump -C', '00001000  03 f0 03 03 01 00 00 00  02 01 00 00 00 00 00 80  |................|'],
    ['xxd', '00001000: 03f0 0303 0100 0000 0201 0000 0000 0080  ................'],
    ['xxd, where the text looks like words', '00001000: 03f0 0303 0100 0000 0201 0000 0000 0080  abcdabcdabcdabcd'],
    ['xxd -g 1', '00001000: 03 f0 03 03 01 00 00 00 02 01 00 00 00 00 00 80  ................'],
  ])('%s', (_, line) => {
    const words = new Map<bigint, bigint>();
    expect(takeMemoryLine(line, new Tables(words))).toBe(true);
    expect([...words]).toEqual([
      [AT, LOW],
      [AT + 8n, HIGH],
    ]);
  });
});

test('words that do not begin at a word: only whole ones are kept', () => {
  const halves = new Map<bigint, bigint>();
  takeMemoryLine('0x1004: 0xffffffff 0x0303f003 0x00000001 0x00000002', new Tables(halves));
  expect([...halves]).toEqual([[0x1008n, LOW]]);
  const bytes = new Map<bigint, bigint>();
  takeMemoryLine('00000ffe  aa aa 03 f0 03 03 01 00 00 00 bb bb  |............|', new Tables(bytes));
  expect([...bytes]).toEqual([[AT, LOW]]);
});

describe('no line of memory', () => {
  test.each([
    '',
    'IOVA_PFN  PML5E',
    '12345 words and more',
    'deadbeef: not a dump',
    '[   34.000002] usb 1-1: new device',
    '2026-11-21: 0x12 something',
    'abcd 1234',
    '1000: 12',
    `1000: ${'00 '.repeat(400)}`,
  ])('%s', (line) => {
    const tables = new Tables();
    expect(takeMemoryLine(line, tables)).toBe(false);
    expect(tables.words.size).toBe(0);
  });
});

test('two sayings about one word are counted', () => {
  const tables = new Tables();
  takeMemoryLine('0x1000: 0x1', tables);
  takeMemoryLine('0x1000: 0x1', tables);
  expect(tables.contradictions).toBe(0);
  takeMemoryLine('0x1000: 0x2', tables);
  expect(tables.contradictions).toBe(1);
  expect(tables.words.get(AT)).toBe(2n);
});
