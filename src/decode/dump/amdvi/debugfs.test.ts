/** AMD's debugfs files beyond the command buffer, as the kernel prints them, and walks from them. */
import { describe, expect, test } from 'vitest';
import { only, tablesOf } from '../../../../test/explained.ts';
import { Explainer, Tables, WalkRefused, walkAny } from '../../index.ts';

const MMIO = `Offset:0x18 Value:0x000c22000003f48d
Offset:0x0 Value:0x00000001138001ff
Offset:0x108 Value:0x0000000113a00001
Offset:0x2020 Value:0x0000000000000009
Offset:0x1234 Value:0x0000000000000001
`;

/** Of the kernel's ABI document. */
const DEVICE = `DeviceId             QWORD[3]         QWORD[2]         QWORD[1]         QWORD[0] iommu
0000:01:00.0 0000000000000000 20000001373b8013 0000000000000038 6000000114d7b603 iommu3
`;

const INTERRUPTS = `DeviceId 0000:01:00.0
IRT[0000] 0000000000000020 0000000000000241
IRT[0001] 0000000000000021 0000000000000840

`;

describe('mmio and capability', () => {
  test('registers by their offset: what is wrong first, what is not known by its value', () => {
    const { details, severity, structures, summary } = only(MMIO);
    expect(summary).toBe('registers: 5 values; the event log is full: events were lost');
    expect(severity).toBe('warning');
    expect(details).toEqual([
      ['EventOverflow', 'the event log is full: events were lost'],
      ['CmdBufRun', 'the command buffer does not run: it is off, or has stopped at an error'],
      ['0x1234', '0x1: not known'],
    ]);
    expect(structures.map(({ kind, name }) => [kind, name])).toEqual([
      ['amdvi.control', 'IOMMU Control Register'],
      ['amdvi.device-table-base', 'Device Table Base Address Register'],
      ['amdvi.device-table-segments', 'Device Table Segment 2 Base Address Register'],
      ['amdvi.status', 'IOMMU Status Register'],
    ]);
  });

  test('a register of 32 bits is of the capability block', () => {
    const { structures, summary } = only('Offset:0x10 Value:0x00203040\n');
    expect(summary).toBe('registers and capabilities: 1 value');
    expect(structures.map(({ kind, words }) => [kind, words])).toEqual([['amdvi.misc-info-0', [0x203040n]]]);
  });

  test('all ones are no registers', () => {
    const { causes, structures, summary } = only(MMIO.replace(/Value:.*/g, 'Value:0xffffffffffffffff'));
    expect(summary).toBe('the registers read as all ones: the unit does not answer');
    expect([causes, structures]).toEqual([[{ id: 'registers-gone', sure: 'likely' }], []]);
  });
});

describe('devtbl', () => {
  test('what the entry says', () => {
    const { details, requester, structures, summary } = only(DEVICE);
    expect(summary).toBe('device table entry of 0000:01:00.0, iommu3');
    expect(requester?.id).toBe(0x100);
    expect(details).toEqual([
      [
        'what it says',
        'reads and writes pass, by host tables of 3 levels; interrupts are remapped by a table of 512 entries',
      ],
    ]);
    expect(structures[0].words).toEqual([0x6000000114d7b603n, 0x38n, 0x20000001373b8013n, 0n]);
  });

  test.each([
    ['blocked', '0000000000000003', 'no request for memory passes (IR = IW = 0); '],
    ['passed through', '6000000000000003', 'reads and writes pass, not translated; '],
    ['not valid', '0000000000000000', 'requests pass as they are (V = 0); '],
    ['guest tables', '60c0000114d7b003', 'reads and writes pass, by guest tables; '],
  ])('%s', (_, q0, text) => {
    expect(only(DEVICE.replace('6000000114d7b603', q0)).details[0]?.[1]).toContain(text);
  });

  test('reserved bits', () => {
    const { details, severity } = only(DEVICE.replace('6000000114d7b603', '6000000114d7b607'));
    expect(severity).toBe('warning');
    expect(details[1]).toEqual(['reserved', 'bits 2 are reserved, and set']);
  });
});

describe('irqtbl', () => {
  test('entries of 128 bits', () => {
    const { details, structures, summary } = only(INTERRUPTS);
    expect(summary).toBe('interrupt remapping of 0000:01:00.0: 2 entries');
    expect(details).toEqual([['[1]', 'RemapEn is 0: it is refused']]);
    expect(structures.map(({ kind, words }) => [kind, words])).toEqual([
      ['amdvi.irte-128', [0x241n, 0x20n]],
      ['amdvi.irte-128', [0x840n, 0x21n]],
    ]);
  });

  test('entries of 32 bits', () => {
    const { structures } = only('DeviceId 0000:01:00.0\nIRT[0007] 00220001\n');
    expect(structures.map(({ kind, words }) => [kind, words])).toEqual([['amdvi.irte', [0x220001n]]]);
  });
});

