export * from './blocks.ts';
export * from './filter.ts';
export * from './model.ts';
export * from './target.ts';
