/**
 * Lines of text to and from a QEMU over named pipes, one call waiting for its answers: tests stay synchronous. A thread that owned a socket
 * would cost a turn of two threads a command; a pipe that one blocks on costs QEMU’s answer alone (23 µs).
 */
import { openSync, readSync, writeSync } from 'node:fs';

/** Less than a pipe holds (64 KiB): a burst that did not fit could wait for QEMU while QEMU waits for us. */
const BURST_BYTES = 1 << 14;

export class LinePipe {
  private readonly into: number;
  private readonly from: number;
  private readonly buffer = Buffer.alloc(1 << 16);
  private rest = '';

  /** @param path QEMU's `pipe:PATH`: PATH.in and PATH.out, which QEMU has open */
  constructor(path: string) {
    this.into = openSync(`${path}.in`, 'w');
    this.from = openSync(`${path}.out`, 'r');
  }

  send(text: string): void {
    try {
      writeSync(this.into, text, null, 'latin1');
    } catch (error) {
      // Nobody reads any more.
      if ((error as NodeJS.ErrnoException).code === 'EPIPE') throw this.closed();
      throw error;
    }
  }

  /** Waits for lines until one is the last. @throws Error where QEMU is gone */
  until(isLast: (line: string) => boolean): string[] {
    const lines: string[] = [];
    for (;;) {
      const end = this.rest.indexOf('\n');
      if (end >= 0) {
        const line = this.rest.slice(0, end).trimEnd();
        this.rest = this.rest.slice(end + 1);
        lines.push(line);
        if (isLast(line)) return lines;
        continue;
      }
      const count = readSync(this.from, this.buffer, 0, this.buffer.length, null);
      if (count === 0) throw this.closed();
      this.rest += this.buffer.toString('latin1', 0, count);
    }
  }

  protected closed(): Error {
    return new Error('QEMU has closed its pipe');
  }
}

/** The qtest protocol: commands without their newline, and of each what follows `OK`. */
export class QtestPipe extends LinePipe {
  isClosed = false;
  private readonly complaint: () => string;

  /** @param complaint what QEMU has said, where it ends */
  constructor(path: string, complaint: () => string) {
    super(path);
    this.complaint = complaint;
  }

  protected override closed(): Error {
    this.isClosed = true;
    return new Error(`QEMU has ended: ${this.complaint().split('\n').at(-1)}`);
  }

  run(commands: readonly string[]): string[] {
    const answers: string[] = [];
    for (let from = 0; from < commands.length; ) {
      let to = from;
      for (let bytes = 0; to < commands.length && bytes < BURST_BYTES; to++) bytes += commands[to].length + 1;
      this.send(`${commands.slice(from, to).join('\n')}\n`);
      let wanted = to - from;
      for (const line of this.until((line) => !line.startsWith('IRQ ') && --wanted === 0)) {
        if (line.startsWith('IRQ ')) continue;
        if (!line.startsWith('OK')) throw new Error(`qtest: QEMU answers '${line}'`);
        answers.push(line.slice(3));
      }
      from = to;
    }
    return answers;
  }
}

/** The monitor, of which a reset is all that is wanted. */
export class MonitorPipe extends LinePipe {
  constructor(path: string) {
    super(path);
    this.until((line) => line.includes('"QMP"'));
    this.send('{"execute":"qmp_capabilities"}\n');
    this.until((line) => line.includes('"return"'));
  }

  systemReset(): void {
    this.send('{"execute":"system_reset"}\n');
    // The answer says that it was asked for, the event that it has been done; which is first is not said.
    const wanted = new Set(['"return"', '"RESET"']);
    this.until((line) => {
      for (const each of wanted) if (line.includes(each)) wanted.delete(each);
      return wanted.size === 0;
    });
  }
}
