/** Stage 2 of a running guest is replaced by another, with another VMID, while the guest invalidates. */

import { encode } from '../bits/index.ts';
import { CMD_TLBI_S12_VMALL } from '../iommu/smmuv3/commands.ts';
import type { Machine } from '../machine/index.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import { ALL_CONCERNED, HOLDS, IOVA, NestedScene, tlbiOf } from './nested-scene.ts';
import { invalidatesBy, someoneTakes, unmapsAndFrees, vsmmuOf } from './nested-story.ts';

const OLD = 1;
const NEW = 2;

function build({ variant, profile, mutant }: Setup<'smmuv3'>): Machine {
  const [history, flush] = variant.split('/');
  const scene = new NestedScene({ profile, machine: { dmaSlots: 1 } });
  const { machine, units } = scene;
  const [unit] = units;
  const guest = scene.guest('the guest', 1, { words: [0] });
  const [vcpu, host] = [scene.cpu('vcpu0'), scene.cpu('host cpu')];
  const [old, next] = [OLD, NEW].map((vmid, n) => scene.stageTwo(guest, vmid, n));
  scene.device('nic0', guest, 0, old).stray([IOVA], 'write', 2);
  if (history === 'used-before') scene.warm(0, 0, next);
  const queue = unit.queue(vcpu);
  const hosts = queue.on(host);
  const vmid = machine.word('VMID of the vSMMU', OLD);
  const lock = machine.word('lock of the vSMMU');
  const vsmmu = vsmmuOf(scene, guest, vcpu, {
    iommus: [{ smmu: 0, vmid, queue, streams: new Map([[0x80, scene.sid(0)]]) }],
    ...(mutant === 'unlocked' ? {} : { lock }),
  });
  const invalidate = invalidatesBy(vsmmu.queue(vcpu), [tlbiOf.asid(guest)], 'TLBI_NH_ASID');
  machine.actor('driver', () => unmapsAndFrees(scene, vcpu, guest, invalidate));
  const configuration = unit.configuration(host, hosts);
  function* forget() {
    yield* hosts.issueWithSync([encode(CMD_TLBI_S12_VMALL, { VMID: NEW })], `TLBI_S12_VMALL, VMID ${NEW}`);
  }
  machine.actor('host', function* () {
    yield* lock.lock();
    if (flush === 'flushed' && mutant !== 'flushed-late') yield* forget();
    yield* configuration.writeSte(scene.sid(0), scene.ste(next));
    yield* vmid.set(NEW);
    yield* lock.unlock();
    if (mutant === 'flushed-late') yield* forget();
  });
  someoneTakes(scene, vcpu, guest);
  return machine;
}

export const C3 = defineCase({
  id: 'C3',
  title: 'stage 2 is replaced, with a new VMID, while the guest invalidates: may the new VMID have entries?',
  thread: '002',
  model: 'smmuv3',
  // IHI 0070, 3.17, 4.4.3.2: what a VMID has is there until it is invalidated.
  invariants: ['I1', 'I3'],
  variants: { fresh: HOLDS, 'used-before': 'violated', 'used-before/flushed': HOLDS },
  mutants: {
    unlocked: { variant: 'fresh', title: 'the VMM goes on with the old VMID while the STE has the new one' },
    'flushed-late': { variant: 'used-before/flushed', title: 'TLBI_S12_VMALL comes when the STE has the new VMID' },
  },
  needs: ['drain'],
  unfired: { 'sync.overtake': ALL_CONCERNED },
  build,
});
