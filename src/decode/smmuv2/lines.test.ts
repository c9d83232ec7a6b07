/** Lines of SMMUv2 as bug reports and commit messages have them. */
import { describe, expect, test } from 'vitest';
import { ids, only } from '../../../test/explained.ts';
import { CONTEXT_FAULTS, GLOBAL_FAULTS } from '../../iommu/smmuv2/faults.ts';
import { explain } from '../index.ts';
import { contextSuspects, globalSuspects } from './suspects.ts';

describe('a fault of a context bank', () => {
  test('of a network device whose DMA masks differed: an address of text', () => {
    const finding = only(
      '[   74.959989] arm-smmu fd800000.smmu: Unhandled context fault: fsr=0x402, iova=0x3165687460, fsynr=0x20001, cbfrsynra=0x877, cb=1',
    );
    expect(finding).toMatchObject({
      kind: 'smmuv2.context-fault',
      requester: { text: 'sid 0x877', id: 0x877, pasid: null },
      access: 'read',
      address: { value: 0x3165687460n, space: 'IOVA' },
      code: { value: 0x402, name: 'FSR.TF', clause: 'SMMUv2 16.5.9' },
    });
    expect(finding.details).toEqual([
      ['unit', 'fd800000.smmu'],
      ['bank', '1'],
    ]);
    expect(finding.structures.map(({ kind }) => kind)).toEqual(['smmuv2.fsr', 'smmuv2.fsynr0']);
    expect(ids(finding)).toEqual(expect.arrayContaining(['unmap-before-completion', 'never-mapped', 'dma-ranges']));
  });

  test('with the registers by name (Linux 6.11 and later): the lines are of one fault', () => {
    const { groups, unknownCount } = explain(
      [
        '[    0.561287] arm-smmu 15000000.iommu: Unhandled context fault: fsr=0x402, iova=0x9c4b9000, fsynr=0x7c0020, cbfrsynra=0x800, cb=7',
        '[    0.561295] arm-smmu 15000000.iommu: FSR    = 00000402 [Format=2 TF], SID=0x800',
        '[    0.561303] arm-smmu 15000000.iommu: FSYNR0 = 007c0020 [S1CBNDX=124 PNU PLVL=0]',
        '[    0.561323] arm-smmu 15000000.iommu: Unhandled context fault: fsr=0x402, iova=0x9c4b9d00, fsynr=0x7c0020, cbfrsynra=0xc40, cb=7',
        '[    0.561330] arm-smmu 15000000.iommu: FSR    = 00000402 [Format=2 TF], SID=0xc40',
        '[    0.561338] arm-smmu 15000000.iommu: FSYNR0 = 007c0020 [S1CBNDX=124 PNU PLVL=0]',
      ].join('\n'),
    );
    expect(unknownCount).toBe(0);
    expect(groups.map(({ count, finding }) => [finding.requester?.text, count])).toEqual([
      ['sid 0x800', 1],
      ['sid 0xc40', 1],
    ]);
  });

  test("of Xen, without a StreamID: the VPU's firmware", () => {
    const finding = only(
      '(XEN) smmu: /iommu@51400000: Unhandled context fault: fsr=0x408, iova=0x86000a60, fsynr=0x1c0062, cb=0',
    );
    expect(finding).toMatchObject({ requester: null, access: 'execute', code: { name: 'FSR.PF' } });
    expect(finding.summary).toBe(
      'context bank 0: execute of 0x86000a60 refused: permission fault: the page is mapped, this access is not permitted',
    );
    expect(ids(finding)).toContain('reserved-region');
  });

  test('of Linux before 4.10, without a status', () => {
    const finding = only('arm-smmu e0800000.smmu: Unhandled context fault: iova=0xffffe000, fsynr=0x4a3, cb=0');
    expect(finding).toMatchObject({ code: null, access: 'read', address: { value: 0xffffe000n } });
    expect(finding.details).toContainEqual(['walk', expect.stringContaining('PTWF')]);
  });

  test("of Qualcomm's kernels: numbers in another order, the stream on a line of its own, a stall", () => {
    const finding = only(
      'arm-smmu 15000000.apps-smmu: Unhandled context fault: iova=0x00001000, cb=0, fsr=0x40000402, fsynr0=0x200001, fsynr1=0x0',
      'arm-smmu 15000000.apps-smmu: Client info: BID=0x0, PID=0x0, MID=0x0',
      'arm-smmu 15000000.apps-smmu: soft iova-to-phys=0x0000000000000000',
      'arm-smmu 15000000.apps-smmu: SOFTWARE TABLE WALK FAILED! Looks like 15000000.apps-smmu accessed an unmapped address!',
      'arm-smmu 15000000.apps-smmu: hard iova-to-phys (ATOS) failed',
      'arm-smmu 15000000.apps-smmu: SID=0x880',
    );
    expect(finding).toMatchObject({ requester: { id: 0x880 }, address: { value: 0x1000n }, access: 'read' });
    expect(finding.details).toContainEqual(['in the tables', 'the tables have no entry for the address']);
    expect(ids(finding)[0]).toBe('stalled');
  });

  test("of Qualcomm's kernels, by lines, with the device's name", () => {
    const finding = only(
      '<3>[  718.315000] arm-smmu 15000000.apps-smmu: Unhandled arm-smmu context fault from a600000.dwc3!',
      '<3>[  718.315010] arm-smmu 15000000.apps-smmu: FAR    = 0x00000000efe60000',
      '<3>[  718.315020] arm-smmu 15000000.apps-smmu: PAR    = 0x0000000000000000',
      '<3>[  718.315030] arm-smmu 15000000.apps-smmu: FSR    = 0x40000402 [TF R SS ]',
      '<3>[  718.315040] arm-smmu 15000000.apps-smmu: FSYNR0    = 0x5f0003',
      '<3>[  718.315050] arm-smmu 15000000.apps-smmu: FSYNR1    = 0xaa02',
      '<3>[  718.315060] arm-smmu 15000000.apps-smmu: context bank#    = 0x1b',
      '<3>[  718.315070] arm-smmu 15000000.apps-smmu: TTBR0  = 0x001b0000c2a92000',
      '<3>[  718.315192] arm-smmu 15000000.apps-smmu: SCTLR  = 0x0a5f00e7 ACTLR  = 0x00000003',
      '<3>[  718.315245] arm-smmu 15000000.apps-smmu: CBAR  = 0x0001f300',
      '<3>[  718.315274] arm-smmu 15000000.apps-smmu: MAIR0   = 0xf404ff44 MAIR1   = 0x0000efe4',
      '<3>[  718.315297] arm-smmu 15000000.apps-smmu: SID = 0x40',
      '<3>[  718.315318] arm-smmu 15000000.apps-smmu: Client info: BID=0x5, PID=0xa, MID=0x2',
      '<3>[  718.315377] arm-smmu 15000000.apps-smmu: soft iova-to-phys=0x0000000000000000',
    );
    expect(finding).toMatchObject({
      requester: { id: 0x40 },
      address: { value: 0xefe60000n },
      code: { value: 0x40000402, name: 'FSR.TF' },
    });
    expect(Object.fromEntries(finding.details)).toMatchObject({ client: 'a600000.dwc3', bank: '27' });
  });

  test('a stale TLB entry, which the driver found by asking the hardware twice', () => {
    const finding = only(
      'arm-smmu 15000000.iommu: ATOS results differed across TLBIALL... (before: 0x0 after: 0x1234000)',
      'arm-smmu 15000000.iommu: Unhandled context fault: fsr=0x402, iova=0xfd7ff000, fsynr=0x540003, cbfrsynra=0x19c3, cb=10',
      'arm-smmu 15000000.iommu: soft iova-to-phys=0x0000000001234000',
    );
    expect(finding.details).toContainEqual(['in the tables', expect.stringContaining('lead to 0x1234000 now')]);
  });

  test('with a number that there cannot be', () => {
    const { groups, unknownCount } = explain(
      'arm-smmu 1.iommu: Unhandled context fault: fsr=0x100000402, iova=0x1000, fsynr=0x3, cbfrsynra=0x1, cb=0',
    );
    expect([groups.length, unknownCount]).toEqual([0, 1]);
  });
});

