import type { Cache } from './cache.ts';

/** The contents of a cache in words, for logs. @param line of an entry, by its offset. @returns a line for each entry that is held */
export function cacheLines(cache: Cache, line: (entry: number) => string): string[] {
  return Array.from({ length: cache.entries }, (_, i) => cache.at(i))
    .filter((entry) => cache.tag(entry) !== 0)
    .map(line);
}
