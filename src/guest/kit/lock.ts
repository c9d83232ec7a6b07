/** Spin locks of the driver that the story need not tell of. */
import type { Program, SoftwareWord } from '../../machine/index.ts';

/** Waits for the lock and takes it; to be the first operation of an atomic block, or a step of its own. */
export function* spinLock(lock: SoftwareWord): Program {
  yield { name: `lock ${lock.name}`, ready: () => lock.value === 0, run: () => put(lock, 1) };
}

/** Gives it back with the step before: to hold it for longer would keep others waiting, and show them nothing. */
export function* spinUnlock(lock: SoftwareWord): Program {
  yield { name: `unlock ${lock.name}`, join: 'after', run: () => put(lock, 0) };
}

function put(lock: SoftwareWord, value: number): void {
  lock.value = value;
}
