/** The public surface: what a case of one's own needs. */
export * from './bits/index.ts';
export * from './cases/index.ts';
export * from './explore/index.ts';
export * from './guest/index.ts';
export * from './machine/index.ts';
