/** Waiting for an entry of a queue that hardware fills. */
import type { Program, SoftwareWord } from '../../machine/index.ts';

/**
 * Waits until there is an entry, or nobody will put one there any more.
 * @param name of the wait. @param over is 1 then. @returns whether there is one
 */
export function* waitForEntry(name: string, isEmpty: () => boolean, over: SoftwareWord): Program<boolean> {
  const there = yield {
    name,
    ready: () => !isEmpty() || over.value === 1,
    returns: 'number',
    results: [0, 1],
    run: () => (isEmpty() ? 0 : 1),
  };
  return there === 1;
}
