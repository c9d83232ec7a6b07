/**
 * Each mistake is found, none is made up; against a checker that keeps every page on its own.
 * Long because the traces, which are made or real, stand beside what is to be found in them.
 */
import { describe, expect, test } from 'vitest';
import type { Finding } from '../index.ts';
import { CAUSES, Explainer, explain } from '../index.ts';
import { TraceScanner } from './trace-scanner.ts';

const hex = (page: number) => `0x${(BigInt(page) * 4096n).toString(16).padStart(16, '0')}`;

/** Lines as ftrace prints them, a millisecond apart. */
class Trace {
  readonly lines: string[] = [];
  task = 'kworker/0:1-77';

  add(event: string): this {
    const time = (10 + this.lines.length / 1000).toFixed(6);
    this.lines.push(`${this.task.padStart(20)}     [001] d..1. ${time.padStart(12)}: ${event}`);
    return this;
  }
  map(page: number, pages = 1, target = page + 0x1000): this {
    const range = `iova=${hex(page)} - ${hex(page + pages)}`;
    return this.add(`map: IOMMU: ${range} paddr=${hex(target)} size=${pages * 4096}`);
  }
  unmap(page: number, pages = 1, unmapped = pages): this {
    const range = `iova=${hex(page)} - ${hex(page + pages)}`;
    return this.add(`unmap: IOMMU: ${range} size=${pages * 4096} unmapped_size=${unmapped * 4096}`);
  }
  /** Page-selective invalidation of 2^mask pages. */
  flushPages(page: number, mask = 0, did = 4): this {
    const low = (BigInt(page) * 4096n) | BigInt(mask);
    return this.add(`qi_submit: iotlb_inv dmar0: 0x${((did << 16) | 0xf2).toString(16)} 0x${low.toString(16)} 0x0 0x0`);
  }
  flushDomain(did = 4): this {
    return this.add(`qi_submit: iotlb_inv dmar0: 0x${((did << 16) | 0xe2).toString(16)} 0x0 0x0 0x0`);
  }
  fault(address: string, device = '0000:02:00.0'): this {
    return this.add(`io_page_fault: IOMMU:nvme ${device} iova=${address} flags=0x0001`);
  }
  get text(): string {
    return `${this.lines.join('\n')}\n`;
  }
  /** What is found, but for the summary, and what is left over. */
  get found(): Finding[] {
    return findings(this.text).filter(({ kind }) => kind !== 'trace.summary' && kind !== 'trace.left');
  }
}

function findings(text: string): Finding[] {
  return explain(text).groups.map(({ finding }) => finding);
}

function detail(finding: Finding | undefined, name: string): string | undefined {
  return finding?.details.find(([key]) => key === name)?.[1];
}

