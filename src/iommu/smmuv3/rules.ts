import type { Rule } from '../../machine/index.ts';

/** The decisions that SMMUv3 leaves to hardware, as far as this SMMU takes them. */
export const RULES = {
  held: {
    id: 'sync.held',
    clause: 'SMMUv3 4.7.3',
    text: 'a CMD_SYNC waits for a transaction or for a walk in progress',
  },
  overtakes: {
    id: 'sync.overtake',
    clause: 'SMMUv3 4.7.3',
    text: 'a CMD_SYNC completes while a translated transaction is in flight',
  },
  timedOut: {
    id: 'atc.time-out',
    clause: 'SMMUv3 3.9.1.4',
    text: 'a device does not complete an invalidation of its ATC in time',
  },
} as const satisfies Record<string, Rule>;

export type RuleName = keyof typeof RULES;
