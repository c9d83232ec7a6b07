/** One vSMMU for devices behind two physical SMMUs: to which of them does a guest's invalidation have to go? */
import { CommandQueue } from '../guest/index.ts';
import type { Machine, Program } from '../machine/index.ts';
import type { Routing } from '../vmm/iommufd/index.ts';
import { sharingNamed } from '../vmm/iommufd/index.ts';
import { hasConsumed, MultipliedPort } from '../vmm/vsmmu/index.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import { ALL_CONCERNED, HOLDS, IOVA, NestedScene, tlbiOf } from './nested-scene.ts';
import { invalidatesBy, someoneTakes, unmapsAndFrees, vsmmuOf } from './nested-story.ts';
import { CmdqvUnit } from './nested-vcmdq.ts';

/** By variant: the policy whose routing it is. */
const POLICIES: Readonly<Record<string, string>> = {
  'first-only': 'first-only',
  replicate: 'replicate-vmm',
  'by-vsid': 'by-vsid',
};

/** VMIDs: each SMMU gives out its own. */
const VMIDS = [1, 2];

function build({ variant, profile, mutant }: Setup<'smmuv3'>): Machine {
  const scene = new NestedScene({ profile, smmus: 2, machine: { dmaSlots: 2 } });
  const { machine, units } = scene;
  const guest = scene.guest('the guest', 1, { words: [0] });
  const cpu = scene.cpu('vcpu0');
  const tables = VMIDS.map((vmid, i) => scene.stageTwo(guest, vmid, i));
  const near = scene.device('nic0', guest, 0, tables[0]);
  const far = scene.device('nic1', guest, 1, tables[1]);
  near.stray(
    [...near.aims].map((page) => page << 12n),
    'write',
    1,
  );
  far.stray(
    [...far.aims].map((page) => page << 12n),
    'write',
    2,
  );
  // What the VMM knows of vStreamIDs: without that of nic1 it has no device behind SMMU 1.
  const streams = [
    new Map([[0x80, scene.sid(0)]]),
    new Map(mutant === 'hot-plug-missed' ? [] : [[0x88, scene.sid(1)]]),
  ];
  const policy = sharingNamed(POLICIES[variant]);
  const routing: Routing = mutant === 'first-only' ? 'the first' : policy.routing;
  const vsmmu = vsmmuOf(scene, guest, cpu, {
    iommus: VMIDS.map((vmid, smmu) => ({ smmu, vmid, streams: streams[smmu], queue: units[smmu].queue(cpu) })),
    routing,
    replicates: policy.replicates,
  });
  const invalidate = invalidatesBy(vsmmu.queue(cpu), [tlbiOf.asid(guest)], 'TLBI_NH_ASID');
  machine.actor('driver', () => unmapsAndFrees(scene, cpu, guest, invalidate));
  someoneTakes(scene, cpu, guest);
  return machine;
}

/**
 * Queues in hardware, one of each SMMU, that read one ring. The guest's driver is as ever: one doorbell, one CMDQ_CONS; `guest-knows` is one that waits for
 * the other queue as well, which is not the programming model of an SMMU.
 */
function multiplied({ variant, profile, mutant }: Setup<'smmuv3'>): Machine {
  const how = variant.split('/')[1];
  const scene = new NestedScene({ profile, smmus: 2, machine: { dmaSlots: 1 } });
  const { machine } = scene;
  const guest = scene.guest('the guest', 1, { words: [0] });
  const cpu = scene.cpu('vcpu0');
  VMIDS.forEach((vmid, i) => {
    scene.device(`nic${i}`, guest, i, scene.stageTwo(guest, vmid, i)).stray([IOVA], 'write', i === 0 ? 1 : 2);
  });
  const first = new CmdqvUnit(scene, 0).open(guest, { vmid: VMIDS[0], streams: new Map() });
  const second = new CmdqvUnit(scene, 1).open(guest, { vmid: VMIDS[1], streams: new Map(), at: first.base });
  const port = new MultipliedPort([first.port, second.port], how !== 'one-doorbell');
  const queue = new CommandQueue(machine, cpu, { smmu: port, base: first.base, log2size: 1 });
  const commands = [tlbiOf.asid(guest)];
  function* invalidate(): Program {
    yield* queue.issueWithSync(commands, 'TLBI_NH_ASID');
    if (how !== 'guest-knows' || mutant === 'does-not-know') return;
    yield {
      name: 'the guest waits for the other queue',
      ready: () => hasConsumed(second.port, commands.length + 1),
      run: () => machine.log.say('driver', 'sees that the other queue has consumed all as well'),
    };
  }
  machine.actor('driver', () => unmapsAndFrees(scene, cpu, guest, invalidate));
  someoneTakes(scene, cpu, guest);
  return machine;
}

export const C1 = defineCase({
  id: 'C1',
  title: 'one vSMMU, devices behind two SMMUs: where does the guest’s TLBI_NH_ASID go?',
  thread: '002',
  tags: ['core'],
  model: 'smmuv3',
  // IHI 0070, 3.17: a command acts on the SMMU that consumes it.
  invariants: ['I1', 'I3'],
  variants: {
    'first-only': 'violated',
    replicate: HOLDS,
    'by-vsid': HOLDS,
    'vcmdq-multiply/one-doorbell': 'violated',
    'vcmdq-multiply/one-index': 'violated',
    'vcmdq-multiply/guest-knows': HOLDS,
  },
  mutants: {
    'does-not-know': {
      variant: 'vcmdq-multiply/guest-knows',
      title: 'the guest waits for one queue, as every SMMU has one',
    },
    'first-only': { variant: 'replicate', title: 'the VMM sends it to the first SMMU alone' },
    'hot-plug-missed': { variant: 'by-vsid', title: 'the VMM does not know of the device behind the second SMMU' },
  },
  needs: ['drain'],
  unfired: { 'sync.overtake': ALL_CONCERNED },
  build: (setup) => (setup.variant.startsWith('vcmdq-multiply/') ? multiplied(setup) : build(setup)),
});
