/** One table, as each tool dumps it. */
import { describe, expect, test } from 'vitest';
import { REAL } from '../../../test/acpi/tables.ts';
import type { AcpiTable } from './index.ts';
import { readTable } from './index.ts';
import { TableText } from './table-text.ts';

type Bytes = Uint8Array;
const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0');
const textOf = (bytes: Bytes) =>
  Array.from(bytes, (of) => (of >= 0x20 && of < 0x7f ? String.fromCharCode(of) : '.')).join('');

/** Lines of `width` bytes. */
function rows(data: Bytes, width: number, line: (at: number, row: Bytes) => string): string {
  const out: string[] = [];
  for (let at = 0; at < data.length; at += width) out.push(line(at, data.subarray(at, at + width)));
  return `${out.join('\n')}\n`;
}
const bytesOf = (row: Bytes) => Array.from(row, (of) => hex(of, 2));
/** Words of `size` bytes, the first byte highest or lowest; what is beyond the end is 0. */
const wordsOf = (row: Bytes, size: number, little: boolean) =>
  Array.from({ length: Math.ceil(row.length / size) }, (_, i) => {
    const bytes = Array.from({ length: size }, (_of, n) => hex(row[i * size + n] ?? 0, 2));
    return (little ? bytes.reverse() : bytes).join('');
  });
const pairsOf = (row: Bytes) =>
  bytesOf(row)
    .join('')
    .match(/.{1,4}/g) ?? [];
const base64 = (data: Bytes) => btoa(String.fromCharCode(...data));
const split = (text: string, width: number) => (text.match(new RegExp(`.{1,${width}}`, 'g')) ?? []).join('\n');

const hexdumpC = (data: Bytes) =>
  `${rows(data, 16, (at, row) => {
    const [left, right] = [bytesOf(row.subarray(0, 8)).join(' '), bytesOf(row.subarray(8)).join(' ')];
    return `${hex(at, 8)}  ${`${left}  ${right}`.padEnd(48)}  |${textOf(row)}|`;
  })}${hex(data.length, 8)}\n`;
const od = (data: Bytes) =>
  `${rows(data, 16, (at, row) => `${at.toString(8).padStart(7, '0')} ${wordsOf(row, 2, true).join(' ')}`)}${data.length.toString(8).padStart(7, '0')}\n`;

const FORMS: Readonly<Record<string, (data: Bytes) => string>> = {
  'hexdump -C': hexdumpC,
  'hexdump -C, in capitals': (data) => hexdumpC(data).replace(/^.*(?= {2}\|)/gm, (row) => row.toUpperCase()),
  hexdump: (data) => rows(data, 16, (at, row) => `${hex(at, 7)} ${wordsOf(row, 2, true).join(' ')}`),
  xxd: (data) => rows(data, 16, (at, row) => `${hex(at, 8)}: ${pairsOf(row).join(' ').padEnd(39)}  ${textOf(row)}`),
  'xxd -g 1': (data) =>
    rows(data, 16, (at, row) => `${hex(at, 8)}: ${bytesOf(row).join(' ').padEnd(47)}  ${textOf(row)}`),
  'xxd -g 4': (data) =>
    rows(data, 16, (at, row) => `${hex(at, 8)}: ${wordsOf(row, 4, false).join(' ')}  ${textOf(row)}`),
  'xxd -p': (data) => split(bytesOf(data).join(''), 60),
  'od -x': od,
  'od -A x -t x1z': (data) => rows(data, 16, (at, row) => `${hex(at, 6)} ${bytesOf(row).join(' ')}  >${textOf(row)}<`),
  'od -t x1': (data) => rows(data, 16, (at, row) => `${at.toString(8).padStart(7, '0')} ${bytesOf(row).join(' ')}`),
  'print_hex_dump in bytes': (data) =>
    rows(
      data,
      16,
      (at, row) => `[    0.004000] DMAR: ${hex(at, 8)}: ${bytesOf(row).join(' ').padEnd(47)}  ${textOf(row)}`,
    ),
  'print_hex_dump in words, 32 bytes': (data) =>
    rows(data, 32, (at, row) => `<7>[    0.004000] ${hex(at, 8)}: ${wordsOf(row, 4, true).join(' ')}`),
  'print_hex_dump in words of 64 bits': (data) =>
    rows(data, 16, (at, row) => `kernel: ${hex(at, 8)}: ${wordsOf(row, 8, true).join(' ')}`),
  base64: (data) => split(base64(data), 76),
  'base64 in lines of 70': (data) => split(base64(data), 70),
  'base64 in one line': base64,
  'base64 within a log': (data) =>
    split(base64(data), 64)
      .split('\n')
      .map(
        (line, i) =>
          `Nov 21 13:00:0${i % 10} host dump[12]: DMAR ${line}\nNov 21 13:00:01 host kernel: usb 1-1: new high`,
      )
      .join('\n'),
};

const tablesOf = (text: string, size = text.length) => {
  const tables: (AcpiTable | null)[] = [];
  const found = new TableText(({ bytes }) => tables.push(readTable(bytes)));
  for (let at = 0; at < text.length; at += size) found.push(text.slice(at, at + size));
  found.end();
  return tables.filter((table) => table !== null);
};

describe.each(Object.entries(FORMS))('%s', (name, form) => {
  test.each(['DMAR', 'IVRS', 'IORT', 'VIOT', 'RIMT'] as const)('%s, in pieces of any size', (table) => {
    const text = form(REAL[table]);
    const want = readTable(REAL[table]);
    for (const size of [1, 7, 64, text.length]) expect(tablesOf(`${text}\n`, size)).toEqual([want]);
  });

  test('two, one behind the other, with lines before, between and behind', () => {
    // `xxd -p` has nothing that tells it from other digits, but that it begins an input.
    const text = `${name === 'xxd -p' ? '' : '# cat\n'}${form(REAL.DMAR)}\nand now\n${form(REAL.IVRS)}\n$ echo done\n`;
    expect(tablesOf(text)).toEqual([readTable(REAL.DMAR), readTable(REAL.IVRS)]);
  });
});

test('rows that are left out because they repeat the one before', () => {
  const data = Uint8Array.from(REAL.IVRS);
  data.fill(0x11, 0x30, 0x80);
  for (const form of [hexdumpC, od]) {
    const lines = form(data).split('\n');
    lines.splice(4, 4, '*');
    expect(tablesOf(lines.join('\n'))).toEqual([readTable(data)]);
  }
});

test('a cut dump is read as far as it goes', () => {
  const [table] = tablesOf(hexdumpC(REAL.DMAR).split('\n').slice(0, 5).join('\n'));
  expect(table).toEqual(readTable(REAL.DMAR.subarray(0, 80)));
});

test('what only looks like one', () => {
  const others = [
    '00000000  44 4d 41 53 78 00 00 00',
    '00000010  44 4d 41 52 78 00 00 00',
    'RE1BUgAAAAA=',
    '444d4152',
    'SVZS nothing',
  ];
  expect(tablesOf(`${others.join('\n')}\n`)).toEqual([]);
});

test('damaged dumps: none throws', () => {
  let x = 9;
  const random = (below: number) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
  const characters = '0123456789abcdef: *|>ABCD\n=+/';
  const texts = Object.values(FORMS).map((form) => form(REAL.DMAR));
  let read = 0;
  for (let i = 0; i < 3000; i++) {
    const text = [...(texts[i % texts.length] as string)];
    for (let n = random(8); n >= 0; n--)
      text[20 + random(text.length - 20)] = characters[random(characters.length)] as string;
    read += tablesOf(text.join('')).length;
  }
  expect(read).toBeGreaterThan(1000);
});
