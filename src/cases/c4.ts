/** A guest that names what is not its own: VMIDs, StreamIDs, commands that it changes behind its doorbell, indexes that cannot be. */
import { decode, encode, hex } from '../bits/index.ts';
import { skipBadCommand } from '../guest/index.ts';
import { CMD_CFGI_CD, CMD_TLBI_NH_ASID, CMD_TLBI_S12_VMALL, commandName } from '../iommu/smmuv3/commands.ts';
import { CMDQ_PROD } from '../iommu/smmuv3/index.ts';
import type { Machine, Program } from '../machine/index.ts';
import { FACT } from '../machine/index.ts';
import { kernelNamed } from '../vmm/iommufd/index.ts';
import type { Handled } from '../vmm/vsmmu/index.ts';
import { InterferingVmm } from '../vmm/vsmmu/index.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import { ALL_CONCERNED, HOLDS, IOVA, NestedScene, tlbiOf } from './nested-scene.ts';
import type { VsmmuSetup } from './nested-story.ts';
import { invalidatesBy, someoneTakes, unmapsAndFrees, vsmmuOf } from './nested-story.ts';

/** Of the guest, and of another one on the same SMMU. */
const OWN = 1;
const OTHER = 2;

/** vStreamIDs: of the guest's device, and of nobody. */
const VSID = 0x80;
const NOBODY = 0x99;

/** Sees what reaches the SMMU, and whether the kernel says the same. */
function watch({ facts, log }: Machine, vmid: number): (what: Handled) => void {
  return ({ handled, issued }) => {
    const foreign = issued.find((command) => decode(CMD_TLBI_NH_ASID, ...command).VMID !== vmid);
    if (foreign !== undefined) {
      facts.bits |= FACT.crossedDomain;
      if (log.on)
        log.say('iommu', `${nameOf(foreign)} of VMID ${decode(CMD_TLBI_NH_ASID, ...foreign).VMID} reaches the SMMU`);
    }
    if (handled === issued.length) return;
    facts.bits |= FACT.wrongStatus;
    if (log.on) log.say('driver', `entry_num = ${handled}, and ${issued.length} were issued`);
  };
}

const nameOf = ([first]: readonly bigint[]) => commandName(Number(first & 0xffn)) ?? hex(first);

/** The guest forges VMIDs, or names a StreamID that it has not, in its own unmap. */
function ownUnmap({ variant, profile, mutant }: Setup<'smmuv3'>): Machine {
  const [what, how] = variant.split('/');
  const scene = new NestedScene({ profile, machine: { dmaSlots: 1 } });
  const { machine, units } = scene;
  const guest = scene.guest('the guest', 1, { words: [0] });
  const [vcpu, other] = [scene.cpu('vcpu0'), scene.cpu('vcpu1')];
  scene.device('nic0', guest, 0, scene.stageTwo(guest, OWN)).stray([IOVA], 'write', 2);
  const isTrusting = how === 'trusted' || mutant === 'trusted';
  const isOld = how === 'batched-6.18' || mutant === 'old-kernel';
  const mistake = isTrusting ? 'trusts' : mutant === 'first-is-bad' ? 'no-retry' : undefined;
  const setup: VsmmuSetup = {
    iommus: [{ smmu: 0, vmid: OWN, queue: units[0].queue(vcpu), streams: new Map([[VSID, scene.sid(0)]]) }],
    check: watch(machine, OWN),
    log2size: 2,
    ...(what === 'vsid' ? { lock: machine.word('lock of the VMM') } : {}),
    carrier: how === 'one-by-one' && mutant !== 'old-kernel' ? 'trapped' : 'batched',
    kernel: kernelNamed(isOld || how === 'one-by-one' ? 'linux-6.18' : 'linux-2026-09'),
    ...(mistake === undefined ? {} : { mistake }),
  };
  const vsmmu = vsmmuOf(scene, guest, vcpu, setup);
  const queue = vsmmu.queue(vcpu);
  const forged = what === 'vmid' ? [tlbiOf.asid(guest, OTHER)] : [tlbiOf.asid(guest), cfgi(NOBODY)];
  const told = what === 'vmid' ? `TLBI_NH_ASID, VMID ${OTHER}` : `TLBI_NH_ASID, CFGI_CD of ${hex(NOBODY)}`;
  machine.actor('driver', () => unmapsAndFrees(scene, vcpu, guest, invalidatesBy(queue, forged, told)));
  if (what === 'vsid') machine.actor('error handler', () => skipBadCommand(other, queue.options));
  someoneTakes(scene, vcpu, guest);
  return machine;
}

