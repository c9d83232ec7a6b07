export * from './kit/index.ts';
export * from './smmuv3/index.ts';
export * from './vtd/index.ts';
