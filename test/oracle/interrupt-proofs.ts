/** Scripts that show each deviation of interrupt-deviations.ts. */

/** Entry 3 of a table of 256, remapping switched on, and an interrupt of the first sender by it. */
const by = (lo: string, hi = '0x0', msi = 'msi 0 0xfee00070 0x0') => `
store 0x1e0030 ${lo}
store 0x1e0038 ${hi}
sirtp 0x1e0007
ire 1
${msi}`;

const GOOD = '0x20000310001';

export const COMPATIBILITY_PASSES = by(GOOD, '0x0', 'msi 0 0xfee01000 0x41');
/** Buses 0 to 5: the sender is on bus 0. */
export const BUS_RANGE_REVERSED = by(GOOD, '0x80005');
export const SVT_RESERVED = by(GOOD, '0xc0000');
/** For 00:05.0, with bit 12. */
export const RESERVED_BEFORE_REQUESTER = by('0x20000311001', '0x40028');
export const DELIVERY_MODES_TAKEN = by('0x20000310061');
export const DESTINATION_RESERVED_TAKEN = by('0x1020000310001');
export const POSTED_FORMAT_TAKEN = by('0x20000318001');
/** Handle 0xffff, subhandle 4. */
export const INDEX_OF_16_BITS = by(GOOD, '0x0', 'msi 0 0xfeeffffc 0x4');
export const NO_CFI = 'cfi 1';
/** For 00:05.0, which the test device is. */
export const REQUESTER_OF_DMA = by(GOOD, '0x40028', 'dma 0 0xfee00070 4 0x200000');
export const INDEX_MASK_TAKEN = `
reg 0x90 8 0x1f0000
qie 1
inv 0x80000014 0x0`;
