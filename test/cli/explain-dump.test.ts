/** `pinhole explain --walk` as its users call it. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Ended } from './pinhole.ts';
import { folderWith, pinholeInTurn } from './pinhole.ts';

const folder = folderWith({
  'contexts.txt':
    'IOMMU dmar0: Root Table Address: 0x103027000\nB.D.F\tRoot_entry\t\t\t\tContext_entry\t\t\t\tPASID\tPASID_table_entry\n' +
    '00:02.0\t0x0000000000000000:0x000000010303e001\t0x0000000000000102:0x000000010303f005\t-1    \t0x0000000000000000:0x0000000000000000:0x0000000000000000\n',
  'pages.txt':
    'Device 0000:00:02.0 @0x10303f000\nIOVA_PFN\t\tPML5E\t\t\tPML4E\t\t\tPDPE\t\t\tPDE\t\t\tPTE\n' +
    '0x000000008d801 |\t0x0000000000000000\t0x00000001017f9003\t0x00000001017fa003\t0x00000001017fb003\t0x000000008d801001\n',
});
const walk = (...args: string[]) => ['explain', 'contexts.txt', 'pages.txt', '--walk', ...args];

const COMMANDS = {
  found: walk('0x8d801234'),
  json: walk('8d801234', '--device', '0000:00:02.0', '--json'),
  missing: walk('0x8d802000'),
  noAddress: walk('0xzz'),
  noDevice: walk('0x1000', '--device', '00:32.9'),
  noPasid: walk('0x1000', '--pasid', '0x100000'),
  noWalk: ['explain', 'pages.txt', '--device', '00:02.0'],
  otherDevice: ['explain', 'pages.txt', '--walk', '0', '--device', '00:03.0'],
} as const;

let ended: Record<keyof typeof COMMANDS, Ended>;
beforeAll(async () => {
  const all = await pinholeInTurn(Object.values(COMMANDS), folder);
  ended = Object.fromEntries(Object.keys(COMMANDS).map((name, i) => [name, all[i]])) as typeof ended;
});

test('each entry is a step, and what a read and a write come to', () => {
  const { status, stdout } = ended.found;
  expect(status).toBe(0);
  expect(stdout).toContain('Walk of 0x8d801234 for 00:02.0');
  expect(stdout).toContain('2. context entry of 00:02.0 at 0x10303e100');
  expect(stdout).toContain('6. PTE of 0x8d801000 at 0x1017fb008');
  expect(stdout).toContain('reads  → 0x8d801234, in a page of 4 KiB');
  expect(stdout).toContain('writes → fault: reason 0x5, no write permission (VT-d 7.1.3, table 30)');
});

test('as JSON', () => {
  const { walk: walked } = JSON.parse(ended.json.stdout);
  expect(walked).toMatchObject({ of: '0000:00:02.0', address: '0x8d801234' });
  expect(walked.steps).toHaveLength(6);
  expect(walked.steps[5]).toMatchObject({ address: '0x1017fb008', structure: { kind: 'vtd.ss-pte' } });
  expect(walked.read).toEqual({ kind: 'page', address: '0x8d801234', bytes: 4096 });
  expect(walked.write.code.value).toBe(5);
});

test('a word that is not there is named, with how to fetch it', () => {
  expect(ended.missing.stdout).toContain("fetch it: crash 'rd -p 0x1017fb010', QEMU's monitor 'xp /1gx 0x1017fb010'");
});

describe('what cannot be asked is one line, status 2', () => {
  test.each([
    ['noAddress', 'pinhole: --walk 0xzz: give a hexadecimal address'],
    ['noDevice', 'pinhole: --device 00:32.9: give BUS:DEVICE.FUNCTION'],
    ['noPasid', 'pinhole: --pasid 0x100000: give a number of up to 20 bits'],
    ['noWalk', 'pinhole: --device, --pasid and --data are of --walk; say which address'],
    ['otherDevice', 'pinhole: nothing says where the tables of 00:03.0 are; add iommu_regset,'],
  ] as const)('%s', (name, message) => {
    const { status, stderr, stdout } = ended[name];
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stderr).toContain(message);
  });
});
