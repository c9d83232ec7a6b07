import { hex } from '../bits/index.ts';
import type { Agent } from './agent.ts';
import { Arena } from './arena.ts';
import { Ats } from './ats.ts';
import { CaseMemory } from './case-memory.ts';
import { Cpu } from './cpu.ts';
import { Device } from './device.ts';
import { Dma } from './dma.ts';
import { EventLog } from './event-log.ts';
import { Facts } from './facts.ts';
import type { Frame, Owner } from './frames.ts';
import { Frames } from './frames.ts';
import { Grants, pageOf } from './grants.ts';
import type { Program, Result } from './op.ts';
import { PageRequestChannel } from './page-requests.ts';
import { PageWaits } from './page-waits.ts';
import type { RequesterOptions } from './requester.ts';
import { Rules } from './rules.ts';
import type { StoreOrder } from './store-buffer.ts';

/** Most words of state that software (allocators, locks, counters) declares. */
const MAX_SOFTWARE = 64;

/** What tables of five levels translate; models keep input page numbers of 45 bits, and a wider one would alias another. */
const IOVA_BITS = 57n;

export interface MachineOptions {
  /** DMA transactions that can be in flight at once; 2 if absent. */
  readonly dmaSlots?: number;
  /** Words that a translator keeps in each of them; 0 if absent. */
  readonly translatorWords?: number;
  /** Whether page walks snoop the CPU's caches; true if absent. */
  readonly coherentWalker?: boolean;
  /** Translations that devices with ATS can have cached, all together; none of them has ATS, if absent. */
  readonly atcEntries?: number;
  /** Page requests that can be under way at once; no device can wait for a page, if absent. */
  readonly pageRequests?: number;
}

/** A program and the lane of the story that it fills. */
export interface Actor {
  readonly name: string;
  readonly lane: 'driver' | 'device';
  readonly program: () => Program;
}

/** Equal devices, each with its actor: they may change places as a whole. */
export interface TwinGroup {
  /** By member: index in `Dma.requesters`. */
  readonly devices: readonly number[];
  /** By member: index in {@link Machine.actors}. */
  readonly actors: readonly number[];
}

/** Everything that actors of one case share: memory with its owners, DMA in flight, hardware, software's own state. */
export class Machine {
  readonly arena = new Arena();
  readonly log = new EventLog();
  readonly facts = new Facts();
  readonly rules = new Rules();
  readonly frames: Frames;
  readonly memory: CaseMemory;
  readonly grants: Grants;
  readonly dma: Dma;
  /** Hardware that steps by itself, except DMA in flight. */
  readonly hardware: Agent[] = [];
  readonly actors: Actor[] = [];
  readonly twinGroups: TwinGroup[] = [];
  /** By source id: handles of the words of memory that tell hardware of the requester; see {@link configures}. */
  readonly configured = new Map<number, number[]>();
  /** What hardware holds, a line each, for the end of a story. */
  readonly views: (() => string[])[] = [];
  private readonly starters: (() => void)[] = [];
  /** Where an op that returns a 64-bit word leaves it. */
  readonly result: Result = { lo: 0, hi: 0 };
  private readonly software;
  private readonly softwareNames: string[] = [];

  constructor(options: MachineOptions = {}) {
    const { arena, log, facts } = this;
    this.frames = new Frames(arena);
    this.memory = new CaseMemory(arena, this.frames, log, options.coherentWalker ?? true);
    this.grants = new Grants(arena);
    this.software = arena.region('software', ['value'], MAX_SOFTWARE);
    const { frames, memory, grants } = this;
    this.dma = new Dma(
      { arena, memory, frames, grants, facts, log },
      options.dmaSlots ?? 2,
      options.translatorWords ?? 0,
    );
    if (options.atcEntries !== undefined) {
      const ats = new Ats(arena, this.dma, this.rules, options.atcEntries);
      this.dma.ats = ats;
      this.views.push(() => ats.describe());
      if (options.pageRequests !== undefined) {
        const channel = new PageRequestChannel(arena, this.dma, options.pageRequests);
        ats.pages = new PageWaits(this.dma, channel);
        this.hardware.push(...channel.agents);
      }
    }
    if (!memory.coherent) {
      this.dma.otherWrites.push(() => memory.dirtyCount());
      this.hardware.push({
        name: 'cpu cache',
        lane: 'memory',
        sparesSoftware: true,
        choices: () => memory.dirtyCount(),
        left: () => memory.dirtyCount(),
        step: (choice) => memory.writeBackNth(choice),
      });
    }
  }

  /**
   * Declares a page frame. @param addr byte address, page aligned
   * @param words indices of its 64-bit words that exist (others read as zero)
   */
  frame(name: string, addr: bigint, owner: number, words: readonly number[] = []): Frame {
    if ((addr & 0xfffn) !== 0n) throw new RangeError(`frame ${name}: ${hex(addr)} is not page aligned`);
    const frame = this.frames.add(name, Number(addr >> 12n), owner);
    for (const word of words) this.memory.name(frame, word);
    return frame;
  }

