/**
 * QEMU as a driver of conformance tests, without what it drives. What a test writes is kept until it wants to know something: only then it is known
 * which unit and which devices it needs. Where it turns out later that one is missing, another machine that has it is told everything again.
 */
import type { EduMachine } from './edu-machine.ts';
import { needsModel, noteOf } from './needs-model.ts';

/** Each has a root port, and each device an address space. */
const MOST_BUSES = 8;
const COMMAND_SUFFIX: Readonly<Record<number, string>> = { 1: 'b', 2: 'w', 4: 'l', 8: 'q' };

/** Whose story a machine was told last. */
const told = new WeakMap<EduMachine, object>();

const hex = (value: bigint | number) => `0x${value.toString(16)}`;

/** What is the same for all tests on a kind of machine. */
export interface Place {
  /** Where the unit's registers are, and how many bytes of them. */
  readonly registers: number;
  readonly registerBytes: number;
  /** What an access beyond these is. */
  readonly beyond: string;
  isMemory(addr: number): boolean;
  /** Devices that most tests use; a machine with many is slow, as each has an address space of its own. */
  readonly usual: readonly number[];
  /** Source ids of the machine's own functions. */
  readonly taken: readonly number[];
  /** Whose they are. */
  readonly owner: string;
}

export abstract class ToldDriver<M extends EduMachine> {
  protected readonly sids: Set<number>;
  protected machine: M | null = null;
  /** Words that the test has written, by address. */
  protected readonly poked = new Map<number, bigint>();
  private readonly placed: Place;
  /** Commands that no machine was told yet. */
  private pending: string[] = [];
  /** What the machine was told, in order. */
  private readonly story: ((machine: M) => unknown)[] = [];
  /** How much of it the machine of {@link twin} was told. */
  private twinTold = 0;
  /** Pages of {@link poked}, which no machine was told to clear yet. */
  private pages = new Set<number>();

  protected constructor(placed: Place) {
    this.placed = placed;
    this.sids = new Set(placed.usual);
    noteOf(false);
  }

  /** The machine that the test asks for, after a reset: what is missing of it skips the test. */
  protected abstract choose(): M;

  /** Whatever is to be taken out of QEMU's log. @returns it */
  protected abstract listen(lines: string[]): string[];

  // ---- memory and registers -------------------------------------------------------------------------------------

  poke(addr: bigint, value: bigint): void {
    const at = Number(addr);
    if (!this.placed.isMemory(at)) needsModel('inside', `memory at ${hex(addr)}`);
    const word = BigInt.asUintN(64, value);
    this.poked.set(at, word);
    this.pages.add(Math.floor(at / 4096));
    this.pending.push(`writeq ${at} ${word}`);
  }

  peek(addr: bigint): bigint {
    const machine = this.ready();
    // A unit may have written there, which the next test is not to find.
    if (this.placed.isMemory(Number(addr))) machine.touch(Number(addr));
    return BigInt(machine.qtest.run([`readq ${addr}`])[0]);
  }

  /** @param size of the access in bytes */
  protected readRegister(offset: number, size: number): bigint {
    return BigInt(this.ready().qtest.run([`read${this.suffix(offset, size)} ${this.placed.registers + offset}`])[0]);
  }

  protected writeRegister(offset: number, size: number, value: bigint): void {
    const cut = BigInt.asUintN(8 * size, value);
    this.pending.push(`write${this.suffix(offset, size)} ${this.placed.registers + offset} ${cut}`);
  }

  private suffix(offset: number, size: number): string {
    const { registerBytes, beyond } = this.placed;
    const found = COMMAND_SUFFIX[size];
    if (found === undefined) needsModel('inside', `accesses of ${size} bytes`);
    if (!(offset >= 0 && offset + size <= registerBytes)) needsModel('inside', `accesses beyond ${beyond}`);
    return found;
  }

  // ---- requests -------------------------------------------------------------------------------------------------

  /** A request comes from there: another machine is needed where there is no such device. */
  protected wants(sid: number): void {
    if (this.sids.has(sid)) return;
    const { taken, owner } = this.placed;
    if (sid > 0xffff) needsModel('request', `from ${hex(sid)}: a requester id has 16 bits`);
    if (taken.includes(sid)) needsModel('request', `from ${hex(sid)}, which is ${owner} own`);
    this.sids.add(sid);
    if (new Set([...this.sids].map((each) => each >> 8)).size > MOST_BUSES)
      needsModel('request', `from more than ${MOST_BUSES} buses`);
    this.machine = null;
  }

  /** Does it, and again with another machine. */
  protected tellAll<T>(telling: (machine: M) => T): T {
    const machine = this.ready();
    this.story.push(telling);
    return telling(machine);
  }

  /** The machine has been told something. @param telling does it again with another one */
  protected remember(telling: (machine: M) => unknown): void {
    this.story.push(telling);
  }

  /** A write is where QEMU says that it went; what was there before is put back. */
  protected checkLanded(machine: M, sid: number, where: number, bytes = 4): void {
    if (!machine.holdsPattern(sid, where, bytes))
      throw new Error(`QEMU says that a write went to ${hex(where)}; it did not`);
    machine.touch(where);
    const word = where - (where % 8);
    machine.qtest.run([`writeq ${word} ${this.poked.get(word) ?? 0n}`]);
  }

  // ---- the machine ----------------------------------------------------------------------------------------------

  /** The machine, told everything. */
  protected ready(): M {
    if (this.machine === null || told.get(this.machine) !== this) this.machine = this.begin();
    noteOf(true);
    if (this.pending.length === 0) return this.machine;
    const commands = this.pending;
    const pages = [...this.pages];
    this.pending = [];
    this.pages = new Set();
    this.story.push((machine) => void this.tell(machine, commands, pages));
    this.tell(this.machine, commands, pages);
    return this.machine;
  }

  private begin(): M {
    const machine = this.choose();
    told.set(machine, this);
    for (const telling of this.story) telling(machine);
    return machine;
  }

  /** Another one, that is reset where it was told something else, and then what it was not told yet. */
  protected tellTwin(twin: M): void {
    if (told.get(twin) !== this) {
      twin.reset();
      told.set(twin, this);
      this.twinTold = 0;
    }
    for (; this.twinTold < this.story.length; this.twinTold++) this.story[this.twinTold](twin);
  }

  /** The twin has been told what is remembered next. */
  protected twinKnows(): void {
    this.twinTold++;
  }

  private tell(machine: M, commands: readonly string[], pages: readonly number[]): void {
    for (const page of pages) machine.touch(page * 4096);
    machine.qtest.run(commands);
    this.listen(machine.told());
  }
}
