import type { Drain } from '../guest/index.ts';
import { InvalidationQueue } from '../guest/index.ts';
import type { VtdOptions, VtdProfile } from '../iommu/vtd/index.ts';
import { describeScalableCaches, Vtd } from '../iommu/vtd/index.ts';
import type { Cpu, MachineOptions, StoreOrder } from '../machine/index.ts';
import { Machine } from '../machine/index.ts';

/** Addresses of the tables of the report of seed 003 (PML4E 0x19db5c1003, PDPE 0x1a1cacb003, PDE 0x1a30a72003), and of what it does not name. */
export const ADDRESS = {
  root: 0x103a00000n,
  context: 0x103a01000n,
  queue: 0x103a02000n,
  status: 0x103a03000n,
  pml4: 0x1a30e4f000n,
  pdpt: 0x19db5c1000n,
  pd: 0x1a1cacb000n,
  pts: [0x1a30a72000n, 0x1a30a73000n, 0x1a30a74000n, 0x1a30a75000n],
} as const;

/** Source id 02:00.0 of the one device of a scene. */
export const SID = 0x0200;

export interface UnitOptions {
  readonly profile: VtdProfile;
  readonly unit?: VtdOptions;
  readonly machine?: MachineOptions;
  /** In which order the driver's stores become visible; at once if absent. */
  readonly stores?: StoreOrder;
}

/** Words of the queue's page that there are: those of eight submissions. */
const QUEUE_WORDS = { 128: 64, 256: 128 } as const;

/** One VT-d unit in a machine with one CPU, nothing set up: root and context table, queue and status word are declared. */
export class UnitScene {
  readonly machine: Machine;
  readonly unit: Vtd;
  readonly cpu: Cpu;
  /** Owner of what is nobody's tables. */
  protected readonly kernel: number;
  private readonly stores: StoreOrder | undefined;

  constructor({ profile, unit: hardware, machine: size, stores }: UnitOptions, width: 128 | 256 = 128) {
    const machine = new Machine(size);
    this.machine = machine;
    const unit = new Vtd(
      {
        arena: machine.arena,
        tables: machine.memory.walkerView(),
        memory: machine.memory,
        dma: machine.dma,
        log: machine.log,
        rules: machine.rules,
        flushWriteBuffers: () => machine.memory.writeBackAll(),
      },
      { ...hardware, ecap: { C: machine.memory.coherent ? 1 : 0, ...hardware?.ecap }, profile },
    );
    this.unit = unit;
    machine.dma.translator = unit;
    machine.hardware.push(...unit.agents);
    const { caches, interruptCache, scalableCaches } = unit;
    machine.views.push(() => [
      ...(scalableCaches === null ? [] : describeScalableCaches(scalableCaches)),
      ...caches.describe(),
      ...(interruptCache?.describe() ?? []),
    ]);
    this.kernel = machine.owner('the kernel', 'other');
    machine.frame('root table', ADDRESS.root, this.kernel);
    machine.frame('context table', ADDRESS.context, this.kernel);
    const words = Array.from({ length: QUEUE_WORDS[width] }, (_, i) => i);
    machine.frame('queue', ADDRESS.queue, this.kernel, words);
    machine.frame('status', ADDRESS.status, this.kernel, [0]);
    this.stores = stores;
    this.cpu = machine.cpu('cpu0', stores);
  }

  /** The unit's queue as {@link cpu} uses it. */
  protected queueOn(drain: Drain, width: 128 | 256): InvalidationQueue {
    const { machine, cpu, unit } = this;
    return new InvalidationQueue(machine, cpu, ADDRESS.status, { unit, base: ADDRESS.queue, drain, width });
  }

  /** Another CPU and a queue as it uses it, with a status word of its own. */
  protected another(queue: InvalidationQueue): { cpu: Cpu; queue: InvalidationQueue } {
    const status = ADDRESS.status + 8n;
    this.machine.poke(status, 0n);
    const cpu = this.machine.cpu('cpu1', this.stores);
    return { cpu, queue: queue.on(cpu, status) };
  }

  /** Puts the words of an entry into memory before the machine starts. */
  protected words(addr: bigint, entry: readonly bigint[]): void {
    entry.forEach((word, i) => this.machine.poke(addr + 8n * BigInt(i), word));
  }

  /** Writes a register before the machine starts. */
  protected write(offset: number, size: 4 | 8, value: bigint): void {
    this.unit.write(offset, size, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
  }
}
