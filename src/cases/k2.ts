import { encode64 } from '../bits/index.ts';
import { FlushQueue, NewMapping, WriteBuffers } from '../guest/index.ts';
import { GCMD } from '../iommu/vtd/index.ts';
import type { Machine } from '../machine/index.ts';
import { choose } from '../machine/index.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import { DID, VtdScene } from './vtd-scene.ts';

const PAGES = [1, 2];
const iovaOf = (page: number) => BigInt(page) << 12n;
const OLD = 0x21d200000n;
const NEW = 0x7f2a00000n;

/**
 * Two pages are unmapped under caching mode, with a flush queue (`buggy`) or one by one (`fixed`); then the first input page is handed out
 * again. What "the invalidation is complete" means is when an input page is free: with a flush queue, after its flush; so lazy
 * unmapping promises no more. That the frames are somebody else's before that is G1's matter.
 */
function build({ variant, profile, mutant }: Setup): Machine {
  const scene = new VtdScene({
    profile,
    pdEntries: [0],
    ptEntries: PAGES,
    unit: { cap: { CM: 1 } },
    mutation: { noUnmapFlush: mutant === 'no-flush' },
  });
  const { machine, unit, cpu, queue } = scene;
  if (queue === null) throw new Error('the queue carries invalidations');
  for (const page of PAGES) scene.buffer(`page ${page}`, OLD + iovaOf(page));
  scene.buffer('new page', NEW);
  scene.premap(iovaOf(PAGES[0]), OLD + iovaOf(PAGES[0]), PAGES.length);
  const nic = scene.device('nic', PAGES.map(iovaOf));
  machine.actor(
    'nic',
    function* () {
      const aim = iovaOf(PAGES[yield* choose('page', PAGES.length)]);
      // One after the other: the first leaves cached what the second may use.
      for (let i = 0; i < 2; i++) yield* nic.dma(aim, 'read');
    },
    'device',
  );

  const gcmd = encode64(GCMD, { TE: 1, QIE: 1 });
  const buffers = new WriteBuffers(unit, false, machine.word('register_lock'), gcmd);
  const newMapping = new NewMapping(machine, cpu, { cachingMode: true, buffers });
  const domain = scene.domainOn(cpu, queue, newMapping);
  const iovas = new Map(PAGES.map((page) => [page, machine.word(`IOVA ${page}`, 1)]));
  const first = iovas.get(PAGES[0]);
  if (first === undefined) throw new Error('the first page is an input page');

  if (variant === 'fixed') {
    machine.actor('cpu0', function* () {
      for (const page of PAGES) yield* domain.unmap(iovaOf(page), 0x1000n);
      yield* domain.map(iovaOf(PAGES[0]), NEW, 0x1000n);
    });
    return machine;
  }
  const other = scene.secondCpu();
  const timer = scene.domainOn(other.cpu, other.queue);
  const fq = new FlushQueue(machine, {
    did: DID,
    entries: PAGES.length,
    iovas,
    flushAll: () => timer.flushAll(),
    leavesFlushOut: mutant === 'no-queue-flush',
    ignoresCounter: mutant === 'counter-ignored',
  });
  const over = machine.word('cpu0 is done');
  machine.actor('cpu0', function* () {
    for (const page of PAGES) yield* domain.unmapLazily(iovaOf(page), fq);
    yield* first.until(0);
    yield* domain.map(iovaOf(PAGES[0]), NEW, 0x1000n);
    yield* machine.note('', 'after', () => {
      over.value = 1;
    });
  });
  machine.actor('timer on cpu1', function* () {
    // It is armed once or twice: the second page may be queued before the first time it runs out, or after.
    for (let i = 0; i < PAGES.length; i++) if ((yield* fq.timer(over)) === 0) return;
  });
  return machine;
}

/** Control: with the flush queue, an emulated unit does more work; nothing is wrong. */
export const K2 = defineCase({
  id: 'K2',
  title: 'control: "Do not use flush-queue when caching-mode is on" mends what it costs, and no invariant',
  thread: '001',
  tags: ['control'],
  model: 'vtd',
  invariants: ['I1', 'I4'],
  variants: { buggy: 'holds', fixed: 'holds' },
  mutants: {
    'no-queue-flush': { variant: 'buggy', title: 'the flush queue does not flush' },
    'counter-ignored': {
      variant: 'buggy',
      title: 'an entry that is queued while a flush is under way is freed with those before it',
    },
    'no-flush': { variant: 'fixed', title: 'the unmap does not invalidate' },
  },
  unfired: {
    'paging.survive-hint':
      'where it does not fire, the flush queue flushes the whole domain, and a new mapping says IH = 0',
  },
  build,
});
