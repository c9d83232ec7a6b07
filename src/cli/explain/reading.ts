/** How far a long input is read, for a person, and Ctrl-C. */

/** Thrown amid an input when somebody pressed Ctrl-C. */
export const STOPPED = new Error('stopped');

const INTERVAL_MS = 200;

export class Reading {
  stopped = false;
  private characters = 0;
  private shownAt = performance.now();
  private shown = false;
  private readonly onInterrupt = () => {
    this.stopped = true;
  };

  constructor() {
    process.once('SIGINT', this.onInterrupt);
  }

  /** @param count characters that were read @throws STOPPED */
  goOn(name: string, count: number): void {
    this.characters += count;
    if (this.stopped) throw STOPPED;
    const now = performance.now();
    if (process.stderr.isTTY !== true || now - this.shownAt < INTERVAL_MS) return;
    this.shownAt = now;
    this.shown = true;
    process.stderr.write(`\r\u001b[K${name}: ${(this.characters / 1e6).toFixed(0)} MB`);
  }

  end(): void {
    process.removeListener('SIGINT', this.onInterrupt);
    if (this.shown) process.stderr.write('\r\u001b[K');
  }
}
