/** SMMUv2: what the bits of its fault status registers mean (IHI 0062D.c, 9.6.15, 16.5.9). */
import type { Meaning, Meanings } from '../../bits/index.ts';

const of =
  (clause: string) =>
  (name: string, text: string): Meaning => ({ name, text, clause });
const context = of('SMMUv2 16.5.9');
const global = of('SMMUv2 9.6.15');

/** By bit of SMMU_CBn_FSR, those that say why. */
export const CONTEXT_FAULTS: Meanings = {
  1: context('TF', 'translation fault: the address is not mapped'),
  2: context('AFF', 'access flag fault: the page is mapped, its access flag is 0'),
  3: context('PF', 'permission fault: the page is mapped, this access is not permitted'),
  4: context('EF', 'external fault: memory answered with an abort'),
  5: context('TLBMCF', 'TLB match conflict: several entries match one address'),
  6: context('TLBLKF', 'TLB lock fault: no entry could be allocated, as all are locked'),
  7: context('ASF', 'address size fault: an address has more bits than are supported'),
  8: context('UUT', 'unsupported upstream transaction'),
};

/** By bit of SMMU_sGFSR, those that say why. */
export const GLOBAL_FAULTS: Meanings = {
  0: global(
    'ICF',
    'invalid context: the stream is mapped to a context bank that cannot be used, or whose S2CR says "fault"',
  ),
  1: global('USF', 'unidentified stream: no stream match register knows its StreamID'),
  2: global('SMCF', 'stream match conflict: several stream match registers match its StreamID'),
  3: global('UCBF', 'the context bank that it is mapped to is not implemented'),
  4: global('UCIF', 'the interrupt that its context bank names is not implemented'),
  5: global('CAF', 'configuration access fault: a register access that is not permitted'),
  6: global('EF', 'external fault: memory answered with an abort'),
  7: global('PF', 'permission fault'),
  8: global('UUT', 'unsupported upstream transaction'),
};
