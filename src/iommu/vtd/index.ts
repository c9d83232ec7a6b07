export * from './caches.ts';
export * from './commands.ts';
export * from './faults.ts';
export * from './model.ts';
export * from './profiles.ts';
export * from './registers.ts';
export * from './structures.ts';
export * from './walk.ts';
