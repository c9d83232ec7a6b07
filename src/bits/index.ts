export * from './field.ts';
export * from './halves.ts';
export * from './layout.ts';
export type * from './meaning.ts';
export * from './register.ts';
export * from './structure.ts';
