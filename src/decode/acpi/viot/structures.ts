/** Structures of the VIOT table (ACPI 6.4 and later, Virtual I/O Translation Table). */
import { address, structure, u8, u16, u32, zero } from '../declaration.ts';
import { HEADER } from '../header.ts';

const CLAUSE = 'ACPI 6.5, VIOT';

export const VIOT_TABLE = structure('VIOT', 'Virtual I/O Translation Table', CLAUSE, {
  ...HEADER,
  'Node count': u16(36, { form: 'decimal' }),
  'Node offset': u16(38),
  Reserved: zero(40, 8),
});

const HEAD = (type: number, what: string) => ({
  Type: u8(0, { values: { [type]: what } }),
  Reserved: zero(1, 1),
  Length: u16(2, { form: 'decimal' }),
});

export const PCI_RANGE = structure('PCI range', 'PCI Range node', CLAUSE, {
  ...HEAD(1, 'PCI range'),
  'Endpoint start': u32(4),
  'PCI Segment start': u16(8),
  'PCI Segment end': u16(10),
  'PCI BDF start': u16(12, { form: 'device' }),
  'PCI BDF end': u16(14, { form: 'device' }),
  'Output node': u16(16),
  'Reserved 2': zero(18, 6),
});

export const MMIO = structure('MMIO endpoint', 'Single MMIO endpoint node', CLAUSE, {
  ...HEAD(2, 'MMIO endpoint'),
  'Endpoint ID': u32(4),
  'Base address': address(8),
  'Output node': u16(16),
  'Reserved 2': zero(18, 6),
});

export const VIRTIO_PCI = structure('virtio-pci IOMMU', 'virtio-iommu based on virtio-pci node', CLAUSE, {
  ...HEAD(3, 'virtio-pci IOMMU'),
  'PCI Segment': u16(4),
  'PCI BDF': u16(6, { form: 'device' }),
  'Reserved 2': zero(8, 8),
});

export const VIRTIO_MMIO = structure('virtio-mmio IOMMU', 'virtio-iommu based on virtio-mmio node', CLAUSE, {
  ...HEAD(4, 'virtio-mmio IOMMU'),
  'Reserved 2': zero(4, 4),
  'Base address': address(8),
});

export const NODES = { 1: PCI_RANGE, 2: MMIO, 3: VIRTIO_PCI, 4: VIRTIO_MMIO } as const;
