import type { Rule } from '../../machine/index.ts';

/** The decisions that SMMUv3 leaves to hardware, as far as this SMMU takes them. */
export const RULES = {
  steUsed: { id: 'ste.use', clause: 'SMMUv3 3.21.3', text: 'a cached STE serves a transaction' },
  steEvicted: { id: 'ste.evict', clause: 'SMMUv3 16.2', text: 'a cached STE is gone by the time it could serve' },
  cdUsed: { id: 'cd.use', clause: 'SMMUv3 3.21.3', text: 'a cached CD serves a transaction' },
  cdEvicted: { id: 'cd.evict', clause: 'SMMUv3 16.2', text: 'a cached CD is gone by the time it could serve' },
  levelOneUsed: {
    id: 'level-one.use',
    clause: 'SMMUv3 3.21.3',
    text: 'a cached level-1 descriptor leads to an STE or a CD',
  },
  levelOneEvicted: {
    id: 'level-one.evict',
    clause: 'SMMUv3 16.2',
    text: 'a cached level-1 descriptor is gone by the time it could serve',
  },
  tlbUsed: { id: 'tlb.use', clause: 'SMMUv3 3.3.3', text: 'a cached translation serves a transaction' },
  tlbEvicted: {
    id: 'tlb.evict',
    clause: 'SMMUv3 3.3.3',
    text: 'a cached translation is gone by the time it could serve',
  },
  ipaUsed: { id: 'ipa.use', clause: 'SMMUv3 16.2', text: 'a cached translation of an IPA serves a stage 2' },
  ipaEvicted: {
    id: 'ipa.evict',
    clause: 'SMMUv3 16.2',
    text: 'a cached translation of an IPA is gone by the time it could serve',
  },
  tableUsed: { id: 'table.use', clause: 'SMMUv3 3.21.1', text: 'a walk begins below a cached table descriptor' },
  tableEvicted: {
    id: 'table.evict',
    clause: 'SMMUv3 3.21.1',
    text: 'a cached table descriptor is gone by the time it could serve',
  },
  conflict: {
    id: 'tlb.conflict',
    clause: 'SMMUv3 3.21.1',
    text: 'several cached translations of an address are a conflict (IDR3.BBML 0 and 1)',
  },
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

/** Rules of what most software has not: they are there from when they can fire, and where they cannot nobody misses them. */
export const RARE: ReadonlySet<RuleName> = new Set([
  ...(['cdUsed', 'cdEvicted', 'levelOneUsed', 'levelOneEvicted', 'ipaUsed', 'ipaEvicted', 'conflict'] as const),
  ...(['tableUsed', 'tableEvicted'] as const),
]);
