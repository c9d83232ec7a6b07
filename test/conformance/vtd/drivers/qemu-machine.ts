/**
 * A q35 machine in QEMU with a VT-d unit and an `edu` for each source id that is wanted. What a request of one comes to is read from QEMU's own log
 * of its unit; where a write is said to have gone to memory, memory is looked at.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, fstatSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EDU_BUFFER } from '../../../../src/devices/edu.ts';
import type { Qemu } from '../../../oracle/qemu-process.ts';
import { findQemu } from '../../../oracle/qemu-process.ts';
import { byPorts, deviceAddress, eduTransfer, setBar, setBridge } from '../../../oracle/qemu-set-up.ts';
import { MonitorPipe, QtestPipe } from './pipes.ts';

export const UNIT = 0xfed90000;
/** 1 GiB, which costs what is touched of it; up to 0x9ffff and from 0x100000 on it is memory. */
export const RAM_BYTES = 0x4000_0000;
/** And as much as this from 4 GiB on: pages that tests map lie there. */
const HIGH_RAM_BASE = 0x1_0000_0000;
const HIGH_RAM_BYTES = 0x2_0000_0000;
const LOW_RAM_BYTES = 0xa0000;

export function isMemory(addr: number): boolean {
  return (
    (addr >= 0 && addr < LOW_RAM_BYTES) ||
    (addr >= 0x10_0000 && addr < RAM_BYTES) ||
    (addr >= HIGH_RAM_BASE && addr < HIGH_RAM_BASE + HIGH_RAM_BYTES)
  );
}

/** Of QEMU's log: what tells where a request went, and what the unit said of it. */
const TRACED = ['vtd_dmar_translate', 'vtd_dmar_fault', 'vtd_fault_disabled', 'vtd_frr_new', 'vtd_irq_generate'];
const TRACED_INTERRUPTS = ['vtd_ir_remap_msi'];

const BAR_BASE = 0xe000_0000;
const BAR_BYTES = 0x10_0000;
/** What a write of a device leaves in memory; its upper half is the source id. */
const PATTERN = 0x5a17;
/** In the buffer of an `edu`: what it writes; where it reads to. */
const WRITTEN = EDU_BUFFER;
const READ_TO = EDU_BUFFER + 0x100;
/** What an `edu` reads as at offset 0. */
const IDENTIFICATION = 0x0100_00ed;
const MSI_CAPABILITY = 0x40;
const RAISE = 0x60;
const ACKNOWLEDGE = 0x64;

interface Device {
  readonly sid: number;
  readonly bar: number;
}

/** A root port, behind which a bus has its number. */
interface Port {
  readonly slot: number;
  readonly bus: number;
  readonly devices: readonly Device[];
}

let found: Qemu | null = null;
const machines = new Map<string, QemuMachine>();

/** The machine with these options of its unit and at least these devices; processes are kept. @param which of several that are the same */
export function machineWith(unit: string, sids: readonly number[], which = 0): QemuMachine {
  const key = `${which}|${unit}|${sids.join(',')}`;
  for (const [of, machine] of machines) {
    if (machine.qtest.isClosed) machines.delete(of);
    else if (of.startsWith(`${which}|`) && machine.unit === unit && sids.every((sid) => machine.has(sid)))
      return machine;
  }
  const machine = new QemuMachine(unit, sids);
  machines.set(key, machine);
  return machine;
}

export class QemuMachine {
  readonly unit: string;
  readonly qtest: QtestPipe;
  private readonly monitor: MonitorPipe;
  private readonly log: number;
  private logged = 0;
  private readonly devices = new Map<number, Device>();
  private readonly ports: Port[] = [];
  /** Pages beyond the first ones that were written since the last reset. */
  private readonly dirty = new Set<number>();

