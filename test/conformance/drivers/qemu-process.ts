/** A QEMU under the qtest accelerator that a test waits on: qtest and monitor as pipes, and its log. It ends with this process. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, fstatSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MachineName, Qemu } from '../../oracle/qemu-process.ts';
import { findQemu } from '../../oracle/qemu-process.ts';
import { MonitorPipe, QtestPipe } from './pipes.ts';

/** Which QEMU runs, and what it is told. */
export interface QemuOptions {
  readonly qemu: MachineName;
  /** For the error, if it does not start. */
  readonly what: string;
  /** Machine and devices. */
  readonly options: readonly string[];
  /** Items of `-d`: what is logged besides traces. */
  readonly logged: readonly string[];
  readonly traced: readonly string[];
}

/** Seconds of a processor after which a QEMU is ended that a guest has led into a loop: all tests of an IOMMU take a tenth of it. */
const MOST_SECONDS = 300;
const LIMITED = ['-c', `ulimit -t ${MOST_SECONDS} && exec "$0" "$@"`];

const found = new Map<MachineName, Qemu>();

function qemuOf(name: MachineName): Qemu {
  const qemu = found.get(name) ?? findQemu(name);
  found.set(name, qemu);
  return qemu;
}

export class QemuProcess {
  readonly qtest: QtestPipe;
  private readonly monitor: MonitorPipe;
  private readonly stop: () => void;
  private readonly log: number;
  private logged = 0;

  constructor({ qemu, what, options, logged, traced }: QemuOptions) {
    const { command, environment } = qemuOf(qemu);
    const folder = mkdtempSync(join(tmpdir(), 'pinhole-conformance-'));
    const path = (name: string) => join(folder, name);
    const fifos = ['qtest', 'monitor'].flatMap((name) => [path(`${name}.in`), path(`${name}.out`)]);
    if (spawnSync('mkfifo', fifos).status !== 0) throw new Error(`mkfifo made no pipes in ${folder}`);
    const [program, ...before] = command;
    const said = openSync(path('stderr'), 'w+');
    const complaint = () => {
      const bytes = Buffer.alloc(fstatSync(said).size);
      readSync(said, bytes, 0, bytes.length, 0);
      return bytes.toString('utf8').trim();
    };
    const child = spawn(
      'sh',
      [
        ...LIMITED,
        program,
        ...before,
        ...['-nodefaults', '-display', 'none', '-accel', 'qtest'],
        ...['-qtest', `pipe:${path('qtest')}`, '-qtest-log', 'none', '-qmp', `pipe:${path('monitor')}`],
        ...['-pidfile', path('pid'), '-D', path('log'), '-d', logged.join(',')],
        ...traced.flatMap((event) => ['-trace', `enable=${event}`]),
        // However this process ends: it has no handler for each way to.
        ...['-run-with', 'exit-with-parent=on'],
        ...options,
      ],
      { env: { ...process.env, ...environment }, stdio: ['ignore', 'ignore', said] },
    );
    child.unref();
    this.stop = () => void child.kill('SIGKILL');
    const gone = () => /\) Z /.test(readFileSync(`/proc/${child.pid}/stat`, 'latin1'));
    // Nothing of Node's own tells of it while a test runs: nothing else runs then.
    const clock = new Int32Array(new SharedArrayBuffer(4));
    for (let turn = 0; !existsSync(path('pid')); turn++) {
      if (gone() || turn > 10_000) {
        rmSync(folder, { recursive: true });
        throw new Error(`QEMU with ${what}: ${complaint()}`);
      }
      Atomics.wait(clock, 0, 0, 1);
    }
    this.qtest = new QtestPipe(path('qtest'), complaint);
    this.monitor = new MonitorPipe(path('monitor'));
    this.log = openSync(path('log'), 'r');
    // Everything is open: names are needed no more.
    rmSync(folder, { recursive: true });
  }

  /** Of the machine, as by its button. */
  reset(): void {
    this.monitor.systemReset();
  }

  close(): void {
    this.qtest.isClosed = true;
    this.stop();
  }

  /** Lines of QEMU's log since the last call. */
  told(): string[] {
    const { size } = fstatSync(this.log);
    if (size === this.logged) return [];
    const bytes = Buffer.alloc(size - this.logged);
    readSync(this.log, bytes, 0, bytes.length, this.logged);
    this.logged = size;
    return bytes.toString('latin1').trimEnd().split('\n');
  }
}

/** The last line that a pattern matches. */
export function match(lines: readonly string[], pattern: RegExp): RegExpExecArray | null {
  for (let i = lines.length; i-- > 0; ) {
    const found = pattern.exec(lines[i]);
    if (found !== null) return found;
  }
  return null;
}
