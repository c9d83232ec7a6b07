/**
 * A machine in QEMU with an IOMMU and an `edu` for each source id that is wanted, behind root ports with the buses' numbers where they are not on
 * the first bus. Machines are kept, and reset between tests.
 */
import { EDU_BUFFER } from '../../../src/devices/edu.ts';
import type { WriteConfiguration } from '../../oracle/qemu-set-up.ts';
import { deviceAddress, eduTransfer, setBar, setBridge } from '../../oracle/qemu-set-up.ts';
import type { QtestPipe } from './pipes.ts';
import type { QemuOptions } from './qemu-process.ts';
import { QemuProcess } from './qemu-process.ts';

/** What machines differ in. */
export interface Board extends Omit<QemuOptions, 'what' | 'options'> {
  /** Machine and memory. */
  readonly machine: readonly string[];
  /** As `-device` takes it, without the options of the unit. */
  readonly unit: string;
  /** Where devices are put. */
  readonly bars: number;
  /** Functions of the first bus up to here are behind a root port, too, whose bus then has the number of the first: 0 where they need not be. */
  readonly lowFunctions: number;
  /** Memory that is filled with zeros by each reset, and nothing else of it but pages that are told of. The first page holds nothing. */
  readonly cleared: { readonly from: number; readonly bytes: number };
  readonly configure: WriteConfiguration;
  /** Commands before a reset: registers that it leaves as they are. */
  beforeReset(): string[];
}

const BAR_BYTES = 0x10_0000;
/** What a write of a device leaves in memory besides its source id; to flash memory it is the command that does nothing. */
const PATTERN = 0x5a;
const PATTERN_LOW = 0xff;
/** In the buffer of an `edu`: what it writes; where it reads to. */
const WRITTEN = EDU_BUFFER;
const READ_TO = EDU_BUFFER + 0x100;
/** What an `edu` reads as at offset 0. */
const IDENTIFICATION = 0x0100_00ed;
/** A bus number that no test uses. */
const SPARE_BUS = 0xfe;

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

export class EduMachine {
  /** Options of the unit. */
  readonly unit: string;
  private readonly board: Board;
  private readonly process: QemuProcess;
  private readonly devices = new Map<number, Device>();
  private readonly ports: Port[] = [];
  /** Pages beyond the first ones that were written since the last reset. */
  private readonly dirty = new Set<number>();

  constructor(board: Board, unit: string, sids: readonly number[]) {
    this.board = board;
    this.unit = unit;
    this.place(sids);
    const what = `${board.unit},${unit}`;
    const options = [...board.machine, '-device', what, ...this.hardware()];
    this.process = new QemuProcess({ ...board, what, options });
    this.reset();
    this.fillBuffers();
  }

  get qtest(): QtestPipe {
    return this.process.qtest;
  }

  close(): void {
    this.process.close();
  }

  /** How many devices there are. */
  get size(): number {
    return this.devices.size;
  }

  has(sid: number): boolean {
    return this.devices.has(sid);
  }

  /** As after power-on, with memory that software has touched filled with zeros. */
  reset(): void {
    const { board, qtest } = this;
    qtest.run(board.beforeReset());
    this.process.reset();
    const commands = [`memset ${board.cleared.from} ${board.cleared.bytes} 0`];
    for (const page of this.dirty) commands.push(`memset ${page * 4096} 4096 0`);
    this.dirty.clear();
    for (const port of this.ports) commands.push(...this.open(port));
    for (const device of this.devices.values())
      if (!this.ports.some(({ devices }) => devices.includes(device)))
        commands.push(...setBar(board.configure, device.sid, device.bar));
    qtest.run(commands);
    for (const { sid, bar } of this.devices.values())
      if (Number(qtest.run([`readl ${bar}`])[0]) !== IDENTIFICATION)
        throw new Error(`no device answers at ${bar.toString(16)}, which is to be 0x${sid.toString(16)}`);
    this.told();
  }

  /** What was written there is no longer there after a reset. @param addr a physical address below 2^53 */
  touch(addr: number): void {
    const { from, bytes } = this.board.cleared;
    if (addr < from || addr >= from + bytes) this.dirty.add(Math.floor(addr / 4096));
  }

  /** Lines of QEMU's log since the last call. */
  told(): string[] {
    return this.process.told();
  }

  /** A DMA. @param bytes 4, or 1 where these would not be one access. @returns what QEMU’s log says of it */
  dma(sid: number, address: bigint, write: boolean, bytes = 4): string[] {
    const { bar } = this.device(sid);
    this.told();
    this.qtest.run(eduTransfer(bar, write, address, write ? WRITTEN : READ_TO, bytes));
    return this.told();
  }

