/** Counts what carrying a guest's invalidations costs. It is told of what happens and is no part of any state: nothing may go by it. */
export class Tally {
  /** Exits: writes of CMDQ_PROD that trap. */
  doorbells = 0;
  /** Exits: other accesses that trap, such as looks at CMDQ_CONS. */
  polls = 0;
  /** System calls of the VMM. */
  calls = 0;
  /** Times that a thread is woken by a doorbell: no vCPU waits for it. */
  wakes = 0;

  /** Commands that guests have written. */
  commands = 0;
  private readonly entriesLog2: number;

  /** @param entriesLog2 log2 of the commands that each guest's ring holds */
  constructor(entriesLog2 = 19) {
    this.entriesLog2 = entriesLog2;
  }

  /** CMDQ_PROD goes from one index to another. */
  write(from: number, to: number): void {
    this.commands += (to - from) & ((2 << this.entriesLog2) - 1);
  }

  doorbell(): void {
    this.doorbells++;
  }

  poll(): void {
    this.polls++;
  }

  call(): void {
    this.calls++;
  }

  wake(): void {
    this.wakes++;
  }
}
