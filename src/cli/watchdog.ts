/** Interrupts code of a user's that never comes back. */
import { Script } from 'node:vm';
import type { Guarded } from '../explore/index.ts';

/** Longest time that a program takes from one operation to the next; far more than any honest one needs. */
export const LIMIT_MS = 2000;
/** The same for a whole portion of a search, which otherwise takes some 40 ms. */
export const PORTION_LIMIT_MS = 2500;

const script = new Script('globalThis.__pinholeCall()');

/** Thrown where code of a user's did not come back in time. */
export class EndlessError extends Error {
  /** The process hardly ran in that time: the machine is busy, and the code may be innocent. */
  readonly stalled: boolean;

  constructor(message: string, stalled = false) {
    super(message);
    this.stalled = stalled;
  }
}

/**
 * Calls a function and interrupts it after {@link LIMIT_MS}. The clock of an interruptible call is dear to start (a thread each time), so
 * programs are watched one by one only where a portion of a search did not come back.
 */
export const guarded: Guarded = (call) => within(LIMIT_MS, call);

/** Calls a function and interrupts it with an {@link EndlessError} after so many milliseconds. */
export function within<T>(limit: number, call: () => T): T {
  const scope = globalThis as { __pinholeCall?: (() => void) | undefined };
  let value: { done: T } | undefined;
  const before = process.cpuUsage();
  scope.__pinholeCall = () => {
    value = { done: call() };
  };
  try {
    script.runInThisContext({ timeout: limit });
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') {
      const { user, system } = process.cpuUsage(before);
      const message = `it neither yields nor ends within ${limit / 1000} s; bound its loop, and wait with a guard`;
      throw new EndlessError(message, user + system < limit * 500);
    }
    throw error;
  } finally {
    scope.__pinholeCall = undefined;
  }
  return (value as { done: T }).done;
}
