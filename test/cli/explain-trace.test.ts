/** `pinhole explain` of traces, as its users call it. */
import { beforeAll, expect, test } from 'vitest';
import type { Ended } from './pinhole.ts';
import { folderWith, pinholeInTurn } from './pinhole.ts';

const LOG =
  '[   12.000600] DMAR: [DMA Write NO_PASID] Request device [02:00.0] fault addr 0xffe58040 [fault reason 0x05] PTE Write access is not set\n';
const at = (time: string, event: string) => `     nvme-poll-77      [001] d..1.    ${time}: ${event}\n`;
const TRACE =
  '# tracer: nop\n#\n' +
  at('12.000100', 'map: IOMMU: iova=0x00000000ffe58000 - 0x00000000ffe59000 paddr=0x000000001cb81000 size=4096') +
  at('12.000200', 'map: IOMMU: iova=0x00000000ffe57000 - 0x00000000ffe58000 paddr=0x000000001cb82000 size=4096') +
  at('12.000500', 'unmap: IOMMU: iova=0x00000000ffe58000 - 0x00000000ffe59000 size=4096 unmapped_size=4096') +
  at('12.000700', 'unmap: IOMMU: iova=0x00000000ffe58000 - 0x00000000ffe59000 size=4096 unmapped_size=0');

const folder = folderWith({ 'dmesg.txt': LOG, 'trace.txt': TRACE });
const COMMANDS = {
  text: ['explain', 'dmesg.txt', 'trace.txt'],
  json: ['explain', '--json', 'trace.txt', 'dmesg.txt'],
} as const;

let ended: Record<keyof typeof COMMANDS, Ended>;
beforeAll(async () => {
  const all = await pinholeInTurn(Object.values(COMMANDS), folder);
  ended = Object.fromEntries(Object.keys(COMMANDS).map((name, i) => [name, all[i]])) as typeof ended;
});

test('a trace and a log, for people', () => {
  const { status, stderr, stdout } = ended.text;
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout).toContain('ERROR  02:00.0: fault at 0xffe58040: its pages had been unmapped');
  expect(stdout).toContain('nvme-poll had unmapped it 100 µs before (line 5)');
  expect(stdout).toContain('vtd.fault on line 1 of dmesg.txt');
  expect(stdout).toContain('ERROR  nvme-poll: unmap of 0xffe58000, and nothing was mapped there');
  expect(stdout).toContain('INFO  nvme-poll: 1 mapping of 4 KiB is left when the trace ends');
  expect(stdout).toContain('2 maps, 2 unmaps');
  expect(stdout).toContain('map and unmap name no domain');
  expect(stdout).toContain('7 lines read.');
});

test('as JSON, the log after the trace', () => {
  const { findings, inputs, unknown } = JSON.parse(ended.json.stdout);
  expect(inputs).toEqual([
    { name: 'trace.txt', lines: 6 },
    { name: 'dmesg.txt', lines: 1 },
  ]);
  expect(unknown.count).toBe(0);
  const kinds = findings.map(({ kind }: { kind: string }) => kind);
  expect(kinds).toEqual(['trace.unmap-nothing', 'trace.left', 'trace.summary', 'vtd.fault', 'trace.fault.unmapped']);
  expect(findings[4]).toMatchObject({
    address: { value: '0xffe58040', space: 'IOVA' },
    first: { input: 'dmesg.txt', line: 1, time: '12.000600' },
    causes: [{ id: 'unmap-before-completion', sure: 'likely' }, {}],
  });
});
