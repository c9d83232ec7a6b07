/**
 * Devices with a cache of their own for translations (PCI Express ATS, "ATC"; VT-d 4.1 calls it device-TLB): a DMA looks it up, asks the
 * IOMMU where it has nothing (translation request, AT = 01b), and goes out with the address that it got (translated request, AT = 10b).
 * Invalidation requests of the IOMMU empty it.
 */
import { hex } from '../bits/index.ts';
import type { Arena, Region } from './arena.ts';
import { sayOfDevice } from './device-story.ts';
import type { Dma } from './dma.ts';
import { ACCESS, PHASE, SLOT } from './dma.ts';
import { MARK, PAGES_SENT } from './marks.ts';
import { PAGE_REQUEST_STEPS } from './page-requests.ts';
import type { PageWaits } from './page-waits.ts';
import type { Rule, Rules } from './rules.ts';

/** Bits of an entry's tag. */
const TAG = { valid: 1, level: 1, perms: 4 } as const;

const FIELDS = ['tag', 'device', 'vpnHi', 'vpnLo', 'pfnHi', 'pfnLo'] as const;
const AT = { tag: 0, device: 1, vpnHi: 2, vpnLo: 3, pfnHi: 4, pfnLo: 5 } as const;

/** Decisions of the device. */
const RULES = {
  used: { id: 'atc.use', clause: 'VT-d 4.1.3', text: 'a translation that the device has cached serves its request' },
  evicted: {
    id: 'atc.evict',
    clause: 'VT-d 4.1',
    text: 'a translation that the device has cached is gone by the time it could serve',
  },
} as const satisfies Record<string, Rule>;

/** Marks of a transaction that has not left its device as a memory request. */
const INSIDE = MARK.ats | MARK.asks | MARK.answered | MARK.page;

/** Marks of a translation request, and of what invalidations of the IOTLB want of it: with its answer it is over. */
const ASKED = MARK.asks | MARK.stale | MARK.holdWalk | MARK.holdDrain;

/** What an invalidation request is about. */
export interface AtcInvalidation {
  readonly sid: number;
  /** −1: translations of requests without PASID; {@link EVERY_PASID}. */
  readonly pasid: number;
  /** Page number, bits above 18 and lower 18, of which the lower `am` bits do not matter. */
  readonly vpnHi: number;
  readonly vpnLo: number;
  readonly am: number;
}

export const EVERY_PASID = -2;

/** Whether two page numbers lie in one block of 2^am pages. */
function sameBlock(am: number, hiA: number, loA: number, hiB: number, loB: number): boolean {
  if (am >= 50) return true;
  if (am >= 18) return (hiA ^ hiB) >>> (am - 18) === 0;
  return hiA === hiB && (loA ^ loB) >>> am === 0;
}

export class Ats {
  /** Devices that wait for pages; null where none can. */
  pages: PageWaits | null = null;
  private readonly dma: Dma;
  private readonly arena: Arena;
  private readonly region: Region;
  private readonly rules: Rules;
  private readonly used: number;
  private readonly evicted: number;

  /** @param entries of all devices together; a case that needs more is told so */
  constructor(arena: Arena, dma: Dma, rules: Rules, entries: number) {
    this.arena = arena;
    this.dma = dma;
    this.rules = rules;
    this.region = arena.region('atc', FIELDS, entries, true);
    this.used = rules.declare(RULES.used);
    this.evicted = rules.declare(RULES.evicted);
    const { base, units } = this.region;
    dma.namings.push({
      ...{ base, units, length: FIELDS.length, owner: AT.device, by: 'device', valid: AT.tag },
      ...{ ordered: false, implied: [] },
    });
  }

  private word(at: number, field: number): number {
    return this.arena.words[at + field];
  }

  private level(at: number): number {
    return (this.word(at, AT.tag) >>> TAG.level) & 7;
  }

