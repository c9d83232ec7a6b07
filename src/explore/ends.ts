/**
 * Hardware that comes to an end by itself. Where every agent of it says how many steps it can still take (`Agent.left`), and the sum falls with
 * each step that any of them takes, hardware alone cannot go on for ever, and no run can be a livelock.
 */
import type { Agent } from '../machine/index.ts';
import { FootprintError } from './ample.ts';
import type { Instance } from './instance.ts';

export class Ends {
  private readonly hardware: readonly Required<Pick<Agent, 'left'>>[];

  /** Null where some agent does not say. */
  static of({ hardware }: Instance): Ends | null {
    const all = hardware.every((agent) => agent.left !== undefined && agent.left() >= 0);
    return all ? new Ends(hardware as readonly Required<Agent>[]) : null;
  }

  private constructor(hardware: readonly Required<Pick<Agent, 'left'>>[]) {
    this.hardware = hardware;
  }

  /** Steps that hardware can still take before software acts, at most. */
  left(): number {
    let sum = 0;
    for (let i = 0; i < this.hardware.length; i++) sum += this.hardware[i].left();
    return sum;
  }

  /** @param before what was left before a step of hardware. @throws FootprintError where that step was not counted */
  check(before: number, name: string): void {
    const now = this.left();
    if (now >= before)
      throw new FootprintError(
        `after a step of ${name}, hardware says that it has ${now} steps left; before, it had ${before}; correct left()`,
      );
  }
}