describe('a walk', () => {
  const ask = (text: string, address: bigint, device: string | null = null, data: number | null = null) =>
    walkAny(tablesOf(text), { address, data, device, pasid: null });
  const PAGES = `0x114d7b000: 0x6000000114d7c401
0x114d7c008: 0x6000000120000e01
0x114d7c010: 0x2000000120200201
0x114d7d000: 0x6000000130000001
`;

  test('from devtbl, through levels and a page whose size is in its address', () => {
    // 0xe00 is NextLevel 7; the first zero above bit 11 is bit 12: 8 KiB.
    const { read, steps } = ask(`${DEVICE}${PAGES}`, 0x200123n);
    expect(steps.map(({ address, what }) => [what, address])).toEqual([
      ['device table entry of 0000:01:00.0', null],
      ['level-3 entry of 0x0', 0x114d7b000n],
      ['level-2 entry of 0x200000', 0x114d7c008n],
    ]);
    expect(read).toEqual({ kind: 'page', address: 0x120000123n, bytes: 8192 });
  });

  test('to what it lacks', () => {
    const { read, write } = ask(`${DEVICE}${PAGES}`, 0x400000n);
    expect(read).toEqual({ kind: 'missing', address: 0x120200000n, what: 'level-1 entry of 0x400000' });
    expect(write).toMatchObject({ kind: 'fault', code: { name: 'IO_PAGE_FAULT', value: 2 }, why: 'IW is 0' });
  });

  test('from the device table in memory, which mmio says the place of', () => {
    const dte = '0x113802000: 0x6000000114d7b603 0x38 0x20000001373b8013 0x0\n';
    const { read, steps } = ask(`${MMIO}${dte}${PAGES}`, 0x200123n, '01:00.0');
    expect(steps.slice(0, 2).map(({ address, what }) => [what, address])).toEqual([
      ['device table base', null],
      ['device table entry of 01:00.0', 0x113802000n],
    ]);
    expect(read.kind).toBe('page');
  });

  test('of an interrupt', () => {
    const irte = '0x1373b8230: 0x0000000000000041 0x24\n';
    const { assumed, read, write } = ask(`${DEVICE}${irte}`, 0xfee00000n, null, 0x23);
    expect(write).toEqual({ kind: 'interrupt', text: 'vector 0x24 to APIC 0x0 (logical, fixed)' });
    expect(read).toMatchObject({ kind: 'fault', code: { name: 'INVALID_DEVICE_REQUEST' } });
    expect(assumed).toEqual(['CONTROL.GAEn = 1: interrupt entries of 128 bits; a line "control: 0x…" makes it sure']);
  });

  test.each([
    [
      'another device',
      DEVICE,
      '00:1f.0',
      null,
      'nothing says where the entry of 00:1f.0 is; the inputs have 0000:01:00.0',
    ],
    [
      'two devices',
      `${DEVICE}${DEVICE.replace('01:00.0', '02:00.0')}`,
      null,
      null,
      'the inputs have 0000:01:00.0, 0000:02:00.0',
    ],
    ['beyond the table', MMIO.replace('1ff', '000'), '01:00.0', null, 'the device table has 128 entries'],
    ['an interrupt without data', DEVICE, null, null, 'add --data N'],
  ])('is refused with what is missing: %s', (_, text, device, data, message) => {
    const walk = () => ask(text, 0xfee00000n, device, data);
    expect(walk).toThrow(WalkRefused);
    expect(walk).toThrow(message);
  });
});

test('100,000 damaged lines: none throws, nor does a walk', () => {
  let state = 11;
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const lines =
    `${MMIO}${DEVICE}${INTERRUPTS}0x114d7b000: 0x6000000114d7c401\nddtp: 0x1\nste: 0x4400000b 0x12000000c 0x0 0x0 0x0 0x0 0x0 0x0\nSTRTAB_BASE: 0x43000000\nSTRTAB_BASE_CFG: 0x10\n`.split(
      '\n',
    );
  const glue = ['0x', 'ffffffffffffffff', ':', ' ', '\t', '0', '99999999', 'IRT[', 'é', '0000:01:00.0'];
  const tables = new Tables();
  const explainer = new Explainer(tables);
  explainer.begin('fuzz');
  let walks = 0;
  for (let n = 0; n < 100_000; n++) {
    let line = lines[random(lines.length)] as string;
    if (random(3) > 0) {
      const at = random(line.length + 1);
      line = line.slice(0, at) + (glue[random(glue.length)] as string) + line.slice(at + random(8));
    }
    explainer.push(`${line}\n`);
    if (n % 1000 !== 0) continue;
    for (const device of [null, '01:00.0', '00:0a.0', '0x8'])
      for (const model of ['amdvi', 'riscv', 'smmuv3'] as const) {
        const pasid = random(2) === 0 ? null : random(4);
        const question = { address: BigInt(random(2 ** 31)) << BigInt(random(33)), device, pasid, data: random(4) };
        try {
          walks += walkAny(tables, question, model).steps.length;
        } catch (error) {
          expect(error).toBeInstanceOf(WalkRefused);
        }
      }
  }
  explainer.end();
  expect(explainer.inputs[0].lines).toBe(100_000);
  expect(walks).toBeGreaterThan(100);
});
