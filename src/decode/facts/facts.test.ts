/** What a machine's other texts say of its faults: reserved regions, lspci, device trees; in any order, over inputs. */
import { describe, expect, test } from 'vitest';
import { ids } from '../../../test/explained.ts';
import type { Finding } from '../index.ts';
import { Explainer, explain } from '../index.ts';

const findings = (text: string): Finding[] => explain(text).groups.map(({ finding }) => finding);
const of = (kind: string, text: string) => findings(text).filter((finding) => finding.kind.startsWith(kind));
const FAULT = (device: string, address: string, reason = '0x06', what = 'PTE Read access is not set') =>
  `[   34.000002] DMAR: [DMA Read NO_PASID] Request device [${device}] fault addr ${address} [fault reason ${reason}] ${what}\n`;

/** As lspci prints it, shortened. */
const LSPCI = `00:00.0 Host bridge: Intel Corporation Device 3e30 (rev 0a)
	Subsystem: Device 1849:3e30

00:1c.0 PCI bridge: Intel Corporation Cannon Lake PCH PCI Express Root Port #5 (rev f0) (prog-if 00 [Normal decode])
	IOMMU group: 9
	Capabilities: [140 v1] Access Control Services
		ACSCap:	SrcValid+ TransBlk+ ReqRedir+ CmpltRedir+ UpstreamFwd- EgressCtrl- DirectTrans-
		ACSCtl:	SrcValid- TransBlk- ReqRedir- CmpltRedir- UpstreamFwd- EgressCtrl- DirectTrans-

03:00.0 Ethernet controller: Mellanox Technologies MT27800 Family [ConnectX-5]
	Control: I/O- Mem+ BusMaster+
	IOMMU group: 15
	Capabilities: [180 v1] Single Root I/O Virtualization (SR-IOV)
		IOVCap:	Migration- 10BitTagReq- IntMsgNum 0
		IOVCtl:	Enable+ Migration- Interrupt- MSE+ ARIHierarchy+
		Initial VFs: 64, Total VFs: 64, Number of VFs: 8, Function Dependency Link: 00
		VF offset: 2, stride: 1, Device ID: 1018
	Capabilities: [1c0 v1] Address Translation Service (ATS)
		ATSCap:	Invalidate Queue Depth: 00
		ATSCtl:	Enable+, Smallest Translation Unit: 00
	Kernel driver in use: mlx5_core

04:00.0 System peripheral: Device 1234:0001
	IOMMU group: 16
	Capabilities: [2a0 v1] Process Address Space ID (PASID)
		PASIDCap: Exec- Priv+, Max PASID Width: 14
		PASIDCtl: Enable- Exec- Priv-
	Capabilities: [2b0 v1] Page Request Interface (PRI)
		PRICtl: Enable+ Reset-
		Page Request Capacity: 00000020, Page Request Allocation: 00000020
`;

describe('reserved regions', () => {
  test.each(['before', 'after'])('a fault in one is told, which comes %s it', (order) => {
    const region =
      '/sys/kernel/iommu_groups/7/reserved_regions:0x000000007b800000 0x000000007fffffff direct-relaxable\n';
    const fault = FAULT('00:02.0', '0x7c001000');
    const [found, ...more] = of('facts.', order === 'before' ? fault + region : region + fault);
    expect(more).toEqual([]);
    expect(found).toMatchObject({ kind: 'facts.reserved', requester: { id: 0x10 }, address: { value: 0x7c001000n } });
    expect(ids(found as Finding)).toEqual(['reserved-region']);
    expect(of('linux.reserved-region', region)[0]?.details).toContainEqual(['group', 'IOMMU group 7']);
  });

  test('a fault beside one is not', () => {
    const region = '0x00000000fee00000 0x00000000feefffff msi\n';
    expect(of('facts.', `${region}${FAULT('00:02.0', '0xfef00000')}`)).toEqual([]);
    expect(of('facts.', `${region}${FAULT('00:02.0', '0xfee00000')}`)).toHaveLength(1);
  });
});

