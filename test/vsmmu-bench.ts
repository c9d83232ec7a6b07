/** A guest's command queue, a VMM that forwards it, and recorders in the place of physical SMMUs. */
import { Instance, runPrompt } from '../src/explore/index.ts';
import { CommandQueue } from '../src/guest/index.ts';
import type { Program } from '../src/machine/index.ts';
import { Machine } from '../src/machine/index.ts';
import type { Carrier, CommandFeatures, Routing } from '../src/vmm/iommufd/index.ts';
import { carrierNamed, commandMasks, kernelNamed } from '../src/vmm/iommufd/index.ts';
import type { ForwarderOptions, Handled, VirtualIommu } from '../src/vmm/vsmmu/index.ts';
import { Forwarder, Tally, VirtualQueue } from '../src/vmm/vsmmu/index.ts';
import { SmmuRecorder } from './smmu-recorder.ts';

const RING = 0x7000000n;
const PHYSICAL = [0x9000000n, 0x9001000n];
/** VMIDs of the guest: each SMMU gives out its own. */
export const VMIDS = [5, 9];
/** Streams: vStreamID 1 is StreamID 8 of SMMU 0, vStreamID 2 is StreamID 16 of SMMU 1. */
const STREAMS = [new Map([[1, 8]]), new Map([[2, 16]])];
const FEATURES: CommandFeatures = { rangeInvalidation: true, ds: false, ats: true, asidBits: 16, substreamBits: 20 };

export interface BenchOptions extends Partial<Omit<ForwarderOptions, 'iommus' | 'carrier' | 'kernel' | 'routing'>> {
  readonly smmus?: 1 | 2;
  readonly routing?: Routing;
  readonly carrier?: string;
  readonly kernel?: string;
  readonly log2size?: number;
}

export class VsmmuBench {
  readonly machine = new Machine();
  readonly recorders: readonly SmmuRecorder[];
  readonly virtual: VirtualQueue;
  readonly forwarder: Forwarder;
  readonly guest: CommandQueue;
  readonly tally = new Tally();
  readonly handled: Handled[] = [];
  /** Lines of the story. */
  readonly lines: string[] = [];

  constructor(options: BenchOptions = {}) {
    const { smmus = 2, routing = 'all', carrier = 'batched', kernel = 'linux-2026-09', log2size = 3 } = options;
    const { machine, tally } = this;
    const cpu = machine.cpu('vcpu0');
    this.recorders = PHYSICAL.slice(0, smmus).map((base, i) => new SmmuRecorder(machine, 4, base, `SMMU ${i}`));
    const iommus: VirtualIommu[] = this.recorders.map((smmu, i) => ({
      name: smmu.name,
      vmid: VMIDS[i],
      features: FEATURES,
      masks: commandMasks(FEATURES),
      streams: STREAMS[i],
      queue: new CommandQueue(machine, cpu, { smmu, base: PHYSICAL[i], log2size: 4 }),
    }));
    const words = Array.from({ length: 2 << log2size }, (_, i) => i);
    machine.frame('ring', RING, machine.owner('the guest', 'other'), words);
    this.virtual = new VirtualQueue(machine, { name: 'vSMMU', base: RING, log2size }, tally);
    this.forwarder = new Forwarder(machine, cpu, this.virtual, {
      ...options,
      ...{ iommus, routing, tally },
      carrier: carrierNamed(carrier) satisfies Carrier,
      kernel: kernelNamed(kernel),
      check: (what) => void this.handled.push(what),
    });
    const exit = () => this.forwarder.exit();
    this.guest = new CommandQueue(machine, cpu, { smmu: this.virtual, base: RING, log2size, exit });
    machine.log.on = true;
    machine.log.say = (_, text) => void this.lines.push(text);
  }

  /** Runs the guest's program, and others. @returns whether all came to their end */
  run(program: (guest: CommandQueue) => Program, ...others: (() => Program)[]): boolean {
    const { guest, machine } = this;
    machine.actor('guest', () => program(guest));
    others.forEach((other, i) => machine.actor(`other ${i}`, other));
    const instance = new Instance(machine);
    runPrompt(instance);
    return !instance.hasWaiting();
  }

  /** Names of commands that each SMMU consumed. */
  get names(): string[][] {
    return this.recorders.map(({ names }) => names.map((name) => name.replace('CMD_', '')));
  }
}
