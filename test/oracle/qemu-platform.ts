/** The machine of platform.ts in QEMU, over qtest: one process a configuration, a reset between programs. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { QtestClient } from '../../src/bridge/qtest-client.ts';
import { GCMD, IRTA } from '../../src/iommu/vtd/index.ts';
import type { Access, Platform, Value } from './platform.ts';
import { BRIDGE, CLEARED, MAP, SID } from './platform.ts';
import { MessageLog, TRACED } from './qemu-messages.ts';

/** How to run a QEMU, and its version. */
export interface Qemu {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly version: string;
}

/** The QEMU of PINHOLE_QEMU, or the one in the cache folder, which is filled where it is empty. */
export function findQemu(): Qemu {
  const own = process.env.PINHOLE_QEMU;
  if (own !== undefined) return versionOf([own], {});
  const script = fileURLToPath(new URL('install-qemu.sh', import.meta.url));
  const folder = fetched(script);
  const root = join(folder, 'root');
  const libraries = join(root, 'usr/lib/x86_64-linux-gnu');
  // Its own loader and libraries: the machine's are older.
  const loader = [join(root, 'usr/lib64/ld-linux-x86-64.so.2'), join(root, 'lib64/ld-linux-x86-64.so.2')];
  const command = [
    ...[loader.find((path) => existsSync(path)) ?? loader[0], '--library-path', libraries],
    join(root, 'usr/bin/qemu-system-x86_64'),
    ...['-L', join(root, 'usr/share/qemu'), '-L', join(root, 'usr/share/seabios')],
  ];
  return versionOf(command, { QEMU_MODULE_DIR: join(libraries, 'qemu') });
}

/** No QEMU is here, and none could be fetched. */
export class NoQemuError extends Error {
  override readonly name = 'NoQemuError';
}

