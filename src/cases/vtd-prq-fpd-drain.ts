import type { DrainOptions, PasidTranslation, TearDown } from '../guest/index.ts';
import { FIRST_STAGE, PageRequestDrain, PageRequestQueue, RESPONSE_CODE } from '../guest/index.ts';
import type { Machine } from '../machine/index.ts';
import { FACT, MARK, SLOT } from '../machine/index.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import { DIRECTORY, OTHER_PAGES, PAGE_REQUEST_QUEUE, ScalableScene } from './scalable-scene.ts';
import { ADDRESS, SID } from './unit-scene.ts';

/** Domain id of all address spaces of processes, and the PASID that one has after the other. */
const DID = 1;
const PASID = 1;
const IOVA = 0x1000n;

/** What kernels do: how an entry is torn down, and whether the unbind drains where FPD is all that is left of it. */
const KERNELS: Readonly<Record<string, { readonly tearDown: TearDown; readonly drains: boolean }>> = {
  buggy: { tearDown: 'zeroed-at-once', drains: false },
  fixed: { tearDown: 'zeroed-at-once', drains: true },
  // As the diff of 75ed00055c05 reads: P is clear when it is asked whether FPD is to be set, so it never is, and nothing is left to know it by.
  'linux-7.0': { tearDown: 'present-first', drains: true },
};

const LEAVES: Readonly<Record<string, Pick<DrainOptions, 'leaves'>>> = {
  'not-handled': { leaves: 'handling' },
  'hardware-not-drained': { leaves: 'hardware' },
};

/**
 * A process whose address space a device uses dies while the device waits for a page: its address space goes, the device's driver stops the
 * device and gives the PASID back, and the next process gets it. Who handles page requests knows a process by its PASID.
 */
function build({ variant, profile, mutant }: Setup): Machine {
  const scene = new ScalableScene({ profile, pageRequests: 1, machine: { dmaSlots: 1 } });
  const { machine, unit, cpu, queue } = scene;
  const { dma } = machine;
  const space = scene.space({ did: DID, name: 'process 1', pages: ADDRESS, format: FIRST_STAGE });
  const next = scene.space({ did: DID, name: 'process 2', pages: OTHER_PAGES, format: FIRST_STAGE });
  const first: PasidTranslation = { by: 'first-stage', did: DID, first: space.top };
  scene.directory('', DIRECTORY, [PASID]);
  scene.attach(DIRECTORY);
  scene.enter(DIRECTORY, PASID, first);
  const accel = machine.device('accel', SID, DID, [IOVA], { pasid: PASID, ats: true, pageRequests: 1 });
  const other = scene.secondCpu();
  /** Number of the process that has the PASID. */
  const owner = machine.word('process of PASID 1', 1);
  const over = machine.word('nothing is under way any more');

  const { drains, tearDown } = KERNELS[variant];
  const entries = scene.pasidTable({ table: DIRECTORY.table, tearDown, device: SID });
  const draining = new PageRequestDrain(cpu, unit, queue, { sid: SID, did: DID, ...LEAVES[mutant ?? ''] });
  const slot = dma.at(0);
  machine.actor('kernel', function* () {
    yield* accel.issue(IOVA, 'read');
    yield* machine.note('the address space of process 1 goes', 'before');
    yield* entries.tearDown(PASID, first, true);
    // Its driver waits until it is idle, but for what waits for a page; that is given up, and sends no other page request.
    const waits = () => (dma.get(slot, SLOT.flags) & MARK.page) !== 0;
    const idle = () => dma.inFlight(accel.index) === 0;
    yield { name: 'the device does nothing but wait for a page', ready: () => idle() || waits(), run: () => {} };
    yield* machine.note('sees that the device does nothing but wait for a page, if that');
    yield* accel.stopWaiting();
    yield { name: 'the device is idle', ready: idle, run: () => {} };
    yield* machine.note('sees that the device is idle');
    yield* entries.unbind(PASID, first, () => draining.drain(PASID), drains && mutant !== 'not-drained');
    yield* machine.note('PASID 1 is given to process 2', 'after', () => {
      owner.value = 2;
    });
    yield* entries.setUp(PASID, { by: 'first-stage', did: DID, first: next.top });
    const none = () => dma.ats?.pages?.channel.hasRoom === true;
    yield {
      name: 'no page request is under way',
      ready: none,
      run: () => {
        over.value = 1;
      },
    };
  });
  const requests = new PageRequestQueue(machine, other.cpu, unit, other.queue, PAGE_REQUEST_QUEUE);
  machine.actor('page requests on cpu1', function* () {
    const request = yield* requests.next(over);
    if (request === null) return;
    yield* machine.note('', 'after', () => {
      const { log, facts } = machine;
      if (log.on) log.say('driver', `asks process ${owner.value} for the page`);
      if (owner.value === 1) return;
      facts.bits |= FACT.lostFault;
      if (log.on) log.say('driver', 'it was process 1 that wanted it');
    });
    yield* requests.respond(request, RESPONSE_CODE.invalid);
    yield* requests.done();
  });
  return machine;
}

const CACHES = ['atc', 'iotlb', 'context', 'pasid', 'paging'].flatMap((cache) => [`${cache}.use`, `${cache}.evict`]);

export const PRQ_FPD_DRAIN = defineCase({
  id: 'vtd-prq-fpd-drain',
  title:
    '"Draining PRQ in sva unbind path when FPD bit set": a page request of a dead process meets the next owner of its PASID',
  thread: '000',
  tags: ['corpus'],
  model: 'vtd',
  invariants: ['I8'],
  variants: { buggy: 'violated', fixed: 'holds', 'linux-7.0': 'violated' },
  mutants: {
    'not-drained': { variant: 'fixed', title: 'FPD is cleared, and nothing is drained' },
    'hardware-not-drained': {
      variant: 'fixed',
      title: 'the drain does not wait for what is on its way to the queue (7.10)',
    },
    'not-handled': { variant: 'fixed', title: 'the drain does not wait until what is in the queue is handled' },
  },
  unfired: {
    ...Object.fromEntries(
      CACHES.map((rule) => [rule, 'one DMA, to what is not mapped: nothing is cached that could serve another']),
    ),
    'paging.survive-hint': 'every invalidation is of all of the PASID, which knows no hint',
    'invalidation.overtake': 'nothing is translated',
  },
  build,
});
