/** What the unit writes into the page request queue. Clauses: VT-d specification, revision 5.10. */
import { address, bit, bits, fixed, structure } from '../../bits/index.ts';

export const PAGE_REQ_DSC = structure('page request descriptor', 256, 'VT-d 7.4.1.1', {
  TYPE: fixed(bits(7, 0), 0x1),
  PP: bit(8),
  RID: bits(31, 16),
  PASID: bits(51, 32),
  EXR: bit(52),
  PMR: bit(53),
  RDR: bit(64),
  WRR: bit(65),
  LPIG: bit(66),
  PRGI: bits(75, 67),
  ADDR: address(127, 76),
});
