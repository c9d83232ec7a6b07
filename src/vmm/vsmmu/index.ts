export * from './forwarder.ts';
export * from './interference.ts';
export * from './invalidation-plan.ts';
export * from './physical-queue.ts';
export * from './routing.ts';
export * from './tally.ts';
export * from './virtual-queue.ts';
