/** VMIDs are used up: a new VM gets one that another had. */
import { encode } from '../bits/index.ts';
import { ABORT_STE } from '../guest/index.ts';
import { CMD_CFGI_STE, CMD_TLBI_S12_VMALL } from '../iommu/smmuv3/commands.ts';
import type { Machine, Program } from '../machine/index.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import { ALL_CONCERNED, FIRST, HOLDS, IOVA, NestedScene, PAGES } from './nested-scene.ts';

/** The only VMID that there is to give. */
const VMID = 1;
const [A, B] = [0, 1];

function build({ variant, profile, mutant }: Setup<'smmuv3'>): Machine {
  const scene = new NestedScene({ profile, machine: { dmaSlots: 1 } });
  const { machine, units } = scene;
  const { grants } = machine;
  const [unit] = units;
  const host = scene.cpu('host cpu');
  const queue = unit.queue(host);
  const [first, second] = [scene.guest('VM A', 1, { words: [0] }), scene.guest('VM B', 2)];
  const [tablesA, tablesB] = [scene.stageTwo(first, VMID), scene.stageTwo(second, VMID)];
  const nicA = scene.device('nicA', first, 0, tablesA, A);
  const nicB = scene.device('nicB', second, 0, tablesB, B);
  // The STE of VM B's device is there, and not valid.
  const ste = scene.ste(tablesB);
  const steB = unit.steAt(scene.sid(0, B));
  machine.poke(steB, 0n);
  machine.onStart(() => grants.begin(second.did, FIRST, PAGES));

  const isFlushed = variant === 'flushed';
  function* stream(k: number, word: bigint, what: string): Program {
    yield* host.write64(unit.steAt(scene.sid(0, k)), word, what);
    yield* queue.issueWithSync([encode(CMD_CFGI_STE, { StreamID: scene.sid(0, k), Leaf: 1 })], 'CFGI_STE');
  }
  nicA.stray([IOVA], 'read', 2);
  const runs = machine.word('VM B runs');
  machine.actor('host', function* () {
    yield* machine.note('VM A ends', 'before', () => grants.begin(first.did, FIRST, PAGES));
    yield* stream(A, ABORT_STE[0], 'the STE of nicA aborts');
    if (isFlushed) {
      const flush = encode(CMD_TLBI_S12_VMALL, { VMID: mutant === 'other-vmid' ? VMID + 1 : VMID });
      const what = `TLBI_S12_VMALL, VMID ${mutant === 'other-vmid' ? VMID + 1 : VMID}`;
      yield* queue.issueWithSync([flush], what);
    }
    yield* machine.note('its VMID is free', 'after', () => grants.revoked(first.did, FIRST, PAGES));
    yield* machine.pool([first.page]).release(first.pageAt);
    // All VMIDs were in use: VM B has waited for one.
    yield* stream(B, ste[0], `VM B gets VMID ${VMID}: the STE of nicB is valid`);
    const pfn = Number(second.pageAt >> 12n);
    yield* machine.note('VM B runs', 'after', () => grants.granted(second.did, FIRST, PAGES, pfn));
    yield* runs.set(1, true);
  });
  machine.actor(
    'nicB',
    function* () {
      yield* runs.until(1);
      yield* nicB.strays([IOVA], 'read', 2);
    },
    'device',
  );
  machine.actor('new owner', function* () {
    yield* machine.pool([first.page]).alloc(machine.owner('another VM', 'other'));
    yield* host.write64(first.pageAt, 0x5ec2e7n, 'another VM keeps a secret in what was the page of VM A');
  });
  return machine;
}

export const C8 = defineCase({
  id: 'C8',
  title: 'VMIDs are used up, and one is given again: what does the SMMU still know by it?',
  thread: '002',
  tags: ['core'],
  model: 'smmuv3',
  // IHI 0070, 3.17, 4.4.3.2.
  invariants: ['I12', 'I1', 'I3'],
  variants: { 'as-it-is': 'violated', flushed: HOLDS },
  mutants: {
    'other-vmid': { variant: 'flushed', title: 'TLBI_S12_VMALL names another VMID' },
  },
  needs: ['drain'],
  unfired: { 'sync.overtake': ALL_CONCERNED },
  build,
});