  /** Offset of the `n`th entry that may serve the transaction, −1 when there are no more. */
  private usable(slot: number, n: number): number {
    const { dma, region } = this;
    const device = dma.get(slot, SLOT.device);
    const access = dma.get(slot, SLOT.access);
    let left = n;
    for (let i = 0; i < region.units; i++) {
      const at = region.base + i * FIELDS.length;
      const tag = this.word(at, AT.tag);
      if (tag === 0 || this.word(at, AT.device) !== device || (access & ~(tag >>> TAG.perms)) !== 0) continue;
      const am = 9 * (this.level(at) - 1);
      const [hi, lo] = [this.word(at, AT.vpnHi), this.word(at, AT.vpnLo)];
      if (!sameBlock(am, hi, lo, dma.get(slot, SLOT.vpnHi), dma.get(slot, SLOT.vpnLo))) continue;
      if (left-- === 0) return at;
    }
    return -1;
  }

  /** Whether the next step of a transaction is its device's. */
  takes(slot: number): boolean {
    return (this.dma.get(slot, SLOT.flags) & (MARK.ats | MARK.answered | MARK.page)) !== 0;
  }

  /** Whether it has not left its device as a memory request yet: it has no place among posted writes. */
  isInside(slot: number): boolean {
    return (this.dma.get(slot, SLOT.flags) & INSIDE) !== 0;
  }

  /** In how many ways the device's step can go: each entry that may serve does, or none is there any more. */
  choices(slot: number): number {
    const flags = this.dma.get(slot, SLOT.flags);
    if ((flags & MARK.page) !== 0) return 0;
    if ((flags & MARK.answered) !== 0)
      return this.pages?.isWanted(slot) === true && !this.pages.channel.hasRoom ? 0 : 1;
    let n = 0;
    while (this.usable(slot, n) >= 0) n++;
    return n + 1;
  }

  /** See `Agent.left`; of a transaction that is neither translated nor over. @param translating what the translator says of it */
  left(slot: number, translating: number): number {
    const flags = this.dma.get(slot, SLOT.flags);
    const translator = this.dma.translatorOf(slot);
    if (translator !== null && translator.most === undefined) return -1;
    const most = translator?.most?.() ?? 1;
    const whole = 2 * most + 4;
    if ((flags & MARK.direct) !== 0) return translating + 1;
    // Each page request leads to its answer, and all is done once more. That the answer may come is counted already.
    const later = (this.pages?.left(slot) ?? 0) * (whole + PAGE_REQUEST_STEPS + 1);
    if ((flags & (MARK.ats | MARK.page)) !== 0) return whole + later;
    if ((flags & MARK.asks) !== 0) return translating + most + 3 + later;
    return (flags & MARK.answered) !== 0 ? most + 2 + later : translating + 1;
  }

  step(slot: number, choice: number): void {
    const { dma } = this;
    if ((dma.get(slot, SLOT.flags) & MARK.answered) !== 0) return this.receive(slot);
    const at = this.usable(slot, choice);
    if (at >= 0) {
      this.rules.fire(this.used);
      const below = (1 << (9 * (this.level(at) - 1))) - 1;
      dma.set(slot, SLOT.level, this.level(at));
      dma.set(slot, SLOT.pfnHi, this.word(at, AT.pfnHi));
      dma.set(slot, SLOT.pfnLo, this.word(at, AT.pfnLo) | (dma.get(slot, SLOT.vpnLo) & below));
      sayOfDevice(this.dma, slot, 'has the translation in its ATC');
      return this.goesOut(slot, MARK.ats);
    }
    for (let gone = this.usable(slot, 0); gone >= 0; gone = this.usable(slot, 0)) {
      this.rules.fire(this.evicted);
      this.drop(gone);
    }
    sayOfDevice(this.dma, slot, 'sends a translation request');
    this.replace(slot, MARK.ats, MARK.asks);
  }