describe('lspci -vv', () => {
  test('what is switched is told of each function that has something of it', () => {
    expect(of('pci.', LSPCI).map(({ requester, severity, summary }) => [requester?.text, severity, summary])).toEqual([
      ['00:1c.0', 'info', expect.stringContaining('ACS off: what is behind it may reach its peers')],
      [
        '03:00.0',
        'info',
        '03:00.0 (Ethernet controller: Mellanox Technologies MT27800 Family [ConnectX-5]): ATS on, SR-IOV on, 8 virtual functions from 03:00.2 on',
      ],
      [
        '04:00.0',
        'warning',
        expect.stringContaining('PRI on, PASID off (up to 20 bits); PRI without ATS does nothing'),
      ],
    ]);
  });

  test('spaces for tabs, as pasted into a mail', () => {
    expect(of('pci.', LSPCI.replaceAll('\t', '    '))).toHaveLength(3);
  });

  test.each(['before', 'after'])('names the requester of a fault, which comes %s it', (order) => {
    const fault = FAULT('03:00.0', '0xfd000000');
    const [found] = of('facts.', order === 'before' ? fault + LSPCI : LSPCI + fault);
    expect(found?.summary).toContain('03:00.0 is Ethernet controller: Mellanox');
    expect(found?.details).toContainEqual(['driver', 'mlx5_core']);
  });

  test('a virtual function, of which there are eight', () => {
    const [fourth] = of('facts.', LSPCI + FAULT('03:00.6', '0xfd000000'));
    expect(fourth?.summary).toContain('03:00.6 is virtual function 4 of 03:00.0');
    const [last, none] = ['03:01.1', '03:01.2'].map((device) => of('facts.', LSPCI + FAULT(device, '0xfd000000'))[0]);
    expect(last?.summary).toContain('virtual function 7');
    expect([none?.kind, ids(none as Finding)[0]]).toEqual(['facts.no-function', 'wrong-requester-id']);
  });

  test('ATS is on in the requester of a request that ATS is needed for', () => {
    const blocked = FAULT('03:00.0', '0xfd000000', '0x0d', 'PCE for translation request specifies blocking');
    const [found] = of('facts.', LSPCI + blocked);
    expect([found?.severity, ids(found as Finding)]).toEqual([
      'warning',
      ['missing-device-tlb-invalidation', 'request-type-blocked'],
    ]);
  });

  test('a function of another segment is another', () => {
    const there = LSPCI.replaceAll(/^(?=[0-9a-f]{2}:)/gm, '0001:');
    expect(of('facts.', there + FAULT('03:00.0', '0xfd000000'))).toEqual([]);
    expect(
      of('facts.', LSPCI.replaceAll(/^(?=[0-9a-f]{2}:)/gm, '0000:') + FAULT('03:00.0', '0xfd000000')),
    ).toHaveLength(1);
  });

  test('a few functions are not taken for all', () => {
    const one = LSPCI.slice(LSPCI.indexOf('03:00.0'));
    expect(of('facts.', one + FAULT('05:00.0', '0xfd000000'))).toEqual([]);
  });
});

/** As dtc makes it, shortened. */
const TREE = `/dts-v1/;

/ {
	iommu@5000000 {
		compatible = "arm,mmu-500";
		#iommu-cells = <0x01>;
		phandle = <0x0c>;
	};

	mmc@2140000 {
		iommus = <0x0c 0x01>;
		dma-coherent;
	};

	pcie@3400000 {
		iommu-map-mask = <0xffff>;
		iommu-map = <0x00 0x0c 0x2000 0x100
			     0x100 0x0c 0x2100 0x100>;
		ats-supported;
	};
};
`;

