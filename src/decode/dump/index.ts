export * from './tables.ts';
export * from './vtd-root.ts';
export * from './walk.ts';