  owner(name: string, kind: Owner['kind'], did = -1): number {
    return this.frames.owner(name, kind, did);
  }

  /** Sets a word before the machine starts. */
  poke(addr: bigint, value: bigint): void {
    const frame = this.frames.list.find((f) => f.pfn === Number(addr >> 12n));
    if (frame === undefined) throw new RangeError(`${hex(addr)} is in no frame of this case`);
    const at = this.memory.name(frame, Number(addr & 0xfffn) >> 3);
    this.memory.write(at, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
  }

  /** Declares a word of software's own state: a counter, a lock. */
  word(name: string, initial = 0): SoftwareWord {
    if (this.softwareNames.length === MAX_SOFTWARE) throw new RangeError(`software has at most ${MAX_SOFTWARE} words`);
    const offset = this.software.base + this.softwareNames.length;
    this.softwareNames.push(name);
    this.arena.set(offset, initial);
    return new SoftwareWord(this, name, offset);
  }

  /** Frames that software allocates from, first free one first. */
  pool(frames: readonly Frame[]): Pool {
    return new Pool(this, frames);
  }

  cpu(name = 'cpu0', order: StoreOrder = 'sequential'): Cpu {
    return new Cpu(this, name, order);
  }

  /**
   * Declares a DMA device. @param aims byte addresses that its DMA may go to; only these are followed by the invariants
   * @param more what else there is to the requester: a PASID; with `ats` a translation cache of its own, which
   * `MachineOptions.atcEntries` makes room for
   */
  device(name: string, sid: number, did: number, aims: readonly bigint[], more: RequesterOptions = {}): Device {
    const canonical = (iova: bigint) => iova >> IOVA_BITS === 0n || BigInt.asIntN(64, iova) >> (IOVA_BITS - 1n) === -1n;
    const beyond = aims.find((iova) => iova < 0n || iova >> 64n !== 0n || !canonical(iova));
    if (beyond !== undefined) throw new RangeError(`${name}: ${hex(beyond)} is not an address of ${IOVA_BITS} bits`);
    if (more.ats === true && this.dma.ats === null)
      throw new RangeError(`${name} has ATS; give the machine atcEntries`);
    if (more.pageRequests !== undefined && this.dma.ats?.pages == null)
      throw new RangeError(`${name} waits for pages; give the machine pageRequests, and the device ats`);
    const index = this.dma.declare({ ...more, name, sid, did });
    for (const iova of aims) this.grants.target(index, did, pageOf(iova));
    return new Device(this, name, index, new Set(aims.map((a) => a >> 12n)));
  }

  actor(name: string, program: () => Program, lane: Actor['lane'] = 'driver'): void {
    this.actors.push({ name, lane, program });
  }

  /**
   * Declares devices equal: each runs the same program, and states in which they have changed places are one to the explorer (its
   * reduction `symmetry`). They are in one domain, on one bus, aim at the same pages, and nobody else's program names one of them.
   * @param program what each does, by its own device alone
   */
  twins(devices: readonly Device[], program: (device: Device) => Program): void {
    const { requesters, stamps } = this.dma;
    const [first] = devices;
    if (devices.length < 2) throw new RangeError('twins are at least two devices');
    const { sid: firstSid, did: firstDid } = requesters[first.index];
    const known = new Set(this.twinGroups.flatMap((group) => group.devices));
    for (const { index, name, aims } of devices) {
      const { sid, did } = requesters[index];
      const refuse = (what: string) => new RangeError(`${name} and ${first.name} are no twins: ${what}`);
      if (known.has(index)) throw new RangeError(`${name} is a twin already; name it once`);
      known.add(index);
      if (did !== firstDid) throw refuse(`domains ${did} and ${firstDid}; put them into one`);
      if (requesters[index].translator !== requesters[first.index].translator)
        throw refuse('they are behind two IOMMUs; put them behind one');
      if (sid >> 8 !== firstSid >> 8) throw refuse('they are on two buses; root entries are by bus');
      if (requesters.some((r, i) => i !== index && (r.sid === sid || r.name === name)))
        throw refuse('another device has its name or its source id; give each its own');
      if (aims.size !== first.aims.size || [...aims].some((page) => !first.aims.has(page)))
        throw refuse('they aim at different pages; declare both with the same');
      stamps[index] = stamps[first.index];
    }
    const actors = devices.map((_, i) => this.actors.length + i);
    for (const device of devices) this.actor(device.name, () => program(device), 'device');
    this.twinGroups.push({ devices: devices.map((device) => device.index), actors });
  }

  /**
   * Declares words of memory to be what tells hardware of a requester (a context entry): those of twins are equal, and stay so.
   * @param addr byte address of the first of `count` 64-bit words
   */
  configures(sid: number, addr: bigint, count: number): void {
    const frame = this.frames.list.find((f) => f.pfn === Number(addr >> 12n));
    if (frame === undefined) throw new RangeError(`${hex(addr)} is in no frame of this case`);
    const word = Number(addr & 0xfffn) >> 3;
    const handles = Array.from({ length: count }, (_, i) => this.memory.name(frame, word + i));
    this.configured.set(sid, [...(this.configured.get(sid) ?? []), ...handles]);
  }

  /** Something to be done when the machine is complete and about to start. */
  onStart(run: () => void): void {
    this.starters.push(run);
  }

  /** Called once, before the first step. */
  start(): void {
    for (const run of this.starters.splice(0)) run();
  }

  /** A line of the story and a note of the driver's, without a step. */
  *note(text: string, join: 'after' | 'before' = 'after', run: () => void = () => {}): Program {
    yield {
      name: `note ${text}`,
      join,
      run: () => {
        run();
        if (this.log.on && text !== '') this.log.say('driver', text);
      },
    };
  }
}

/** A word of software's state, as operations. */
export class SoftwareWord {
  readonly name: string;
  private readonly machine: Machine;
  private readonly offset: number;
  /** Footprint of its operations. */
  private readonly touches: readonly number[];

