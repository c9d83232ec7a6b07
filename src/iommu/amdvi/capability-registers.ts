/** The IOMMU's capability block in PCI configuration space (capability id 0xf). Source: AMD publication 48882; see the README. */
import { address, bit, bits, fixed, named, register, ro } from '../../bits/index.ts';

export const CAPABILITY_HEADER = register('Capability Header', 0x00, 'AMD-Vi Capability Offset 00h', {
  CapId: ro(fixed(bits(7, 0), 0xf)),
  CapPtr: ro(bits(15, 8)),
  CapType: ro(named(bits(18, 16), { 3: 'IOMMU' })),
  CapRev: ro(bits(23, 19)),
  /** The unit sends invalidations to IOTLBs in devices. */
  IotlbSup: ro(bit(24)),
  HtTunnel: ro(bit(25)),
  /** Entries that are not present are cached too: software invalidates after it makes one present. */
  NpCache: ro(bit(26)),
  EFRSup: ro(bit(27)),
  CapExt: ro(bit(28)),
});

/** Enable, once 1, locks the block until reset. Hardware with counters has 512 KiB of registers and ignores bits 18:14. */
export const BASE_ADDRESS_LOW = register('Base Address Low Register', 0x04, 'AMD-Vi Capability Offset 04h', {
  Enable: bit(0),
  BaseAddress: address(31, 14),
});
export const BASE_ADDRESS_HIGH = register('Base Address High Register', 0x08, 'AMD-Vi Capability Offset 08h', {
  BaseAddress: bits(31, 0),
});

/** Devices are bits 7:0 of a device id. */
export const RANGE = register('Range Register', 0x0c, 'AMD-Vi Capability Offset 0Ch', {
  UnitID: bits(4, 0),
  RngValid: bit(7),
  BusNumber: bits(15, 8),
  FirstDevice: bits(23, 16),
  LastDevice: bits(31, 24),
});

/** Sizes are in bits. */
export const MISC_INFO_0 = register('Miscellaneous Information Register 0', 0x10, 'AMD-Vi Capability Offset 10h', {
  MsiNum: ro(bits(4, 0)),
  GVAsize: ro(named(bits(7, 5), { 2: '48 bits' })),
  PAsize: ro(bits(14, 8)),
  VAsize: ro(bits(21, 15)),
  HtAtsResv: ro(bit(22)),
  MsiNumPPR: ro(bits(31, 27)),
});

export const MISC_INFO_1 = register('Miscellaneous Information Register 1', 0x14, 'AMD-Vi Capability Offset 14h', {
  MsiNumGA: ro(bits(4, 0)),
});
