// Long because a transaction's life is in one place, from the device that sends it to memory.
import { hex } from '../bits/index.ts';
import type { Agent } from './agent.ts';
import type { Arena, Region } from './arena.ts';
import type { Ats } from './ats.ts';
import type { CaseMemory } from './case-memory.ts';
import { EntryVersions } from './entry-versions.ts';
import type { EventLog } from './event-log.ts';
import type { Facts } from './facts.ts';
import { FACT } from './facts.ts';
import type { Frames } from './frames.ts';
import type { Grants } from './grants.ts';
import { GRANT, pageOf, splitVpn } from './grants.ts';
import { MARK } from './marks.ts';
import type { Messages } from './messages.ts';
import { isBehind, leaveOrder, placeInOrder } from './messages.ts';
import type { Naming } from './naming.ts';
import type { Requester } from './requester.ts';
import { bdf } from './requester.ts';
import type { Translator } from './translator.ts';

/** The life of a DMA transaction. */
export const PHASE = {
  free: 0,
  /** Sent by the device, queued upstream; the IOMMU has not looked at it. */
  issued: 1,
  translating: 2,
  /** Translated, in flight in the root complex; not yet visible, or not yet fetched. */
  translated: 3,
  /** Over, with the device waiting for its status. */
  completed: 4,
  aborted: 5,
} as const;

/** Words of a transaction's slot. `step`, `level`, `perms`, `did`, `pfn*` belong to the translator while it translates. */
export const SLOT = {
  phase: 0,
  device: 1,
  /** Index of the aimed-at page in {@link Grants}, plus 1; 0 if it is not followed. */
  target: 2,
  /** 1 read, 2 write. */
  access: 3,
  vpnHi: 4,
  vpnLo: 5,
  /** Index of the 64-bit word in the page. */
  word: 6,
  step: 7,
  level: 8,
  perms: 9,
  did: 10,
  /** Page frame number, upper and lower 20 bits: of the table to read next, then of the page. */
  pfnHi: 11,
  pfnLo: 12,
  flags: 13,
  /** How many 64-bit words follow the first one, in the same page. */
  more: 14,
  /** Of an interrupt request: its data. */
  data: 15,
  /** Of a write: how many interrupt requests of its device are ahead of it. */
  order: 16,
} as const;

const SLOT_FIELDS = Object.keys(SLOT);

/** The first word of a slot that a translator asked for; see {@link Dma.translatorWords}. */
export const TRANSLATOR_WORD = SLOT_FIELDS.length;

export const ACCESS = { read: 1, write: 2 } as const;

/** DMA transactions in flight, one slot each. */
export class Dma {
  readonly slots: number;
  readonly requesters: Requester[] = [];
  /** By requester: whose number its writes carry as data; the first one's of a group of twins, so that theirs are equal. */
  readonly stamps: number[] = [];
  /** All units of state that name a requester. */
  readonly namings: Naming[] = [];
  readonly agents: Agent[];
  /** Each says how many steps other hardware may still take that change memory as walks see it, at most. */
  readonly otherWrites: (() => number)[] = [];
  /** Takes everything at once when a DMA is issued, as `prompt` does. */
  immediate = false;
  /** What devices are behind that name none of their own. */
  translator: Translator | null = null;
  /** Takes interrupts when they take effect; without it they are lost. */
  messages: Messages | null = null;
  /** What devices translate by themselves; null where none does. */
  ats: Ats | null = null;
  private readonly arena: Arena;
  private readonly memory: CaseMemory;
  private readonly frames: Frames;
  private readonly grants: Grants;
  readonly facts: Facts;
  /** Entries of several words that software changes as a whole. */
  readonly versions: EntryVersions;
  readonly log: EventLog;
  private readonly region: Region;
  private readonly fields: readonly string[];

  constructor(
    parts: { arena: Arena; memory: CaseMemory; frames: Frames; grants: Grants; facts: Facts; log: EventLog },
    slots: number,
    translatorWords = 0,
  ) {
    this.arena = parts.arena;
    this.memory = parts.memory;
    this.frames = parts.frames;
    this.grants = parts.grants;
    this.facts = parts.facts;
    this.versions = new EntryVersions(parts.facts);
    this.log = parts.log;
    this.slots = slots;
    const extra = Array.from({ length: translatorWords }, (_, i) => `translator${i}`);
    this.fields = [...SLOT_FIELDS, ...extra];
    this.region = parts.arena.region('dma', this.fields, slots, true);
    this.namings.push({
      base: this.region.base,
      units: slots,
      length: this.fields.length,
      owner: SLOT.device,
      by: 'device',
      valid: SLOT.phase,
      ordered: false,
      // In flight, it is found by device and page; before and after, it is 0.
      implied: [SLOT.target],
      rename: (slot, requester) => this.rename(slot, requester),
    });
    parts.grants.onChange = (target) => this.unsteady(target);
    this.agents = Array.from({ length: slots }, (_, i) => this.agent(i));
  }

