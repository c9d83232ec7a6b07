/** A QEMU over qtest and its monitor: where it is found, how it is started. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { QtestClient } from '../../src/bridge/qtest-client.ts';
import type { Access, Value } from './platform.ts';

/** How to run a QEMU, and its version. */
export interface Qemu {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly version: string;
}

/** What differs between the QEMUs that are compared with. */
const MACHINES = {
  x86: { variable: 'PINHOLE_QEMU', program: 'qemu-system-x86_64' },
  arm: { variable: 'PINHOLE_QEMU_ARM', program: 'qemu-system-aarch64' },
} as const;

export type MachineName = keyof typeof MACHINES;

/** Whether a QEMU is named: then it has to work. */
export const isNamed = (machine: MachineName): boolean => process.env[MACHINES[machine].variable] !== undefined;

/** The QEMU of PINHOLE_QEMU, or PINHOLE_QEMU_ARM, or the one in the cache folder, which is filled where it is empty. */
export function findQemu(machine: MachineName = 'x86'): Qemu {
  const { program, variable } = MACHINES[machine];
  const own = process.env[variable];
  if (own !== undefined) return versionOf([own], {});
  const script = fileURLToPath(new URL('install-qemu.sh', import.meta.url));
  const folder = fetched(script, machine);
  const root = join(folder, 'root');
  const libraries = join(root, 'usr/lib/x86_64-linux-gnu');
  // Its own loader and libraries: the machine's are older.
  const loader = [join(root, 'usr/lib64/ld-linux-x86-64.so.2'), join(root, 'lib64/ld-linux-x86-64.so.2')];
  const command = [
    ...[loader.find((path) => existsSync(path)) ?? loader[0], '--library-path', libraries],
    join(root, 'usr/bin', program),
    ...['-L', join(root, 'usr/share/qemu'), '-L', join(root, 'usr/share/seabios')],
  ];
  return versionOf(command, { QEMU_MODULE_DIR: join(libraries, 'qemu') });
}

/** No QEMU is here, and none could be fetched. */
export class NoQemuError extends Error {
  override readonly name = 'NoQemuError';
}

/** Runs the script that fetches QEMU. @returns its folder */
function fetched(script: string, machine: MachineName): string {
  const { stdout, stderr, status } = spawnSync(script, [machine], { encoding: 'utf8' });
  process.stderr.write(stderr);
  if (status === 0) return stdout.trim();
  const said = stderr.trim().split('\n').at(-1) ?? '';
  throw new NoQemuError(`no QEMU could be fetched (install-qemu.sh ended with ${status}): ${said}`);
}

function versionOf(command: readonly string[], environment: Record<string, string>): Qemu {
  const text = execFileSync(command[0], [...command.slice(1), '--version'], {
    encoding: 'utf8',
    env: { ...process.env, ...environment },
  });
  const version = /version (\d+\.\d+\.\d+)/.exec(text)?.[1];
  if (version === undefined || Number(version.split('.')[0]) < 11)
    throw new Error(`the oracle needs QEMU >= 11.0; this is ${version ?? text.split('\n')[0]}`);
  return { command, environment, version };
}

/** A QEMU that runs. */
export interface RunningQemu {
  readonly qtest: QtestClient;
  readonly monitor: Monitor;
  close(): Promise<void>;
}

/**
 * Starts a QEMU under the qtest accelerator.
 * @param machine its options, without those of the accelerator, the sockets and the display; called with a folder for what it writes
 * @param what for the error, if it does not start
 */