  /** A translation completion arrives. A translation that is invalidated meanwhile serves this request and is not kept. */
  private receive(slot: number): void {
    const { dma } = this;
    const perms = dma.get(slot, SLOT.perms);
    if (this.pages?.isWanted(slot) === true) return this.pages.ask(slot);
    if ((dma.get(slot, SLOT.access) & ~perms) !== 0) {
      sayOfDevice(this.dma, slot, 'gets no right from the translation completion, and gives up');
      return dma.abort(slot);
    }
    if ((dma.get(slot, SLOT.flags) & MARK.holdAtc) === 0) this.fill(slot, perms);
    this.goesOut(slot, MARK.answered);
  }

  private goesOut(slot: number, was: number): void {
    const { dma } = this;
    this.replace(slot, was | PAGES_SENT.mask, MARK.direct);
    dma.set(slot, SLOT.perms, 0);
    if (dma.log.on) {
      const page = dma.get(slot, SLOT.pfnHi) * 0x100000 + dma.get(slot, SLOT.pfnLo);
      const kind = dma.get(slot, SLOT.access) === ACCESS.read ? 'read' : 'write';
      sayOfDevice(this.dma, slot, `sends a translated ${kind} of ${hex(page * 4096 + dma.get(slot, SLOT.word) * 8)}`);
    }
  }

  private fill(slot: number, perms: number): void {
    const { dma, region } = this;
    const level = dma.get(slot, SLOT.level);
    const bits = 9 * (level - 1);
    const device = dma.get(slot, SLOT.device);
    const vpnHi = dma.get(slot, SLOT.vpnHi);
    const vpnLo = (dma.get(slot, SLOT.vpnLo) >>> bits) << bits;
    let room = -1;
    for (let i = 0; i < region.units; i++) {
      const at = region.base + i * FIELDS.length;
      if (this.word(at, AT.tag) === 0) {
        if (room < 0) room = at;
      } else if (
        this.word(at, AT.device) === device &&
        this.level(at) === level &&
        this.word(at, AT.vpnHi) === vpnHi &&
        this.word(at, AT.vpnLo) === vpnLo
      ) {
        room = at;
        break;
      }
    }
    if (room < 0) throw new RangeError(`an ATC of ${region.units} entries is too small for this case; give it more`);
    this.arena.set(room + AT.tag, TAG.valid | (level << TAG.level) | (perms << TAG.perms));
    this.arena.set(room + AT.device, device);
    this.arena.set(room + AT.vpnHi, vpnHi);
    this.arena.set(room + AT.vpnLo, vpnLo);
    this.arena.set(room + AT.pfnHi, dma.get(slot, SLOT.pfnHi));
    this.arena.set(room + AT.pfnLo, (dma.get(slot, SLOT.pfnLo) >>> bits) << bits);
  }

  private drop(at: number): void {
    for (let i = 0; i < FIELDS.length; i++) this.arena.set(at + i, 0);
  }

  // ---- what the IOMMU tells devices ---------------------------------------------------------------------------------------

  /** The translator answers a translation request. @param perms R 1, W 2. @param level of the page's size: 1 4 KiB, 2 2 MiB, 3 1 GiB */
  answered(slot: number, pfnHi: number, pfnLo: number, perms: number, level: number): void {
    const { dma } = this;
    dma.set(slot, SLOT.phase, PHASE.issued);
    dma.set(slot, SLOT.step, 0);
    dma.set(slot, SLOT.did, 0);
    dma.set(slot, SLOT.level, level);
    dma.set(slot, SLOT.perms, perms);
    dma.set(slot, SLOT.pfnHi, pfnHi);
    dma.set(slot, SLOT.pfnLo, pfnLo);
    this.replace(slot, ASKED, MARK.answered);
  }

  /** The answer is that the range is for untranslated requests only (U): the device sends it as one. */
  untranslatedOnly(slot: number): void {
    const { dma } = this;
    dma.set(slot, SLOT.phase, PHASE.issued);
    dma.set(slot, SLOT.step, 0);
    dma.set(slot, SLOT.did, 0);
    this.replace(slot, ASKED, 0);
    sayOfDevice(this.dma, slot, 'is told that the range is for untranslated requests only, and sends one');
  }

