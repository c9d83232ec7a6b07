/** ACPI tables for tests: real ones as hexadecimal text, and a way to build others from bytes. */

/**
 * What QEMU 11.0 gave an unmodified Debian kernel 6.12 (/sys/firmware/acpi/tables), machine q35 with edu at 05.0 and e1000 at 06.0:
 * with `-device intel-iommu`, `-device amd-iommu`, `-device virtio-iommu-pci` at 1e.0. IORT and RIMT are of the same QEMU's fw_cfg
 * (etc/acpi/tables, the checksum as firmware sets it): `qemu-system-aarch64 -M virt,iommu=smmuv3,gic-version=3,its=on` and
 * `qemu-system-riscv64 -M virt,acpi=on,iommu-sys=on,aia=aplic-imsic`.
 */
export const REAL = {
  DMAR: fromHex(
    '444d41527800000001fc424f4348532042585043202020200100000042585043010000002f010000000000000000000000004800000000000000d9fe00000000' +
      '0308000000ff00000108000000000000010800000000050001080000000006000108000000001f000108000000001f020108000000001f03',
  ),
  IVRS: fromHex(
    '49565253b800000001e0424f43485320425850432020202001000000425850430100000001280000000000000000000010d13c00080040000000d8fe00000000' +
      '00000000440000000200000002080000022800000230000002f8000002fa000002fb00004800000000a0000111114c00080040000000d8fe0000000000000000' +
      '00000000d32900000000000000000000000000000200000002080000022800000230000002f8000002fa000002fb00004800000000a00001',
  ),
  VIOT: fromHex(
    '56494f5458000000007e424f434853204258504320202020010000004258504301000000020030000000000000000000' +
      '030010000000f00000000000000000000100180000000000000000000000ff003000000000000000',
  ),
  IORT: fromHex(
    '494f5254ec0000000556424f4348532042585043202020200100000042585043010000000300000030000000000000000018000100000000000000000000' +
      '0000010000000000000004580004000000000100000044000000000005090000000001000000000000000000000000000000000000006a0000006b000000' +
      '6d0000006c000000000000000000000000000000ffff0000000000003000000000000000024c000302000000020000002400000001000000000000030000' +
      '0000000000004000000000000000ff00000000000000480000000000000000010000fffe0000000100003000000000000000',
  ),
  RIMT: fromHex(
    '52494d548000000001de424f4348532042585043202020200100000042585043010000000200000030000000000000000001280000000000525343563030' +
      '3034000001030000000000000000000000000000000000002800010128000000010000000000000000001400010000000000000001000000000030000000' +
      '00000000',
  ),
} as const;

export function fromHex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

/** A little-endian number of so many bytes. */
export function le(size: number, value: number | bigint): number[] {
  return Array.from({ length: size }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 0xffn));
}

export const ascii = (text: string, size = text.length) =>
  Array.from({ length: size }, (_, i) => (i < text.length ? text.charCodeAt(i) : 0));

/** A table with its head, length and checksum; `body` begins at byte 36. */
export function acpi(signature: string, body: readonly number[], revision = 1): Uint8Array {
  const head = [
    ...ascii(signature),
    ...le(4, 36 + body.length),
    revision,
    0,
    ...ascii('TEST', 6),
    ...ascii('TABLE', 8),
  ];
  return withChecksum(Uint8Array.from([...head, ...le(4, 1), ...ascii('TEST'), ...le(4, 1), ...body]));
}

/** The same bytes with the checksum that they need. */
export function withChecksum(table: Uint8Array): Uint8Array {
  const out = Uint8Array.from(table);
  out[9] = 0;
  out[9] = -out.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return out;
}

/** Nodes by name: what they refer to is known once their offsets are. */
export type Nodes = Readonly<Record<string, (at: (name: string) => number) => number[]>>;

export function laidOut(nodes: Nodes, from = 48): { bytes: number[]; count: number } {
  const offsets = new Map<string, number>();
  let offset = from;
  for (const [name, make] of Object.entries(nodes)) {
    offsets.set(name, offset);
    offset += make(() => 0).length;
  }
  const at = (name: string) => offsets.get(name) ?? 0xdead;
  return { bytes: Object.values(nodes).flatMap((make) => make(at)), count: offsets.size };
}
