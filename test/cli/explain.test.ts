/** `pinhole explain` as its users call it. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Ended } from './pinhole.ts';
import { folderWith, pinhole, pinholeInTurn } from './pinhole.ts';

const FAULT = (addr: string) =>
  `[   34.000002] DMAR: [DMA Write NO_PASID] Request device [00:12.0] fault addr ${addr} [fault reason 0x05] PTE Write access is not set\n`;

const folder = folderWith({
  'a.log': `noise\n${FAULT('0x9c000000')}${FAULT('0x9c000000')}`,
  'b.log': FAULT('0x1000'),
  'quiet.log': 'nothing here\nnor here\n',
  'evil.log': 'AMD-Vi: Event logged [\u001b]0;owned\u0007 address=0x1]\n',
});
writeFileSync(join(folder, 'c.gz'), gzipSync(FAULT('0x2000')));
writeFileSync(
  join(folder, 'cut.gz'),
  gzipSync(Array.from({ length: 9000 }, (_, i) => FAULT('0x2000') + Math.sin(i)).join('')).subarray(0, 60_000),
);
writeFileSync(join(folder, 'x.xz'), Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]));
writeFileSync(join(folder, 'wide.log'), Buffer.from(`\ufeff${FAULT('0x3000')}`, 'utf16le'));

const COMMANDS = {
  plain: ['explain', 'a.log'],
  json: ['explain', '--json', 'a.log', 'b.log', 'c.gz', 'wide.log'],
  wild: ['explain', '--json', '?.log'],
  quiet: ['explain', 'quiet.log'],
  evil: ['explain', 'evil.log'],
  words: ['explain', '--as', 'vtd.context', '0x0000000000000102:0x000000010303f005'],
  wordsJson: ['explain', '--as', 'VTD.gsts', 'c7000000', '--json'],
  reserved: ['explain', '--as', 'vtd.context', '0xff1', '0x0'],
  kinds: ['explain', '--kinds'],
  noFile: ['explain', 'none.log'],
  noMatch: ['explain', 'none*.log'],
  aFolder: ['explain', '.'],
  cut: ['explain', 'cut.gz'],
  packed: ['explain', 'x.xz'],
  noKind: ['explain', '--as', 'vtd.contxt', '0'],
  noWords: ['explain', '--as', 'vtd.context'],
  fewWords: ['explain', '--as', 'vtd.context', '1'],
  badWord: ['explain', '--as', 'vtd.context', '1', '0xzz'],
  largeWord: ['explain', '--as', 'vtd.gsts', '0x100000000'],
  noType: ['explain', '--as', 'vtd.inv', '0xf', '0'],
} as const;

let ended: Record<keyof typeof COMMANDS, Ended>;
beforeAll(async () => {
  const all = await pinholeInTurn(Object.values(COMMANDS), folder);
  ended = Object.fromEntries(Object.keys(COMMANDS).map((name, i) => [name, all[i]])) as typeof ended;
});

test('a log, for people', () => {
  const { status, stderr, stdout } = ended.plain;
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout).toContain('ERROR  00:12.0: DMA write of 0x9c000000 refused: no write permission (reason 0x5)');
  expect(stdout).toContain('2 times, from line 2 of a.log to 3, at 34.000002');
  expect(stdout).toContain('FR         0x5: no write permission (VT-d 7.1.3, table 30)');
  expect(stdout).toContain('likely     the driver unmapped the buffer before the device had finished with it');
  expect(stdout).toContain('How to tell which, and what to do');
  expect(stdout).toContain('lspci -vv -s 00:12.0');
  expect(stdout).toContain('3 lines read.');
});

test('several inputs, packed and of another encoding, as JSON', () => {
  const { status, stdout } = ended.json;
  expect(status).toBe(0);
  const { findings, inputs, unknown } = JSON.parse(stdout);
  expect(inputs.map(({ name, lines }: { name: string; lines: number }) => [name, lines])).toEqual([
    ...[
      ['a.log', 3],
      ['b.log', 1],
      ['c.gz', 1],
      ['wide.log', 1],
    ],
  ]);
  expect(unknown.count).toBe(0);
  expect(findings).toHaveLength(1);
  const [finding] = findings;
  expect(finding).toMatchObject({ kind: 'vtd.fault', count: 5, code: { value: 5, clause: 'VT-d 7.1.3, table 30' } });
  expect(finding.pages).toEqual([
    ...[
      { page: '0x9c000000', count: 2 },
      { page: '0x1000', count: 1 },
      { page: '0x2000', count: 1 },
    ],
    { page: '0x3000', count: 1 },
  ]);
  expect(finding.requester).toEqual({ text: '00:12.0', id: 0x90, pasid: null });
  expect(finding.causes[0]).toMatchObject({ id: 'unmap-before-completion', sure: 'likely' });
});

test('wildcards that the shell has left', () => {
  const names = JSON.parse(ended.wild.stdout).inputs.map(({ name }: { name: string }) => name);
  expect(names).toEqual(['a.log', 'b.log']);
});

test('nothing found is said', () => {
  expect(ended.quiet).toEqual({ status: 0, stderr: '', stdout: 'Nothing of an IOMMU in 2 lines.\n' });
});

test('escape sequences of a log do not reach the terminal', () => {
  const { stdout } = ended.evil;
  expect(stdout).not.toContain('\u001b');
  expect(stdout).toContain('\\x1b]0;owned\\x07');
  expect(stdout).toContain('1 line looks like a fault and is of no known format');
});

test('words', () => {
  expect(ended.words.stdout).toContain('3:2  TT       0x1  translated, with device-TLB');
  const { fields, reserved } = JSON.parse(ended.wordsJson.stdout);
  const set = fields
    .filter(({ value }: { value: string }) => value === '0x1')
    .map(({ name }: { name: string }) => name);
  expect(set).toEqual(['IRTPS', 'IRES', 'QIES', 'RTPS', 'TES']);
  expect(reserved).toEqual([]);
  expect(ended.reserved.stdout).toContain('11:4  reserved, and set');
  expect(ended.kinds.stdout).toContain('vtd.pasid                8 × 64 bits');
});

describe('what cannot be read is one line, status 2', () => {
  test.each([
    ['noFile', /^pinhole: none\.log: cannot be read .*ENOENT.*; name a file/],
    ['noMatch', /^pinhole: none\*\.log matches no file; name one/],
    ['aFolder', /^pinhole: \.: cannot be read .*EISDIR/],
    ['cut', /^pinhole: cut\.gz: cannot be read to its end \(unexpected end of file\)/],
    ['packed', /^pinhole: x\.xz is packed; unpack it: xzcat x\.xz \| pinhole explain -$/],
    ['noKind', /^pinhole: no kind of structure 'vtd\.contxt'; did you mean .*vtd\.context/],
    ['noWords', /^pinhole: --as vtd\.context: its words are missing; for example 0x/],
    ['fewWords', /^pinhole: vtd\.context has 2 words of 64 bits, not 1; give the lowest first/],
    ['badWord', /^pinhole: '0xzz' is no hexadecimal word/],
    ['largeWord', /^pinhole: 0x100000000 has more than 32 bits; vtd\.gsts is of 32-bit words/],
    ['noType', /^pinhole: vtd\.inv: no type that the specification has \(0x000000000000000f 0x0000000000000000\)/],
  ] as const)('%s', (name, message) => {
    const { status, stderr, stdout } = ended[name];
    expect(status).toBe(2);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stderr.trimEnd()).toMatch(message);
    // What was read before it failed is not lost.
    if (name === 'cut') expect(stdout).toContain('00:12.0: DMA write of 0x2000 refused');
    else expect(stdout).toBe('');
  });
});

test('standard input', async () => {
  const { status, stdout } = await pinhole(['explain'], folder);
  expect(status).toBe(0);
  expect(stdout).toBe('Nothing of an IOMMU in 0 lines.\n');
});
