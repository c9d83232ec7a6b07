export * from './vtd/index.ts';
