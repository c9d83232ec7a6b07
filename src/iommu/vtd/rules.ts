import type { Rule } from '../../machine/index.ts';

/** The decisions that VT-d leaves to hardware, as far as this unit takes them. */
export const RULES = {
  iotlbUsed: { id: 'iotlb.use', clause: 'VT-d 6.2.4', text: 'a cached translation serves a request' },
  iotlbEvicted: {
    id: 'iotlb.evict',
    clause: 'VT-d 6.2.4.1',
    text: 'a cached translation is gone by the time it could serve',
  },
  denied: {
    id: 'iotlb.deny',
    clause: 'VT-d 6.5.3.5',
    text: 'a cached translation without the right that is wanted refuses a request',
  },
  fractured: {
    id: 'iotlb.fracture',
    clause: 'VT-d 6.5.3.2',
    text: 'a translation of a larger page is cached for one page of 4 KiB of it',
  },
  contextUsed: { id: 'context.use', clause: 'VT-d 6.2.2', text: 'a cached context entry serves a request' },
  contextEvicted: {
    id: 'context.evict',
    clause: 'VT-d 6.2.2',
    text: 'a cached context entry is gone by the time it could serve',
  },
  pasidUsed: { id: 'pasid.use', clause: 'VT-d 6.2.3', text: 'a cached PASID-table entry serves a request' },
  pasidEvicted: {
    id: 'pasid.evict',
    clause: 'VT-d 6.2.3',
    text: 'a cached PASID-table entry is gone by the time it could serve',
  },
  pagingUsed: { id: 'paging.use', clause: 'VT-d 6.2.5.5', text: 'a walk begins below a cached non-leaf entry' },
  pagingEvicted: {
    id: 'paging.evict',
    clause: 'VT-d 6.2.5.5',
    text: 'a cached non-leaf entry is gone by the time it could serve',
  },
  faultUsed: {
    id: 'fault.use',
    clause: 'VT-d 6.1',
    text: 'a cached entry that led to a fault refuses a request (CAP.CM)',
  },
  postponed: {
    id: 'queue.reorder',
    clause: 'VT-d 6.5.2.12',
    text: 'a descriptor is executed before one that is ahead of it in the queue',
  },
  hint: {
    id: 'paging.survive-hint',
    clause: 'VT-d 6.5.1.2',
    text: 'a non-leaf entry survives an invalidation with IH = 1',
  },
  overtakes: {
    id: 'invalidation.overtake',
    clause: 'VT-d 6.5.4',
    text: 'an invalidation completes while a translated request is in flight',
  },
  timedOut: {
    id: 'device-tlb.time-out',
    clause: 'VT-d 6.5.2.11',
    text: 'a device does not complete an invalidation of its device-TLB in time',
  },
  held: {
    id: 'invalidation.held',
    clause: 'VT-d 6.5.4',
    text: 'an invalidation waits for a drain or for a walk in progress',
  },
  interruptUsed: {
    id: 'interrupt.use',
    clause: 'VT-d 6.4',
    text: 'a cached interrupt remapping entry serves an interrupt request',
  },
  interruptEvicted: {
    id: 'interrupt.evict',
    clause: 'VT-d 6.4',
    text: 'a cached interrupt remapping entry is gone by the time it could serve',
  },
} as const satisfies Record<string, Rule>;

export type RuleName = keyof typeof RULES;