  /** Whether a device with this source id uses ATS, and so answers invalidation requests. */
  hasDevice(sid: number): boolean {
    return this.dma.requesters.some((requester) => requester.ats === true && requester.sid === sid);
  }

  /**
   * A device gets an invalidation request: the entries are gone, and what it has under way with such a translation is over before it
   * completes the invalidation; see {@link isBusy}. PCI Express asks for the latter: all reads and translation requests have been answered, and
   * the completion pushes the writes.
   */
  invalidate(inv: AtcInvalidation): void {
    const { dma, region } = this;
    for (let i = 0; i < region.units; i++) {
      const at = region.base + i * FIELDS.length;
      if (this.word(at, AT.tag) === 0) continue;
      const am = Math.max(inv.am, 9 * (this.level(at) - 1));
      const [hi, lo] = [this.word(at, AT.vpnHi), this.word(at, AT.vpnLo)];
      if (!this.concerns(inv, this.word(at, AT.device)) || !sameBlock(am, hi, lo, inv.vpnHi, inv.vpnLo)) continue;
      this.drop(at);
    }
    for (let i = 0; i < dma.slots; i++) {
      const slot = dma.at(i);
      if ((dma.get(slot, SLOT.flags) & (MARK.asks | MARK.answered | MARK.direct)) === 0) continue;
      if (!this.concerns(inv, dma.get(slot, SLOT.device))) continue;
      // How large a page a request that is not answered yet will get is not known: any may meet the range.
      const level = (dma.get(slot, SLOT.flags) & MARK.asks) === 0 ? dma.get(slot, SLOT.level) : UNKNOWN_LEVEL;
      const am = Math.max(inv.am, 9 * (level - 1));
      const [hi, lo] = [dma.get(slot, SLOT.vpnHi), dma.get(slot, SLOT.vpnLo)];
      if (sameBlock(am, hi, lo, inv.vpnHi, inv.vpnLo)) dma.mark(slot, MARK.holdAtc);
    }
  }

  private concerns({ sid, pasid }: AtcInvalidation, device: number): boolean {
    const requester = this.dma.requesters[device];
    if (requester.sid !== sid) return false;
    return pasid === EVERY_PASID || pasid === (requester.pasid ?? -1);
  }

  /** Whether the device has something under way that an invalidation request met. */
  isBusy(sid: number): boolean {
    const { dma } = this;
    for (let i = 0; i < dma.slots; i++) {
      const slot = dma.at(i);
      if ((dma.get(slot, SLOT.flags) & MARK.holdAtc) === 0) continue;
      if (dma.requesters[dma.get(slot, SLOT.device)].sid === sid) return true;
    }
    return false;
  }

  /** What the devices hold, a line each. */
  describe(): string[] {
    const lines: string[] = [];
    for (let i = 0; i < this.region.units; i++) {
      const at = this.region.base + i * FIELDS.length;
      if (this.word(at, AT.tag) === 0) continue;
      const { name } = this.dma.requesters[this.word(at, AT.device)];
      const iova = (this.word(at, AT.vpnHi) * 0x40000 + this.word(at, AT.vpnLo)) * 4096;
      const page = (this.word(at, AT.pfnHi) * 0x100000 + this.word(at, AT.pfnLo)) * 4096;
      lines.push(`ATC of ${name}: IOVA ${hex(iova)} -> ${hex(page)}`);
    }
    return lines;
  }

  private replace(slot: number, was: number, is: number): void {
    const { dma } = this;
    dma.set(slot, SLOT.flags, (dma.get(slot, SLOT.flags) & ~was) | is);
  }
}

/** As large a page as there is, 1 GiB. */
const UNKNOWN_LEVEL = 3;
