/** Counts what carrying a guest's invalidations costs. It is told of what happens and is no part of any state: nothing may go by it. */
export class Tally {
  /** Accesses of a vCPU that trap, and doorbells that do. */
  exits = 0;
  /** System calls of the VMM. */
  calls = 0;
  /** Times that a thread is woken by a doorbell: no vCPU waits for it. */
  wakes = 0;

  exit(): void {
    this.exits++;
  }

  call(): void {
    this.calls++;
  }

  wake(): void {
    this.wakes++;
  }
}