  /** Words that a slot has for the translator besides those of {@link SLOT}, from {@link TRANSLATOR_WORD} on; it clears them. */
  get translatorWords(): number {
    return this.fields.length - SLOT_FIELDS.length;
  }

  /** Offset of slot `i`'s first word. */
  at(i: number): number {
    return this.region.base + i * this.fields.length;
  }

  get(slot: number, field: number): number {
    return this.arena.words[slot + field];
  }

  set(slot: number, field: number, value: number): void {
    this.arena.set(slot + field, value);
  }

  /** Declares a device. @returns its index */
  declare(requester: Requester): number {
    this.stamps.push(this.requesters.length);
    return this.requesters.push(requester) - 1;
  }

  /** Offset of the first free slot, −1 for none. */
  freeSlot(): number {
    for (let i = 0; i < this.slots; i++) if (this.arena.words[this.at(i)] === PHASE.free) return this.at(i);
    return -1;
  }

  hasFree(): boolean {
    return this.freeSlot() >= 0;
  }

  freeSlots(): number {
    let count = 0;
    for (let i = 0; i < this.slots; i++) if (this.arena.words[this.at(i)] === PHASE.free) count++;
    return count;
  }

  /**
   * A device sends a request. @param iova byte address
   * @param waited the device will ask for the status ({@link finished})
   * @param words 64-bit words that it touches, all in one page (`splitPages`)
   */
  issue(requester: number, iova: bigint, access: number, waited: boolean, words = 1): number {
    const slot = this.freeSlot();
    if (slot < 0) throw new Error('no free DMA slot');
    const word = Number(iova & 0xfffn) >> 3;
    if (word + words > 512) throw new Error('a request crosses a page');
    const vpn = pageOf(iova);
    const { hi, lo } = splitVpn(vpn);
    const target = this.grants.find(requester, vpn);
    if (this.log.on) {
      const { name, pasid, sid } = this.requesters[requester];
      const who = pasid === undefined ? bdf(sid) : `${bdf(sid)} PASID ${hex(pasid)}`;
      const what = `${access === ACCESS.read ? 'read' : 'write'} ${hex(iova)}${words > 1 ? `, ${words} words` : ''}`;
      this.log.say('device', `${name} [${who}] DMA ${what}`);
    }
    this.set(slot, SLOT.phase, PHASE.issued);
    this.set(slot, SLOT.device, requester);
    this.set(slot, SLOT.target, target + 1);
    this.set(slot, SLOT.access, access);
    // Upper parts beyond 31 bits are beyond every address width, and stay so.
    this.set(slot, SLOT.vpnHi, Math.min(hi, 0x7fffffff));
    this.set(slot, SLOT.vpnLo, lo);
    this.set(slot, SLOT.word, word);
    this.set(slot, SLOT.more, words - 1);
    placeInOrder(this, slot);
    this.set(
      slot,
      SLOT.flags,
      this.firstMarks(requester) | (target < 0 ? 0 : MARK.steady) | (waited ? MARK.waited : 0),
    );
    if (this.immediate) this.performAtOnce(slot);
    return slot;
  }

  /** A device with ATS looks at its own cache first; where all is done at once it asks for no translation, as it may. */
  private firstMarks(requester: number): number {
    return this.ats !== null && !this.immediate && this.requesters[requester].ats === true ? MARK.ats : 0;
  }

  /** All of a transaction's life. */
  performAtOnce(slot: number): void {
    const translator = this.translatorOf(slot);
    if (translator === null) this.translated(slot, ...this.identity(slot));
    else translator.immediate(slot);
    if (this.get(slot, SLOT.phase) === PHASE.translated) this.perform(slot);
  }

  /** Slot of the device's transaction that is over and waited for, −1 while there is none. */
  finished(requester: number): number {
    for (let i = 0; i < this.slots; i++) {
      const slot = this.at(i);
      if (this.get(slot, SLOT.phase) >= PHASE.completed && this.get(slot, SLOT.device) === requester) return slot;
    }
    return -1;
  }

  /** Number of the device's transactions in flight. */
  inFlight(requester: number): number {
    let count = 0;
    for (let i = 0; i < this.slots; i++) {
      const slot = this.at(i);
      const phase = this.get(slot, SLOT.phase);
      if (phase !== PHASE.free && phase < PHASE.completed && this.get(slot, SLOT.device) === requester) count++;
    }
    return count;
  }