/** Runs the script that fetches QEMU. @returns its folder */
function fetched(script: string): string {
  const { stdout, stderr, status } = spawnSync(script, { encoding: 'utf8' });
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

export class QemuPlatform implements Platform {
  readonly name: string;
  private readonly qtest: QtestClient;
  private readonly monitor: Monitor;
  private readonly log: MessageLog;
  private readonly stop: () => Promise<void>;

  private constructor(name: string, qtest: QtestClient, monitor: Monitor, log: MessageLog, stop: () => Promise<void>) {
    this.name = name;
    this.qtest = qtest;
    this.monitor = monitor;
    this.log = log;
    this.stop = stop;
  }

  /** @param iommu options of `-device intel-iommu`, as `caching-mode=on` */
  static async start(qemu: Qemu, iommu: readonly string[]): Promise<QemuPlatform> {
    const folder = mkdtempSync(join(tmpdir(), 'pinhole-qtest-'));
    const [qtestPath, monitorPath, logPath] = ['qtest', 'qmp', 'log'].map((name) => join(folder, name));
    const [program, ...before] = qemu.command;
    const child = spawn(
      program,
      [
        ...before,
        ...['-M', 'q35', '-m', `${MAP.ramBytes >> 20}`, '-nodefaults', '-display', 'none', '-accel', 'qtest'],
        ...['-qtest', `unix:${qtestPath},server=on,wait=off`, '-qtest-log', 'none'],
        ...['-qmp', `unix:${monitorPath},server=on,wait=off`],
        ...['-device', ['intel-iommu', ...iommu].join(',')],
        ...['-D', logPath, ...TRACED.flatMap((event) => ['-trace', event])],
        ...['-device', `pcie-root-port,id=bridge,chassis=1,addr=${address(BRIDGE.sid)}`],
        ...SID.testdev.flatMap((sid) => ['-device', `iommu-testdev,${place(sid)}`]),
        ...SID.sender.flatMap((sid) => ['-device', `edu,${place(sid)},dma_mask=0xffffffffffffffff`]),
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
      return new QemuPlatform(`QEMU ${qemu.version}`, qtest, monitor, new MessageLog(logPath), stop);
    } catch (error) {
      await stop();
      throw new Error(`QEMU with intel-iommu,${iommu.join(',')}: ${said.trim() || (error as Error).message}`);
    }
  }

  async reset(): Promise<void> {
    // A reset leaves the interrupt remapping table that was in force.
    await this.qtest.run([
      `writeq ${MAP.iommu + IRTA.offset} 0`,
      `writel ${MAP.iommu + GCMD.offset} ${1 << GCMD.SIRTP.lo}`,
    ]);
    await this.monitor.systemReset();
    await this.qtest.run([
      `memset ${CLEARED.from} ${CLEARED.bytes} 0`,
      ...configureBridge(),
      ...SID.sender.flatMap((sid, i) => [...configure(sid, MAP.sender[i]), ...config(sid, MSI + CONTROL, MSI_ENABLE)]),
      ...SID.testdev.flatMap((sid, i) => configure(sid, MAP.testdev[i])),
      // The buffer of `edu` outlives a reset: read zeros into it.
      `writeq ${MAP.edu + 0x80} ${CLEARED.from}`,
      `writeq ${MAP.edu + 0x88} ${0x40000}`,
      `writeq ${MAP.edu + 0x90} 4096`,
      `writeq ${MAP.edu + 0x98} 1`,
      ELAPSE,
    ]);
  }

  async run(program: readonly Access[]): Promise<Value[]> {
    const commands = program.map(commandsOf);
    const answers = await this.qtest.run(commands.flat());
    const messages = this.log.take();
    const values: Value[] = [];
    for (let i = 0, at = 0; i < program.length; at += commands[i++].length) {
      const access = program[i];
      if (access.do === 'read') values.push(answers[at].replace(/^0x0*(?=.)/, ''));
      else if (access.do === 'dump') values.push(answers[at].slice(2));
      else if (access.do === 'messages') values.push(messages.shift() ?? 'none was logged');
    }
    return values;
  }

  async close(): Promise<void> {
    this.log.close();
    this.qtest.close();
    this.monitor.close();
    await this.stop();
  }
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

/** The timer of `edu` runs for 100 ms of virtual time. */
const ELAPSE = 'clock_step 100000001';

/** The MSI capability of `edu`, its only one, and what is there. */
const MSI = 0x40;
const [CONTROL, ADDRESS_LO, ADDRESS_HI, DATA] = [0, 4, 8, 12];
const MSI_ENABLE = 1 << 16;
/** Registers of `edu`: interrupts are raised by the bits written, and acknowledged. */
const [RAISE, ACKNOWLEDGE] = [0x60, 0x64];

function commandsOf(access: Access): readonly string[] {
  switch (access.do) {
    case 'write':
      return [`${access.size === 4 ? 'writel' : 'writeq'} ${access.at} 0x${access.value.toString(16)}`];
    case 'read':
      return [`${access.size === 4 ? 'readl' : 'readq'} ${access.at}`];
    case 'dump':
      return [`read ${access.at} ${access.bytes}`];
    case 'msi':
      return msi(SID.sender[access.sender], MAP.sender[access.sender], access.address, access.data);
    case 'messages':
      return MessageLog.MARK;
    default:
      return [ELAPSE];
  }
}

function msi(sid: number, bar: number, address: number, data: number): string[] {
  return [
    ...config(sid, MSI + ADDRESS_LO, address),
    ...config(sid, MSI + ADDRESS_HI, 0),
    ...config(sid, MSI + DATA, data),
    `writel ${bar + RAISE} 1`,
    `writel ${bar + ACKNOWLEDGE} 1`,
  ];
}

/** Device and function on a bus, as the option `addr` takes them. */
const address = (sid: number) => `${((sid >> 3) & 31).toString(16)}.${sid & 7}`;

/** Options that put a device where it has a source id. Function 0 of a device with several is the one that says so. */
function place(sid: number): string {
  const bus = sid >> 8 === BRIDGE.bus ? 'bus=bridge,' : '';
  const several = [...SID.testdev, ...SID.sender].some((other) => other !== sid && other >> 3 === sid >> 3);
  return `${bus}addr=${address(sid)}${several ? ',multifunction=on' : ''}`;
}

/** A write to configuration space. */
function config(sid: number, offset: number, value: number): string[] {
  return [`outl 0xcf8 ${(0x80000000 | (sid << 8) | offset) >>> 0}`, `outl 0xcfc ${value >>> 0}`];
}

/** Sets BAR 0 of a function, and lets it decode memory and be a bus master. */
function configure(sid: number, bar: number): string[] {
  return [...config(sid, 0x10, bar), ...config(sid, 0x04, 6)];
}

/** Gives the bus behind the root port its number, and 2 MiB of addresses. */
function configureBridge(): string[] {
  const { sid, bus, window } = BRIDGE;
  const [base, limit] = [window, window + 0x100000].map((at) => (at >>> 16) & 0xfff0);
  return [
    ...config(sid, 0x18, (bus << 16) | (bus << 8)),
    ...config(sid, 0x20, ((limit << 16) | base) >>> 0),
    ...config(sid, 0x04, 6),
  ];
}

/** The monitor: QMP, of which a reset is all that is wanted. */
class Monitor {
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
