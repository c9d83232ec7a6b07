export * from './attach.ts';
export * from './domain.ts';
export * from './flush-queue.ts';
export * from './invalidation.ts';
export * from './new-mapping.ts';
export * from './page-table.ts';
export * from './versions.ts';
export * from './write-buffer.ts';