  /** Whether a write of the device is on its way and in `phase` at most: `issued` what the IOMMU has not looked at, `translated` any. */
  hasWrite(requester: number, phase: number): boolean {
    for (let i = 0; i < this.slots; i++) {
      const slot = this.at(i);
      const at = this.get(slot, SLOT.phase);
      if (at === PHASE.free || at > phase || this.get(slot, SLOT.access) !== ACCESS.write) continue;
      if (this.ats?.isInside(slot) === true) continue;
      if (this.get(slot, SLOT.device) === requester) return true;
    }
    return false;
  }

  /** Takes the status of a finished transaction. @returns 1 completed, 0 aborted */
  collect(slot: number): number {
    const ok = this.get(slot, SLOT.phase) === PHASE.completed ? 1 : 0;
    this.release(slot);
    return ok;
  }

  /** Writes of hardware that may still change memory: those of DMA in flight, and what else there is ({@link otherWrites}). */
  pendingWrites(): number {
    let sum = 0;
    for (let i = 0; i < this.slots; i++) {
      const slot = this.at(i);
      const phase = this.get(slot, SLOT.phase);
      const inFlight = phase !== PHASE.free && phase < PHASE.completed;
      if (inFlight && this.get(slot, SLOT.access) === ACCESS.write) sum++;
      if (inFlight) sum += this.ats?.pages?.left(slot) ?? 0;
    }
    for (const count of this.otherWrites) sum += count();
    return sum;
  }

  /** The IOMMU that a transaction's device is behind, null for none. */
  translatorOf(slot: number): Translator | null {
    return this.requesters[this.get(slot, SLOT.device)].translator ?? this.translator;
  }

  /** Whether some transaction bears one of the marks. @param mine of which requesters (index): those behind one of several IOMMUs; all if absent */
  anyMarked(marks: number, mine?: (requester: number) => boolean): boolean {
    for (let i = 0; i < this.slots; i++) {
      const slot = this.at(i);
      if ((this.arena.words[slot + SLOT.flags] & marks) === 0) continue;
      if (mine === undefined || mine(this.get(slot, SLOT.device))) return true;
    }
    return false;
  }

  mark(slot: number, marks: number): void {
    this.set(slot, SLOT.flags, this.get(slot, SLOT.flags) | marks);
  }

  /** A page walk for domain `did` reads a table at the frame. */
  tableRead(pfn: number, did: number): void {
    const frame = this.frames.find(pfn);
    if (frame < 0) return;
    const owner = this.frames.owners[this.frames.ownerOf(frame)];
    if (owner.kind === 'table' && owner.did === did) return;
    this.facts.bits |= FACT.foreignWalk;
    if (this.log.on) {
      const { name } = this.frames.list[frame];
      this.log.say('iommu', `the walk reads ${name} (${hex(pfn * 4096)}), which is ${owner.name} now`);
    }
  }

  /** The translation succeeded: the transaction is in flight to the frame. */
  translated(slot: number, pfnHi: number, pfnLo: number): void {
    const target = this.get(slot, SLOT.target) - 1;
    this.set(slot, SLOT.phase, PHASE.translated);
    this.set(slot, SLOT.pfnHi, pfnHi);
    this.set(slot, SLOT.pfnLo, pfnLo);
    this.set(slot, SLOT.step, 0);
    const flags = this.get(slot, SLOT.flags);
    // A device knows how large the page is that it goes to by itself.
    if ((flags & MARK.direct) === 0) this.set(slot, SLOT.level, 0);
    this.set(slot, SLOT.perms, 0);
    if (target >= 0) {
      const state = this.grants.state(target);
      if (state === GRANT.none) this.facts.bits |= FACT.staleTranslation;
      if (state === GRANT.granted && (flags & MARK.steady) !== 0 && !this.grants.isFor(target, pfnHi, pfnLo)) {
        this.facts.bits |= FACT.staleTranslation;
        this.denied(target);
      }
    }
    this.set(slot, SLOT.flags, flags & ~(MARK.stale | MARK.holdWalk | MARK.steady));
  }

  /** The translation was refused. */
  abort(slot: number): void {
    this.refused(slot, PHASE.aborted);
  }

  /** The translation was refused, and the device is told nothing of it: a write is ignored, a read gets zeros. */
  ignored(slot: number): void {
    this.refused(slot, PHASE.completed);
  }

  private refused(slot: number, phase: number): void {
    const target = this.get(slot, SLOT.target) - 1;
    if (
      target >= 0 &&
      this.grants.state(target) === GRANT.granted &&
      (this.get(slot, SLOT.flags) & MARK.steady) !== 0
    ) {
      this.denied(target);
    }
    this.end(slot, phase);
  }

  private denied(target: number): void {
    this.facts.bits |= this.grants.inLastCall(target) ? FACT.deniedInside : FACT.deniedOutside;
  }

