/**
 * The VMM's side of a guest's command queue: it reads commands from the guest's ring, has the kernel convert them and issue them to physical SMMUs, and
 * tells the guest by CMDQ_CONS that they are consumed.
 */
import { get, hex, toHalves } from '../../bits/index.ts';
import {
  CMD_CFGI_STE,
  CMD_CFGI_STE_RANGE,
  CMD_PREFETCH_ADDR,
  CMD_PREFETCH_CONFIG,
  CMD_SYNC,
  commandName,
} from '../../iommu/smmuv3/commands.ts';
import type { Cpu, Machine, Program } from '../../machine/index.ts';
import { atomic, SoftwareWord } from '../../machine/index.ts';
import type { Carrier } from '../iommufd/carrying.ts';
import type { Errno } from '../iommufd/errno.ts';
import type { Kernel } from '../iommufd/kernels.ts';
import type { Routing, SharingPolicy } from '../iommufd/sharing.ts';
import type { Command, InvalidationPlan } from './invalidation-plan.ts';
import { planInvalidation, planRing } from './invalidation-plan.ts';
import type { VirtualIommu } from './routing.ts';
import { routeOf } from './routing.ts';
import type { Tally } from './tally.ts';
import type { VirtualQueue } from './virtual-queue.ts';

/** What an ioctl did, for who checks it. */
export interface Handled {
  /** Index of the vIOMMU. */
  readonly iommu: number;
  readonly asked: number;
  readonly errno: Errno | null;
  readonly handled: number;
  /** Commands that reach the SMMU. */
  readonly issued: readonly Command[];
}

/**
 * Mistakes of a VMM. `trusts`: commands are passed on as the guest wrote them. `reads-twice`: they are looked at in the guest's ring, and read again there when
 * they are passed on. `no-retry`: of a batch that was refused as a whole, the first command is taken for the one in error.
 */
export type Mistake = 'trusts' | 'reads-twice' | 'no-retry';

export interface ForwarderOptions {
  readonly iommus: readonly VirtualIommu[];
  /** Of commands that name no StreamID; what names one goes to the vIOMMU that has the device. */
  readonly routing: Routing;
  /** How commands come from the guest's ring to the kernel: one that traps. */
  readonly carrier: Carrier;
  /** Who sends a command to several vIOMMUs; the VMM if absent, with an ioctl for each. */
  readonly replicates?: SharingPolicy['replicates'];
  readonly kernel: Kernel;
  /** What CMD_CFGI_STE asks of the VMM; nothing if absent: STEs do not change. @param vsid vStreamID */
  readonly onSte?: (vsid: number) => Program;
  /** Held while a group of commands is taken and carried out: by one of several vCPUs that trap, and by whoever replaces a stage 2. */
  readonly lock?: SoftwareWord;
  /** What a bad VMM does; see {@link Mistake}. */
  readonly mistake?: Mistake;
  /** Told of each batch that is issued, and of what was answered, as a step sees it. */
  readonly check?: (what: Handled) => void;
  readonly tally?: Tally;
}

const opcode = (of: { OPCODE: { fixed: number | null } }) => of.OPCODE.fixed as number;
const SYNC = opcode(CMD_SYNC);
const STE = opcode(CMD_CFGI_STE);
/** What a VMM does by itself: it has the guest's stream table to read, and nothing to prefetch. */
const OWN: readonly number[] = [STE, ...[CMD_CFGI_STE_RANGE, CMD_PREFETCH_CONFIG, CMD_PREFETCH_ADDR].map(opcode)];

const opcodeOf = (command: Command) => Number(command[0] & 0xffn);
const isOwn = (command: Command) => opcodeOf(command) === SYNC || OWN.includes(opcodeOf(command));

export class Forwarder {
  readonly queue: VirtualQueue;
  private readonly machine: Machine;
  private readonly cpu: Cpu;
  private readonly options: ForwarderOptions;

