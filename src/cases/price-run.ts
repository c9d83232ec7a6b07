/** One design of nested translation, run at once: a guest with its devices unmaps, and all that it takes is counted. */
import { Instance, runPrompt } from '../explore/index.ts';
import type { SmmuProfile } from '../iommu/smmuv3/index.ts';
import type { Cpu, Program } from '../machine/index.ts';
import type { Carrier, SharedDevice, SharingPolicy } from '../vmm/iommufd/index.ts';
import { iortOf, layoutOf } from '../vmm/iommufd/index.ts';
import type { FirmwareSize, PhysicalQueue } from '../vmm/vsmmu/index.ts';
import { iortSize, Tally } from '../vmm/vsmmu/index.ts';
import { FIRST, IOVA, NestedScene, PAGES, tlbiOf } from './nested-scene.ts';
import { vsmmuOf } from './nested-story.ts';
import { CmdqvUnit } from './nested-vcmdq.ts';

/** What the guest does, whatever the design. */
export const WORKLOAD = { devices: 8, unmaps: 8, pages: 3 } as const;

export interface Design {
  readonly policy: SharingPolicy;
  readonly carrier: Carrier;
  readonly smmus: number;
}

/** Room for all devices behind one SMMU. */
const CACHES = {
  ste: WORKLOAD.devices,
  cd: WORKLOAD.devices,
  tlbWays: 2 * WORKLOAD.devices,
  ipaWays: 2 * WORKLOAD.devices,
};

/** log2 of the commands of a guest's ring, and of the devices of a guest that a CMDQ-V has slots for. */
const RING_LOG2 = 3;
const SIDS_LOG2 = Math.log2(WORKLOAD.devices);

/** What a run came to. */
export interface Counted {
  readonly stageTwoTables: number;
  readonly vmids: number;
  readonly guestSmmus: number;
  /** Commands that the guest wrote, CMD_SYNCs with them. */
  readonly guestCommands: number;
  readonly doorbells: number;
  readonly polls: number;
  readonly calls: number;
  /** Commands that SMMUs consumed, CMD_SYNCs with them. */
  readonly executed: number;
  /** Devices that still reached the page after an unmap had returned, summed over unmaps. */
  readonly stale: number;
  readonly firmware: FirmwareSize;
}

/** Why a design cannot be: a guest's own queue is of one SMMU. */
export function isPossible({ policy, carrier, smmus }: Design): boolean {
  return carrier.traps || (carrier.exists && (smmus === 1 || policy.guestSmmus === 'each'));
}

/** Devices are spread evenly: device `n` is behind SMMU `n` modulo their number. */
export function devicesOf(smmus: number): (SharedDevice & { readonly k: number })[] {
  return Array.from({ length: WORKLOAD.devices }, (_, n) => {
    const [smmu, k] = [n % smmus, Math.floor(n / smmus)];
    return { smmu, k, sid: (smmu * 4 + k + 1) * 8, vsid: 0x100 * (smmu + 1) + 8 * k };
  });
}

/** Counts what is issued to an SMMU. */
class CountedQueue implements PhysicalQueue {
  private readonly inner: PhysicalQueue;
  private readonly count: (commands: number) => Program;

  constructor(inner: PhysicalQueue, count: (commands: number) => Program) {
    this.inner = inner;
    this.count = count;
  }

  *issueWithSync(commands: readonly (readonly bigint[])[], what: string): Program {
    yield* this.inner.issueWithSync(commands, what);
    yield* this.count(commands.length + 1);
  }
}

