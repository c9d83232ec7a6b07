/** What cases about a guest's invalidations tell: its driver unmaps a page, invalidates by its vSMMU, and frees it; somebody else takes the page. */
import { hex } from '../bits/index.ts';
import type { SmmuCommand } from '../guest/index.ts';
import { CommandQueue, iommuUnmap } from '../guest/index.ts';
import type { Cpu, Program, SoftwareWord } from '../machine/index.ts';
import type { Kernel, Routing } from '../vmm/iommufd/index.ts';
import { carrierNamed, commandMasks, kernelNamed } from '../vmm/iommufd/index.ts';
import type { ForwarderOptions, PhysicalQueue, VirtualIommu } from '../vmm/vsmmu/index.ts';
import { Forwarder, VirtualQueue } from '../vmm/vsmmu/index.ts';
import type { Guest, NestedScene } from './nested-scene.ts';
import { FIRST, IOVA, PAGES } from './nested-scene.ts';

/** What the SMMUs of these cases have, of what decides which bits of a command count. */
const FEATURES = { rangeInvalidation: true, ds: false, ats: false, asidBits: 16, substreamBits: 20 };

/** A vIOMMU: a VMID on one of the scene's SMMUs. */
export interface IommuSetup {
  /** Index of the SMMU. */
  readonly smmu: number;
  readonly vmid: number | SoftwareWord;
  /** StreamIDs by vStreamID. */
  readonly streams: ReadonlyMap<number, number>;
  readonly used?: SoftwareWord;
  /** The SMMU's queue as the CPU uses it that the VMM runs on. */
  readonly queue: PhysicalQueue;
}

export interface VsmmuSetup extends Partial<Omit<ForwarderOptions, 'iommus' | 'routing' | 'carrier' | 'kernel'>> {
  readonly iommus: readonly IommuSetup[];
  readonly routing?: Routing;
  readonly carrier?: string;
  readonly kernel?: Kernel;
  /** log2 of the commands that the guest's ring holds; 1 if absent. */
  readonly log2size?: number;
  /** Number of the ring, of several that the guest has; 0 if absent. */
  readonly ring?: number;
}

/** A guest's command queue, and who forwards it. */
export interface Vsmmu {
  readonly virtual: VirtualQueue;
  readonly forwarder: Forwarder;
  /** As the guest's driver uses it. @param exit what the VMM does on a vCPU that traps; nothing, if null: a thread does it */
  queue(cpu: Cpu, exit?: (() => Program) | null): CommandQueue;
}

/** @param cpu where the VMM runs */
export function vsmmuOf(scene: NestedScene, guest: Guest, cpu: Cpu, setup: VsmmuSetup): Vsmmu {
  const { machine, units } = scene;
  const {
    iommus,
    carrier = 'batched',
    kernel = kernelNamed('linux-2026-09'),
    log2size = 1,
    ring = 0,
    routing = 'all',
  } = setup;
  const base = scene.ring(guest, log2size, ring);
  const virtual = new VirtualQueue(
    machine,
    { name: `vSMMU${ring === 0 ? '' : ` ${ring}`} of ${guest.name}`, base, log2size },
    setup.tally,
  );
  const virtuals: VirtualIommu[] = iommus.map(({ smmu, vmid, streams, used, queue }) => ({
    ...{ name: units[smmu].place.name, vmid, streams, queue, features: FEATURES, masks: commandMasks(FEATURES) },
    ...(used === undefined ? {} : { used }),
  }));
  const options = { ...setup, iommus: virtuals, routing, carrier: carrierNamed(carrier), kernel };
  const forwarder = new Forwarder(machine, cpu, virtual, options);
  return {
    virtual,
    forwarder,
    queue: (vcpu, exit = () => forwarder.exit()) =>
      new CommandQueue(machine, vcpu, { smmu: virtual, base, log2size, ...(exit === null ? {} : { exit }) }),
  };
}

/**
 * The guest's driver unmaps its page, and frees it when that is said to be done.
 * @param invalidate what it does about caches. @param change of its tables; the page's entry is cleared, if absent
 */
export function* unmapsAndFrees(
  { machine }: NestedScene,
  cpu: Cpu,
  guest: Guest,
  invalidate: () => Program,
  change: () => Program = () => cpu.write64(guest.pte, 0n, `${guest.name} clears the stage-1 entry of ${hex(IOVA)}`),
): Program {
  const page = machine.pool([guest.page]);
  yield* iommuUnmap(machine, guest.did, FIRST, PAGES, function* () {
    yield* change();
    yield* invalidate();
  });
  yield* page.release(guest.pageAt);
}

/** Invalidates by the guest's own command queue. @param commands before the CMD_SYNC, none of which says whose they are */
export function invalidatesBy(queue: CommandQueue, commands: readonly SmmuCommand[], what: string): () => Program {
  return () => queue.issueWithSync(commands, what);
}

/** Another process of the guest takes the page, and writes a canary. */
export function someoneTakes(scene: NestedScene, cpu: Cpu, guest: Guest, who = 'another process'): void {
  const { machine } = scene;
  const page = machine.pool([guest.page]);
  const stranger = machine.owner(who, 'other');
  machine.actor('new owner', function* () {
    yield* page.alloc(stranger);
    yield* cpu.write64(guest.pageAt, 0xc0ffeen, `${who} writes the canary 0xc0ffee to P[0]`);
  });
}