describe('a device tree', () => {
  test('who has which ids, property by property', () => {
    expect(of('tree.', TREE).map(({ severity, summary }) => [severity, summary])).toEqual([
      ['info', 'mmc@2140000 has id 0x1 at iommu@5000000'],
      [
        'info',
        'pcie@3400000: 00:00.0 to 00:1f.7 are 0x2000 to 0x20ff at iommu@5000000; 01:00.0 to 01:1f.7 are 0x2100 to 0x21ff at iommu@5000000',
      ],
    ]);
    const [mmc, bus] = of('tree.', TREE);
    expect(mmc?.details).toContainEqual(['coherent', expect.any(String)]);
    expect(bus?.details).toContainEqual(['ATS', expect.any(String)]);
  });

  const blocked = (unit: string, sid: string) =>
    `arm-smmu ${unit}: Blocked unknown Stream ID ${sid}; boot with "arm-smmu.disable_bypass=0" to allow, but this may have security implications\n`;
  const context = (sid: string) =>
    `arm-smmu 5000000.iommu: Unhandled context fault: fsr=0x402, iova=0xffffffb000, fsynr=0x0, cbfrsynra=${sid}, cb=3\n`;

  test('names the device of a StreamID', () => {
    expect(of('facts.', TREE + context('0x1'))[0]?.summary).toContain('is mmc@2140000, by the device tree');
    expect(of('facts.', TREE + context('0x2108'))[0]?.summary).toContain('is 01:01.0 behind pcie@3400000');
  });

  test('a StreamID that it gives to nobody', () => {
    const [found, ...more] = of('facts.', TREE + blocked('5000000.iommu', '0x429'));
    expect(more).toEqual([]);
    expect([found?.kind, ids(found as Finding)[0]]).toEqual(['facts.no-stream', 'firmware-ids']);
  });

  test('another unit is not meant', () => {
    expect(of('facts.', TREE + blocked('6000000.iommu', '0x429'))).toEqual([]);
  });

  test('labels, two cells, several entries, and what is wrong', () => {
    const source = `
smmu: iommu@d00000 {
	#iommu-cells = <2>;
	status = "disabled";
};
&usb3 {
	iommus = <&smmu 0x540 0x3>, <&other 1>;
};
pcie0: pcie@1c00000 {
	iommu-map = <0x0 &smmu 0x1c00 0x1>;
};
pcie1: pcie@1c10000 {
	iommu-map = <0x0 &smmu 0x1c80 0x100>, <0x80 &smmu 0x1d00 0x0>, <0xff &smmu 0x1e00 0x2>;
};
`;
    const [usb, first, second] = of('tree.', source);
    expect(usb?.summary).toContain('&usb3 has id 0x540 (mask 0x3) at iommu@d00000; iommu@d00000 is disabled');
    expect(usb?.details).toContainEqual(['and', expect.stringContaining('&other) that is not in this text')]);
    expect(first?.details.map(([, text]) => text).join()).toContain('only 00:00.0 has an id');
    expect(second?.details.map(([, text]) => text).join()).toMatch(/count of 0.*requester id 0xff is in two entries/);
    // Bits 1:0 are not compared.
    const at = source + context('0x543').replace('5000000.iommu', 'd00000.iommu');
    expect(of('facts.', at)[0]?.summary).toContain('is &usb3');
  });

  test('names that a preprocessor would replace are left out', () => {
    const source = 'smmu: iommu@1 {\n};\nusb@2 {\n\tiommus = <&smmu USB_SID>;\n};\n#iommu-cells = <1>;\n';
    expect(of('tree.', source)[0]?.summary).toBe('usb@2 has no id at any IOMMU that is in the tree');
  });

  test('over inputs: the tree in one file, the log in another', () => {
    for (const order of [
      [TREE, context('0x1')],
      [context('0x1'), TREE],
    ]) {
      const explainer = new Explainer();
      for (const [i, text] of order.entries()) {
        explainer.begin(`input ${i}`);
        explainer.push(text);
      }
      explainer.end();
      const facts = explainer.report.groups.filter(({ finding }) => finding.kind.startsWith('facts.'));
      expect(facts.map(({ finding }) => finding.kind)).toEqual(['facts.stream']);
      // It stands where the fault does.
      expect(facts[0]?.first.input).toBe(`input ${order.findIndex((text) => text.startsWith('arm'))}`);
    }
  });
});

