/** What becomes of interrupts: the processors' interrupt controllers, as far as cases need them. */
import { hex } from '../bits/index.ts';
import type { Region } from './arena.ts';
import type { Device } from './device.ts';
import { SLOT } from './dma.ts';
import type { Machine } from './machine.ts';
import { sendMessage } from './messages.ts';
import type { Program } from './op.ts';
import { bdf } from './requester.ts';

/** Most vectors that a case declares. */
const MAX_LINES = 16;

/** Address of every interrupt, bits 31:20. */
const INTERRUPT_RANGE = 0xfee;

/**
 * Interrupt controllers (Local APICs): one bit for each declared vector of a processor, set when an interrupt arrives and cleared by the program that
 * waits for it, so that interrupts of a vector merge. What arrives and was not declared is counted: somebody was interrupted who
 * should not have been.
 */
export class Interrupts {
  private readonly machine: Machine;
  private readonly region: Region;
  private readonly lines: { readonly name: string; readonly destination: number; readonly vector: number }[] = [];

  constructor(machine: Machine) {
    this.machine = machine;
    const names = ['unexpected', ...Array.from({ length: MAX_LINES }, (_, i) => `line ${i}`)];
    this.region = machine.arena.region('interrupts', names);
    machine.dma.messages = this;
  }

  /** Declares a vector of a processor that software expects. @param destination its APIC id */
  line(name: string, destination: number, vector: number): InterruptLine {
    if (this.lines.length === MAX_LINES) throw new RangeError(`a case has at most ${MAX_LINES} interrupt lines`);
    this.lines.push({ name, destination, vector });
    return new InterruptLine(this.machine, name, this.region.base + this.lines.length);
  }

  /** Whether an interrupt arrived that no {@link line} is for. */
  get unexpected(): boolean {
    return this.machine.arena.words[this.region.base] !== 0;
  }

  /** A device sends an interrupt request. @param address in 0xFEEx_xxxx. @param data 32 bits */
  *send(device: Device, address: number, data: number): Program {
    const { dma } = this.machine;
    if (address >>> 20 !== INTERRUPT_RANGE || address % 4 !== 0)
      throw new RangeError(
        `${hex(address)} is no address of an interrupt: it is a multiple of 4 from 0xfee00000 to 0xfeefffff`,
      );
    yield {
      name: `${device.name} interrupt ${hex(address)} ${hex(data)}`,
      requester: device.index,
      ready: () => dma.hasFree(),
      on: [],
      run: () => void sendMessage(dma, device.index, address, data, false),
    };
  }

  /** It arrives: the slot has the message that the processors get (address bits 63:32 in `pfnHi`, 31:12 in `pfnLo`). */
  deliver(slot: number): void {
    const { dma, arena, log } = this.machine;
    const destination = ((dma.get(slot, SLOT.pfnHi) & ~0xff) | (dma.get(slot, SLOT.pfnLo) & 0xff)) >>> 0;
    const vector = dma.get(slot, SLOT.data) & 0xff;
    const line = this.lines.findIndex((one) => one.destination === destination && one.vector === vector);
    arena.set(this.region.base + 1 + line, 1);
    if (!log.on) return;
    const { name, sid } = dma.requesters[dma.get(slot, SLOT.device)];
    const what = line < 0 ? 'which nobody expects' : this.lines[line].name;
    log.say('memory', `${name} [${bdf(sid)}] interrupts: vector ${hex(vector)} at ${hex(destination)}, ${what}`);
  }
}

/** One vector of one processor. */
export class InterruptLine {
  readonly name: string;
  private readonly machine: Machine;
  private readonly offset: number;

  constructor(machine: Machine, name: string, offset: number) {
    this.machine = machine;
    this.name = name;
    this.offset = offset;
  }

  get pending(): boolean {
    return this.machine.arena.words[this.offset] !== 0;
  }

  /** Waits for it, and services it. */
  *wait(): Program {
    yield {
      name: `wait for ${this.name}`,
      ready: () => this.pending,
      on: [this.offset],
      run: () => {
        this.machine.arena.set(this.offset, 0);
        if (this.machine.log.on) this.machine.log.say('driver', `services ${this.name}`);
      },
    };
  }

  /** Services it, if it is pending. */
  *service(): Program {
    yield {
      name: `service ${this.name}`,
      run: () => {
        this.machine.arena.set(this.offset, 0);
        if (this.machine.log.on) this.machine.log.say('driver', `services ${this.name}, if it is pending`);
      },
    };
  }

  /** Whether it is pending; it stays. @returns 1, or 0 */
  *isPending(): Program<number> {
    return Number(
      yield {
        name: `is ${this.name} pending`,
        returns: 'number',
        results: [0, 1],
        run: () => (this.pending ? 1 : 0),
      },
    );
  }
}