export async function startQemu(
  qemu: Qemu,
  what: string,
  machine: (folder: string) => readonly string[],
): Promise<RunningQemu> {
  const folder = mkdtempSync(join(tmpdir(), 'pinhole-qtest-'));
  const [qtestPath, monitorPath] = ['qtest', 'qmp'].map((name) => join(folder, name));
  const [program, ...before] = qemu.command;
  const child = spawn(
    program,
    [
      ...before,
      ...['-nodefaults', '-display', 'none', '-accel', 'qtest'],
      ...['-qtest', `unix:${qtestPath},server=on,wait=off`, '-qtest-log', 'none'],
      ...['-qmp', `unix:${monitorPath},server=on,wait=off`],
      ...machine(folder),
    ],
    { env: { ...process.env, ...qemu.environment }, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  // What QEMU says of guest errors is wanted where it ends only; the rest is read and forgotten.
  child.stderr.on('data', (text) => {
    said = (said + text).slice(-2000);
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const running = () => {
      if (child.exitCode !== null) throw new Error(`it ended with status ${child.exitCode}`);
    };
    const qtest = await soon(() => QtestClient.connect(qtestPath), running);
    const monitor = await soon(() => Monitor.connect(monitorPath), running);
    const close = async () => {
      qtest.close();
      monitor.close();
      await stop();
    };
    return { qtest, monitor, close };
  } catch (error) {
    await stop();
    throw new Error(`QEMU with ${what}: ${said.trim() || (error as Error).message}`);
  }
}

/** The timer of `edu` runs for 100 ms of virtual time. */
export const ELAPSE = 'clock_step 100000001';

/** The commands of an access that is the same on every machine; null for another one. */
export function plainCommands(access: Access): readonly string[] | null {
  switch (access.do) {
    case 'write':
      return [`${access.size === 4 ? 'writel' : 'writeq'} ${access.at} 0x${access.value.toString(16)}`];
    case 'read':
      return [`${access.size === 4 ? 'readl' : 'readq'} ${access.at}`];
    case 'dump':
      return [`read ${access.at} ${access.bytes}`];
    case 'elapse':
      return [ELAPSE];
    default:
      return null;
  }
}

/** What a command of {@link plainCommands} was answered, as a value; null for one that reads nothing. */
export function plainValue(access: Access, answer: string): Value | null {
  if (access.do === 'read') return answer.replace(/^0x0*(?=.)/, '');
  return access.do === 'dump' ? answer.slice(2) : null;
}

/** Tries again for a while: QEMU makes its sockets before it listens. @param running throws where there is nothing to wait for */
async function soon<T>(attempt: () => Promise<T>, running: () => void): Promise<T> {
  for (let turn = 0; ; turn++) {
    try {
      return await attempt();
    } catch (error) {
      running();
      if (turn > 2000) throw error;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

/** The monitor: QMP, of which a reset is all that is wanted. */
export class Monitor {
  private readonly socket: Socket;
  private rest = '';
  private failure: Error | null = null;
  private waits: { readonly until: (message: Record<string, unknown>) => boolean; readonly done: () => void } | null =
    null;
  private reject: ((error: Error) => void) | null = null;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.take(text));
    socket.on('error', (error) => this.fail(error));
    socket.on('close', () => this.fail(new Error('QMP: QEMU closed the connection')));
  }

  static async connect(path: string): Promise<Monitor> {
    const monitor = new Monitor(createConnection(path));
    await monitor.expect((message) => 'QMP' in message);
    await monitor.ask('qmp_capabilities', (message) => 'return' in message);
    return monitor;
  }

  async systemReset(): Promise<void> {
    // The answer says that it was asked for, the event that it has been done.
    await this.ask('system_reset', (message) => message.event === 'RESET');
  }

  close(): void {
    this.socket.destroy();
  }

  private ask(command: string, until: (message: Record<string, unknown>) => boolean): Promise<void> {
    const answered = this.expect(until);
    this.socket.write(`${JSON.stringify({ execute: command })}\n`);
    return answered;
  }

  private expect(until: (message: Record<string, unknown>) => boolean): Promise<void> {
    if (this.failure !== null) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      this.waits = { until, done: resolve };
      this.reject = reject;
    });
  }

  private take(text: string): void {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop() as string;
    for (const line of lines) {
      const message = JSON.parse(line) as Record<string, unknown>;
      if ('error' in message) return this.fail(new Error(`QMP: ${line.trim()}`));
      if (this.waits?.until(message) !== true) continue;
      const { done } = this.waits;
      this.waits = null;
      done();
    }
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.reject?.(this.failure);
  }
}