function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe('mistakes', () => {
  test('a mapping that is left', () => {
    const [left] = findings(new Trace().map(5).map(9, 4).unmap(5).text).filter(({ kind }) => kind === 'trace.left');
    expect(left?.summary).toBe('kworker/0:1: 1 mapping of 16 KiB is left when the trace ends');
    expect(detail(left, 'mapped')).toContain('on line 2');
    expect(findings(new Trace().map(5).unmap(5).text).map(({ kind }) => kind)).toEqual(['trace.summary']);
  });

  test('left mappings by task and size', () => {
    const trace = new Trace().map(1).map(2).map(4, 2);
    trace.task = 'tmux: server-9';
    const left = findings(trace.map(8, 512).text).filter(({ kind }) => kind === 'trace.left');
    expect(left.map(({ summary }) => summary)).toEqual([
      'tmux: server: 1 mapping of 2 MiB is left when the trace ends',
      'kworker/0:1: 2 mappings of 4 KiB are left when the trace ends',
      'kworker/0:1: 1 mapping of 8 KiB is left when the trace ends',
    ]);
  });

  test('mapped twice, which an unmap of nothing proves', () => {
    const [first, ...more] = new Trace().map(5).map(5, 1, 0x77).unmap(5).unmap(5, 1, 0).found;
    expect(more).toEqual([]);
    expect(first).toMatchObject({
      kind: 'trace.mapped-twice',
      severity: 'error',
      causes: [{ id: 'mapped-twice', sure: 'certain' }],
    });
    expect(detail(first, 'range')).toBe('0x5000 to 0x5fff, mapped on line 1 and again on line 2');
  });

  test('mapped twice, which nothing decides', () => {
    const [first, ...more] = new Trace().map(5).map(5, 1, 0x1005).unmap(5).found;
    expect(more).toEqual([]);
    expect(first).toMatchObject({ kind: 'trace.mapped-twice', severity: 'warning', causes: [{ sure: 'likely' }] });
    expect(detail(first, 'memory')).toBe('the same pages both times');
  });

  test('mapped twice and unmapped twice is two domains', () => {
    const trace = new Trace().map(5).map(5).unmap(5).unmap(5);
    expect(trace.found).toEqual([]);
    expect(detail(findings(trace.text)[0], 'domains')).toContain('1 address was mapped twice and unmapped twice');
  });

  test('an overlap', () => {
    const [first, ...more] = new Trace().map(5, 4).map(8, 4).found;
    expect(more).toEqual([]);
    expect(first).toMatchObject({ kind: 'trace.overlap', severity: 'warning', address: { value: 0x8000n } });
  });

  test('an unmap of nothing, and what was before', () => {
    const [first, ...more] = new Trace().map(5).unmap(5).unmap(5, 1, 0).unmap(9, 2, 0).found;
    expect(more).toEqual([]);
    expect(first).toMatchObject({ kind: 'trace.unmap-nothing', severity: 'error' });
    expect(detail(first, 'before')).toBe('it was unmapped on line 2');
  });

  test('an unmap in part; the rest stays mapped', () => {
    const trace = new Trace().map(5, 2).map(8).unmap(5, 4, 2);
    const [first, ...more] = trace.found;
    expect(more).toEqual([]);
    expect(detail(first, 'unmapped')).toBe('8 KiB: the page at 0x7000 was not mapped');
    expect(findings(trace.text).map(({ kind }) => kind)).toContain('trace.left');
  });

  test('an unmap of more than was asked for takes the large page', () => {
    const trace = new Trace().map(512, 512).unmap(600, 1, 512);
    expect(trace.found).toMatchObject([
      { kind: 'trace.unmap-more', severity: 'warning', causes: [{ id: 'superpage-unmapped' }] },
    ]);
    expect(findings(trace.text).some(({ kind }) => kind === 'trace.left')).toBe(false);
  });

  test('several maps and one unmap, one map and several unmaps are none', () => {
    const trace = new Trace().map(1, 2).map(3, 5).map(8).unmap(1, 8).map(1, 8).unmap(1, 3).unmap(4).unmap(5, 4);
    expect(findings(trace.text).map(({ kind }) => kind)).toEqual(['trace.summary']);
  });

  test('reuse before the flush', () => {
    const trace = new Trace().flushDomain().map(5, 4).unmap(5, 4).flushPages(4, 1).map(5).map(7);
    const [first, ...more] = trace.found;
    expect(more).toEqual([]);
    expect(first).toMatchObject({ kind: 'trace.reuse', severity: 'error', address: { value: 0x7000n } });
    expect(detail(first, 'unmapped')).toBe('on line 3, 3 ms before, and not invalidated since');
  });

  test('reuse is only possible with several domains, and not looked for without qi_submit', () => {
    const several = new Trace().flushDomain(4).flushDomain(5).map(5).unmap(5).map(5);
    expect(several.found).toMatchObject([{ kind: 'trace.reuse', severity: 'info', causes: [{ sure: 'possible' }] }]);
    const none = new Trace().map(5).unmap(5).map(5);
    expect(none.found).toEqual([]);
    expect(detail(findings(none.text).at(-1), 'reuse')).toMatch(/^not checked: there are no qi_submit events/);
  });

  test.each(['flushDomain', 'flushPages'] as const)('reuse after the flush is none: %s', (flush) => {
    expect(new Trace().flushDomain().map(5).unmap(5)[flush](5).map(5).found).toEqual([]);
  });

  test('lost events weaken what is mapped twice', () => {
    const trace = new Trace().map(5);
    trace.lines.push('CPU:1 [LOST 12 EVENTS]');
    expect(trace.map(5).found).toMatchObject([
      { kind: 'trace.mapped-twice', severity: 'info', causes: [{ sure: 'possible' }] },
    ]);
    const summary = findings(trace.text).find(({ kind }) => kind === 'trace.summary');
    expect(summary?.severity).toBe('warning');
    expect(detail(summary, 'lost')).toMatch(/^12 events/);
  });

  test.each([
    ['CPU:7 [204600 EVENTS DROPPED]', '204,600 events'],
    ['CPU:7 [EVENTS DROPPED]', '1 event'],
    ['# entries-in-buffer/entries-written: 36/836   #P:1', '800 events'],
  ])('lost events: %s', (line, said) => {
    expect(detail(findings(`${new Trace().map(1).text}${line}\n`).at(-1), 'lost')).toMatch(said);
  });
});

