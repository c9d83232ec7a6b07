/** A hypervisor that does not do what its guest's command queue asks: the guest sees CMDQ_CONS, and nothing that would tell it. */
import type { Machine, Program, SoftwareWord } from '../../machine/index.ts';
import type { Carrier } from './carrier.ts';
import type { Command } from './invalidation-plan.ts';

/**
 * What becomes of commands that are said to be consumed: `drops` nothing; `delays` they are carried out later, by a thread; `reorders` those of the first
 * doorbell behind those of the second.
 */
export type Interference = 'drops' | 'delays' | 'reorders';

export class InterferingVmm {
  private readonly carrier: Carrier;
  private readonly kind: Interference;
  /** Up to where commands were carried out; what is between it and CMDQ_CONS is held back. */
  private readonly done: SoftwareWord;

  constructor(machine: Machine, carrier: Carrier, kind: Interference) {
    this.carrier = carrier;
    this.kind = kind;
    this.done = machine.word(`commands of ${carrier.queue.name} that are carried out`);
  }

  /** In place of {@link Carrier.exit}. */
  *exit(): Program {
    const { carrier, kind } = this;
    const commands = yield* carrier.take();
    if (commands.length === 0) return;
    const held = kind === 'reorders' ? yield* this.held() : [];
    if (held.length > 0) {
      yield* carrier.pass(commands);
      yield* carrier.pass(held);
    }
    yield* carrier.consume(commands, commands.length);
  }

  /** The thread of `delays`: carries out what was held back, once. */
  *late(): Program {
    const { cons, name } = this.carrier.queue;
    yield {
      name: `${name}: what was held back is carried out`,
      ready: () => cons.value !== this.done.value,
      on: [],
      run: () => {},
    };
    yield* this.carrier.pass(yield* this.held());
  }

  private *held(): Program<readonly Command[]> {
    const { carrier } = this;
    const { cons, log2size } = carrier.queue;
    const [from, to] = [yield* this.done.getOwn(), yield* cons.getOwn()];
    const count = (to - from) & ((2 << log2size) - 1);
    const commands: Command[] = [];
    for (let i = 0; i < count; i++) commands.push(yield* carrier.read(from, i));
    return commands;
  }
}