  /** A translated transaction takes effect: the write becomes visible, the read data is fetched. */
  private perform(slot: number): void {
    if ((this.get(slot, SLOT.flags) & MARK.message) !== 0) {
      this.messages?.deliver(slot);
      return this.end(slot, PHASE.completed);
    }
    const pfn = this.get(slot, SLOT.pfnHi) * 0x100000 + this.get(slot, SLOT.pfnLo);
    const write = this.get(slot, SLOT.access) === ACCESS.write;
    const word = this.get(slot, SLOT.word);
    const { name, did } = this.requesters[this.get(slot, SLOT.device)];
    const frame = this.frames.find(pfn);
    if (frame < 0) {
      if (this.log.on) this.log.say('memory', `${hex(pfn * 4096)} is not memory: the DMA of ${name} is aborted`);
      this.end(slot, PHASE.aborted);
      return;
    }
    const owner = this.frames.owners[this.frames.ownerOf(frame)];
    const foreign = owner.kind !== 'free' && !(owner.kind === 'buffer' && owner.did === did);
    if (foreign) this.facts.bits |= write ? FACT.foreignWrite : FACT.leakedRead;
    if (write) {
      const data = 0xd0a00000 | ((this.get(slot, SLOT.vpnLo) & 0xfff) << 4) | this.stamps[this.get(slot, SLOT.device)];
      const last = word + this.get(slot, SLOT.more);
      for (let w = word; w <= last; w++) this.memory.write(this.memory.locate(pfn, w), data, 0);
    }
    if (this.log.on) {
      const where = `${this.frames.list[frame].name} (${hex(pfn * 4096 + word * 8)}, owner: ${owner.name})`;
      this.log.say('memory', write ? `the write of ${name} lands in ${where}` : `${name} gets data of ${where}`);
    }
    this.end(slot, PHASE.completed);
  }

  private end(slot: number, phase: number): void {
    const waited = (this.get(slot, SLOT.flags) & MARK.waited) !== 0;
    const device = this.get(slot, SLOT.device);
    leaveOrder(this, slot);
    this.release(slot);
    if (!waited) return;
    this.set(slot, SLOT.phase, phase);
    this.set(slot, SLOT.device, device);
  }

  /** The transaction becomes another requester's, to the same page. */
  private rename(slot: number, requester: number): void {
    const target = this.get(slot, SLOT.target) - 1;
    this.set(slot, SLOT.device, requester);
    if (target >= 0) this.set(slot, SLOT.target, this.grants.find(requester, this.grants.targets[target].vpn) + 1);
  }

  private release(slot: number): void {
    for (let i = 0; i < this.fields.length; i++) this.arena.set(slot + i, 0);
  }

  private unsteady(target: number): void {
    for (let i = 0; i < this.slots; i++) {
      const slot = this.at(i);
      const flags = this.get(slot, SLOT.flags);
      if (this.get(slot, SLOT.target) === target + 1 && (flags & MARK.steady) !== 0) {
        this.set(slot, SLOT.flags, flags & ~MARK.steady);
      }
    }
  }

  private agent(i: number): Agent {
    const slot = this.at(i);
    return {
      name: `dma[${i}]`,
      lane: 'iommu',
      sparesSoftware: true,
      choices: () => {
        const phase = this.get(slot, SLOT.phase);
        if (phase === PHASE.translated) return isBehind(this, slot) ? 0 : 1;
        if (phase !== PHASE.issued && phase !== PHASE.translating) return 0;
        if (this.ats?.takes(slot) === true) return this.ats.choices(slot);
        return this.translatorOf(slot)?.choices(slot) ?? 1;
      },
      left: () => {
        const phase = this.get(slot, SLOT.phase);
        if (phase === PHASE.translated) return 1;
        if (phase !== PHASE.issued && phase !== PHASE.translating) return 0;
        const translator = this.translatorOf(slot);
        if (translator !== null && translator.left === undefined) return -1;
        const left = translator?.left === undefined ? 1 : translator.left(slot);
        return this.ats === null ? left + 1 : this.ats.left(slot, left);
      },
      step: (choice) => {
        if (this.get(slot, SLOT.phase) === PHASE.translated) this.perform(slot);
        else if (this.ats?.takes(slot) === true) this.ats.step(slot, choice);
        else {
          const translator = this.translatorOf(slot);
          if (translator !== null) translator.step(slot, choice);
          else this.translated(slot, ...this.identity(slot));
        }
      },
    };
  }

  /** Frame of an untranslated transaction. */
  identity(slot: number): [number, number] {
    const pfn = this.get(slot, SLOT.vpnHi) * 0x40000 + this.get(slot, SLOT.vpnLo);
    return [Math.floor(pfn / 0x100000), pfn % 0x100000];
  }
}
