export * from './kit/index.ts';
export * from './vtd/index.ts';
