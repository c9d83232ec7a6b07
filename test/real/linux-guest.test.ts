/** What a real kernel says of a real fault, decoded end to end. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Report } from '../../src/decode/index.ts';
import { explain, readTable, remarksOf } from '../../src/decode/index.ts';
import { boot, findLinuxGuest } from './linux-guest.ts';

const guest = findLinuxGuest();
const absent = typeof guest === 'string' ? guest : null;

/** Sections of the guest's output, by name. */
function sectionsOf(text: string): { log: string; sections: Map<string, string> } {
  const [log, ...rest] = text.replaceAll('\r', '').split(/^=== /m);
  return {
    log: log as string,
    sections: new Map(rest.map((part) => [part.split('\n', 1)[0], part.slice(part.indexOf('\n') + 1)] as const)),
  };
}

describe.skipIf(absent !== null)(`Linux in QEMU${absent === null ? '' : `: skipped, ${absent}`}`, () => {
  describe('intel-iommu', () => {
    let report: Report;
    let sections: Map<string, string>;
    let log: string;
    beforeAll(async () => {
      if (typeof guest === 'string') return;
      const output = await boot(guest, ['-device', 'intel-iommu,caching-mode=on'], 'intel_iommu=on');
      const parts = sectionsOf(output);
      sections = parts.sections;
      log = parts.log;
      report = explain(parts.log, 'console');
      expect([...sections.keys()], output.slice(-2000)).toEqual(['trace', 'DMAR', 'end']);
    });

    test('three faults of the device are one group, with its pages and the reason', () => {
      const faults = report.groups.filter(({ finding }) => finding.kind === 'vtd.fault');
      expect(faults).toHaveLength(1);
      const [{ count, finding, pages, first }] = faults;
      expect(count).toBe(3);
      expect(finding.requester).toEqual({ text: '00:05.0', id: 0x28, pasid: null });
      expect(finding).toMatchObject({ access: 'write', code: { value: 5, clause: 'VT-d 7.1.3, table 30' } });
      expect(pages).toEqual([
        { page: 0x1000n, count: 2 },
        { page: 0x2000n, count: 1 },
      ]);
      expect(Number(first.time)).toBeGreaterThan(0);
    });

    test('and the status that came with them, and nothing that is not known', () => {
      const status = report.groups.find(({ finding }) => finding.kind === 'vtd.fault-status');
      expect(status?.finding.details.map(([name]) => name)).toEqual(['PPF']);
      expect(report.unknown).toEqual([]);
    });

    test('the DMAR table is in order, and has the unit that the kernel found and the device that faulted', () => {
      const table = readTable(Buffer.from(sections.get('DMAR') ?? '', 'base64'));
      if (table === null) throw new Error('no table');
      expect(remarksOf(table)).toEqual([]);
      const [{ base, devices }] = table.topology.units;
      expect(log).toContain(`DMAR: DRHD base: 0x${base?.toString(16).padStart(14, '0')}`);
      expect(devices.map(({ what }) => what)).toContain('00:05.0');
    });

    test('the command line is told, and right', () => {
      const line = report.groups.find(({ finding }) => finding.kind === 'linux.command-line');
      expect(line?.finding).toMatchObject({ severity: 'info', details: [['intel_iommu=on', 'turns VT-d units on']] });
    });
  });
});
