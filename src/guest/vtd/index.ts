export * from './domain.ts';
export * from './invalidation.ts';
export * from './page-table.ts';
export * from './versions.ts';