describe('faults', () => {
  const mapped = () => new Trace().map(0x100, 2).map(0x200).unmap(0x200);

  test.each([
    ['unmapped', mapped().fault('0x200123'), /^kworker\/0:1 had unmapped it 1 ms before \(line 3\)/],
    ['mapped', mapped().fault('0x101fff'), /^it was mapped, and still is/],
    ['mapped-later', mapped().fault('0x300000').map(0x300), /^it was mapped 1 ms after the fault \(line 5\)/],
    ['behind', mapped().fault('0x102008'), /^it is 8 bytes behind the end of a mapping$/],
    ['behind', mapped().fault('0x201000'), /^it is 0 bytes behind the end of a mapping that has been unmapped since$/],
    ['none', mapped().fault('0x7000000'), /^no map or unmap of the trace/],
  ])('%s', (cause, trace, because) => {
    const fault = trace.found.find(({ kind }) => kind.startsWith('trace.fault.'));
    expect(fault?.kind).toBe(`trace.fault.${cause}`);
    expect(fault?.requester).toEqual({ text: '0000:02:00.0', id: 0x200, pasid: null });
    expect(fault?.access).toBe('write');
    expect(detail(fault, 'because')).toMatch(because);
    for (const { id } of fault?.causes ?? []) expect(CAUSES).toHaveProperty(id);
  });

  const log = (time: string, address = '0x200000') =>
    `[   ${time}] DMAR: [DMA Write NO_PASID] Request device [02:00.0] fault addr ${address} [fault reason 0x05] PTE Write access is not set\n`;

  test.each([
    ['before the trace', `${log('10.002500')}${mapped().text}`],
    ['after it', `${mapped().text}${log('10.002500')}`],
  ])('of a log %s, by its time', (_, text) => {
    const fault = findings(text).find(({ kind }) => kind.startsWith('trace.fault.'));
    expect(detail(fault, 'because')).toMatch(/had unmapped it 500 µs before/);
    expect(detail(fault, 'fault')).toMatch(/^vtd.fault on line/);
  });

  test('of a log in another input, before or after', () => {
    for (const order of [
      [log('10.001500'), mapped().text],
      [mapped().text, log('10.001500')],
    ]) {
      const explainer = new Explainer();
      for (const [i, text] of order.entries()) {
        explainer.begin(`input ${i}`);
        explainer.push(text);
      }
      explainer.end();
      const fault = explainer.report.groups.find(({ finding }) => finding.kind.startsWith('trace.fault.'));
      expect(fault?.finding.kind).toBe('trace.fault.mapped');
      expect(detail(fault?.finding, 'because')).toMatch(/unmapped 500 µs after the fault/);
      expect(fault?.first.input).toBe(`input ${order.findIndex((text) => text.startsWith('['))}`);
    }
  });

  test('of a log of another time is left alone', () => {
    const kinds = findings(`${log('99.000000')}${mapped().text}`).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind.startsWith('trace.fault.'))).toEqual([]);
  });
});

