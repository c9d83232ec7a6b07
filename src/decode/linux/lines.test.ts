/** Linux's own lines as reports have them. */
import { describe, expect, test } from 'vitest';
import { only } from '../../../test/explained.ts';
import { explain } from '../index.ts';

describe('bounce buffers', () => {
  test.each([
    [
      'virtio-pci 0000:00:01.0: swiotlb buffer is full (sz: 294912 bytes), total 1024 (slots), used 725 (slots)',
      'larger than one bounce buffer can be',
    ],
    [
      '[   99.504990] rcar-fcp fea2f000.fcp: swiotlb buffer is full (sz: 4096 bytes), total 32768 (slots), used 32768 (slots)',
      'fea2f000.fcp: a DMA mapping failed, as no bounce buffer (swiotlb) was free',
    ],
    [
      '[    7.292703] ehci-pci 0000:00:1a.0: swiotlb buffer is full (sz: 8 bytes), total 0 (slots), used 0 (slots)',
      'none were set up',
    ],
    ['ata_piix 0000:00:1f.2: swiotlb buffer is full (sz: 262144 bytes)', 'no bounce buffer (swiotlb) was free'],
  ])('%s', (line, said) => {
    expect(only(line).summary).toContain(said);
  });
});

test('an address beyond a mask, and one beyond the limit of the bus', () => {
  const old = only('ehci-pci 0000:00:1a.0: overflow 0x0000000a1c8f9a60+8 of DMA mask ffffffff bus limit 0');
  expect(old).toMatchObject({ requester: { id: 0xd0 }, address: { value: 0xa1c8f9a60n, space: 'physical' } });
  expect(old.summary).toBe('0000:00:1a.0: 0xa1c8f9a60 is beyond what it can address');
  const bus = only('vc4-drm soc:gpu: DMA addr 0x00000000c0000000+4096 overflow (mask ffffffff, bus limit bfffffff).');
  expect(bus.summary).toBe('soc:gpu: 0xc0000000 is beyond what its bus can address');
});

describe('DMA-API', () => {
  test('of a device of PCI, what is unmapped and was not mapped', () => {
    const finding = only(
      'DMA-API: mlx5_core 0000:08:00.1: device driver tries to free DMA memory it has not allocated [device address=0x00000000fffbc000] [size=2047 bytes]',
    );
    expect(finding).toMatchObject({
      requester: { id: 0x801 },
      address: { value: 0xfffbc000n },
      causes: [{ id: 'unmap-mismatch', sure: 'certain' }],
    });
    expect(finding.details).toContainEqual(['size', '2047 bytes']);
  });

  test('of another bus', () => {
    expect(
      only(
        '[   16.996779] DMA-API: macb ff0b0000.ethernet: device driver tries to free DMA memory it has not allocated [device address=0x0000000875e3e244] [size=1536 bytes]',
      ).summary,
    ).toBe('ff0b0000.ethernet: its driver unmaps what is not mapped, or no longer');
  });

  test('before 5.0, and with details in pairs', () => {
    const finding = only(
      'forcedeth 0000:00:08.0: DMA-API: device driver frees DMA memory with wrong function [device address=0x00000000640444be] [size=66 bytes] [mapped as single] [unmapped as page]',
    );
    expect(finding.requester).toMatchObject({ id: 0x40 });
    expect(finding.details.slice(2)).toEqual([
      ['mapped as', 'single'],
      ['unmapped as', 'page'],
    ]);
  });

  test('without a space before the bracket', () => {
    const finding = only(
      'DMA-API: snd_hda_intel 0000:03:00.1: device driver failed to check map error[device address=0x00000000ffff0000] [size=20480 bytes] [mapped as single]',
    );
    expect(finding).toMatchObject({ address: { value: 0xffff0000n }, causes: [{ id: 'map-unchecked' }] });
  });

  test("devices are told apart, addresses of one device's misuse are pages of one group", () => {
    const line = (device: string, address: string) =>
      `DMA-API: x ${device}: device driver tries to free DMA memory it has not allocated [device address=${address}] [size=1 bytes]`;
    const { groups } = explain([line('a.dma', '0x1000'), line('b.dma', '0x1000'), line('a.dma', '0x5000')].join('\n'));
    expect(groups.map(({ count, pages }) => [count, pages.length])).toEqual([
      [2, 2],
      [1, 1],
    ]);
  });

  test('what only informs is no finding', () => {
    const { groups, unknownCount } = explain(
      'DMA-API: preallocated 65536 debug entries\nDMA-API: debugging enabled by kernel config\n',
    );
    expect([groups.length, unknownCount]).toEqual([0, 0]);
  });
});

test.each(['amd_iommu_report_page_fault', 'dmar_fault', 'arm_smmu_evtq_thread'])(
  '%s: lines that were left out',
  (by) => {
    expect(only(`${by}: 12950 callbacks suppressed`).causes).toEqual([{ id: 'overflow', sure: 'certain' }]);
  },
);

test("other subsystems' lines that were left out are none of ours", () => {
  expect(explain('net_ratelimit: 12 callbacks suppressed').groups).toEqual([]);
});

