/** Who takes part where a large page is split while a device uses it that can wait for the page. */
import type { SplitOrder } from '../guest/index.ts';
import type { Device, Machine, Program, SoftwareWord } from '../machine/index.ts';

/** A device that reads at address 0 when it likes, and is then done. @param uses how often. @returns the word that says so */
export function straysUntilDone(machine: Machine, nic: Device, uses: number): SoftwareWord {
  const over = machine.word('the device is done');
  machine.actor(
    'nic',
    function* () {
      yield* nic.strays([0n], 'read', uses);
      yield* nic.idle(over);
    },
    'device',
  );
  return over;
}

/** A driver that splits the page at address 0 under a lock. @returns the lock */
export function splitsUnderLock(
  machine: Machine,
  domain: { split(iova: bigint, order: SplitOrder): Program },
  order: SplitOrder,
): SoftwareWord {
  const lock = machine.word('page-table lock');
  machine.actor('driver', function* () {
    yield* lock.lock();
    yield* domain.split(0n, order);
    yield* lock.unlock();
  });
  return lock;
}
