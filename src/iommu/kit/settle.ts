/** Hardware that steps by itself, run until there is nothing left to do: where a guest expects it done when its access returns. */
import type { Agent } from '../../machine/index.ts';

export class Settling {
  private readonly agents: readonly Agent[];
  private running = false;

  constructor(agents: readonly Agent[]) {
    this.agents = agents;
  }

  /** What a step sets off that calls this again (an interrupt's handler that writes registers) is done in the loop that is running. */
  run(): void {
    if (this.running) return;
    this.running = true;
    try {
      for (let moved = true; moved; ) {
        moved = false;
        for (const agent of this.agents) {
          for (; agent.choices() > 0; moved = true) agent.step(0);
        }
      }
    } finally {
      this.running = false;
    }
  }
}