describe('forms of a line', () => {
  const body = 'IOMMU: iova=0x00000000ffe58000 - 0x00000000ffe59000 paddr=0x00000000020ca000 size=4096';
  test.each([
    ['ftrace', `     kworker/u4:0-12      [000] b..1.     6.295782: map: ${body}`, 'kworker/u4:0'],
    [
      'ftrace with the process',
      `     kworker/u4:0-12      (     12) [000] b..1.     6.295782: map: ${body}`,
      'kworker/u4:0',
    ],
    ['a name with a bracket', `   (udev-worker)-532     [010] .....     4.878076: map: ${body}`, '(udev-worker)'],
    ['a name with minus', `irq/26-AMD-Vi-154     [006] .....   327.753942: map: ${body}`, 'irq/26-AMD-Vi'],
    ['trace-cmd report', `          <idle>-0     [002]   123.456789: map:                  ${body}`, '<idle>'],
    [
      'trace-cmd report with flags',
      `          <idle>-0     [002] ..s1.   123.456789: map:                  ${body}`,
      '<idle>',
    ],
    ['perf script', `Web Content  4321 [003]  5123.456789: iommu:map: ${body}`, 'Web Content'],
    ['perf script with threads', `swapper     0/0     [003]  5123.456789012: iommu:map: ${body}`, 'swapper'],
    ['console dump', `[   99.100000]  swapper-1       0d..2 6295782us : map: ${body}`, ''],
    [
      'before 6.3',
      '   x-1 [000] ....     6.295782: map: IOMMU: iova=0x00000000ffe58000 paddr=0x00000000020ca000 size=4096',
      'x',
    ],
    [
      'size in hexadecimal',
      '   x-1 [000] ....     6.295782: map: IOMMU: iova=0xffe58000 paddr=0x20ca000 size=0x1000',
      'x',
    ],
    [
      'with a device',
      '   x-1 [000] ....     6.295782: map: IOMMU: dev=1d84000.ufshc iova=0xffe58000 paddr=0x20ca000 size=4096',
      'x',
    ],
  ])('%s', (_, line, task) => {
    const [left, summary] = findings(`${line}\n`);
    expect(left?.summary).toContain(`${task}`);
    if (task !== '') expect(left?.summary.startsWith(`${task}: 1 mapping of 4 KiB`)).toBe(true);
    expect(detail(left, 'mappings')).toContain('0xffe58000');
    expect(detail(summary, 'events')).toBe('1 map');
  });

  test('the largest address', () => {
    const line =
      '   x-1 [000] ....     6.2: map: IOMMU: iova=0xfffffffffffff000 - 0x0000000000000000 paddr=0x1000 size=4096\n';
    expect(detail(findings(line)[0], 'mappings')).toContain('0xfffffffffffff000');
  });

  test.each([
    'iova=0xfffffffffffff000 - 0x1000 paddr=0x1000 size=8192',
    'iova=0x1000 - 0x1000 paddr=0x1000 size=0',
    'iova=0x1200 - 0x1000 paddr=0x1000 size=4096',
    'iova=0x1000 - 0x1000 paddr=0x1000 size=512',
    'iova=0x10000000000000000 - 0x1000 paddr=0x1000 size=4096',
    'iova=0x1000 - 0x2000 paddr=0x1000',
    'iova=0x1000 - 0x2000',
    'iova=',
  ])('damaged, and counted: %s', (damaged) => {
    const [summary, ...more] = findings(`${new Trace().map(9).unmap(9).add(`map: IOMMU: ${damaged}`).text}`);
    expect(more).toEqual([]);
    expect(detail(summary, 'damaged')).toMatch(/^1 event /);
  });

  test('other lines of the same input are read as ever', () => {
    const text = `[ 1.000000] DMAR: DRHD: handling fault status reg 2\n${new Trace().map(1).unmap(1).text}pci 0000:00:05.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000a address=0x1000 flags=0x0020]\n`;
    const { groups } = explain(text);
    expect(groups.map(({ finding, first }) => [finding.kind, first.line])).toEqual([
      ['vtd.fault-status', 1],
      ['amdvi.io-page-fault', 4],
      ['trace.summary', 3],
    ]);
  });
});

describe("QEMU's virtio-iommu, whose events name the domain", () => {
  const map = (domain: number, page: number, end: number) =>
    `virtio_iommu_map domain=${domain} virt_start=0x${page}000 virt_end=0x${end}fff phys_start=0x40000000 flags=3\n`;
  const done = (domain: number, page: number) =>
    `virtio_iommu_unmap_done domain=${domain} virt_start=0x${page}000 virt_end=0x${page}fff\n`;

  test('the same address in two domains is nothing', () => {
    const request = 'virtio_iommu_unmap domain=1 virt_start=0x5000 virt_end=0x5fff\n';
    const [summary, ...more] = findings(map(1, 5, 5) + map(2, 5, 5) + request + done(1, 5) + done(2, 5));
    expect(more).toEqual([]);
    expect(detail(summary, 'events')).toBe('2 maps, 2 unmaps');
    expect(detail(summary, 'named')).toMatch(/^2 domains/);
  });

  test('with process and time; what is left is told by domain', () => {
    const [left, summary] = findings(`4711@1795000000.25:${map(1, 5, 8)}4711@1795000000.5:${done(1, 5)}`);
    expect(left?.summary).toBe('virtio_iommu (domain 0x1): 1 mapping of 12 KiB is left when the trace ends');
    expect(detail(summary, 'events')).toBe('1 map, 1 unmap');
    expect(detail(summary, 'time')).toBe('1795000000.250000 to 1795000000.500000: 250 ms');
  });

  test('an overlap in one domain is told, one after the domain was freed is none', () => {
    const [first] = findings(map(1, 5, 8) + map(1, 8, 9));
    expect(first).toMatchObject({ kind: 'trace.overlap', severity: 'warning' });
    expect(detail(first, 'domain')).toMatch(/^both maps are of domain 0x1/);
    const freed = findings(`${map(1, 5, 8)}virtio_iommu_put_domain Free domain=1\n${map(1, 8, 9)}`);
    expect(freed.map(({ kind }) => kind)).toEqual(['trace.left', 'trace.summary']);
  });
});

