/** `pinhole explain --walk` from registers and entries, as its users call it. */
import { beforeAll, expect, test } from 'vitest';
import type { Ended } from './pinhole.ts';
import { folderWith, pinholeInTurn } from './pinhole.ts';

const folder = folderWith({
  'dte.txt':
    'DeviceId             QWORD[3]         QWORD[2]         QWORD[1]         QWORD[0] iommu\n' +
    '0000:01:00.0 0000000000000000 20000001373b8013 0000000000000038 6000000114d7b603 iommu3\n',
  'memory.txt':
    '0x114d7b000: 0x6000000114d7c401\n0x114d7c008: 0x6000000120000e01\n0x1373b8230: 0x0000000000000041 0x24\n',
});
const DTE = ['--as', 'amdvi.dte', '0x6000000114d7b603', '0x38', '0x20000001373b8013', '0x0'];

const COMMANDS = {
  row: ['explain', 'dte.txt', 'memory.txt', '--walk', '0x200123'],
  as: ['explain', ...DTE, 'memory.txt', '--walk', '0x200123'],
  pairs: ['explain', '--as', 'amdvi.dte', '0:20000001373b8013:38:6000000114d7b603', 'memory.txt', '--walk', '0x200123'],
  json: ['explain', ...DTE, 'memory.txt', '--walk', '0x200123', '--json'],
  interrupt: ['explain', 'dte.txt', 'memory.txt', '--walk', '0xfee00000', '--data', '0x23'],
  fewWords: ['explain', '--as', 'amdvi.dte', '0x1', 'memory.txt', '--walk', '0x1000'],
  noKind: ['explain', '--as', 'amdvi.dtf', '0x1', 'memory.txt', '--walk', '0x1000'],
  noRoot: ['explain', '--as', 'amdvi.irte', '0x1', 'memory.txt', '--walk', '0x1000'],
  noData: ['explain', 'dte.txt', '--walk', '0xfee00000', '--data', 'x'],
} as const;

let ended: Record<keyof typeof COMMANDS, Ended>;
beforeAll(async () => {
  const all = await pinholeInTurn(Object.values(COMMANDS), folder);
  ended = Object.fromEntries(Object.keys(COMMANDS).map((name, i) => [name, all[i]])) as typeof ended;
});

test.each(['row', 'as', 'pairs'] as const)('the entry as a row, as words, as pairs: %s', (name) => {
  const { status, stdout } = ended[name];
  expect(status).toBe(0);
  expect(stdout).toContain('2. level-3 entry of 0x0 at 0x114d7b000');
  expect(stdout).toContain('reads and writes → 0x120000123, in a page of 8 KiB');
});

test('as JSON', () => {
  const { walk } = JSON.parse(ended.json.stdout);
  expect(
    walk.steps.map(({ address, structure }: { address: string; structure: { kind: string } }) => [
      structure.kind,
      address,
    ]),
  ).toEqual([
    ['amdvi.dte', null],
    ['amdvi.pte', '0x114d7b000'],
    ['amdvi.pte', '0x114d7c008'],
  ]);
  expect(walk.read).toEqual({ kind: 'page', address: '0x120000123', bytes: 8192 });
});

test('an interrupt: the read is refused, the write is remapped', () => {
  const { stdout } = ended.interrupt;
  expect(stdout).toContain('reads  → fault: reason 0x8 INVALID_DEVICE_REQUEST, the device may not send such a request');
  expect(stdout).toContain('writes → vector 0x24 to APIC 0x0 (logical, fixed)');
});

test.each([
  ['fewWords', 'pinhole: amdvi.dte has 4 words of 64 bits, not 1'],
  ['noKind', "pinhole: no kind of structure 'amdvi.dtf'; did you mean amdvi.dte"],
  ['noRoot', 'pinhole: nothing says where tables begin; give '],
  ['noData', 'pinhole: --data x: give a number of up to 32 bits'],
] as const)('what cannot be asked is one line, status 2: %s', (name, message) => {
  const { status, stderr, stdout } = ended[name];
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(stderr).toContain(message);
});
