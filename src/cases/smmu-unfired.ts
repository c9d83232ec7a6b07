/** Why some decisions of an SMMU find no occasion in a case, for those that several cases share. */
import { ORDERLY } from './superpage.ts';

const BY_IPA = 'where it does not fire, stage 2 alone translates: what it gives is cached by IPA, and looked up there';

export const STAGE_2_ALONE = { 'tlb.use': BY_IPA, 'tlb.evict': BY_IPA } as const;

export const ORDERLY_DMA = { 'sync.held': ORDERLY, 'sync.overtake': ORDERLY } as const;

export const ALL_DRAINED = {
  'sync.overtake': 'whatever is in flight was translated by what the unmap invalidates, and is waited for',
} as const;