describe("QEMU's VFIO, iommufd, vDPA and TCEs", () => {
  const events = (text: string) => detail(findings(text).at(-1), 'events');

  test("VFIO's regions and notifications: a region that is gone; the container is not named", () => {
    const text =
      'vfio_listener_region_add_ram region_add [ram] 0x0 - 0x9ffff [0x7f55b7e00000]\n' +
      'vfio_listener_region_add_iommu region_add [iommu] vtd-00.0-dmar 0x100000000 - 0x1ffffffff\n' +
      '42@1763740800.000001:vfio_iommu_map_notify iommu MAP @ 0xfffff000 - 0xffffffff\n' +
      '42@1763740800.000201:vfio_iommu_map_notify iommu UNMAP @ 0xfffff000 - 0xffffffff\n' +
      'vfio_listener_region_del region_del 0x0 - 0x9ffff\n';
    const [summary, ...more] = findings(text);
    expect(more).toEqual([]);
    expect(detail(summary, 'events')).toBe('2 maps, 2 unmaps');
    expect(detail(summary, 'limit')).toContain('name no domain');
  });

  test('iommufd: by IOAS; what failed is no map; what was not there is no unmap', () => {
    const map = (ioas: number, iova: string, result: number) =>
      `iommufd_backend_map_dma  iommufd=9 ioas=${ioas} iova=${iova} size=0x2000 addr=0x7f0000000000 readonly=0 (${result})\n`;
    const text =
      map(2, '0x1000', 0) +
      map(3, '0x1000', 0) +
      map(3, '0x9000', -1) +
      'iommufd_backend_unmap_dma_non_exist  Unmap nonexistent mapping: iommufd=9 ioas=2 iova=0xf000 size=0x1000 (-1)\n' +
      'iommufd_backend_unmap_dma  iommufd=9 ioas=2 iova=0x1000 size=0x2000 (0)\n';
    const found = findings(text);
    expect(found.map(({ kind }) => kind)).toEqual(['linux.iommufd-call', 'trace.left', 'trace.summary']);
    expect(found[1]?.summary).toBe('iommufd (IOAS 0x3): 1 mapping of 8 KiB is left when the trace ends');
    expect(events(text)).toBe('2 maps, 1 unmap');
  });

  test('vDPA: an overlap in one address space', () => {
    const map = (asid: number, iova: string) =>
      `vhost_vdpa_dma_map vdpa_shared:0x55 fd: 12 msg_type: 2 asid: ${asid} iova: ${iova} size: 0x2000 uaddr: 0x7f0000000000 perm: 0x3 type: 2\n`;
    const [first, ...more] = findings(map(0, '0x1000') + map(1, '0x1000') + map(0, '0x2000'));
    expect(first?.kind).toBe('trace.overlap');
    expect(detail(first, 'domain')).toMatch(/^both maps are of ASID 0x0/);
    expect(more.filter(({ kind }) => kind === 'trace.overlap')).toEqual([]);
  });

  test('TCEs: by LIOBN; a put without permissions is an unmap, a stuff of zeros one of many', () => {
    const put = (liobn: string, ioba: string, tce: string, ret = 0) =>
      `spapr_iommu_pci_put liobn=${liobn} ioba=${ioba} tce=${tce} ret=${ret}\n`;
    const text =
      put('0x80000000', '0x1000', '0x61ee0003') +
      put('0x80000000', '0x2000', '0x61ee1003') +
      put('0x80000100', '0x1000', '0x7a000001') +
      put('0x80000000', '0x3000', '0x61ee2003', -4) +
      'spapr_iommu_pci_stuff liobn=0x80000000 ioba=0x1000 tcevalue=0x0 npages=2 ret=0\n' +
      put('0x80000100', '0x1000', '0x0');
    const found = findings(text);
    expect(found.map(({ kind }) => kind)).toEqual(['spapr.qemu-trace.pci-put', 'trace.summary']);
    expect(events(text)).toBe('3 maps, 2 unmaps');
  });

  test('TCEs: several at once, and those of a window whose pages are of an unknown size', () => {
    const text =
      'spapr_iommu_pci_indirect liobn=0x80000000 ioba=0x10000 tcelist=0x7a000 iobaN=0x14000 tceN=0x61ee0003 ret=0\n' +
      'spapr_iommu_pci_indirect liobn=0x80000001 ioba=0x800000000000000 tcelist=0x7a000 iobaN=0x800000000200000 tceN=0x3 ret=0\n' +
      'spapr_iommu_pci_stuff liobn=0x80000000 ioba=0x10000 tcevalue=0x0 npages=4 ret=0\n';
    expect(findings(text).map(({ kind }) => kind)).toEqual(['trace.summary']);
    expect(events(text)).toBe('1 map, 1 unmap');
  });
});