  /** Whether a page holds what the device writes at the offset where it wrote. */
  holdsPattern(sid: number, addr: number, bytes = 4): boolean {
    if (bytes === 1) return Number(this.qtest.run([`readb ${addr}`])[0]) === PATTERN_LOW;
    return Number(this.qtest.run([`readl ${addr}`])[0]) === pattern(sid);
  }

  /** Where a device's registers are. */
  protected barOf(sid: number): number {
    return this.device(sid).bar;
  }

  private device(sid: number): Device {
    const device = this.devices.get(sid);
    if (device === undefined) throw new Error(`no device 0x${sid.toString(16)} in this machine`);
    return device;
  }

  /** Gives each device its place: those of a bus side by side, as a port's window holds them. */
  private place(sids: readonly number[]): void {
    // A root port gives no power to a slot without function 0.
    const all = new Set([...sids, ...sids.filter((sid) => this.isBehindPort(sid)).map((sid) => sid & ~255)]);
    const devices = [...all].sort((a, b) => a - b).map((sid, i) => ({ sid, bar: this.board.bars + i * BAR_BYTES }));
    for (const device of devices) this.devices.set(device.sid, device);
    const used = new Set(devices.filter(({ sid }) => !this.isBehindPort(sid)).map(({ sid }) => sid >> 3));
    let slot = 30;
    const behind = devices.filter(({ sid }) => this.isBehindPort(sid));
    for (const bus of new Set(behind.map(({ sid }) => sid >> 8))) {
      while (used.has(slot)) slot--;
      this.ports.push({ slot: slot--, bus, devices: behind.filter(({ sid }) => sid >> 8 === bus) });
    }
  }

  private isBehindPort(sid: number): boolean {
    return sid > 255 || sid < this.board.lowFunctions;
  }

  private hardware(): string[] {
    const ports = this.ports.flatMap(({ slot, bus }) => [
      ...['-device', `pcie-root-port,id=bus${bus},addr=${slot.toString(16)}.0,chassis=${slot},slot=${slot}`],
    ]);
    const devices = [...this.devices.keys()].flatMap((sid) => {
      const place = `bus=${this.isBehindPort(sid) ? `bus${sid >> 8}` : 'pcie.0'},addr=${deviceAddress(sid)}`;
      return ['-device', `edu,${place},multifunction=on,dma_mask=0xffffffffffffffff`];
    });
    return [...ports, ...devices];
  }

  /** A root port's bus number and window, and what is behind it. */
  private open({ slot, bus, devices }: Port): string[] {
    const { configure } = this.board;
    // The number of the first bus is taken where configuration space is accessed, and not where requests come from.
    const named = bus === 0 ? SPARE_BUS : bus;
    const bridge = { sid: slot << 3, bus: named, window: devices[0].bar };
    return [
      ...setBridge(configure, bridge, (devices.at(-1) as Device).bar),
      ...devices.flatMap(({ sid, bar }) => setBar(configure, (named << 8) | (sid & 255), bar)),
      ...(named === bus ? [] : configure(bridge.sid, 0x18, bus)),
    ];
  }

  /** What a device writes lies in its buffer, which outlives a reset; while translation is off it can be fetched. */
  private fillBuffers(): void {
    const at = this.board.cleared.from + 4096;
    for (const { sid, bar } of this.devices.values())
      this.qtest.run([`writel ${at} ${pattern(sid)}`, ...eduTransfer(bar, false, BigInt(at), WRITTEN, 4)]);
    this.qtest.run([`writel ${at} 0`]);
  }
}

const pattern = (sid: number) => ((PATTERN << 24) | (sid << 8) | PATTERN_LOW) >>> 0;

/** Machines of one kind that run: processes are kept, and those that have ended forgotten. */
export class Machines<M extends EduMachine> {
  private readonly make: (unit: string, sids: readonly number[]) => M;
  private readonly running: { readonly which: number; readonly machine: M }[] = [];

  constructor(make: (unit: string, sids: readonly number[]) => M) {
    this.make = make;
  }

  /** The machine with these options of its unit and at least these devices. @param which of several that are the same */
  with(unit: string, sids: readonly number[], which = 0): M {
    for (let i = this.running.length; i-- > 0; ) if (this.running[i].machine.qtest.isClosed) this.running.splice(i, 1);
    const fits = this.running
      .filter((each) => each.which === which && each.machine.unit === unit)
      .map((each) => each.machine)
      .filter((each) => sids.every((sid) => each.has(sid)));
    // A reset takes longer the more devices there are.
    if (fits.length > 0) return fits.reduce((least, each) => (each.size < least.size ? each : least));
    const machine = this.make(unit, sids);
    this.running.push({ which, machine });
    return machine;
  }
}
