/** A hypervisor that does not do what its guest's command queue asks: the guest sees CMDQ_CONS, and nothing that would tell it. */
import type { Machine, Program, SoftwareWord } from '../../machine/index.ts';
import type { Forwarder } from './forwarder.ts';
import type { Command } from './invalidation-plan.ts';

/**
 * What becomes of commands that are said to be consumed: `drops` nothing; `delays` they are carried out later, by a thread; `reorders` those of the first
 * doorbell behind those of the second.
 */
export type Interference = 'drops' | 'delays' | 'reorders';

export class InterferingVmm {
  private readonly forwarder: Forwarder;
  private readonly kind: Interference;
  /** Up to where commands were carried out; what is between it and CMDQ_CONS is held back. */
  private readonly done: SoftwareWord;

  constructor(machine: Machine, forwarder: Forwarder, kind: Interference) {
    this.forwarder = forwarder;
    this.kind = kind;
    this.done = machine.word(`commands of ${forwarder.queue.name} that are carried out`);
  }

  /** In place of {@link Forwarder.exit}. */
  *exit(): Program {
    const { forwarder, kind } = this;
    const commands = yield* forwarder.take();
    if (commands.length === 0) return;
    const held = kind === 'reorders' ? yield* this.held() : [];
    if (held.length > 0) {
      yield* forwarder.pass(commands);
      yield* forwarder.pass(held);
    }
    yield* forwarder.consume(commands, commands.length);
    if (held.length > 0) yield* this.done.set(yield* forwarder.queue.cons.getOwn(), true);
  }

  /** The thread of `delays`: carries out what was held back, once. */
  *late(): Program {
    const { cons, name } = this.forwarder.queue;
    yield {
      name: `${name}: what was held back is carried out`,
      ready: () => cons.value !== this.done.value,
      on: [],
      run: () => {},
    };
    const held = yield* this.held();
    yield* this.forwarder.pass(held);
    yield* this.done.set(yield* this.forwarder.queue.cons.getOwn(), true);
  }

  private *held(): Program<readonly Command[]> {
    const { forwarder } = this;
    const { cons, log2size } = forwarder.queue;
    const [from, to] = [yield* this.done.getOwn(), yield* cons.getOwn()];
    const count = (to - from) & ((2 << log2size) - 1);
    const commands: Command[] = [];
    for (let i = 0; i < count; i++) commands.push(yield* forwarder.read(from, i));
    return commands;
  }
}
