/** SMMUv3 page request queue: its entry (IHI 0070, chapter 8), little-endian. */
import { address, bit, bits, structure } from '../../bits/index.ts';

export const PRIQ_ENTRY_BYTES = 16;

export const PRIQ_ENTRY = structure('PRI queue entry', 128, 'SMMUv3 8', {
  StreamID: bits(31, 0),
  SubstreamID: bits(51, 32),
  Priv: bit(58),
  X: bit(59),
  R: bit(60),
  W: bit(61),
  /** Last of its group: software answers the group (CMD_PRI_RESP). With SSV, without R and W: a Stop PASID marker. */
  Last: bit(62),
  /** SubstreamID counts. */
  SSV: bit(63),
  PRGIndex: bits(72, 64),
  Address: address(127, 76),
});