  /** @param cpu where it runs: the vCPU that trapped, or a thread's */
  constructor(machine: Machine, cpu: Cpu, queue: VirtualQueue, options: ForwarderOptions) {
    this.machine = machine;
    this.cpu = cpu;
    this.queue = queue;
    this.options = options;
  }

  /** What an exit on a write of CMDQ_PROD does before the vCPU goes on: all that is in the ring. */
  *exit(): Program {
    while (yield* this.next()) {}
  }

  /** One group of commands. @returns whether there was one */
  private *next(): Program<boolean> {
    const { lock } = this.options;
    if (lock !== undefined) yield* lock.lock();
    const commands = yield* this.take();
    if (commands.length > 0) yield* this.consume(commands, yield* this.pass(commands));
    if (lock !== undefined) yield* lock.unlock();
    return commands.length > 0;
  }

  /** What a thread does: waits for the doorbell, so many times, and does the rest as {@link exit}. */
  *serve(times: number): Program {
    const { queue } = this;
    for (let i = 0; i < times; i++) {
      yield {
        name: `${queue.name}: the doorbell wakes the thread`,
        ready: () => queue.waiting > 0,
        on: [],
        run: () => this.options.tally?.wake(),
      };
      yield* this.exit();
    }
  }

  /** Copies commands out of the ring, up to what is carried at once. */
  *take(): Program<readonly Command[]> {
    const { carrier } = this.options;
    const count = yield* this.waiting();
    if (count === 0) return [];
    const cons = yield* this.queue.cons.getOwn();
    const commands: Command[] = [];
    for (let i = 0; i < count; i++) {
      const command = yield* this.read(cons, i);
      commands.push(command);
      if (opcodeOf(command) === SYNC || carrier.perIoctl === 'one') break;
    }
    return commands;
  }

  private *waiting(): Program<number> {
    const { queue } = this;
    return Number(
      yield {
        name: `${queue.name}: commands in the ring`,
        returns: 'number',
        results: Array.from({ length: (1 << queue.log2size) + 1 }, (_, i) => i),
        run: () => {
          const { log } = this.machine;
          if (log.on) log.say('driver', `the VMM finds ${queue.waiting || 'no'} commands in the ring of ${queue.name}`);
          return queue.waiting;
        },
      },
    );
  }

  /** Copies the command that is `n` behind an index. */
  *read(index: number, n: number): Program<Command> {
    const { cpu, queue } = this;
    const at = queue.entryAt(index, n);
    const command = yield* atomic(function* () {
      const first = yield* cpu.read64(at);
      return [first, yield* cpu.read64(at + 8n)];
    });
    yield* this.machine.note(`the VMM reads ${nameOf(command)}`);
    return command;
  }

  /** Has commands carried out. @returns how many are, before the first that is refused */
  *pass(commands: readonly Command[]): Program<number> {
    const { mistake } = this.options;
    let end = yield* this.passed(commands, 0, commands.length);
    // Which of a batch is in error the kernel does not say: it is found one by one.
    while (end < commands.length && mistake !== 'no-retry' && this.options.carrier.perIoctl === 'all') {
      const next = yield* this.passed(commands, end, end + 1);
      if (next === end) break;
      end = next;
    }
    return end;
  }

  /** Those from one index to another. @returns up to where they are done */
  private *passed(commands: readonly Command[], from: number, to: number): Program<number> {
    const { iommus, onSte, replicates, routing } = this.options;
    const used = yield* this.used();
    const routes = commands.map((command, i) =>
      i < from || i >= to || isOwn(command) ? [] : routeOf(command, iommus, routing, used),
    );
    let end = to;
    let calls = 0;
    for (const [n, iommu] of iommus.entries()) {
      const mine = routes.flatMap((route, i) => (i < end && route.includes(n) ? [i] : []));
      if (mine.length === 0) continue;
      const asked = mine.map((i) => commands[i]);
      const handled = yield* this.invalidate(n, iommu, asked, mine, calls === 0 || replicates !== 'kernel');
      calls++;
      if (handled < mine.length) end = mine[handled];
    }
    if (onSte === undefined) return end;
    for (const command of commands.slice(from, end))
      if (opcodeOf(command) === STE) yield* onSte(get(CMD_CFGI_STE.StreamID, toHalves(command)));
    return end;
  }

