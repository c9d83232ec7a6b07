/** One SMMUv3 of a machine, as firmware and the driver's start leave it: its tables and queues are declared, translation is on. */
import { encode64, high, low } from '../bits/index.ts';
import type { CommandQueueOptions, EntryConduct } from '../guest/index.ts';
import { CommandQueue, EventQueueReader, SmmuConfiguration } from '../guest/index.ts';
import type { SmmuProfile, SmmuUnitOptions } from '../iommu/smmuv3/index.ts';
import { CMDQ_BASE, CR0, EVENTQ_BASE, Smmu, STRTAB_BASE, STRTAB_BASE_CFG } from '../iommu/smmuv3/index.ts';
import type { Agent, Cpu, Machine } from '../machine/index.ts';

/** Where an SMMU's tables and queues are. */
export interface SmmuPlace {
  /** As stories call it. */
  readonly name: string;
  /** Byte addresses. */
  readonly streamTable: bigint;
  readonly commands: bigint;
  readonly events: bigint;
}

export const SMMU: SmmuPlace = {
  name: 'SMMU',
  streamTable: 0x890000000n,
  commands: 0x898000000n,
  events: 0x898001000n,
};

/** Of a second one beside the first. */
export const OTHER_SMMU: SmmuPlace = {
  name: 'SMMU 1',
  streamTable: 0x990000000n,
  commands: 0x998000000n,
  events: 0x998001000n,
};

export interface SmmuUnitSetup {
  readonly profile: SmmuProfile;
  readonly place?: SmmuPlace;
  readonly unit?: SmmuUnitOptions;
  /** Devices say which SMMU they are behind (`RequesterOptions.translator`); otherwise this one is the machine's only one. */
  readonly several?: boolean;
  /** log2 of the commands that the queue holds; 3 if absent. */
  readonly commands?: number;
  readonly completion?: CommandQueueOptions['completion'];
  readonly sync?: CommandQueueOptions['sync'];
  /** log2 of the events that the queue holds; there is none, if absent. */
  readonly events?: number;
}

/** StreamIDs of a linear table: 10 bits, so that those of buses 0 to 3 are in it. */
const STREAM_BITS = 10;
const STE_BYTES = 64n;

/** A stalled transaction begins anew as often as CMD_RESUME says: nobody can tell how many steps hardware has left (`Agent.left`). */
const UNBOUNDED: Agent = {
  name: 'stalled transactions',
  lane: 'iommu',
  sparesSoftware: true,
  choices: () => 0,
  step: () => {},
  left: () => -1,
};

export class SmmuUnit {
  readonly smmu: Smmu;
  readonly place: SmmuPlace;
  private readonly machine: Machine;
  private readonly setup: SmmuUnitSetup;
  /** Owner of its tables and queues. */
  private readonly kernel: number;
  private readonly pages = new Set<bigint>();

  constructor(machine: Machine, setup: SmmuUnitSetup) {
    const { place = SMMU, profile, several = false, unit } = setup;
    this.machine = machine;
    this.setup = setup;
    this.place = place;
    this.kernel = machine.owner('the kernel', 'other');
    const { arena, dma, log, memory, rules } = machine;
    const mine = (requester: number): boolean => dma.requesters[requester].translator === this.smmu;
    this.smmu = new Smmu(
      {
        ...{ arena, tables: memory.walkerView(), memory, dma, log, rules, name: place.name },
        ...(several ? { mine } : {}),
      },
      { stalls: 0, ...unit, profile },
    );
    if (!several) dma.translator = this.smmu;
    machine.hardware.push(...this.smmu.agents);
    if ((unit?.stalls ?? 0) > 0) machine.hardware.push(UNBOUNDED);
    machine.views.push(() => this.smmu.caches.describe());
    this.boot();
  }

  private boot(): void {
    const { commands = 3, events } = this.setup;
    const { place, machine, kernel } = this;
    const words = (count: number) => Array.from({ length: count }, (_, i) => i);
    machine.frame(`command queue of ${place.name}`, place.commands, kernel, words(2 << commands));
    this.write(CMDQ_BASE.offset, 8, encode64(CMDQ_BASE, { ADDR: place.commands, LOG2SIZE: commands }));
    if (events !== undefined) {
      machine.frame(`event queue of ${place.name}`, place.events, kernel, words(4 << events));
      this.write(EVENTQ_BASE.offset, 8, encode64(EVENTQ_BASE, { ADDR: place.events, LOG2SIZE: events }));
    }
    this.write(STRTAB_BASE.offset, 8, encode64(STRTAB_BASE, { ADDR: place.streamTable }));
    this.write(STRTAB_BASE_CFG.offset, 4, encode64(STRTAB_BASE_CFG, { LOG2SIZE: STREAM_BITS }));
    const on = { CMDQEN: 1, EVENTQEN: events === undefined ? 0 : 1 };
    this.write(CR0.offset, 4, encode64(CR0, on));
    this.write(CR0.offset, 4, encode64(CR0, { ...on, SMMUEN: 1 }));
  }

  /** Writes a register before the machine starts, and lets it take effect. */
  private write(offset: number, size: 4 | 8, value: bigint): void {
    this.smmu.write(offset, size, low(value), high(value));
    this.smmu.settle();
  }

  /** The command queue as a CPU uses it; one CPU alone, others by `CommandQueue.on`. */
  queue(cpu: Cpu): CommandQueue {
    const { commands: log2size = 3, completion: wanted = 'cons', profile, sync = 'waited' } = this.setup;
    // The driver polls for an MSI where there are any (IDR0.MSI).
    const completion = wanted === 'msi' && !profile.writesMsis ? 'cons' : wanted;
    const { machine, place, smmu } = this;
    return new CommandQueue(machine, cpu, { smmu, base: place.commands, log2size, completion, sync });
  }

  /** The event queue as the CPU that handles events reads it. @param queue by which it answers */
  eventQueue(cpu: Cpu, queue: CommandQueue): EventQueueReader {
    const { machine, place, setup, smmu } = this;
    if (setup.events === undefined) throw new RangeError('this SMMU has no event queue; give it events');
    return new EventQueueReader(machine, cpu, queue, { smmu, base: place.events, log2size: setup.events });
  }

  /** STEs and CDs as a CPU changes them. */
  configuration(cpu: Cpu, queue: CommandQueue, conduct: EntryConduct = {}): SmmuConfiguration {
    return new SmmuConfiguration(cpu, queue, { streamTable: this.place.streamTable, conduct });
  }

  /** Byte address of the STE of a stream. */
  steAt(sid: number): bigint {
    return this.place.streamTable + STE_BYTES * BigInt(sid);
  }

  /** Puts an STE into the table before the story begins. */
  stream(sid: number, entry: readonly bigint[]): void {
    const at = this.steAt(sid);
    const page = at & ~0xfffn;
    if (!this.pages.has(page)) this.machine.frame(`stream table of ${this.place.name}`, page, this.kernel);
    this.pages.add(page);
    entry.forEach((word, i) => this.machine.poke(at + BigInt(8 * i), word));
    this.machine.configures(sid, at, entry.length);
  }
}