describe('the SMMU as a whole', () => {
  test('a stream whose device was taken out of its group while it ran (shutdown)', () => {
    const finding = only(
      'arm-smmu 5000000.iommu: Blocked unknown Stream ID 0x429; boot with "arm-smmu.disable_bypass=0" to allow, but this may have security implications',
      'arm-smmu 5000000.iommu:         GFSR 0x80000002, GFSYNR0 0x00000002, GFSYNR1 0x00000429, GFSYNR2 0x00000000',
    );
    expect(finding).toMatchObject({
      kind: 'smmuv2.unknown-stream',
      requester: { id: 0x429 },
      access: 'write',
      code: { value: 0x80000002, name: 'SMMU_sGFSR.USF' },
    });
    expect(finding.details).toContainEqual(['more', expect.stringContaining('MULTI')]);
    expect(ids(finding).slice(0, 2)).toEqual(['firmware-ids', 'not-attached']);
  });

  test('a global fault of older kernels', () => {
    const finding = only(
      'arm-smmu fd800000.smmu: Unexpected global fault, this could be serious',
      'arm-smmu fd800000.smmu:         GFSR 0x00000004, GFSYNR0 0x00000000, GFSYNR1 0x00000877, GFSYNR2 0x00000000',
    );
    expect(finding).toMatchObject({ kind: 'smmuv2.global-fault', requester: { id: 0x877 } });
    expect(finding.summary).toContain('several stream match registers match');
  });

  test('of which only the head is in the log', () => {
    expect(only('arm-smmu fd800000.smmu: Unexpected global fault, this could be serious')).toMatchObject({
      requester: null,
      code: null,
      causes: [],
    });
  });
});

test('each fault that says why has suspects', () => {
  const of = { access: 'read', address: 0x1000n, pasid: null, inWalk: false } as const;
  for (const bit of Object.keys(CONTEXT_FAULTS).map(Number)) {
    expect(contextSuspects(bit, of), `FSR bit ${bit}`).not.toEqual([]);
    expect(contextSuspects(bit, { ...of, inWalk: true }), `FSR bit ${bit} of a walk`).not.toEqual([]);
  }
  for (const bit of Object.keys(GLOBAL_FAULTS).map(Number))
    expect(globalSuspects([bit]), `GFSR bit ${bit}`).not.toEqual([]);
});