describe('descriptors', () => {
  test('with a reserved bit, or of no type, are told with their fields', () => {
    const [first, second, ...more] = new Trace()
      .add('qi_submit: iotlb_inv dmar0: 0x8000000000400f2 0xffe59040 0x0 0x0')
      .add('qi_submit: inv_wait dmar0: 0xf 0x1000 0x0 0x0')
      .flushDomain().found;
    expect(more).toEqual([]);
    expect(first).toMatchObject({
      kind: 'trace.descriptor',
      severity: 'error',
      causes: [{ id: 'descriptor-damaged', sure: 'certain' }],
      structures: [{ kind: 'vtd.inv' }],
    });
    expect(first?.summary).toContain('reserved bit 59 is set');
    expect(second?.summary).toContain('no type of the specification');
  });
});

describe('real traces', () => {
  // Of an ath12k report on the kernel's list (Linux 6.12.35, AMD-Vi).
  test('a fault of firmware that outlived its buffer', () => {
    const text = `   (udev-worker)-532     [010] .....     4.878076: map: IOMMU: iova=0x00000000fe980000 - 0x00000000fea00000 paddr=0x000000010ec80000 size=524288
   (udev-worker)-532     [010] .....     4.878079: dma_alloc: 0000:c2:00.0 dma_addr=fe980000 size=524288 virt_addr=000000006cadbcb1 flags=GFP_KERNEL attrs=
   kworker/u64:0-12      [011] .....   327.747763: dma_free: 0000:c2:00.0 dma_addr=fe980000 size=524288 virt_addr=000000006cadbcb1 attrs=
   kworker/u64:0-12      [011] .....   327.747766: unmap: IOMMU: iova=0x00000000fe980000 - 0x00000000fea00000 size=524288 unmapped_size=524288
irq/26-AMD-Vi-154     [006] .....   327.753942: io_page_fault: IOMMU:ath12k_pci 0000:c2:00.0 iova=0x00000000fe980000 flags=0x0001
`;
    const [fault, summary] = findings(text);
    expect(fault).toMatchObject({
      kind: 'trace.fault.unmapped',
      requester: { id: 0xc200 },
      causes: [{ id: 'unmap-before-completion', sure: 'likely' }],
    });
    expect(detail(fault, 'because')).toMatch(/^kworker\/u64:0 had unmapped the buffer 6.18 ms before \(line 3\)/);
    expect(detail(summary, 'buffers')).toBe('1 map and 1 unmap of the DMA API, of 1 device');
    expect(detail(summary, 'events')).toBe('1 map, 1 unmap, 1 fault');
  });

  // Of a Debian 6.12 guest with QEMU's intel-iommu (caching mode, strict).
  test('e1000 on VT-d: what it maps and unmaps is in order', () => {
    const text = `     kworker/0:0-9       [000] d.s3.     5.623631: qi_submit: iotlb_inv dmar0: 0x400f2 0xffe59040 0x0 0x0
          <idle>-0       [000] b.s2.     6.162159: map: IOMMU: iova=0x00000000ffe58000 - 0x00000000ffe59000 paddr=0x000000001cb81000 size=4096
          <idle>-0       [000] D.s3.     6.162170: cache_tag_flush_range_np: dmar0 dmar0[0] type iotlb did 4 [0xffe58000-0xffe58fff] addr 0xffe58000 pages 0x1 mask 0x0
          <idle>-0       [000] D.s4.     6.162175: qi_submit: iotlb_inv dmar0: 0x400f2 0xffe58000 0x0 0x0
          <idle>-0       [000] ..s1.     6.167724: unmap: IOMMU: iova=0x00000000ffe58000 - 0x00000000ffe59000 size=4096 unmapped_size=4096
          <idle>-0       [000] d.s2.     6.167740: cache_tag_flush_range: dmar0 dmar0[0] type iotlb did 4 [0xffe58000-0xffe58fff] addr 0xffe58000 pages 0x1 mask 0x0
          <idle>-0       [000] d.s3.     6.167745: qi_submit: iotlb_inv dmar0: 0x400f2 0xffe58040 0x0 0x0
          <idle>-0       [000] ..s2.     6.170025: map: IOMMU: iova=0x00000000ffe58000 - 0x00000000ffe59000 paddr=0x000000001cb80000 size=4096
          <idle>-0       [000] d.s4.     6.170039: qi_submit: iotlb_inv dmar0: 0x400f2 0xffe58000 0x0 0x0
          <idle>-0       [000] ..s1.     6.175731: unmap: IOMMU: iova=0x00000000ffe58000 - 0x00000000ffe59000 size=4096 unmapped_size=4096
`;
    const [summary, ...more] = findings(text);
    expect(more).toEqual([]);
    expect(detail(summary, 'queue')).toBe('4 IOTLB');
    expect(detail(summary, 'ids')).toBe('invalidations name DID 4');
    // The same without the flush between.
    const without = text.split('\n').filter((line) => !line.includes('0xffe58040'));
    expect(findings(without.join('\n')).map(({ kind }) => kind)).toEqual(['trace.reuse', 'trace.summary']);
  });

  // Of a VFIO guest's start (qemu-kvm): one mapping is taken away page by page.
  test('VFIO unmaps what it mapped in pieces', () => {
    const at = (time: string, event: string) => `        qemu-kvm-4575    [008] .......   438.${time}: ${event}\n`;
    const text =
      at('308470', 'map: IOMMU: iova=0x0000000000000000 - 0x0000000000002000 paddr=0x00000001110f8000 size=8192') +
      at('308478', 'unmap: IOMMU: iova=0x0000000000000000 - 0x0000000000001000 size=4096 unmapped_size=4096') +
      at('308480', 'unmap: IOMMU: iova=0x0000000000001000 - 0x0000000000002000 size=4096 unmapped_size=4096') +
      at('308514', 'map: IOMMU: iova=0x0000000000000000 - 0x00000000000c0000 paddr=0x00000001a6800000 size=786432');
    expect(findings(text).map(({ kind }) => kind)).toEqual(['trace.left', 'trace.summary']);
  });
});

