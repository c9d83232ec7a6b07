export * from './amdvi/walk.ts';
export * from './requester-number.ts';
export * from './riscv/walk.ts';
export * from './smmuv3/walk.ts';
export * from './tables.ts';
export * from './vtd-root.ts';
export * from './walk.ts';
export * from './walk-any.ts';
