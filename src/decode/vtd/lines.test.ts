/** Lines of VT-d units that no other test has: FreeBSD's, and what a unit can do. */
import { describe, expect, test } from 'vitest';
import { only } from '../../../test/explained.ts';
import { explain } from '../index.ts';

describe("FreeBSD's faults", () => {
  test('a write of a device that has a driver', () => {
    const finding = only('DMAR1: nvme0: pci2:0:0 sid 200 fault acc 0 adt 0x0 reason 0x5 addr ffff0000');
    expect(finding).toMatchObject({
      kind: 'vtd.fault',
      requester: { text: '02:00.0', id: 0x200 },
      access: 'write',
      address: { value: 0xffff0000n, space: 'IOVA' },
      code: { value: 5 },
    });
    expect(finding.details).toEqual([['driver', 'nvme0']]);
    expect(finding.causes.length).toBeGreaterThan(0);
  });

  test('a read of a translated address, of a device that nothing was mapped for', () => {
    const finding = only('DMAR0: <unknown dev>:pci0:31:6 sid fe fault acc 1 adt 0x2 reason 0x2 addr 7cd80000');
    expect(finding).toMatchObject({ requester: { text: '00:1f.6' }, access: 'read' });
    expect(finding.details.map(([name]) => name)).toEqual(['driver', 'address type']);
  });

  test('an interrupt: the record has its index in bits 63:48', () => {
    expect(only('DMAR0: ix0: pci1:0:0 sid 100 fault acc 0 adt 0x0 reason 0x22 addr 25000000000000')).toMatchObject({
      kind: 'vtd.interrupt-fault',
      address: { value: 0x25n, space: 'interrupt index' },
    });
  });

  test('an address type that is reserved', () => {
    expect(explain('DMAR0: ix0: pci1:0:0 sid 100 fault acc 0 adt 0x3 reason 0x5 addr 1000').groups).toEqual([]);
  });
});

describe('what a unit can do', () => {
  // Of a laptop's log.
  test('of hardware', () => {
    const finding = only('DMAR: dmar0: reg_base_addr fed90000 ver 4:0 cap 1c0000c40660462 ecap 29a00f0505e');
    expect(finding.summary).toMatch(/^dmar0 at 0xfed90000: a unit with device-TLBs, interrupt remapping, pass-through/);
    expect(finding.details).toContainEqual(['widths', 'tables of 48 bits of address, of which 39 are translated']);
    expect(finding.details.map(([name]) => name)).not.toContain('caching mode');
  });

  test("of QEMU's unit with caching mode", () => {
    const finding = only('DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap d2008c222f0686 ecap f00f5a');
    expect(finding.summary).toMatch(/caching mode$/);
    expect(finding.details.map(([name]) => name)).toContain('caching mode');
  });

  test('units that differ are told once', () => {
    const { groups } = explain('DMAR: IOMMU feature nwfs inconsistent\nDMAR: IOMMU feature pds inconsistent\n');
    expect(groups.map(({ count }) => count)).toEqual([2]);
  });
});