test('100,000 events without a mistake give no finding', () => {
  const below = random(7);
  const trace = new Trace().flushDomain();
  const live: [number, number][] = [];
  let top = 1 << 20;
  const free: [number, number][] = [];
  while (trace.lines.length < 100_000) {
    if (live.length > 3000 || (live.length > 0 && below(2) === 0)) {
      const [range] = live.splice(below(live.length), 1);
      trace.unmap(...range).flushPages(range[0] - (range[0] % 8), 3);
      free.push(range);
    } else {
      const size = 2 ** below(3);
      top -= top % size;
      const again = free.findIndex(([, pages]) => pages === size);
      const range: [number, number] = again >= 0 && below(3) > 0 ? free.splice(again, 1)[0] : [top - size, size];
      top = Math.min(top, range[0]);
      live.push(range);
      trace.map(...range);
    }
  }
  for (const range of live) trace.unmap(...range);
  expect(findings(trace.text).map(({ kind }) => kind)).toEqual(['trace.summary']);
});

/** Pages one by one, each layer a map from page to line. */
class PlainChecker {
  readonly found: string[] = [];
  private readonly layers: Map<number, number>[] = Array.from({ length: 16 }, () => new Map());
  private readonly waiting = new Set<number>();
  private watches = false;

  map(line: number, pages: readonly number[]): void {
    if (pages.some((page) => this.waiting.has(page))) this.found.push(`trace.reuse ${line}`);
    // A range that waits is told once; what of it is mapped now waits no longer.
    for (const page of pages) this.waiting.delete(page);
    const layer = this.layers.find((one) => !pages.some((page) => one.has(page)));
    // The seventeenth at one address is counted, and no more.
    for (const page of pages) layer?.set(page, line);
  }

  unmap(line: number, asked: readonly number[], pages: readonly number[]): void {
    if (pages.length === 0) {
      const layer = this.layers.findLastIndex((one) => asked.some((page) => one.has(page)));
      if (layer > 0) for (const page of asked) this.layers[layer]?.delete(page);
      if (layer <= 0) this.found.push(`trace.unmap-nothing ${line}`);
      else this.found.push(`twice ${line}`);
      return;
    }
    if (pages.length < asked.length) this.found.push(`trace.unmap-partial ${line}`);
    if (pages.length > asked.length) this.found.push(`trace.unmap-more ${line}`);
    const counts = this.layers.map((one) => pages.filter((page) => one.has(page)).length);
    const layer = this.layers[counts.indexOf(Math.max(...counts))];
    for (const page of pages) {
      layer?.delete(page);
      if (this.watches) this.waiting.add(page);
    }
  }

  flush(isIn: (page: number) => boolean): void {
    this.watches = true;
    for (const page of [...this.waiting]) if (isIn(page)) this.waiting.delete(page);
  }