describe('what happened before', () => {
  const at = (time: string, text: string) => `[ ${time}] ${text}\n`;
  const fault = (time: string) =>
    at(
      time,
      'DMAR: [DMA Read NO_PASID] Request device [5e:00.0] fault addr 0xffdf0000 [fault reason 0x06] PTE Read access is not set',
    );
  const boot = at('0.000000', 'Command line: elfcorehdr=0x6d000000 root=/dev/sda1 reset_devices intel_iommu=on');

  test('a kernel that kdump started, told once', () => {
    const [found, ...more] = of('facts.', boot + fault('2.100000') + fault('2.200000'));
    expect(more).toEqual([]);
    expect([found?.kind, ids(found as Finding)]).toEqual(['facts.taken', ['kdump']]);
    // What its command line says of IOMMUs is told as ever.
    expect(of('linux.command-line', boot)[0]?.details).toContainEqual(['intel_iommu=on', expect.any(String)]);
  });

  test.each([
    ['DMAR: Translation already enabled - trying to copy translation structures', 1],
    ['AMD-Vi: Translation is already enabled - trying to copy translation structures', 1],
    ['DMAR: Enabled IRQ remapping in x2apic mode', 0],
  ])('%s', (line, count) => {
    expect(of('facts.taken', at('1.0', line) + fault('2.100000'))).toHaveLength(count);
  });

  test.each([
    ['101.000000', 1],
    ['159.900000', 1],
    ['161.000000', 0],
    ['99.000000', 0],
  ])('a machine that woke at 100 s, and a fault at %s s', (time, count) => {
    const text = at('5.000000', 'PM: suspend exit') + at('100.000000', 'PM: suspend exit') + fault(time);
    expect(of('facts.woken', text)).toHaveLength(count);
  });

  test('of another input', () => {
    const explainer = new Explainer();
    for (const [i, text] of [boot + at('1.000000', 'PM: suspend exit'), fault('2.000000')].entries()) {
      explainer.begin(`input ${i}`);
      explainer.push(text);
    }
    explainer.end();
    expect(explainer.report.groups.filter(({ finding }) => finding.kind.startsWith('facts.'))).toEqual([]);
  });

  test('of thousands of wakings the last ones count, each on its line', () => {
    const wakings = Array.from(
      { length: 3000 },
      (_, i) => `usb 1-1: reset\n${at(`${i * 100}.000000`, 'PM: suspend exit')}`,
    );
    const [found] = of('facts.woken', wakings.join('') + fault('299905.000000'));
    expect(found?.summary).toMatch(/\(line 6000\)/);
  });

  const lazy = at('1.000000', 'iommu: DMA domain TLB invalidation policy: lazy mode');
  const passthrough = at('1.000000', 'iommu: Default domain type: Passthrough (set via kernel command line)');

  test.each([
    ['facts.lazy', lazy],
    ['facts.passthrough', passthrough],
  ])('%s is told once, with the first fault that it bears on', (kind, mode) => {
    const found = of(kind, mode + fault('2.000000') + fault('3.000000'));
    expect(found).toHaveLength(1);
    expect(found[0].summary).toContain('line 1');
    expect(of(kind, fault('2.000000') + mode)).toEqual([]);
  });

  test('strict and translated say nothing of a fault', () => {
    const modes =
      at('1.000000', 'iommu: DMA domain TLB invalidation policy: strict mode') +
      at('1.000000', 'iommu: Default domain type: Translated');
    const kinds = explain(modes + fault('2.000000')).groups.map(({ finding }) => finding.kind);
    expect(kinds.filter((kind) => kind.startsWith('facts.'))).toEqual([]);
  });
});