describe('mappings that VFIO refused', () => {
  test.each([
    [
      'qemu-system-x86_64: vfio_container_dma_map(0x55a21b03a150, 0x380000001000, 0x3000, 0x7fce2c28b000) = -22 (Invalid argument)',
      'EINVAL',
      'iova-range',
    ],
    [
      'qemu-system-x86_64: -device vfio-pci,host=0000:4c:00.0,multifunction=on: vfio_dma_map(0x55966269d230, 0x100000, 0xbff00000, 0x7f55b7f00000) = -12 (Cannot allocate memory)',
      'ENOMEM',
      'memlock',
    ],
    ['qemu-system-aarch64: warning: IOMMU_IOAS_MAP failed: Bad address, PCI BAR?', 'EFAULT', 'not-mappable'],
    ['qemu-system-x86_64: VFIO_MAP_DMA failed: No space left on device', 'ENOSPC', 'dma-entry-limit'],
    ['qemu-system-x86_64: VFIO_MAP_DMA: -14', 'EFAULT', 'not-mappable'],
  ])('%s', (line, error, cause) => {
    const finding = only(line);
    expect(finding.summary).toContain(`was refused: ${error}`);
    expect(finding.causes).toEqual([{ id: cause, sure: 'likely' }]);
  });

  test('what is mapped is told', () => {
    const { address, summary } = only(
      'qemu-system-x86_64: vfio_dma_map(0x55b99d7b7d40, 0xfffff000, 0x1000, 0x7f79ee81f000) = -17 (File exists)',
    );
    expect([address?.value, summary]).toEqual([
      0xfffff000n,
      'VFIO: the mapping of 0x1000 bytes at 0xfffff000 was refused: EEXIST',
    ]);
  });

  test('an error that no mapping is known to have', () => {
    expect(only('qemu-system-x86_64: VFIO_MAP_DMA: -95')).toMatchObject({ causes: [] });
  });

  test('one that worked is none', () => {
    expect(
      explain('qemu-system-x86_64: 218 vfio_dma_map(0x55b99d7b7d40, 0xfffff000, 0x1000, 0x7f79ee81f000) = 0').groups,
    ).toEqual([]);
  });
});

describe('a device that cannot be assigned', () => {
  test.each([
    [
      'qemu-system-x86_64: -device vfio-pci,host=01:00.0: vfio 0000:01:00.0: group 15 is not viable',
      '0000:01:00.0 cannot be assigned: its group is used by others',
      'group-not-viable',
    ],
    [
      '2017-04-24T06:39:32Z qemu-kvm: -device vfio-pci,host=04:00.0: vfio: error, group 26 is not viable, please ensure all devices within the iommu_group are bound to their vfio bus driver.',
      'a device cannot be assigned',
      'group-not-viable',
    ],
    [
      '[  205.1] vfio-pci 0000:03:00.0: Device is ineligible for IOMMU domain attach due to platform RMRR requirement.  Contact your platform vendor.',
      '0000:03:00.0 cannot be assigned: firmware keeps memory',
      'one-to-one',
    ],
    [
      'iommufd: MSI interrupts are not secure, they cannot be isolated by the platform. Check that platform features like interrupt remapping are enabled. Use the "allow_unsafe_interrupts" module parameter to override',
      'its interrupts are not isolated',
      'no-interrupt-isolation',
    ],
    [
      'qemu-system-x86_64: device 00.04.0 requires caching mode',
      "cannot be behind a guest's intel-iommu",
      'caching-mode',
    ],
  ])('%s', (line, said, cause) => {
    const finding = only(line);
    expect(finding.summary).toContain(said);
    expect(finding.causes).toEqual([{ id: cause, sure: 'certain' }]);
  });
});

test('an unmapping that VFIO refused: it would split a mapping', () => {
  const finding = only(
    'qemu-kvm: vfio_container_dma_unmap(0x55a21b03a150, 0x380000001000, 0x3000) = -22 (Invalid argument)',
  );
  expect(finding.summary).toBe('VFIO: the unmapping of 0x3000 bytes at 0x380000001000 was refused: EINVAL');
  expect(finding.causes).toEqual([{ id: 'unmap-splits', sure: 'likely' }]);
});

test('a mapping of what must be mapped is an error, of a BAR only a warning', () => {
  const call = 'vfio_dma_map(0x560a3b6ed880, 0x100000000, 0x180000000, 0x7f6a47fff000) = -14 (Bad address)';
  const severity = (line: string) => explain(line).groups.map(({ finding }) => finding.severity);
  expect(severity(`kvm: ${call}`)).toEqual(['warning']);
  expect(severity(`kvm: memory listener initialization failed: Region pc.ram: ${call}`)).toEqual(['error']);
  expect(severity('EAL: Cannot set up DMA remapping, error 14 (Bad address)')).toEqual(['error']);
});

test('a port that checks requesters is named, or not', () => {
  const [{ finding }] = explain('pcieport 0000:80:1b.4:    [21] ACSViol                (First)').groups;
  expect(finding.requester?.text).toBe('0000:80:1b.4');
  expect(explain('[21] ACSViol').groups[0]?.finding.requester).toBeNull();
});
