/** A queue of a guest's own in hardware (NVIDIA's CMDQ-V, Tegra241): what becomes of a command that it does not take, and of everybody else. */
import { encode, hex } from '../bits/index.ts';
import { skipBadCommand } from '../guest/index.ts';
import { CMD_ATC_INV, CMD_CFGI_CD, CMD_TLBI_S12_VMALL } from '../iommu/smmuv3/commands.ts';
import type { Machine, Program } from '../machine/index.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import { ALL_CONCERNED, HOLDS, IOVA, NestedScene, tlbiOf } from './nested-scene.ts';
import { invalidatesBy, someoneTakes, unmapsAndFrees } from './nested-story.ts';
import { CmdqvUnit } from './nested-vcmdq.ts';

/** Of the guest, of another one, and of nobody any more. */
const OWN = 1;
const OTHER = 2;
const GONE = 3;
const VSID = 0x80;

const CFGI = encode(CMD_CFGI_CD, { StreamID: VSID, Leaf: 1 });

/** A command in mid-batch that the queue does not take: the guest puts a CMD_SYNC in its place, and what stood behind it is done. */
function ownBatch({ variant, profile, mutant }: Setup<'smmuv3'>): Machine {
  const scene = new NestedScene({ profile, machine: { dmaSlots: 1 } });
  const { machine } = scene;
  const guest = scene.guest('the guest', 1, { words: [0] });
  const [vcpu, other] = [scene.cpu('vcpu0'), scene.cpu('vcpu1')];
  scene.device('nic0', guest, 0, scene.stageTwo(guest, OWN)).stray([IOVA], 'write', 2);
  const streams = new Map([[VSID, scene.sid(0)]]);
  const queue = new CmdqvUnit(scene, 0).open(guest, { vmid: OWN, streams, log2size: 2 }).queue(vcpu);
  const commands = [CFGI, tlbiOf.asid(guest)];
  machine.actor('driver', () =>
    unmapsAndFrees(scene, vcpu, guest, invalidatesBy(queue, commands, 'CFGI_CD, TLBI_NH_ASID')),
  );
  if (variant === 'own/mended' && mutant !== 'nobody-mends')
    machine.actor('error handler', () => skipBadCommand(other, queue.options));
  someoneTakes(scene, vcpu, guest);
  return machine;
}

/** The same beside another guest, which unmaps a page by a queue of its own, and the host, which uses the SMMU's. */
function beside({ profile, mutant }: Setup<'smmuv3'>): Machine {
  const scene = new NestedScene({ profile, machine: { dmaSlots: 1 } });
  const { machine, units } = scene;
  const [bad, good] = [scene.guest('the guest', 1), scene.guest('the other guest', 2, { words: [0] })];
  const [vcpu, theirs, host] = ['vcpu0', 'vcpu of the other guest', 'host cpu'].map((name) => scene.cpu(name));
  scene.device('nic0', good, 0, scene.stageTwo(good, OTHER)).stray([IOVA], 'write', 2);
  const cmdqv = new CmdqvUnit(scene, 0, 2);
  const own = cmdqv.open(bad, { vmid: OWN, streams: new Map() }).queue(vcpu);
  const other = cmdqv.open(good, { vmid: OTHER, streams: new Map([[VSID, scene.sid(0)]]), ring: 1 });
  // A host that has one queue for both.
  const queue = mutant === 'one-queue' ? own.on(theirs) : other.queue(theirs);
  const hosts = units[0].queue(host);
  machine.actor('bad guest', () => own.issue([CFGI], 'CFGI_CD'));
  machine.actor('driver', () => unmapsAndFrees(scene, theirs, good, invalidatesBy(queue, [tlbiOf.asid(good)], 'TLBI')));
  machine.actor('host', () =>
    hosts.issueWithSync([encode(CMD_TLBI_S12_VMALL, { VMID: GONE })], `TLBI_S12_VMALL, VMID ${GONE}`),
  );
  someoneTakes(scene, theirs, good);
  return machine;
}

/** CMD_ATC_INV names a StreamID: the interface puts that of the host in its place. */
function replacesSid({ variant, profile, mutant }: Setup<'smmuv3'>): Machine {
  const scene = new NestedScene({
    ...{ profile, unit: { idr0: { ATS: 1 }, atcInvalidations: 1 } },
    machine: { dmaSlots: 1, atcEntries: 1 },
  });
  const { machine } = scene;
  const guest = scene.guest('the guest', 1, { words: [0] });
  const vcpu = scene.cpu('vcpu0');
  const tables = scene.stageTwo(guest, OWN);
  scene.device('nic0', guest, 0, tables, 0, true).stray([IOVA], 'write', 2);
  scene.device('nic1', guest, 0, tables, 1, true);
  const sid = scene.sid(0, mutant === 'wrong-slot' ? 1 : 0);
  const streams = new Map([[variant === 'sid/no-slot' ? VSID + 8 : VSID, sid]]);
  const queue = new CmdqvUnit(scene, 0).open(guest, { vmid: OWN, streams }).queue(vcpu);
  // The TLB first: a device that asks again is answered from it (3.9.1).
  function* invalidate(): Program {
    yield* queue.issueWithSync([tlbiOf.asid(guest)], 'TLBI_NH_ASID');
    yield* queue.issueWithSync([encode(CMD_ATC_INV, { StreamID: VSID, Size: EVERY_PAGE })], `ATC_INV of ${hex(VSID)}`);
  }
  machine.actor('driver', () => unmapsAndFrees(scene, vcpu, guest, invalidate));
  someoneTakes(scene, vcpu, guest);
  return machine;
}

const BUILDS: Readonly<Record<string, (setup: Setup<'smmuv3'>) => Machine>> = {
  own: ownBatch,
  others: beside,
  sid: replacesSid,
};

/** CMD_ATC_INV.Size of everything (4.5.1). */
const EVERY_PAGE = 52;

export const C5 = defineCase({
  id: 'C5',
  title: 'a queue of the guest’s own (VCMDQ) meets a command that it does not take: who is stopped?',
  thread: '002',
  model: 'smmuv3',
  // Linux tegra241-cmdqv; IHI 0070, 7.1.
  invariants: ['I1', 'I3'],
  variants: {
    'own/mended': HOLDS,
    'own/nobody-looks': 'violated',
    others: HOLDS,
    'sid/replaced': HOLDS,
    'sid/no-slot': 'violated',
  },
  mutants: {
    'nobody-mends': { variant: 'own/mended', title: 'nobody looks at the queue’s error' },
    'wrong-slot': { variant: 'sid/replaced', title: 'the slot has the StreamID of another device' },
    'one-queue': { variant: 'others', title: 'both guests have one queue' },
  },
  // QEMU and gem5 ignore CMD_ATC_INV, and have no CMDQ-V.
  needs: ['drain'],
  unfired: { 'sync.overtake': ALL_CONCERNED },
  build: (setup) => BUILDS[setup.variant.split('/')[0]](setup),
});
