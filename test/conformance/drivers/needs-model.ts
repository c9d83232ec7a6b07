/** What only the model can show: a test that wants it is skipped on another implementation, and counted by its reason. */
import { TestRunner } from 'vitest';

/** `qtest`: the tests run on a real QEMU, as far as it can show what they ask for. */
export const ON_QEMU = process.env.PINHOLE_CONFORMANCE_ON === 'qtest';

/** Why a test cannot run on a real QEMU. */
export type Reason =
  /** The unit that it asks for is not one that QEMU can be. */
  | 'capability'
  /** It looks into the unit, or into its steps. */
  | 'inside'
  /** QEMU has no device that sends such a request. */
  | 'request'
  /** What is asked leaves no trace that software or QEMU’s log shows. */
  | 'unseen';

/** A test wants what only the model can show. */
export class NeedsModelError extends Error {
  override readonly name = 'NeedsModelError';

  constructor(reason: Reason, what: string) {
    super(`needs the model: ${reason}: ${what}`);
  }
}

/** Skips the test that runs, for a reason that is counted. @throws NeedsModelError always: the test does not go on, whoever catches it */
export function needsModel(reason: Reason, what: string): never {
  const error = new NeedsModelError(reason, what);
  const test = TestRunner.getCurrentTest();
  if (test === undefined) throw error;
  Object.assign(test.meta, { needsModel: error.message });
  try {
    // Marks the test as skipped by throwing; from then on it is, even where an `expect` takes the error for an answer.
    test.context.skip(error.message);
  } catch (skipped) {
    Object.assign(error, { cause: skipped });
  }
  throw error;
}

/** The test that runs has something that it can ask, and has asked it: one that has and does not cannot fail. */
export function noteOf(asked: boolean): void {
  const test = TestRunner.getCurrentTest();
  if (test !== undefined) Object.assign(test.meta, asked ? { asked } : { canAsk: true });
}

/** Skips the test that runs on any other driver; the whole file, where none runs yet. @param what it looks at */
export function modelOnly(what: string): void {
  if (ON_QEMU) needsModel('inside', what);
}
