/** A CMDQ-V beside an SMMU of a scene, with an interface for a guest: its queue is read by hardware. */
import { CommandQueue } from '../guest/index.ts';
import { Cmdqv, SmmuTarget } from '../iommu/cmdqv/index.ts';
import type { Cpu } from '../machine/index.ts';
import { CmdqvDriver } from '../vmm/iommufd/index.ts';
import type { Tally } from '../vmm/vsmmu/index.ts';
import { VcmdqPort } from '../vmm/vsmmu/index.ts';
import type { Guest, NestedScene } from './nested-scene.ts';

/** Physical address of the block; no case maps it. */
const ADDRESS = 0x90000000n;

export interface VcmdqSetup {
  readonly vmid: number;
  /** StreamIDs by vStreamID: a slot each. */
  readonly streams: ReadonlyMap<number, number>;
  /** log2 of the commands that the ring holds; 1 if absent. */
  readonly log2size?: number;
  /** Number of the ring, of several that the guest has. */
  readonly ring?: number;
  /** Byte address of a ring that is there already: two queues may read one. */
  readonly at?: bigint;
  readonly tally?: Tally;
}

export interface Vcmdq {
  readonly port: VcmdqPort;
  /** Byte address of the ring. */
  readonly base: bigint;
  /** As the guest's driver uses it. */
  queue(cpu: Cpu): CommandQueue;
}

/** The hardware, with as few interfaces and queues as there can be. */
export class CmdqvUnit {
  private readonly driver: CmdqvDriver;
  private readonly cmdqv: Cmdqv;
  private readonly scene: NestedScene;
  private readonly smmu: number;

  /** @param guests interfaces beside the host's own. @param sidsLog2 log2 of the devices that each has */
  constructor(scene: NestedScene, smmu: number, guests = 1, sidsLog2 = 0) {
    this.scene = scene;
    this.smmu = smmu;
    const { machine, units } = scene;
    const { core, marks } = units[smmu].smmu;
    const vintfsLog2 = Math.ceil(Math.log2(guests + 1));
    this.cmdqv = new Cmdqv(
      { arena: machine.arena, memory: machine.memory, target: new SmmuTarget(core, marks, 1) },
      { vintfsLog2, vcmdqsLog2: vintfsLog2, sidsLog2 },
    );
    machine.hardware.push(...this.cmdqv.agents);
    this.driver = new CmdqvDriver(this.cmdqv, ADDRESS, core.has.idr1.CMDQS);
  }

  /** Gives a guest an interface with one queue, which is on. */
  open(guest: Guest, { vmid, streams, log2size = 1, ring = 0, at, tally }: VcmdqSetup): Vcmdq {
    const { cmdqv, driver, scene, smmu } = this;
    const vintf = driver.open(vmid, () => {});
    [...streams].forEach(([vsid, sid], slot) => {
      driver.setStream(vintf, slot, vsid, sid);
    });
    const base = at ?? scene.ring(guest, log2size, ring);
    driver.setQueue(vintf, 0, base, log2size);
    const name = `the VCMDQ of ${guest.name}${scene.units.length > 1 ? ` on ${scene.units[smmu].place.name}` : ''}`;
    const port = new VcmdqPort(name, cmdqv.guestPage(vintf), 0, tally);
    port.enable();
    return {
      ...{ port, base },
      queue: (cpu) => new CommandQueue(scene.machine, cpu, { smmu: port, base, log2size }),
    };
  }
}
