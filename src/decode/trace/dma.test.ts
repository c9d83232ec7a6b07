/** The DMA API's events: every form of them, what they say of a fault, and against a checker that keeps every byte on its own. */
import { describe, expect, test } from 'vitest';
import type { Finding } from '../index.ts';
import { CAUSES, explain } from '../index.ts';
import { TraceScanner } from './trace-scanner.ts';

const NIC = '0000:02:00.0';

class Trace {
  private readonly lines: string[] = [];

  add(event: string): this {
    const time = (10 + this.lines.length / 1000).toFixed(6);
    this.lines.push(`     irq/26-nic-154     [006] ..... ${time.padStart(12)}: ${event}`);
    return this;
  }
  map(address: string, size: number, direction = 'TO_DEVICE', device = NIC): this {
    return this.add(
      `dma_map_phys: ${device} dir=${direction} dma_addr=${address} size=${size} phys_addr=10ec80000 attrs=`,
    );
  }
  unmap(address: string, size: number, direction = 'TO_DEVICE', device = NIC): this {
    return this.add(`dma_unmap_phys: ${device} dir=${direction} dma_addr=${address} size=${size} attrs=`);
  }
  fault(address: string, flags = 1, device = NIC): this {
    return this.add(`io_page_fault: IOMMU:nic ${device} iova=0x${address} flags=0x000${flags}`);
  }
  get text(): string {
    return `${this.lines.join('\n')}\n`;
  }
  get faults(): Finding[] {
    const found: Finding[] = [];
    const sink = {
      found: (of: { finding: Finding }) => found.push(of.finding),
      others: () => {},
      skip: () => {},
      lines: 0,
    };
    const scanner = new TraceScanner(sink);
    scanner.begin('-');
    scanner.push(this.text);
    scanner.end();
    return found.filter(({ kind }) => kind.startsWith('trace.fault.'));
  }
}

function findings(text: string): Finding[] {
  return explain(text).groups.map(({ finding }) => finding);
}

function detail(finding: Finding | undefined, name: string): string | undefined {
  return finding?.details.find(([key]) => key === name)?.[1];
}

describe('a fault', () => {
  test.each([
    [
      'direction',
      new Trace().map('fffe1840', 64).fault('fffe1850'),
      'certain',
      /^the device wrote, and .* to read only$/,
    ],
    ['direction', new Trace().map('fffe1840', 64, 'FROM_DEVICE').fault('fffe1850', 0), 'certain', /^the device read/],
    ['mapped', new Trace().map('fffe1840', 64).fault('fffe1850', 0), 'possible', /^the driver had done what it must/],
    ['mapped', new Trace().map('fffe1840', 64, 'BIDIRECTIONAL').fault('fffe1850'), 'possible', /another domain/],
    [
      'behind',
      new Trace().map('fffe1840', 64).fault('fffe1884'),
      'likely',
      /^it is 4 bytes behind the end of a buffer/,
    ],
    [
      'unmapped',
      new Trace().map('fffe1840', 64).unmap('fffe1840', 64).fault('fffe1840'),
      'likely',
      /^irq\/26-nic had unmapped the buffer 1 ms before \(line 2\)/,
    ],
    ['mapped-later', new Trace().fault('fffe1840').map('fffe1840', 64), 'possible', /^it was mapped 1 ms after the/],
  ])('%s', (cause, { faults }, sure, because) => {
    expect(faults.map(({ kind }) => kind)).toEqual([`trace.fault.${cause}`]);
    const [fault] = faults;
    expect(fault.requester?.id).toBe(0x200);
    expect(detail(fault, 'because')).toMatch(because);
    expect(detail(fault, 'buffer')).toMatch(
      /^0xfffe1840 to 0xfffe187f, for the device to (?:read|write|read and to write), /,
    );
    expect(fault.causes[0].sure).toBe(sure);
    for (const { id } of fault.causes) expect(CAUSES).toHaveProperty(id);
  });

  test('of a page only is of any buffer in it, but rather of the one that it begins with', () => {
    const trace = new Trace().map('fffe1840', 64).map('fffe0f00', 16);
    expect(trace.fault('fffe1000').faults.map(({ kind }) => kind)).toEqual(['trace.fault.direction']);
    expect(new Trace().map('fffe2000', 64, 'BIDIRECTIONAL').map('fffe2800', 64).fault('fffe2000').faults[0].kind).toBe(
      'trace.fault.mapped',
    );
  });

  test('of a log that leaves the segment out', () => {
    const log =
      '[   10.000500] DMAR: [DMA Write NO_PASID] Request device [02:00.0] fault addr 0xfffe1000 [fault reason 0x05] PTE Write access is not set\n';
    const found = findings(`${new Trace().map('fffe1840', 64).unmap('fffe1840', 64).text}${log}`);
    const fault = found.find(({ kind }) => kind.startsWith('trace.fault.'));
    expect(fault?.kind).toBe('trace.fault.direction');
    expect(detail(fault, 'buffer')).toMatch(/mapped on line 1, for 1 ms$/);
  });

  test('where only another device has a buffer: that is said beside', () => {
    const [fault] = new Trace().map('fffe1840', 64, 'TO_DEVICE', '0000:03:00.0').fault('fffe1840').faults;
    expect(fault.kind).toBe('trace.fault.none');
    expect(detail(fault, 'others')).toMatch(/^03:00\.0 had a buffer there at the time/);
    const [alone] = new Trace().map('fffe1840', 64, 'TO_DEVICE', '0000:03:00.0').fault('fffd0840').faults;
    expect(detail(alone, 'others')).toBeUndefined();
  });

  test('buffers of the device are surer than the pages of who knows whom', () => {
    const pages = 'map: IOMMU: iova=0x00000000fffe1000 - 0x00000000fffe2000 paddr=0x000000010ec80000 size=4096';
    expect(new Trace().add(pages).fault('fffe1850').faults[0].kind).toBe('trace.fault.mapped');
    expect(new Trace().add(pages).map('fffe1840', 64).fault('fffe1850').faults[0].kind).toBe('trace.fault.direction');
  });
});

