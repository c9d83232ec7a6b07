/** What holds for every table: damage is told in one line, what is there is read, and nothing throws or runs on. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ascii, REAL, withChecksum } from '../../../test/acpi/tables.ts';
import { Explainer } from '../index.ts';
import type { AcpiTable } from './index.ts';
import { allNodes, isTable, readTable, remarksOf, TABLE_KINDS } from './index.ts';

const TABLES = Object.entries(REAL).filter(([name]) => TABLE_KINDS.some(({ signature }) => signature === name));
const texts = (data: Uint8Array) => remarksOf(readTable(data) as AcpiTable).map(({ text }) => text);

test('what begins as a table, and what only looks so', () => {
  for (const [, data] of TABLES) expect(isTable(data)).toBe(true);
  expect(isTable(Uint8Array.from(ascii('DMAR: DRHD: handling fault status reg 2\n')))).toBe(false);
  expect(isTable(Uint8Array.from(ascii('DMAR')))).toBe(false);
  expect(isTable(Uint8Array.from([...ascii('FACP'), 100, 0, 0, 0]))).toBe(false);
  expect(isTable(Uint8Array.from([...ascii('DMAR'), 35, 0, 0, 0]))).toBe(false);
});

describe.each(TABLES)('%s', (_, data) => {
  const whole = [...allNodes((readTable(data) as AcpiTable).root)];

  test('is cut anywhere: one line says it, and what is whole before it is read', () => {
    for (let length = 8; length < data.length; length++) {
      const table = readTable(data.subarray(0, length));
      if (table === null) throw new Error('not known any more');
      expect(remarksOf(table)[0].severity).toBe('error');
      const said = remarksOf(table).filter(({ text }) => text.includes('is cut: its length is'));
      expect(said).toHaveLength(1);
      const before = whole.filter(({ end }) => end <= length && end > 48).length;
      const read = [...allNodes(table.root)].filter(({ whole: all }) => all).length;
      expect(read).toBeGreaterThanOrEqual(length < 48 ? 0 : before);
    }
  });

  test('a wrong checksum is told with the right one', () => {
    const damaged = Uint8Array.from(data);
    damaged[12] ^= 0x10;
    const [text] = texts(damaged);
    const right = withChecksum(damaged)[9];
    expect(text).toContain(`would have to be 0x${right.toString(16).padStart(2, '0')}`);
    expect(texts(withChecksum(damaged)).join()).not.toContain('checksum');
  });

  test('bytes behind it are told, and not read', () => {
    const table = readTable(Uint8Array.from([...data, 1, 2, 3]));
    expect(table?.bytes).toBe(data.length);
    expect(texts(Uint8Array.from([...data, 1, 2, 3])).join()).toContain('3 bytes stand behind the table');
  });

  test('a length of 0, or beyond the end, ends what is read', () => {
    const [first] = (readTable(data) as AcpiTable).root.children;
    const at = first.fields.find(({ name }) => name === 'Length')?.offset ?? 0;
    const wide = data[at];
    for (const length of [0, 1, 0xff, wide + 1]) {
      const damaged = Uint8Array.from(data);
      damaged[at] = length;
      damaged[at + 1] = length === 0xff ? 0xff : 0;
      const table = readTable(withChecksum(damaged));
      expect(remarksOf(table as AcpiTable).some(({ severity }) => severity === 'error')).toBe(true);
    }
  });
});

/** Enough to find what is easily found; PINHOLE_FUZZ=200000 does more, in half a minute. */
const MUTATED = Number(process.env.PINHOLE_FUZZ ?? 10_000);

test('mutated tables: nothing throws, nothing runs on, every byte is of one structure at most', () => {
  const random = generator(20261121);
  const from = TABLES.map(([, data]) => data);
  for (let i = 0; i < MUTATED; i++) {
    const data = Uint8Array.from(from[i % from.length]);
    for (let n = random(6); n >= 0; n--)
      data[random(4) === 0 ? random(data.length) : 36 + random(data.length - 36)] = odd(random);
    const cut = random(4) === 0 ? data.subarray(0, random(data.length)) : data;
    const table = readTable(cut);
    if (table === null) continue;
    const nodes = [...allNodes(table.root)];
    if (nodes.length > cut.length) throw new Error(`${nodes.length} structures in ${cut.length} bytes`);
    remarksOf(table);
    for (const { children, end } of nodes)
      for (const child of children)
        if (child.end > end || child.offset >= child.end) throw new Error('a structure that reaches out of another');
  }
  expect(from.length).toBeGreaterThan(1);
});

