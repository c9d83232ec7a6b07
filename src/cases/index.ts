export * from './define.ts';
export * from './invariants.ts';
export * from './measure.ts';
export * from './models.ts';
export * from './registry.ts';
export * from './run.ts';
export * from './sampled-run.ts';
export * from './vtd-scene.ts';