describe('forms', () => {
  const fault = (event: string) => new Trace().add(event).fault('fffe1850').faults[0].kind;

  test.each([
    ['a page, until 6.17', `dma_map_page: ${NIC} dir=TO_DEVICE dma_addr=fffe1840 size=64 phys_addr=1840 attrs=`],
    ['MMIO', `dma_map_resource: ${NIC} dir=TO_DEVICE dma_addr=fffe1000 size=4096 phys_addr=1000 attrs=SKIP_CPU_SYNC`],
    ['perf', `dma:dma_map_phys: ${NIC} dir=TO_DEVICE dma_addr=fffe1840 size=64 phys_addr=1840 attrs=`],
    [
      'an old list',
      `dma_map_sg: ${NIC} dir=TO_DEVICE dma_addrs={0xfffd0000,0xfffe1840} sizes={0x1000,0x40} phys_addrs={0x1000,0x1840} attrs=`,
    ],
    [
      'a list',
      `dma_map_sg: ${NIC} dir=TO_DEVICE nents=1/1 ents=1/1 dma_addrs={0xfffe1840} sizes={0x40} phys_addrs={0x1840} attrs=`,
    ],
    [
      'a part of one',
      `dma_map_sg: ${NIC} dir=TO_DEVICE nents=128/200 ents=1/1 [TRUNCATED] dma_addrs={0xfffe1840} sizes={0x40} phys_addrs={0x1840} attrs=`,
    ],
  ])('%s', (_, event) => expect(fault(event)).toBe('trace.fault.direction'));

  test.each([
    [
      'without a direction, 6.12',
      `dma_alloc: ${NIC} dma_addr=fffe1000 size=4096 virt_addr=000000006cadbcb1 flags=GFP_KERNEL attrs=`,
    ],
    [
      'with one',
      `dma_alloc: ${NIC} dir=BIDIRECTIONAL dma_addr=fffe1000 size=4096 virt_addr=000000006cadbcb1 flags=GFP_KERNEL attrs=`,
    ],
    [
      'of scattered pages',
      `dma_alloc_sgt: ${NIC} dir=BIDIRECTIONAL dma_addr=fffe1000 size=8192 phys_addrs={0x1000,0x9000} flags=GFP_KERNEL attrs=`,
    ],
  ])('an allocation %s', (_, event) => expect(fault(event)).toBe('trace.fault.mapped'));

  test.each([
    ['dma_free', `dma_free: ${NIC} dma_addr=fffe1000 size=4096 virt_addr=000000006cadbcb1 attrs=`],
    [
      'dma_free_pages',
      `dma_free_pages: ${NIC} dir=BIDIRECTIONAL dma_addr=fffe1000 size=4096 virt_addr=00000000f attrs=`,
    ],
    ['dma_free_sgt', `dma_free_sgt: ${NIC} dir=BIDIRECTIONAL dma_addr=fffe1000 size=4096 phys_addrs={0x1000}`],
    ['dma_unmap_page', `dma_unmap_page: ${NIC} dir=BIDIRECTIONAL dma_addr=fffe1000 size=4096 attrs=`],
    ['dma_unmap_resource', `dma_unmap_resource: ${NIC} dir=BIDIRECTIONAL dma_addr=fffe1000 size=4096 attrs=`],
  ])('%s', (_, event) => {
    const trace = new Trace().map('fffe1000', 4096, 'BIDIRECTIONAL').add(event).fault('fffe1850');
    expect(trace.faults[0].kind).toBe('trace.fault.unmapped');
  });

  test('a list is unmapped by its physical address, for the device that mapped it', () => {
    const list = `dma_map_sg: ${NIC} dir=TO_DEVICE dma_addrs={0xfffd0000,0xfffe1840} sizes={0x1000,0x40} phys_addrs={0x1000,0x1840} attrs=`;
    const unmap = (device: string, phys: string) => `dma_unmap_sg: ${device} dir=TO_DEVICE phys_addrs={${phys}} attrs=`;
    const kindAfter = (event: string) => new Trace().add(list).add(event).fault('fffe1850').faults[0].kind;
    expect(kindAfter(unmap(NIC, '0x1000,0x1840'))).toBe('trace.fault.unmapped');
    expect(kindAfter(unmap('0000:03:00.0', '0x1000,0x1840'))).toBe('trace.fault.direction');
    expect(kindAfter(unmap(NIC, '0x1840'))).toBe('trace.fault.direction');
  });

  test('what failed is no map, and is counted; a sync is nothing', () => {
    const trace = new Trace()
      .add(`dma_map_phys: ${NIC} dir=TO_DEVICE dma_addr=ffffffffffffffff size=64 phys_addr=1840 attrs=`)
      .add(`dma_alloc: ${NIC} dir=BIDIRECTIONAL dma_addr=0 size=64 virt_addr=0000000000000000 flags=GFP_KERNEL attrs=`)
      .add(`dma_alloc: ${NIC} dir=BIDIRECTIONAL dma_addr=0 size=64 virt_addr=(null) flags=GFP_KERNEL attrs=`)
      .add(`dma_map_sg_err: ${NIC} dir=TO_DEVICE dma_addrs={0x1000} err=-12 attrs=`)
      .add(`dma_sync_single_for_cpu: ${NIC} dir=FROM_DEVICE dma_addr=fffe1000 size=64`);
    const { groups, unknownCount } = explain(trace.text);
    expect(unknownCount).toBe(0);
    expect(groups.map(({ finding }) => finding.kind)).toEqual(['trace.summary']);
    expect(groups[0].finding.details).toContainEqual([
      'buffers',
      '0 maps and 0 unmaps of the DMA API, of 0 devices; 4 maps refused',
    ]);
    expect(detail(groups[0].finding, 'mapped')).toBeUndefined();
  });

  test('damage throws nothing, and is counted', () => {
    const list = `dma_map_sg: ${NIC} dir=TO_DEVICE dma_addrs={0xfffd0000,0xfffe1840} sizes={0x1000,0x40} phys_addrs={0x1000} attrs=`;
    const one = `dma_map_phys: ${NIC} dir=TO_DEVICE dma_addr=fffe1840 size=64 phys_addr=1840 attrs=`;
    for (const event of [list, one]) {
      for (let length = 'dma_map_phys: '.length; length < event.length; length += 3) {
        const whole = new Trace().map('1000', 64).add(event.slice(0, length)).map('2000', 64);
        expect(detail(findings(whole.text).at(-1), 'buffers')).toMatch(/^[23] maps and 0 unmaps/);
      }
    }
    const uneven = list.replace('sizes={0x1000,0x40}', 'sizes={0x1000}');
    expect(detail(findings(new Trace().map('1000', 64).add(uneven).text)[0], 'damaged')).toMatch(
      /^1 event could not be read/,
    );
  });
});