export function runDesign({ policy, carrier, smmus }: Design, profile: SmmuProfile): Counted {
  const devices = devicesOf(smmus);
  // Other guests have VMIDs of the lower SMMUs: numbers differ from one to the next.
  const layout = layoutOf(
    policy,
    smmus,
    devices,
    Array.from({ length: smmus }, (_, i) => 1 + smmus - i),
  );
  const scene = new NestedScene({
    profile,
    smmus,
    commands: RING_LOG2,
    machine: { dmaSlots: 1 },
    unit: { caches: CACHES },
  });
  const { machine, units } = scene;
  const guest = scene.guest('the guest', 1);
  const cpu = scene.cpu('vcpu0');
  const tally = new Tally(RING_LOG2);
  const counts = { executed: 0, stale: 0 };
  const add = (to: keyof typeof counts) => (n: number) =>
    machine.note('', 'after', () => {
      counts[to] += n;
    });

  const tables = layout.tables.map((_, n) => scene.stageTwo(guest, 0, n));
  // With stage 2 of its own, a device's table is that of its VMID.
  const tableOf = (n: number) => {
    const { smmu } = devices[n];
    const byVmid = layout.vmids.findIndex((one) => one.smmu === smmu && one.vmid === layout.vmidOf[n]);
    return tables[policy.vmids === 'each device' ? byVmid : layout.tables.findIndex((of) => of.includes(smmu))];
  };
  const own = devices.map(({ k, smmu }, n) =>
    scene.device(`nic${n}`, guest, smmu, { ...tableOf(n), vmid: layout.vmidOf[n] }, k),
  );
  const physical = units.map((unit) => new CountedQueue(unit.queue(cpu), add('executed')));
  const queues = layout.guestSmmus.map((of, g) => {
    const streamsOf = (smmu: number) =>
      new Map(of.devices.flatMap((n) => (devices[n].smmu === smmu ? [[devices[n].vsid, devices[n].sid]] : [])));
    const vmidOf = (smmu: number) => layout.vmids.find((one) => one.smmu === smmu)?.vmid ?? 0;
    if (!carrier.traps) {
      const [smmu] = of.smmus;
      const unit = new CmdqvUnit(scene, smmu, 1, SIDS_LOG2);
      const setup = { vmid: vmidOf(smmu), streams: streamsOf(smmu), log2size: RING_LOG2, ring: g, tally };
      return unit.open(guest, setup).queue(cpu);
    }
    const vsmmu = vsmmuOf(scene, guest, cpu, {
      iommus: of.smmus.map((smmu) => ({
        ...{ smmu, queue: physical[smmu], vmid: vmidOf(smmu), streams: streamsOf(smmu) },
      })),
      ...{ tally, log2size: RING_LOG2, ring: g },
      ...{ carrier: carrier.name, routing: policy.routing, replicates: policy.replicates },
    });
    return vsmmu.queue(cpu);
  });

  // The buffer's other pages are nobody's aim.
  const commands = Array.from({ length: WORKLOAD.pages }, (_, n) => tlbiOf.va(guest, 0, n));
  machine.actor('guest', function* () {
    for (let i = 0; i < WORKLOAD.unmaps; i++) {
      for (const nic of own) yield* nic.dma(IOVA, 'read');
      yield* machine.note('', 'before', () => machine.grants.begin(guest.did, FIRST, PAGES));
      const entry = yield* cpu.readOwn64(guest.pte);
      yield* cpu.write64(guest.pte, 0n);
      for (const queue of queues) yield* queue.issueWithSync(commands, 'TLBI_NH_VA');
      for (const nic of own) yield* add('stale')(yield* nic.dmaStatus(IOVA, 'read'));
      yield* mapAgain(cpu, guest.pte, entry);
    }
  });
  const instance = new Instance(machine);
  runPrompt(instance);
  if (instance.hasWaiting()) throw new Error(`${policy.name} by ${carrier.name} comes to no end`);
  return {
    ...{ stageTwoTables: layout.tables.length, vmids: layout.vmids.length, guestSmmus: layout.guestSmmus.length },
    ...{
      stale: counts.stale,
      guestCommands: tally.commands,
      doorbells: tally.doorbells,
      polls: tally.polls,
      calls: tally.calls,
    },
    // What a guest's own queue has, hardware has consumed when the guest's CMD_SYNC is complete.
    executed: carrier.traps ? counts.executed : tally.commands,
    firmware: iortSize(firmwareOf(layout.guestSmmus.length)),
  };
}

/** What is not present is not cached: a new mapping needs no invalidation (IHI 0070, 3.17). */
function* mapAgain(cpu: Cpu, at: bigint, entry: bigint): Program {
  yield* cpu.write64(at, entry);
}

/** A bus for each of the guest's SMMUs. */
function firmwareOf(guestSmmus: number): Uint8Array {
  return iortOf({
    ...{ segment: 0, its: 0 },
    smmus: Array.from({ length: guestSmmus }, (_, i) => ({
      base: 0x9050000n + BigInt(i) * 0x20000n,
      interrupts: { event: 106 + 4 * i, pri: 107 + 4 * i, gerr: 109 + 4 * i, sync: 108 + 4 * i },
      requesters: [{ first: 0x100 * (i + 1), last: 0x100 * (i + 1) + 0xff }],
    })),
  });
}
