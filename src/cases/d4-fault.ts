import type { SplitOrder } from '../guest/index.ts';
import { AtsInvalidation, isPresent, PageRequestQueue, RESPONSE_CODE } from '../guest/index.ts';
import type { Machine } from '../machine/index.ts';
import type { Setup } from './define.ts';
import { DIRECTORY, PAGE_REQUEST_QUEUE, RID_PASID, ScalableScene } from './scalable-scene.ts';
import { splitsUnderLock, straysUntilDone } from './split-actors.ts';
import { watchTwoSizes } from './two-sizes.ts';
import { SID } from './unit-scene.ts';

const DID = 1;
const FRAMES = 0x21d200000n;

/**
 * A 2 MiB page is split while a device uses it that can wait for a page (ATS and page requests, scalable mode). Whoever handles page requests
 * waits for the split, and looks at the entry.
 */
export function splitWithPageRequests({ variant, profile, mutant }: Setup): Machine {
  const order = (mutant === 'broken-first-no-wait' ? 'bbm' : variant.split('/')[0]) as SplitOrder;
  const scene = new ScalableScene({ profile, pageRequests: 2, machine: { atcEntries: 2 } });
  const { machine, unit, queue } = scene;
  const space = scene.space({ did: DID });
  scene.directory('', DIRECTORY);
  scene.attach(DIRECTORY);
  scene.enter(DIRECTORY, RID_PASID, { by: 'second-stage', did: DID, second: space.top });
  scene.buffer(DID, 'page 0', FRAMES);
  scene.premapLarge(space, 0n, FRAMES);
  machine.onStart(() => {
    machine.grants.begin(DID, 0, 512);
    machine.grants.granted(DID, 0, 512, Number(FRAMES >> 12n));
  });
  watchTwoSizes(machine, unit);
  // The third request finds what the first and the second have cached.
  const uses = order === 'swap' ? 3 : 2;
  const nic = machine.device('nic', SID, DID, [0n], {
    ats: true,
    pageRequests: mutant?.endsWith('no-wait') === true ? 0 : 1,
  });
  const over = straysUntilDone(machine, nic, uses);
  const lock = splitsUnderLock(machine, scene.domain(space, new AtsInvalidation(queue, SID, 'iotlb-first')), order);
  const other = scene.secondCpu();
  const requests = new PageRequestQueue(machine, other.cpu, unit, other.queue, PAGE_REQUEST_QUEUE);
  const locks = mutant !== 'no-lock';
  machine.actor('page requests on cpu1', function* () {
    for (let i = 0; i < uses; i++) {
      const request = yield* requests.next(over);
      if (request === null) return;
      if (locks) yield* lock.lock();
      const entry = yield* other.cpu.read64(space.pd);
      if (locks) yield* lock.unlock();
      yield* requests.respond(request, isPresent(entry) ? RESPONSE_CODE.success : RESPONSE_CODE.invalid);
      yield* requests.done();
    }
  });
  return machine;
}
