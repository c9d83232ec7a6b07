export * from './field.ts';
export * from './halves.ts';
export * from './layout.ts';
export * from './meaning.ts';
export * from './register.ts';
export * from './structure.ts';