  /** Lines of the maps that are in upper layers still, and pages in all. */
  end(): { twice: number[]; pages: number } {
    const twice = this.layers.slice(1).flatMap((one) => [...new Set(one.values())]);
    return {
      twice: [...new Set(twice)].sort((a, b) => a - b),
      pages: this.layers.reduce((sum, one) => sum + one.size, 0),
    };
  }
}

const rangeOf = (start: number, pages: number) => Array.from({ length: pages }, (_, i) => start + i);

test.each(Array.from({ length: 40 }, (_, i) => [i + 1]))('as the plain checker says (seed %i)', (seed) => {
  const below = random(seed * 7919);
  const space = 16 << below(6);
  const trace = new Trace();
  const plain = new PlainChecker();
  for (let line = 1; line <= 1500; line++) {
    const start = 1024 + below(space);
    const size = 1 + below(6);
    const what = below(20);
    if (what < 8) {
      trace.map(start, size);
      plain.map(line, rangeOf(start, size));
    } else if (what < 17) {
      const odd = below(8);
      const unmapped = odd === 0 ? 0 : odd === 1 ? below(size + 1) : odd === 2 ? 8 : size;
      trace.unmap(start, size, unmapped);
      const from = unmapped > size && Number.isInteger(Math.log2(unmapped)) ? start - (start % unmapped) : start;
      plain.unmap(line, rangeOf(start, size), rangeOf(from, unmapped));
    } else if (what < 19) {
      const mask = below(4);
      trace.flushPages(start, mask);
      plain.flush((page) => page >> mask === start >> mask);
    } else {
      trace.flushDomain(1 + below(3));
      plain.flush(() => true);
    }
  }
  const found: string[] = [];
  const twice: number[] = [];
  let pages = '';
  const sink = {
    found: ({ at, finding }: { at: { line: number }; finding: Finding }) => {
      const { causes, kind } = finding;
      if (kind === 'trace.summary') pages = detail(finding, 'mapped') ?? '';
      else if (kind === 'trace.mapped-twice' || kind === 'trace.overlap') {
        if (causes[0]?.sure === 'certain') found.push(`twice ${at.line}`);
        else twice.push(at.line);
      } else if (kind !== 'trace.left') found.push(`${kind} ${at.line}`);
    },
    others: (text: string) => expect(text).toBe(''),
    skip: () => {},
    lines: 0,
  };
  const scanner = new TraceScanner(sink);
  scanner.begin('-');
  scanner.push(trace.text);
  scanner.end();
  const end = plain.end();
  expect(found).toEqual(plain.found);
  expect([...new Set(twice)]).toEqual(end.twice);
  expect(pages.split(' at the end')[0]).toBe(
    end.pages * 4 < 1024 ? `${end.pages * 4} KiB` : `${((end.pages * 4) / 1024).toFixed(1).replace(/\.0$/, '')} MiB`,
  );
});

test('200,000 damaged lines throw nothing, and lines are counted as they are', () => {
  const below = random(99);
  const seeds = new Trace()
    .map(5)
    .unmap(5)
    .flushPages(5)
    .fault('0x5000')
    .map(1 << 30, 512).lines;
  seeds.push(
    'CPU:1 [LOST 12 EVENTS]',
    '# entries-in-buffer/entries-written: 36/836   #P:1',
    'iommu:map: IOMMU: iova=0x1000',
  );
  const explainer = new Explainer();
  explainer.begin('damaged');
  let text = '';
  for (let i = 0; i < 200_000; i++) {
    let line = seeds[below(seeds.length)] as string;
    for (let k = below(4); k > 0; k--) {
      const at = below(line.length + 1);
      const what = below(5);
      if (what === 0) line = line.slice(0, at);
      else if (what === 1) line = line.slice(0, at) + String.fromCharCode(32 + below(96)) + line.slice(at + 1);
      else if (what === 2) line = line.slice(0, at) + '9f[:] .'[below(7)] + line.slice(at);
      else if (what === 3) line = line.slice(0, at) + line.slice(at + 1 + below(20));
      else line += line.slice(at);
    }
    text += `${line}\n`;
    // In pieces that end anywhere.
    if (text.length > 5000 + below(9000)) {
      const cut = below(text.length);
      explainer.push(text.slice(0, cut));
      text = text.slice(cut);
    }
  }
  explainer.push(text);
  explainer.end();
  expect(explainer.inputs).toEqual([{ name: 'damaged', lines: 200_000 }]);
  expect(explainer.report.groups.some(({ finding }) => finding.kind === 'trace.summary')).toBe(true);
  for (const { finding } of explainer.report.groups) expect(finding.summary).not.toMatch(/undefined|NaN|null/);
});
