/** How the driver asks an SMMU for something: its command queue, and CMD_SYNC (`arm_smmu_cmdq_issue_cmdlist`). */
import { encode } from '../../bits/index.ts';
import { CMD_SYNC, COMMAND_BYTES } from '../../iommu/smmuv3/commands.ts';
import { CMDQ_CONS, CMDQ_PROD } from '../../iommu/smmuv3/queue-registers.ts';
import type { Cpu, Machine, MmioBlock, Program, SoftwareWord } from '../../machine/index.ts';
import { atomic } from '../../machine/index.ts';
import { spinUnlock } from '../kit/lock.ts';

/** One command: two 64-bit words. */
export type SmmuCommand = readonly bigint[];

/** CMD_SYNC.CS (4.7.3). */
const SIGNAL = { interrupt: 1, event: 2 } as const;

export interface CommandQueueOptions {
  readonly smmu: MmioBlock;
  /** Byte address of its first entry. */
  readonly base: bigint;
  /** log2 of the number of commands that it holds. */
  readonly log2size: number;
  /**
   * How completion is seen: `cons`, by CMDQ_CONS; `msi`, by what the SMMU writes over the CMD_SYNC itself (`arm_smmu_cmdq_poll_until_msi`). `cons` if
   * absent. A mutation: `empty`, where the queue looks empty by its indexes without their wrap bits.
   */
  readonly completion?: 'cons' | 'msi' | 'empty';
  /**
   * What ends an invalidation: `waited`, a CMD_SYNC; mutations: `none` is issued, and nothing is waited for; `consumed`, none, and the commands themselves
   * are to be consumed, which says nothing of whether they are complete (4.1, 4.4). `waited` if absent.
   */
  readonly sync?: 'waited' | 'none' | 'consumed';
  /** Where a write of CMDQ_PROD traps: what the VMM does before the vCPU goes on. */
  readonly exit?: () => Program;
}

export class CommandQueue {
  readonly options: CommandQueueOptions;
  private readonly machine: Machine;
  private readonly cpu: Cpu;
  /** CMDQ_PROD, with its wrap bit. */
  private readonly prod: SoftwareWord;
  /** Held while commands are posted; null while one CPU alone does. The kernel's has no lock, and the same effect. */
  private lock: SoftwareWord | null = null;

  /** @param prod absent, if nobody has it yet */
  constructor(
    machine: Machine,
    cpu: Cpu,
    options: CommandQueueOptions,
    prod: SoftwareWord = machine.word(`CMDQ_PROD of ${options.smmu.name}`),
  ) {
    this.machine = machine;
    this.cpu = cpu;
    this.options = options;
    this.prod = prod;
  }

  /** The same queue as another CPU uses it. Only before the machine starts. */
  on(cpu: Cpu): CommandQueue {
    const { machine, options, prod } = this;
    this.lock ??= machine.word(`lock of the command queue of ${options.smmu.name}`);
    const other = new CommandQueue(machine, cpu, options, prod);
    other.lock = this.lock;
    return other;
  }

  /** Issues commands and goes on. @param what they are, for the story */
  *issue(commands: readonly SmmuCommand[], what: string): Program {
    yield* this.put(commands, `queues ${what}`);
  }

  /** Issues commands and a CMD_SYNC behind them, and waits for that. */
  *issueWithSync(commands: readonly SmmuCommand[], what: string): Program {
    const { completion = 'cons', log2size, smmu, sync: ends = 'waited' } = this.options;
    if (ends === 'none') return yield* this.issue(commands, what);
    const isSynced = ends === 'waited';
    const end = yield* this.put(commands, isSynced ? `queues ${what}; CMD_SYNC` : `queues ${what}`, isSynced);
    if (isSynced && completion === 'msi') {
      const sync = this.slot((end - 1) & this.mask);
      return yield* this.cpu.waitFor32(sync, 0, 'the CMD_SYNC is overwritten: all before it is complete');
    }
    const isEmpty = (lo: number) => ((lo ^ end) & ((1 << log2size) - 1)) === 0;
    const isDone = (lo: number) => isPast(lo & CONS_RD, end & this.mask, log2size);
    const test = completion === 'empty' ? isEmpty : isDone;
    const seen = isSynced ? 'the CMD_SYNC is complete, and all before it' : 'the commands are consumed';
    const position = completion === 'empty' ? 'the queue looks empty' : `CMDQ_CONS is ${end & this.mask}`;
    yield* this.cpu.mmioWait(smmu, CMDQ_CONS.offset, 4, `${position}: ${seen}`, test, [end & this.mask]);
  }

