/** A hypervisor that drops, delays or reorders what its guest asks of the SMMU: can the guest tell, and can it be kept from it? */
import { encode } from '../bits/index.ts';
import { CMD_CFGI_CD } from '../iommu/smmuv3/commands.ts';
import type { Machine, Program } from '../machine/index.ts';
import type { Interference } from '../vmm/vsmmu/index.ts';
import { InterferingVmm } from '../vmm/vsmmu/index.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import { ALL_CONCERNED, HOLDS, IOVA, NestedScene, tlbiOf } from './nested-scene.ts';
import { invalidatesBy, someoneTakes, unmapsAndFrees, vsmmuOf } from './nested-story.ts';
import { CmdqvUnit } from './nested-vcmdq.ts';

const VMID = 1;
const VSID = 0x80;

const INTERFERENCE: readonly string[] = ['drops', 'delays', 'reorders'];

function build({ variant, profile, mutant }: Setup<'smmuv3'>): Machine {
  const [way, how] = variant.split('/');
  const scene = new NestedScene({ profile, machine: { dmaSlots: 1 } });
  const { machine, units } = scene;
  const guest = scene.guest('the guest', 1, { words: [0] });
  const cpu = scene.cpu('vcpu0');
  const host = scene.cpu('host cpu');
  scene.device('nic0', guest, 0, scene.stageTwo(guest, VMID)).stray([IOVA], 'write', 2);
  const streams = new Map([[VSID, scene.sid(0)]]);
  const commands = [tlbiOf.asid(guest)];
  const conduct = mutant ?? how;

  if (way === 'vcmdq' && mutant !== 'taken-away') {
    // The hypervisor's programs are as before; nothing of the guest's comes to them.
    const vmid = mutant === 'wrong-vmid' ? VMID + 1 : VMID;
    const queue = new CmdqvUnit(scene, 0).open(guest, { vmid, streams }).queue(cpu);
    machine.actor('driver', () => unmapsAndFrees(scene, cpu, guest, invalidatesBy(queue, commands, 'TLBI_NH_ASID')));
    someoneTakes(scene, cpu, guest);
    return machine;
  }

  const hosts = units[0].queue(cpu);
  const onThread = conduct === 'delays';
  const vsmmu = vsmmuOf(scene, guest, onThread ? host : cpu, {
    iommus: [{ smmu: 0, vmid: VMID, queue: onThread ? hosts.on(host) : hosts, streams }],
    // What is held back stays in the ring.
    log2size: 2,
  });
  const kind = conduct === 'taken-away' ? 'drops' : conduct;
  const vmm = INTERFERENCE.includes(kind)
    ? new InterferingVmm(machine, vsmmu.forwarder, kind as Interference)
    : vsmmu.forwarder;
  const queue = vsmmu.queue(cpu, () => vmm.exit());
  if (kind === 'delays' && vmm instanceof InterferingVmm) machine.actor('hypervisor', () => vmm.late());

  // What two CMD_SYNCs are for: its CD is gone from caches before translations by it are.
  function* inTwo(): Program {
    yield* queue.issueWithSync([encode(CMD_CFGI_CD, { StreamID: VSID, Leaf: 1 })], 'CFGI_CD');
    yield* queue.issueWithSync(commands, 'TLBI_NH_ASID');
  }
  machine.actor('driver', () =>
    kind === 'reorders' || how === 'honest-in-two'
      ? unmapsAndFrees(scene, cpu, guest, inTwo, () => scene.emptiesTable(cpu, guest))
      : unmapsAndFrees(scene, cpu, guest, invalidatesBy(queue, commands, 'TLBI_NH_ASID')),
  );
  someoneTakes(scene, cpu, guest);
  return machine;
}

export const C6 = defineCase({
  id: 'C6',
  title: 'a hypervisor drops, delays or reorders invalidations of its guest',
  thread: '002',
  model: 'smmuv3',
  invariants: ['I1', 'I3'],
  variants: {
    'trapped/honest': HOLDS,
    'trapped/honest-in-two': HOLDS,
    'trapped/drops': 'violated',
    'trapped/delays': 'violated',
    'trapped/reorders': 'violated',
    vcmdq: HOLDS,
  },
  mutants: {
    reorders: {
      variant: 'trapped/honest-in-two',
      title: 'the VMM does what was before a CMD_SYNC behind what was after it',
    },
    drops: { variant: 'trapped/honest', title: 'the VMM drops what it has said is consumed' },
    'taken-away': { variant: 'vcmdq', title: 'the hypervisor gives the guest an emulated queue instead' },
    'wrong-vmid': { variant: 'vcmdq', title: 'the hypervisor sets another VMID up for the queue' },
  },
  needs: ['drain'],
  unfired: { 'sync.overtake': ALL_CONCERNED },
  build,
});