const cfgi = (StreamID: number) => encode(CMD_CFGI_CD, { StreamID, Leaf: 1 });

/** A hostile guest beside another one, which unmaps a page meanwhile. */
function beside({ variant, profile, mutant }: Setup<'smmuv3'>): Machine {
  const [what, how] = variant.split('/');
  const scene = new NestedScene({ profile, machine: { dmaSlots: 1 } });
  const { machine, units } = scene;
  const [hostile, good] = [scene.guest('the hostile guest', 1), scene.guest('the other guest', 2, { words: [0] })];
  const [vcpu, second, theirs] = [scene.cpu('vcpu0'), scene.cpu('vcpu1'), scene.cpu('vcpu of the other guest')];
  scene.stageTwo(hostile, OWN);
  scene.device('nic0', good, 0, scene.stageTwo(good, OTHER)).stray([IOVA], 'write', 2);
  const hosts = units[0].queue(vcpu);
  const bad = vsmmuOf(scene, hostile, vcpu, {
    iommus: [{ smmu: 0, vmid: OWN, queue: hosts, streams: new Map([[VSID, scene.sid(0, 1)]]) }],
    check: watch(machine, OWN),
    ...(how === 'read-twice' || mutant === 'read-twice' ? { mistake: 'reads-twice' as const } : {}),
  });
  const their = vsmmuOf(scene, good, theirs, {
    iommus: [{ smmu: 0, vmid: OTHER, queue: hosts.on(theirs), streams: new Map([[VSID, scene.sid(0)]]) }],
    check: watch(machine, OTHER),
    ring: 1,
  });
  const limits = mutant === 'limits-others' ? new InterferingVmm(machine, their.forwarder, 'drops') : null;
  const queue = limits === null ? their.queue(theirs) : their.queue(theirs, () => limits.exit());
  machine.actor('driver', () => unmapsAndFrees(scene, theirs, good, invalidatesBy(queue, [tlbiOf.asid(good)], 'TLBI')));
  someoneTakes(scene, theirs, good);
  const ring = bad.queue(vcpu);
  const post = () => ring.issue([tlbiOf.asid(hostile)], 'TLBI_NH_ASID');
  if (what === 'rewrite') {
    const [word] = encode(CMD_TLBI_S12_VMALL, { VMID: OTHER });
    machine.actor('hostile vcpu0', post);
    machine.actor('hostile vcpu1', () =>
      second.write64(ring.options.base, word, `vcpu1 makes it TLBI_S12_VMALL, VMID ${OTHER}`),
    );
  } else machine.actor('hostile vcpu0', () => floods(bad));
  return machine;

  /** As many as the ring takes, and then indexes that cannot be. */
  function* floods({ virtual, forwarder }: typeof bad): Program {
    for (let i = 0; i < 2; i++) yield* post();
    yield* vcpu.mmioWrite(virtual, CMDQ_PROD.offset, 4, 0xffff7n, ', an index that cannot be');
    yield* forwarder.exit();
  }
}

export const C4 = defineCase({
  id: 'C4',
  title: 'a guest names VMIDs and StreamIDs of others, changes commands behind its doorbell, floods its queue',
  thread: '002',
  model: 'smmuv3',
  invariants: ['I11', 'I6', 'I1', 'I3'],
  variants: {
    'vmid/overwritten': HOLDS,
    'vmid/trusted': 'violated',
    'vsid/one-by-one': HOLDS,
    // Commands before the bad one are counted as handled, and none of the batch is issued.
    'vsid/batched-6.18': 'violated',
    'vsid/batched-2026-09': HOLDS,
    'rewrite/one-read': HOLDS,
    'rewrite/read-twice': 'violated',
    flood: HOLDS,
  },
  mutants: {
    trusted: { variant: 'vmid/overwritten', title: 'the VMM passes the guest’s VMID on' },
    'old-kernel': {
      variant: 'vsid/one-by-one',
      title: 'the VMM passes batches to a kernel that counts what it never issued',
    },
    'first-is-bad': {
      variant: 'vsid/batched-2026-09',
      title: 'the VMM takes the first of a refused batch for the one in error',
    },
    'read-twice': { variant: 'rewrite/one-read', title: 'the VMM looks at commands in the ring, and reads them again' },
    'limits-others': { variant: 'flood', title: 'a VMM that is flooded drops what other guests ask' },
  },
  needs: ['drain'],
  unfired: { 'sync.overtake': ALL_CONCERNED },
  build: (setup) => (/^v(mid|sid)/.test(setup.variant) ? ownUnmap(setup) : beside(setup)),
});