/** A byte as damage has them: anything, or the numbers that lengths break at. */
function odd(random: (below: number) => number): number {
  return random(2) === 0 ? random(256) : [0, 1, 2, 3, 4, 5, 6, 0x7f, 0x80, 0xff][random(10)];
}

/** xorshift32. */
function generator(seed: number): (below: number) => number {
  let x = seed;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

describe('text of iasl (20200925) of the real DMAR', () => {
  const whole = readFileSync(new URL('../../../test/acpi/dmar-qemu.dsl', import.meta.url), 'utf8');
  const [fields, raw] = whole.split(/^Raw Table Data.*$/m);
  const binary = readTable(REAL.DMAR);
  const forms = {
    'as it is': whole,
    'fields alone': fields,
    'hexadecimal lines alone, as of acpidump': `DMAR @ 0x0000000000000000\n${raw}`,
    'lengths as newer versions write them': fields.replace(
      /^(\[...h \d{4}) +(\d+)\]/gm,
      (_, at, length) => `${at} ${Number(length).toString(16).padStart(3, '0').toUpperCase()}h]`,
    ),
    'a template': fields.replace(/^\[...h \d{4} +(\d+)\]/gm, (_, length) => `[${length.padStart(4, '0')}]`),
    'behind other text': `Intel ACPI Component Architecture\n\n${whole}`,
  };

  test.each(Object.entries(forms))('%s', (_, text) => {
    for (const size of [1, 7, 64, text.length]) {
      const explainer = new Explainer();
      explainer.begin('dmar.dsl');
      for (let at = 0; at < text.length; at += size) explainer.push(text.slice(at, at + size));
      explainer.end();
      expect(explainer.acpi).toHaveLength(1);
      expect(explainer.acpi[0]).toEqual({ input: 'dmar.dsl', table: binary });
    }
  });

  test('of several tables, as acpidump has them, each is its own', () => {
    const explainer = new Explainer();
    explainer.begin('tables');
    for (const name of ['FACP', 'DMAR', 'DSDT', 'DMAR', 'APIC'])
      explainer.push(`${name} @ 0x0000000000000000\n${raw}\n`);
    explainer.end();
    expect(explainer.acpi.map(({ table }) => table)).toEqual([binary, binary]);
  });

  test('damaged text: none throws, and a line far behind costs nothing', () => {
    const random = generator(7);
    const characters = '0123456789abcdefh[]:" ,\n/';
    for (let i = 0; i < 2000; i++) {
      const text = [...whole.slice(0, 3000)];
      for (let n = random(40); n >= 0; n--) text[random(text.length)] = characters[random(characters.length)];
      const explainer = new Explainer();
      explainer.push(text.join(''));
      explainer.end();
    }
    const far = '[000h 0000   4]  Signature : "DMAR"\n[FFFF0h 1048560   4]  Far : 00000000\n';
    const explainer = new Explainer();
    explainer.push(far.repeat(20_000));
    explainer.end();
    expect(explainer.acpi).toEqual([]);
  });

  test('what was changed in fields alone, and what is missing, is told', () => {
    const said = (text: string) => {
      const explainer = new Explainer();
      explainer.begin('-');
      explainer.push(text);
      explainer.end();
      return explainer.acpi.flatMap(({ table }) => remarksOf(table).map((remark) => remark.text)).join();
    };
    expect(said(whole.replace('Host Address Width : 2F', 'Host Address Width : 26'))).toContain('fields differ');
    expect(said(fields.replace(/^.*Register Base Address.*$/m, ''))).toContain('8 bytes of the table are in no line');
  });
});