  constructor(machine: Machine, name: string, offset: number) {
    this.machine = machine;
    this.name = name;
    this.offset = offset;
    this.touches = [offset];
  }

  get value(): number {
    return this.machine.arena.words[this.offset];
  }

  set value(value: number) {
    this.machine.arena.set(this.offset, value);
  }

  /** Reads it. @param results values it may have */
  *get(results?: readonly number[]): Program<number> {
    const { touches } = this;
    const op = { name: `read ${this.name}`, returns: 'number' as const, touches, run: () => this.value };
    return Number(yield results === undefined ? op : { ...op, results });
  }

  /** Reads it where only this program writes it: takes no step of its own. */
  *getOwn(): Program<number> {
    const { touches } = this;
    return Number(
      yield { name: `read ${this.name}`, returns: 'number', touches, join: 'after', run: () => this.value },
    );
  }

  /** @param quiet the story does not speak of it */
  *set(value: number, quiet = false): Program {
    const { touches } = this;
    yield { name: `${this.name} = ${value}`, touches, run: () => (quiet ? this.put(value) : this.assign(value)) };
  }

  /** Waits until it has the value. */
  *until(value: number): Program {
    const { touches } = this;
    const on = [...touches, value];
    yield { name: `wait ${this.name} = ${value}`, touches, ready: () => this.value === value, on, run: () => {} };
  }

  /** Takes it as a lock: waits for 0, sets 1. */
  *lock(): Program {
    const { touches } = this;
    yield { name: `lock ${this.name}`, touches, ready: () => this.value === 0, on: touches, run: () => this.assign(1) };
  }

  *unlock(): Program {
    yield { name: `unlock ${this.name}`, touches: this.touches, run: () => this.assign(0) };
  }

  private put(value: number): void {
    this.value = value;
  }

  private assign(value: number): void {
    this.value = value;
    if (this.machine.log.on) this.machine.log.say('driver', `${this.name} = ${value}`);
  }
}

/** A page allocator: ownership of its frames is the free list. */
export class Pool {
  private readonly machine: Machine;
  private readonly list: readonly Frame[];

  constructor(machine: Machine, list: readonly Frame[]) {
    this.machine = machine;
    this.list = list;
  }

  /** Takes the first free frame, zeroed; waits while there is none. @returns its byte address */
  *alloc(owner: number): Program<bigint> {
    const { frames, log, memory } = this.machine;
    const pfns = this.list.map((f) => f.pfn);
    const op = {
      name: `alloc for ${frames.owners[owner].name}`,
      ready: () => this.free() !== undefined,
      on: pfns,
      returns: 'number' as const,
      results: pfns,
      run: () => {
        const frame = this.free() as Frame;
        frames.setOwner(frame.index, owner);
        memory.zero(frame);
        if (log.on)
          log.say('driver', `allocates ${frame.name} (${hex(frame.pfn * 4096)}) for ${frames.owners[owner].name}`);
        return frame.pfn;
      },
    };
    return BigInt((yield op) as number) << 12n;
  }

  /** Gives a frame back. */
  *release(addr: bigint): Program {
    const { frames, log } = this.machine;
    const index = frames.find(Number(addr >> 12n));
    if (index < 0) throw new RangeError(`${hex(addr)} is in no frame of this case`);
    yield {
      name: `free ${hex(addr)}`,
      run: () => {
        frames.setOwner(index, 0);
        if (log.on) log.say('driver', `frees ${frames.list[index].name} (${hex(addr)})`);
      },
    };
  }

  private free(): Frame | undefined {
    return this.list.find((f) => this.machine.frames.ownerOf(f.index) === 0);
  }
}
