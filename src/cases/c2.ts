/** Two stage-2 tables with VMIDs of their own under one vSMMU: a guest's invalidation carries one VMID. */
import type { Machine } from '../machine/index.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import { ALL_CONCERNED, HOLDS, IOVA, NestedScene, tlbiOf } from './nested-scene.ts';
import { invalidatesBy, someoneTakes, unmapsAndFrees, vsmmuOf } from './nested-story.ts';

function build({ variant, profile, mutant }: Setup<'smmuv3'>): Machine {
  const scene = new NestedScene({ profile, machine: { dmaSlots: 2 } });
  const { machine, units } = scene;
  const guest = scene.guest('the guest', 1, { words: [0] });
  const cpu = scene.cpu('vcpu0');
  const vmids = variant === 'shared' && mutant !== 'two-vmids' ? [1] : [1, 2];
  const tables = vmids.map((vmid, n) => scene.stageTwo(guest, vmid, n));
  const queue = units[0].queue(cpu);
  const devices = [0, 1].map((k) => scene.device(`nic${k}`, guest, 0, tables[k % tables.length], k));
  devices[0].stray([IOVA], 'write', 1);
  devices[1].stray([IOVA], 'write', 2);
  // A vIOMMU for each stage 2: the kernel knows one VMID by each.
  const known = variant === 'both' && mutant !== 'one-vmid' ? vmids : [1];
  const vsmmu = vsmmuOf(scene, guest, cpu, {
    iommus: known.map((vmid, k) => ({ smmu: 0, vmid, queue, streams: new Map([[0x80 + 8 * k, scene.sid(0, k)]]) })),
  });
  const invalidate = invalidatesBy(vsmmu.queue(cpu), [tlbiOf.asid(guest)], 'TLBI_NH_ASID');
  machine.actor('driver', () => unmapsAndFrees(scene, cpu, guest, invalidate));
  someoneTakes(scene, cpu, guest);
  return machine;
}

export const C2 = defineCase({
  id: 'C2',
  title: 'two devices behind one vSMMU, each with a stage 2 and a VMID of its own: the guest’s TLBI carries one',
  thread: '002',
  model: 'smmuv3',
  // IHI 0070, 4.4.2.2: translations of the VMID, and of no other.
  invariants: ['I1', 'I3'],
  variants: { 'one-vmid': 'violated', both: HOLDS, shared: HOLDS },
  mutants: {
    'one-vmid': { variant: 'both', title: 'the VMM invalidates by the first VMID alone' },
    'two-vmids': { variant: 'shared', title: 'the second device has a stage 2 of its own after all' },
  },
  needs: ['drain'],
  unfired: { 'sync.overtake': ALL_CONCERNED },
  build,
});
