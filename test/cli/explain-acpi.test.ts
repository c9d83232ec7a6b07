/** `pinhole explain` with ACPI tables: binary, packed, as text, cut; and with a kernel's command line. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, expect, test } from 'vitest';
import { REAL } from '../acpi/tables.ts';
import type { Ended } from './pinhole.ts';
import { folderWith, pinholeInTurn } from './pinhole.ts';

const FAULT =
  '[   34.000002] DMAR: [DMA Write NO_PASID] Request device [00:05.0] fault addr 0x1000 [fault reason 0x05] PTE Write access is not set';

const folder = folderWith({
  'dmar.dsl': readFileSync(new URL('../acpi/dmar-qemu.dsl', import.meta.url), 'utf8'),
  'a.log': 'DMAR: DRHD: handling fault status reg 2\n',
  'fault.log': `${FAULT}\n`,
  'both.log': `${FAULT}\n[   40.000000] DMAR: ${btoa(String.fromCharCode(...REAL.DMAR))}\n`,
  'dmar.xxd': Array.from({ length: REAL.DMAR.length / 8 }, (_, i) => {
    const bytes = Array.from(REAL.DMAR.subarray(8 * i, 8 * i + 8), (byte) => byte.toString(16).padStart(2, '0'));
    return `${(8 * i).toString(16).padStart(8, '0')}: ${bytes.join(' ')}\n`;
  }).join(''),
});
writeFileSync(join(folder, 'DMAR'), REAL.DMAR);
writeFileSync(join(folder, 'IVRS.gz'), gzipSync(REAL.IVRS));
writeFileSync(join(folder, 'cut'), REAL.DMAR.subarray(0, 0x5a));

const COMMANDS = {
  binary: ['explain', 'DMAR'],
  text: ['explain', 'dmar.dsl'],
  json: ['explain', '--json', 'IVRS.gz', 'a.log', 'dmar.dsl'],
  cut: ['explain', 'cut'],
  linked: ['explain', 'fault.log', 'dmar.xxd'],
  linkedJson: ['explain', '--json', 'both.log'],
  cmdline: ['explain', '--cmdline', 'root=/dev/sda1 amd_iommu=pt iommu=pt'],
  cmdlineJson: ['explain', '--cmdline', 'iommu.passthrough=1 iommu.strict=1', '--json'],
  noCmdline: ['explain', '--cmdline', 'quiet'],
} as const;

let ended: Record<keyof typeof COMMANDS, Ended>;
beforeAll(async () => {
  const all = await pinholeInTurn(Object.values(COMMANDS), folder);
  ended = Object.fromEntries(Object.keys(COMMANDS).map((name, i) => [name, all[i]])) as typeof ended;
});

test('a binary table: the machine first, then every field', () => {
  const { status, stderr, stdout } = ended.binary;
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout).toContain('DMAR  DMA Remapping Reporting Structure (VT-d 8.1), 120 bytes, DMAR\n');
  expect(stdout).toContain(
    '  DRHD 0  segment 0000, registers at 0xfed90000, 4 KiB of registers\n    ff:00.0  IOAPIC 0\n',
  );
  expect(stdout).toContain('    0030  DRHD  DMA Remapping Hardware Unit Definition (VT-d 8.3)\n');
  expect(stdout.indexOf('What it says of the machine')).toBeLessThan(stdout.indexOf('The table'));
  expect(stdout).not.toContain('lines read');
});

test('the text of iasl says the same', () => {
  const after = (text: string) =>
    text.slice(text.indexOf('What it says'), text.indexOf('lines read')).replace(/\d* ?$/, '');
  expect(after(ended.text.stdout).trimEnd()).toBe(
    ended.binary.stdout.slice(ended.binary.stdout.indexOf('What it says')).trimEnd(),
  );
});

test('as JSON, with logs beside', () => {
  const { acpi, findings } = JSON.parse(ended.json.stdout);
  expect(findings.map(({ kind }: { kind: string }) => kind)).toEqual(['vtd.fault-status']);
  expect(acpi.map(({ input, signature }: Record<string, string>) => [input, signature])).toEqual([
    ['IVRS.gz', 'IVRS'],
    ['dmar.dsl', 'DMAR'],
  ]);
  const [{ remarks, topology, tree }] = acpi;
  expect(remarks).toEqual([expect.objectContaining({ severity: 'info', offset: 0x6c })]);
  expect(topology.units[0]).toMatchObject({ at: '00:01.0', base: '0xfed80000' });
  expect(topology.units[0].devices[2]).toEqual({
    ...{ what: '00:05.0', kind: 'device', out: null },
    ids: { segment: 0, first: 0x28, last: 0x28 },
  });
  expect(tree.children[1].fields).toContainEqual(
    expect.objectContaining({ name: 'EFR Register Image', value: '0x29d3', offset: 0x84 }),
  );
});

test('a cut table is one clear line, and what is there', () => {
  const { status, stdout } = ended.cut;
  expect(status).toBe(0);
  expect(stdout).toContain('ERROR  DMAR is cut: its length is 120 bytes, and 90 are there (byte 0x4)');
  expect(stdout).toContain('    00:05.0  endpoint\n');
  expect(stdout).not.toContain('00:06.0');
});

test('a fault beside the table: under which unit its device is', () => {
  const said = '00:05.0 is under DRHD 0 at 0xfed90000 (00:05.0, endpoint)';
  expect(ended.linked.stdout).toContain(`  DMAR       ${said}\n`);
  const { acpi, findings } = JSON.parse(ended.linkedJson.stdout);
  expect(acpi.map(({ bytes, input }: Record<string, unknown>) => [input, bytes])).toEqual([['both.log', 120]]);
  expect(findings[0].details.DMAR).toBe(said);
});

test("a kernel's command line", () => {
  expect(ended.cmdline).toEqual({
    status: 0,
    stderr: '',
    stdout: [
      'WARNING  amd_iommu=pt',
      '           no such value, and it does nothing: iommu=pt is meant',
      'ok       iommu=pt',
      '           devices of the kernel are not translated (pass-through): those of VFIO are; x86 only, elsewhere iommu.passthrough=1',
      '',
    ].join('\n'),
  });
  const { findings } = JSON.parse(ended.cmdlineJson.stdout);
  expect(findings).toHaveLength(1);
  expect(findings[0]).toMatchObject({ kind: 'linux.command-line', severity: 'warning' });
  expect(Object.keys(findings[0].details)).toContain('iommu.passthrough=1 iommu.strict=1');
  expect(ended.noCmdline.stdout).toContain('Nothing of an IOMMU in it');
});
