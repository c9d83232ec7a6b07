/**
 * A client of QEMU's qtest protocol (docs/devel/testing/qtest.rst; system/qtest.c): lines of text over a UNIX socket, one answer a line.
 * Commands are sent in bursts: one at a time costs a round trip each, which is four times as slow.
 */
import type { Socket } from 'node:net';
import { createConnection } from 'node:net';

/** Bytes of commands under way; QEMU's socket and ours hold the answers meanwhile. */
const BURST_BYTES = 1 << 16;

interface Waiter {
  readonly wanted: number;
  readonly answers: string[];
  readonly resolve: (answers: string[]) => void;
  readonly reject: (error: Error) => void;
}

export class QtestClient {
  private readonly socket: Socket;
  private waiter: Waiter | null = null;
  private rest = '';
  private failure: Error | null = null;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.take(text));
    socket.on('error', (error) => this.fail(error));
    socket.on('close', () => this.fail(new Error('qtest: QEMU closed the connection')));
  }

  static connect(path: string): Promise<QtestClient> {
    return new Promise((resolve, reject) => {
      const socket = createConnection(path);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new QtestClient(socket));
      });
    });
  }

  /**
   * Sends commands, each without its newline, and takes their answers: what follows `OK`, without the space.
   * @throws Error where QEMU answers anything else, or goes away. One call at a time
   */
  async run(commands: readonly string[]): Promise<string[]> {
    const answers: string[] = [];
    for (let from = 0; from < commands.length; ) {
      let to = from;
      for (let bytes = 0; to < commands.length && bytes < BURST_BYTES; to++) bytes += commands[to].length + 1;
      for (const answer of await this.burst(commands.slice(from, to))) answers.push(answer);
      from = to;
    }
    return answers;
  }

  close(): void {
    this.failure = new Error('qtest: closed');
    this.socket.destroy();
  }

  private burst(commands: readonly string[]): Promise<string[]> {
    if (this.failure !== null) return Promise.reject(this.failure);
    if (this.waiter !== null) return Promise.reject(new Error('qtest: a call is under way'));
    return new Promise((resolve, reject) => {
      this.waiter = { wanted: commands.length, answers: [], resolve, reject };
      this.socket.write(`${commands.join('\n')}\n`, 'latin1');
    });
  }

  private take(text: string): void {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop() as string;
    for (const line of lines) {
      const { waiter } = this;
      // Interrupt lines that were asked to be told of come in between.
      if (waiter === null || line.startsWith('IRQ ')) continue;
      if (line !== 'OK' && !line.startsWith('OK ')) return this.fail(new Error(`qtest: QEMU answers '${line}'`));
      waiter.answers.push(line.slice(3));
      if (waiter.answers.length < waiter.wanted) continue;
      this.waiter = null;
      waiter.resolve(waiter.answers);
    }
  }

  private fail(error: Error): void {
    this.failure ??= error;
    const { waiter } = this;
    this.waiter = null;
    waiter?.reject(this.failure);
  }
}