  /** Index and wrap bit. */
  private get mask(): number {
    return (2 << this.options.log2size) - 1;
  }

  /** Byte address of an entry. */
  private slot(index: number): bigint {
    const { base, log2size } = this.options;
    return base + BigInt((index & ((1 << log2size) - 1)) * COMMAND_BYTES);
  }

  /** @returns what CMDQ_PROD is then */
  private *put(commands: readonly SmmuCommand[], note: string, sync = false): Program<number> {
    const count = commands.length + (sync ? 1 : 0);
    if (count > 1 << this.options.log2size)
      throw new Error(`${count} commands do not fit a queue of ${1 << this.options.log2size}; make it larger`);
    // Nobody sees the commands before CMDQ_PROD moves.
    const post = () => this.post(commands, note, sync);
    const end = this.cpu.isSequential ? yield* atomic(post) : yield* post();
    if (this.options.exit !== undefined) yield* this.options.exit();
    return end;
  }

  private *post(commands: readonly SmmuCommand[], note: string, sync: boolean): Program<number> {
    const { cpu, prod, machine, mask } = this;
    const { smmu } = this.options;
    const count = commands.length + (sync ? 1 : 0);
    yield this.room(count);
    yield* machine.note(note);
    const first = yield* prod.getOwn();
    const all = sync ? [...commands, this.sync((first + commands.length) & mask)] : commands;
    for (const [i, words] of all.entries()) {
      const at = this.slot((first + i) & mask);
      for (const [w, word] of words.entries()) yield* cpu.write64(at + BigInt(8 * w), word, '');
    }
    // Commands, and whatever they are about, are visible before CMDQ_PROD is (`dma_wmb`; 3.21.2).
    yield* cpu.fence();
    const next = (first + count) & mask;
    yield* prod.set(next, true);
    yield* cpu.mmioWrite(smmu, CMDQ_PROD.offset, 4, BigInt(next), null);
    if (this.lock !== null) yield* spinUnlock(this.lock);
    return next;
  }

  /** Waits until so many commands fit (`queue_has_space`), and until nobody else posts any. */
  private room(count: number) {
    const { lock, mask, prod } = this;
    const { log2size, smmu } = this.options;
    return {
      name: `${this.cpu.name} room for ${count} in the command queue of ${smmu.name}`,
      ready: () => lock?.value !== 1 && ((prod.value - consOf(smmu)) & mask) + count <= 1 << log2size,
      on: [count],
      run: () => {
        if (lock !== null) lock.value = 1;
      },
    };
  }

  /** @param index of its entry */
  private sync(index: number): SmmuCommand {
    if (this.options.completion !== 'msi') return encode(CMD_SYNC, { CS: SIGNAL.event });
    return encode(CMD_SYNC, { CS: SIGNAL.interrupt, MSH: INNER, MSIAttr: WRITE_BACK, MSIAddress: this.slot(index) });
  }
}

const INNER = 3;
const WRITE_BACK = 15;

const CONS_RD = 0xfffff;

/** CMDQ_CONS as a read finds it, without what that sets off. */
function consOf(smmu: MmioBlock): number {
  return (smmu.peek ?? smmu.read).call(smmu, CMDQ_CONS.offset, 4).lo & CONS_RD;
}

/**
 * Whether a consumer's index has reached another one, as `queue_consumed` goes by wrap bits: with them the same it is not below, with them different it
 * has not come as far round again.
 */
function isPast(cons: number, end: number, log2size: number): boolean {
  const distance = (cons - end) & ((2 << log2size) - 1);
  return distance < 1 << log2size;
}
