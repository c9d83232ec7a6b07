import { Machine } from '../src/machine/index.ts';

/** Two CPUs that take two locks, each in another order: a deadlock where one is preempted between its two. */
export function crossedLocks(): Machine {
  const machine = new Machine();
  const [a, b] = [machine.word('a'), machine.word('b')];
  for (const [name, first, second] of [
    ['cpu0', a, b],
    ['cpu1', b, a],
  ] as const) {
    machine.actor(name, function* () {
      yield* first.lock();
      yield* second.lock();
      yield* second.unlock();
      yield* first.unlock();
    });
  }
  return machine;
}