  constructor(unit: string, sids: readonly number[]) {
    this.unit = unit;
    this.place(sids);
    found ??= findQemu();
    const folder = mkdtempSync(join(tmpdir(), 'pinhole-conformance-'));
    const path = (name: string) => join(folder, name);
    const fifos = ['qtest', 'monitor'].flatMap((name) => [path(`${name}.in`), path(`${name}.out`)]);
    if (spawnSync('mkfifo', fifos).status !== 0) throw new Error(`mkfifo made no pipes in ${folder}`);
    const [program, ...before] = found.command;
    const said = openSync(path('stderr'), 'w+');
    const complaint = () => {
      const bytes = Buffer.alloc(fstatSync(said).size);
      readSync(said, bytes, 0, bytes.length, 0);
      return bytes.toString('utf8').trim();
    };
    const child = spawn(
      program,
      [
        ...before,
        ...['-M', 'q35', '-m', `size=${RAM_BYTES >> 20}M,slots=1,maxmem=64G`],
        ...['-object', `memory-backend-ram,id=high,size=${HIGH_RAM_BYTES},reserve=off`],
        ...['-device', `pc-dimm,memdev=high,addr=${HIGH_RAM_BASE}`],
        ...['-nodefaults', '-display', 'none', '-accel', 'qtest'],
        ...['-qtest', `pipe:${path('qtest')}`, '-qtest-log', 'none', '-qmp', `pipe:${path('monitor')}`],
        ...['-pidfile', path('pid'), '-D', path('log'), '-d', 'invalid_mem'],
        ...[...TRACED, ...TRACED_INTERRUPTS].flatMap((event) => ['-trace', `enable=${event}`]),
        // However this process ends: it has no handler for each way to.
        ...['-run-with', 'exit-with-parent=on'],
        ...['-device', `intel-iommu,${unit}`],
        ...this.hardware(),
      ],
      { env: { ...process.env, ...found.environment }, stdio: ['ignore', 'ignore', said] },
    );
    child.unref();
    const gone = () => /\) Z /.test(readFileSync(`/proc/${child.pid}/stat`, 'latin1'));
    // Nothing of Node's own tells of it while a test runs: nothing else runs then.
    const clock = new Int32Array(new SharedArrayBuffer(4));
    for (let turn = 0; !existsSync(path('pid')); turn++) {
      if (gone() || turn > 10_000) {
        rmSync(folder, { recursive: true });
        throw new Error(`QEMU with intel-iommu,${unit}: ${complaint()}`);
      }
      Atomics.wait(clock, 0, 0, 1);
    }
    this.qtest = new QtestPipe(path('qtest'), complaint);
    this.monitor = new MonitorPipe(path('monitor'));
    this.log = openSync(path('log'), 'r');
    // Everything is open: names are needed no more.
    rmSync(folder, { recursive: true });
    this.reset();
    this.fillBuffers();
  }

  has(sid: number): boolean {
    return this.devices.has(sid);
  }

  /** As after power-on, with memory that software has touched filled with zeros. */
  reset(): void {
    this.monitor.systemReset();
    const commands = [`memset 0 ${LOW_RAM_BYTES} 0`];
    for (const page of this.dirty) commands.push(`memset ${page * 4096} 4096 0`);
    this.dirty.clear();
    for (const port of this.ports) commands.push(...this.open(port));
    for (const { sid, bar } of this.devices.values()) commands.push(...setBar(byPorts, sid, bar));
    this.qtest.run(commands);
    for (const { sid, bar } of this.devices.values())
      if (Number(this.qtest.run([`readl ${bar}`])[0]) !== IDENTIFICATION)
        throw new Error(`no device answers at ${bar.toString(16)}, which is to be 0x${sid.toString(16)}`);
    this.told();
  }

  /** What was written there is no longer there after a reset. @param addr a physical address below 2^53 */
  touch(addr: number): void {
    if (addr >= LOW_RAM_BYTES) this.dirty.add(Math.floor(addr / 4096));
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

  /** A DMA of 4 bytes. @returns what QEMU's log says of it */
  dma(sid: number, address: bigint, write: boolean): string[] {
    const { bar } = this.device(sid);
    this.told();
    this.qtest.run(eduTransfer(bar, write, address, write ? WRITTEN : READ_TO, 4));
    return this.told();
  }

  /** Whether a page holds what the device writes at the offset where it wrote. */
  holdsPattern(sid: number, addr: number): boolean {
    return Number(this.qtest.run([`readl ${addr}`])[0]) === pattern(sid);
  }

  /** A message by the MSI capability of a device. @returns what QEMU's log says of it */
  message(sid: number, address: number, data: number): string[] {
    const { bar } = this.device(sid);
    this.told();
    this.qtest.run([
      ...byPorts(sid, MSI_CAPABILITY + 4, address),
      ...byPorts(sid, MSI_CAPABILITY + 8, 0),
      ...byPorts(sid, MSI_CAPABILITY + 12, data),
      ...byPorts(sid, MSI_CAPABILITY, 0x0081_0005),
      ...[`writel ${bar + RAISE} 1`, `writel ${bar + ACKNOWLEDGE} 1`],
      ...byPorts(sid, MSI_CAPABILITY, 0x0080_0005),
    ]);
    return this.told();
  }

  private device(sid: number): Device {
    const device = this.devices.get(sid);
    if (device === undefined) throw new Error(`no device 0x${sid.toString(16)} in this machine`);
    return device;
  }

  /** Gives each device its place: those of a bus side by side, as a port's window holds them. */
  private place(sids: readonly number[]): void {
    // A root port gives no power to a slot without function 0.
    const all = new Set([...sids, ...sids.filter((sid) => sid > 255).map((sid) => sid & ~255)]);
    const devices = [...all].sort((a, b) => a - b).map((sid, i) => ({ sid, bar: BAR_BASE + i * BAR_BYTES }));
    for (const device of devices) this.devices.set(device.sid, device);
    const used = new Set(devices.filter(({ sid }) => sid < 256).map(({ sid }) => sid >> 3));
    let slot = 30;
    for (const bus of new Set(devices.map(({ sid }) => sid >> 8))) {
      if (bus === 0) continue;
      while (used.has(slot)) slot--;
      this.ports.push({ slot: slot--, bus, devices: devices.filter(({ sid }) => sid >> 8 === bus) });
    }
  }

  private hardware(): string[] {
    const ports = this.ports.flatMap(({ slot, bus }) => [
      ...['-device', `pcie-root-port,id=bus${bus},addr=${slot.toString(16)}.0,chassis=${slot},slot=${slot}`],
    ]);
    const devices = [...this.devices.keys()].flatMap((sid) => {
      const place = `bus=${sid < 256 ? 'pcie.0' : `bus${sid >> 8}`},addr=${deviceAddress(sid)}`;
      return ['-device', `edu,${place},multifunction=on,dma_mask=0xffffffffffffffff`];
    });
    return [...ports, ...devices];
  }

  /** A root port's bus number and window. */
  private open({ slot, bus, devices }: Port): string[] {
    const bridge = { sid: slot << 3, bus, window: devices[0].bar };
    return setBridge(byPorts, bridge, (devices.at(-1) as Device).bar);
  }

  /** What a device writes lies in its buffer, which outlives a reset; while translation is off it can be fetched. */
  private fillBuffers(): void {
    for (const { sid, bar } of this.devices.values())
      this.qtest.run([`writel 4096 ${pattern(sid)}`, ...eduTransfer(bar, false, 4096n, WRITTEN, 4)]);
    this.qtest.run(['writel 4096 0']);
  }
}

const pattern = (sid: number) => ((PATTERN << 16) | sid) >>> 0;