  private *used(): Program<readonly boolean[]> {
    const flags: boolean[] = [];
    for (const { streams, used } of this.options.iommus)
      flags.push(used === undefined ? streams.size > 0 : (yield* used.get([0, 1])) !== 0);
    return flags;
  }

  /**
   * One vIOMMU's part of an ioctl, or all of one.
   * @param places where the commands are, behind CMDQ_CONS. @param calls it is counted as a call. @returns how many commands it says are done
   */
  private *invalidate(
    n: number,
    iommu: VirtualIommu,
    commands: readonly Command[],
    places: readonly number[],
    calls: boolean,
  ): Program<number> {
    const { check, mistake, tally } = this.options;
    const { machine } = this;
    const plan = yield* this.plan(iommu, commands);
    const batches =
      mistake === 'reads-twice' ? yield* this.readAgain(commands, places, plan.batches.flat()) : plan.batches;
    const { errno, handled } = plan;
    yield* machine.note(this.told(iommu, commands, plan), 'after', () => {
      if (calls) tally?.call();
      check?.({ iommu: n, asked: commands.length, errno, handled, issued: batches.flat() });
    });
    for (const batch of batches)
      yield* iommu.queue.issueWithSync(batch, `on ${iommu.name}: ${batch.map(nameOf).join(', ')}`);
    return handled;
  }

  private *plan(iommu: VirtualIommu, commands: readonly Command[]): Program<InvalidationPlan> {
    const { carrier, kernel, mistake } = this.options;
    const { features, masks, streams } = iommu;
    const vmid = iommu.vmid instanceof SoftwareWord ? yield* iommu.vmid.get() : iommu.vmid;
    if (mistake === 'trusts') return { errno: null, handled: commands.length, batches: [commands] };
    const ids = { vmid, features, masks, sidOf: (vsid: number) => streams.get(vsid) ?? -1 };
    return (carrier.copies ? planInvalidation : planRing)(commands, ids, kernel);
  }

  /** What stands in the ring now goes on as it is, where it is something else than what was looked at. */
  private *readAgain(
    commands: readonly Command[],
    places: readonly number[],
    planned: readonly Command[],
  ): Program<readonly (readonly Command[])[]> {
    const cons = yield* this.queue.cons.getOwn();
    const batch: Command[] = [];
    for (const [i, command] of planned.entries()) {
      const now = yield* this.read(cons, places[i]);
      batch.push(now.every((word, w) => word === commands[i][w]) ? command : now);
    }
    return batch.length === 0 ? [] : [batch];
  }

  private told(iommu: VirtualIommu, commands: readonly Command[], { errno, handled }: InvalidationPlan): string {
    const who = this.options.carrier.copies ? 'the VMM has the kernel do' : 'the kernel finds in the ring';
    const answer = errno === null ? '' : `: -${errno}, entry_num = ${handled}`;
    return `${who} ${commands.map(nameOf).join(', ')} on ${iommu.name}${answer}`;
  }

  /** Tells the guest that so many of the commands are consumed; where there are more, that the next is an error. */
  *consume(commands: readonly Command[], end: number): Program {
    const { machine, queue } = this;
    const isBad = end < commands.length;
    yield {
      name: `${queue.name} consumes ${end}${isBad ? ', and stops' : ''}`,
      run: () => {
        queue.advance(end);
        if (isBad) queue.fail();
        if (!machine.log.on) return;
        const what = isBad ? `CERROR_ILL at ${nameOf(commands[end])}` : 'all is consumed';
        machine.log.say('driver', `${queue.name}: CMDQ_CONS = ${hex(queue.cons.value & 0xfffff)}, ${what}`);
      },
    };
  }
}

/** A command's name with what it concerns. */
function nameOf(command: Command): string {
  return commandName(opcodeOf(command)) ?? `opcode ${hex(opcodeOf(command))}`;
}
