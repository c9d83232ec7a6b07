/** QEMU's trace: each line a backend prints, of each unit; forms of older and newer versions; what is nothing is nothing. */
import { describe, expect, test } from 'vitest';
import { ids, only } from '../../test/explained.ts';
import { explain, LINE_FORMATS } from './index.ts';

test('behind the pid and the time of the log backend, which is taken for the time', () => {
  const { groups } = explain('4711@1763740800.123456:vtd_dmar_fault sid 0x20 fault 5 addr 0x1000 write 1');
  expect(groups[0].first.time).toBe('1763740800.123456');
  expect(groups[0].finding).toMatchObject({
    kind: 'vtd.qemu-trace.dmar-fault',
    requester: { text: '00:04.0', id: 0x20 },
    access: 'write',
    address: { value: 0x1000n, space: 'IOVA' },
    code: { value: 5, clause: 'VT-d 7.1.3, table 30' },
  });
});

describe('VT-d', () => {
  test('a descriptor is decoded; one with a reserved bit is an error', () => {
    const good = only('vtd_inv_desc invalidate desc type iotlb high 0x1000 low 0x100f2');
    expect([good.severity, good.structures[0]?.kind, ids(good)]).toEqual(['info', 'vtd.inv', []]);
    const bad = only('vtd_inv_desc invalidate desc type iotlb high 0x1000 low 0x8000000000100f2');
    expect([bad.severity, ids(bad)]).toEqual(['error', ['descriptor-damaged']]);
    expect(bad.summary).toContain('; reserved bit 59 is set');
    const none = only('vtd_inv_desc invalidate desc type unknown high 0x0 low 0xf');
    expect(none.summary).toContain('no type of the specification');
  });

  test('a device that is not set up', () => {
    expect(only('vtd_ce_not_present Context entry bus 3 devfn 8 not present')).toMatchObject({
      requester: { text: '03:01.0', id: 0x308 },
      severity: 'warning',
    });
  });

  test('an MSI whose vector is not the one of its entry', () => {
    const finding = only('vtd_warn_ir_vector sid 0x20 index 3 vec 49 (should be: 33)');
    expect(finding).toMatchObject({ access: 'interrupt', address: { value: 3n, space: 'interrupt index' } });
    expect(finding.summary).toBe('00:04.0: the vector of its interrupt is 33, that of remapping entry 3 is 49');
  });
});

describe('SMMUv3', () => {
  test.each(['sid=8', 'sid=0x8'])('an event, its StreamID %s', (sid) => {
    expect(only(`smmuv3_record_event SMMU_EVT_F_TRANSLATION ${sid}`)).toMatchObject({
      requester: { id: 8 },
      code: { name: 'F_TRANSLATION', clause: 'SMMUv3 7.3.13' },
    });
  });

  test('a guest error, with the address and the function', () => {
    const finding = only('smmuv3-iommu-memory-region-16-2 translation failed for iova=0x13a9d2000(SMMU_EVT_C_BAD_STE)');
    expect(finding).toMatchObject({ code: { name: 'C_BAD_STE' }, address: { value: 0x13a9d2000n } });
    expect(finding.details).toEqual([['device and function', '02.0, on whatever bus']]);
  });

  test('a command that is refused', () => {
    const finding = only('smmuv3_cmdq_consume_error Error on SMMU_CMD_TLBI_S12_VMALL command execution: 1');
    expect(finding).toMatchObject({ code: { value: 1, name: 'CERROR_ILL' } });
    expect(ids(finding)).toEqual(['descriptor-damaged']);
  });

  test('a stream that is aborted', () => {
    expect(
      only('smmuv3_translate_abort smmuv3-iommu-memory-region-1-0 sid=0x8 abort on iova:0x1000 is_write=1'),
    ).toMatchObject({ severity: 'error', access: 'write', requester: { id: 8 } });
  });
});

describe('RISC-V', () => {
  test('a fault', () => {
    expect(only('riscv_iommu_flt riscv-iommu0: fault 0001:02.3 reason: 0xf iova: 0xff9bc000')).toMatchObject({
      requester: { text: '01:02.3', id: 0x113 },
      access: 'write',
      code: { value: 15, clause: 'RISC-V IOMMU 3.2' },
    });
  });

  test('a command with a reserved bit', () => {
    const finding = only('riscv_iommu_cmd riscv-iommu0: command 0x801 0x0');
    expect([finding.severity, ids(finding)]).toEqual(['error', ['descriptor-damaged']]);
  });
});

test('virtio-iommu: a fault', () => {
  expect(only('virtio_iommu_report_fault FAULT reason=2 flags=257 endpoint=24 address =0xfd200000')).toMatchObject({
    requester: { id: 24 },
    access: 'read',
    code: { name: 'FAULT_R_MAPPING' },
  });
});

describe('pSeries', () => {
  test('a hypercall that failed, its TCE decoded; one that did not is none', () => {
    const finding = only('spapr_iommu_pci_put liobn=0x80000001 ioba=0x800000000001000 tce=0x61ee0003 ret=-4');
    expect(finding).toMatchObject({ code: { value: -4, name: 'H_Parameter' }, structures: [{ kind: 'spapr.tce' }] });
    expect(explain('spapr_iommu_get liobn=0x80000001 ioba=0x1000 ret=0 tce=0x0').groups).toEqual([]);
  });
});

test("AMD-Vi: a fault, whose device is in the guest's log", () => {
  const finding = only('amdvi_page_fault error: page fault accessing guest physical address 0xfd200000');
  expect(finding).toMatchObject({ address: { value: 0xfd200000n, space: 'IOVA' } });
  expect(ids(finding)).toContain('unmap-before-completion');
});

test('translations that succeed say nothing', () => {
  const lines = [
    'vtd_dmar_translate dev 00:04.00 iova 0x1000 -> gpa 0x2000 mask 0xfff',
    'amdvi_translation_result devid: 00:04.0 gpa 0x1000 hpa 0x2000',
    'smmuv3_translate_success smmuv3-iommu-memory-region-1-0 sid=0x8 iova=0x1000 translated=0x2000 perm=0x3',
    'riscv_iommu_dma riscv-iommu0: translate 0000:00.1 #0 RO 0x1000 -> 0x2000',
    'virtio_iommu_translate_out 0x1000 -> 0x2000 for sid=8',
  ];
  const { groups, unknownCount } = explain(lines.join('\n'));
  expect([groups.length, unknownCount]).toEqual([0, 0]);
});

test('each error of a unit has suspects', () => {
  const formats = LINE_FORMATS.filter(({ id }) => id.includes('.qemu-trace.'));
  expect(formats.length).toBeGreaterThan(35);
  const without = formats.filter(({ example }) => {
    const { causes, severity } = only(example);
    return severity === 'error' && causes.length === 0;
  });
  // Whatever "amdvi_err" has to say.
  expect(without.map(({ id }) => id)).toEqual(['amdvi.qemu-trace.err']);
});
