export * from './actor-agent.ts';
export * from './conduct.ts';
export * from './fingerprint-set.ts';
export * from './instance.ts';
export * from './replay.ts';
export * from './search.ts';