function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test.each(Array.from({ length: 40 }, (_, i) => i + 1))('as the plain checker says (seed %i)', (seed) => {
  const next = random(seed);
  const trace = new Trace();
  /** Directions by byte, of each device; `gone` where there was a buffer once. */
  const bytes = new Map<string, string>();
  const buffers: { device: string; start: number; size: number; direction: string }[] = [];
  const expected: string[] = [];
  for (let i = 0; i < 120; i++) {
    const device = `0000:0${1 + next(3)}:00.0`;
    const kind = next(3);
    if (kind === 0) {
      const [start, size] = [0x10000 + next(64) * 16, 16 * (1 + next(3))];
      const direction = ['TO_DEVICE', 'FROM_DEVICE', 'BIDIRECTIONAL'][next(3)];
      if (buffers.some((of) => of.device === device && of.start < start + size && start < of.start + of.size)) continue;
      buffers.push({ device, start, size, direction });
      for (let at = start; at < start + size; at++) bytes.set(`${device} ${at}`, direction);
      trace.map(start.toString(16), size, direction, device);
    } else if (kind === 1 && buffers.length > 0) {
      const [of] = buffers.splice(next(buffers.length), 1);
      for (let at = of.start; at < of.start + of.size; at++) bytes.set(`${of.device} ${at}`, 'gone');
      trace.unmap(of.start.toString(16), of.size, of.direction, of.device);
    } else {
      const [at, flags] = [0x10001 + next(1024 + 47), next(2)];
      const state = bytes.get(`${device} ${at}`);
      if (state === undefined) continue;
      trace.fault(at.toString(16), flags, device);
      const isWrong = (state === 'TO_DEVICE' && flags === 1) || (state === 'FROM_DEVICE' && flags === 0);
      expected.push(
        `${device} 0x${at.toString(16)} ${state === 'gone' ? 'unmapped' : isWrong ? 'direction' : 'mapped'}`,
      );
    }
  }
  const found = trace.faults.map(
    ({ address, kind, requester }) =>
      `${requester?.text} 0x${address?.value.toString(16)} ${kind.slice('trace.fault.'.length)}`,
  );
  expect(new Set(found)).toEqual(new Set(expected));
  expect(expected.length).toBeGreaterThan(0);
});
