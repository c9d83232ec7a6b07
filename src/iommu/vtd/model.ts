/** The VT-d remapping unit, legacy mode. Clauses: VT-d specification, revision 5.10. */
import type { Values } from '../../bits/index.ts';
import { encodeHalves, get, hex, hex64, reservedSet } from '../../bits/index.ts';
import type { Agent, Arena, Dma, EventLog, Memory, MmioBlock, Region, Rules, Translator } from '../../machine/index.ts';
import { ACCESS, bdf, MARK, PHASE, SLOT } from '../../machine/index.ts';
import { RegisterFile } from '../kit/register-file.ts';
import { nextInRing } from '../kit/ring.ts';
import type { CacheSizes } from './caches.ts';
import { TAG, VtdCaches } from './caches.ts';
import type { IotlbInvalidation } from './commands.ts';
import {
  CONTEXT_INV_DSC,
  IOTLB_INV_DSC,
  IQEI,
  invalidateContext,
  invalidateIotlb,
  WAIT_DSC,
  WALK_STEP,
} from './commands.ts';
import { FAULT_TEXT, isQualified, recordFault, refreshPending } from './faults.ts';
import type { VtdProfile } from './profiles.ts';
import { PROFILES } from './profiles.ts';
import {
  CAP,
  CCMD,
  CONTEXT_GRANULARITY,
  ECAP,
  FRCD_BASE,
  FRCD_HI,
  FSTS,
  GCMD,
  GSTS,
  ICS,
  IOTLB,
  IOTLB_BASE,
  IOTLB_GRANULARITY,
  IQA,
  IQERCD,
  IQH,
  IQT,
  IVA,
  REGISTER_BYTES,
  REGISTERS,
  RTADDR,
  VER,
} from './registers.ts';
import { ENTRY_NAME } from './structures.ts';
import { contextTag, indexAt, STEP, Walk, Walker } from './walk.ts';

export interface VtdOptions {
  readonly profile?: VtdProfile;
  readonly ver?: Partial<Values<typeof VER.fields>>;
  readonly cap?: Partial<Values<typeof CAP.fields>>;
  readonly ecap?: Partial<Values<typeof ECAP.fields>>;
  /** Host address width, 32 to 52 bits; 48 if absent. */
  readonly haw?: number;
  readonly caches?: Partial<CacheSizes>;
}

/** What the unit is built into. `dma` is absent in plain emulation, where every request is translated at once. */
export interface VtdParts {
  readonly arena: Arena;
  /** What page walks read. */
  readonly tables: Memory;
  /** Where the queue is read and status is written. */
  readonly memory: Memory;
  readonly dma?: Dma;
  readonly log?: EventLog;
  readonly rules?: Rules;
}

const DEFAULT_CAP = {
  ND: 6,
  SAGAW: 0b00110,
  MGAW: 47,
  FRO: FRCD_BASE / 16,
  SSLPS: 3,
  PSI: 1,
  MAMV: 18,
  DWD: 1,
  DRD: 1,
} as const;
const DEFAULT_ECAP = { C: 1, QI: 1, PT: 1, SC: 1, IRO: IOTLB_BASE / 16, MHMV: 15 } as const;

const PENDING = { none: 0, requested: 1, invalidated: 2 } as const;

/** Bits of a slot's `perms` word above R and W. */
const SLOT_FPD = 4;
const SLOT_FPD_SHIFT = 2;

export class Vtd implements Translator, MmioBlock {
  readonly name = 'VT-d';
  readonly profile: VtdProfile;
  readonly regs: RegisterFile;
  readonly caches: VtdCaches;
  /** What steps by itself: the invalidation queue and the register interface. */
  readonly agents: readonly Agent[];
  private readonly arena: Arena;
  private readonly memory: Memory;
  private readonly dma: Dma | null;
  private readonly log: EventLog | null;
  private readonly rules: Rules | null;
  private readonly walker: Walker;
  private readonly walk = new Walk();
  /** Root pointer in force (latched by SRTP) and register-based invalidations under way. */
  private readonly internal: Region;
  private readonly descriptor = new Int32Array(4);
  private readonly rule: Readonly<Record<keyof typeof RULES, number>>;
  /** Drain requests are ignored or always obeyed, whatever the descriptor says. */
  private readonly alwaysDrains: boolean;

  constructor(parts: VtdParts, options: VtdOptions = {}) {
    this.arena = parts.arena;
    this.memory = parts.memory;
    this.dma = parts.dma ?? null;
    this.log = parts.log ?? null;
    this.rules = parts.rules ?? null;
    this.profile = options.profile ?? PROFILES[0];
    this.regs = new RegisterFile(parts.arena, 'vtd.regs', REGISTER_BYTES, REGISTERS);
    this.internal = parts.arena.region('vtd.internal', ['rootHi', 'rootLo', 'context', 'iotlb']);
    const cap = { ...DEFAULT_CAP, ...options.cap };
    const ecap = { ...DEFAULT_ECAP, ...options.ecap };
    const ver = { MAX: 1, MIN: 0, ...options.ver };
    this.preset(VER.offset, encodeHalves(VER, ver));
    this.preset(CAP.offset, encodeHalves(CAP, cap));
    this.preset(ECAP.offset, encodeHalves(ECAP, ecap));
    const sizes = { context: 4, iotlbSets: 1, iotlbWays: 8, pagingStructure: 4, ...options.caches };
    if (!this.profile.pagingStructureCaches) sizes.pagingStructure = 0;
    this.caches = new VtdCaches(parts.arena, sizes);
    this.walker = new Walker(parts.tables, {
      sagaw: cap.SAGAW,
      mgaw: cap.MGAW + 1,
      haw: options.haw ?? 48,
      sslps: cap.SSLPS,
      didBits: 4 + 2 * cap.ND,
      snoopControl: ecap.SC === 1,
      passThrough: ecap.PT === 1,
      deviceTlb: false,
    });
    this.alwaysDrains = ver.MAX >= 2;
    this.rule = this.declareRules(sizes.pagingStructure > 0);
    this.agents = [this.queueAgent(), this.registerAgent()];
  }

  private preset(offset: number, halves: Int32Array): void {
    halves.forEach((half, i) => this.regs.force32(offset + 4 * i, half));
  }

  private declareRules(paging: boolean): Record<keyof typeof RULES, number> {
    const index = {} as Record<keyof typeof RULES, number>;
    for (const [key, rule] of Object.entries(RULES) as [keyof typeof RULES, (typeof RULES)[keyof typeof RULES]][]) {
      const usable = paging || !rule.id.startsWith('paging');
      index[key] = usable && this.rules !== null ? this.rules.declare(rule) : -1;
    }
    return index;
  }

  private fire(rule: keyof typeof RULES): void {
    if (this.rules !== null && this.rule[rule] >= 0) this.rules.fire(this.rule[rule]);
  }

  private say(text: string): void {
    this.log?.say('iommu', text);
  }

  private get telling(): boolean {
    return this.log?.on === true;
  }

  // ---- registers ----------------------------------------------------------------------------------------------

  registerName(offset: number): string {
    return this.regs.at(offset)?.name ?? `${this.name}+${hex(offset)}`;
  }

  /** @param offset byte offset, a multiple of 4. @param size 4 or 8 */
  read(offset: number, size: 4 | 8): { lo: number; hi: number } {
    return { lo: this.regs.read32(offset), hi: size === 8 ? this.regs.read32(offset + 4) : 0 };
  }

  /** A write of 4 or 8 bytes; 8 bytes are the low half, then the high half. */
  write(offset: number, size: 4 | 8, lo: number, hi: number): void {
    this.write32(offset, lo);
    if (size === 8) this.write32(offset + 4, hi);
  }

  private write32(offset: number, value: number): void {
    if (offset === GCMD.offset) {
      this.command(value);
      return;
    }
    this.regs.write32(offset, value);
    if (offset === CCMD.offset + 4 && value < 0) this.requestContext();
    else if (offset === IOTLB.offset + 4 && value < 0) this.requestIotlb();
    else if (offset === IQT.offset) this.checkTail();
    else if (offset === FRCD_HI.offset + 4) refreshPending(this.regs);
  }

  /** GCMD (11.4.4.1): state bits are taken over, one-shot bits start something that is complete at once. */
  private command(value: number): void {
    const { regs } = this;
    const halves = Int32Array.of(value);
    const on = (field: Parameters<typeof get>[0]) => get(field, halves);
    if (on(GCMD.SRTP) === 1) {
      // RTADDR takes effect here; the caches stay as they are (CAP.ESRTPS = 0, clause 6.6).
      const lo = regs.read32(RTADDR.offset);
      this.arena.set(this.internal.base, regs.read32(RTADDR.offset + 4) & 0xfffff);
      this.arena.set(this.internal.base + 1, lo >>> 12);
      regs.put(GSTS, GSTS.RTPS, 1);
    }
    if (on(GCMD.QIE) === 0 && regs.get(GSTS, GSTS.QIES) === 1) regs.force32(IQH.offset, 0);
    regs.put(GSTS, GSTS.QIES, regs.get(ECAP, ECAP.QI) === 1 ? on(GCMD.QIE) : 0);
    regs.put(GSTS, GSTS.TES, on(GCMD.TE));
  }

  // ---- register-based invalidation (6.5.1) ----------------------------------------------------------------------

  private requestContext(): void {
    this.regs.put(CCMD, CCMD.CAIG, 0);
    if (this.registerInvalidationUsable()) this.arena.set(this.internal.base + 2, PENDING.requested);
    else this.regs.put(CCMD, CCMD.ICC, 0);
  }

  private requestIotlb(): void {
    this.regs.put(IOTLB, IOTLB.IAIG, 0);
    if (this.registerInvalidationUsable()) this.arena.set(this.internal.base + 3, PENDING.requested);
    else this.regs.put(IOTLB, IOTLB.IVT, 0);
  }

  /** Not while queued invalidation is on, nor from major version 6 on: the request is dropped and reported by granularity 0. */
  private registerInvalidationUsable(): boolean {
    return this.regs.get(GSTS, GSTS.QIES) === 0 && this.regs.get(VER, VER.MAX) < 6;
  }

  private registerAgent(): Agent {
    const context = this.internal.base + 2;
    const iotlb = this.internal.base + 3;
    const words = this.arena.words;
    return {
      name: 'VT-d register invalidation',
      lane: 'iommu',
      choices: () => {
        if (words[context] === PENDING.requested || words[iotlb] === PENDING.requested) return 1;
        const waiting = words[context] !== PENDING.none || words[iotlb] !== PENDING.none;
        return waiting && !this.isHeld() ? 1 : 0;
      },
      step: () => {
        if (words[context] === PENDING.requested) this.contextByRegister();
        else if (words[iotlb] === PENDING.requested) this.iotlbByRegister();
        else this.completeRegisters();
      },
    };
  }

  private contextByRegister(): void {
    const granularity = this.regs.get(CCMD, CCMD.CIRG);
    const did = this.regs.get(CCMD, CCMD.DID);
    const sid = this.regs.get(CCMD, CCMD.SID);
    if (granularity !== 0)
      invalidateContext(this.caches, this.dma, granularity, did, sid, this.regs.get(CCMD, CCMD.FM));
    this.regs.put(CCMD, CCMD.CAIG, granularity);
    this.arena.set(this.internal.base + 2, PENDING.invalidated);
    if (this.telling) this.say(`context cache invalidated (${granularityName(CONTEXT_GRANULARITY, granularity)})`);
  }

  private iotlbByRegister(): void {
    const { regs } = this;
    const granularity = regs.get(IOTLB, IOTLB.IIRG);
    const am = regs.get(IVA, IVA.AM);
    const refused = granularity === 0 || (granularity === IOTLB_GRANULARITY.page && am > regs.get(CAP, CAP.MAMV));
    if (!refused) {
      this.invalidate({
        granularity: this.pageSelective(granularity),
        did: regs.get(IOTLB, IOTLB.DID),
        ...pageOfAddress(regs.read32(IVA.offset), regs.read32(IVA.offset + 4)),
        am,
        leafOnly: regs.get(IVA, IVA.IH) === 1,
        drainReads: regs.get(IOTLB, IOTLB.DR) === 1,
        drainWrites: regs.get(IOTLB, IOTLB.DW) === 1,
      });
    }
    regs.put(IOTLB, IOTLB.IAIG, refused ? 0 : this.pageSelective(granularity));
    this.arena.set(this.internal.base + 3, PENDING.invalidated);
  }

  private completeRegisters(): void {
    if (this.arena.words[this.internal.base + 3] === PENDING.invalidated) this.overtakes();
    for (const pending of [this.internal.base + 2, this.internal.base + 3]) this.arena.set(pending, PENDING.none);
    this.regs.put(CCMD, CCMD.ICC, 0);
    this.regs.put(IOTLB, IOTLB.IVT, 0);
    if (this.telling) this.say('the invalidation is complete: ICC and IVT are clear');
  }

  /** Without CAP.PSI a page-selective request is done as a domain-selective one. */
  private pageSelective(granularity: number): number {
    const page = granularity === IOTLB_GRANULARITY.page && this.regs.get(CAP, CAP.PSI) === 0;
    return page ? IOTLB_GRANULARITY.domain : granularity;
  }

  // ---- queued invalidation (6.5.2) --------------------------------------------------------------------------------

  private checkTail(): void {
    const tail = this.regs.read32(IQT.offset);
    if (this.regs.get(GSTS, GSTS.QIES) === 1 && tail >= this.queueBytes())
      this.queueError(IQEI.tail, 'the tail is beyond the queue');
  }

  private queueBytes(): number {
    return 4096 << this.regs.get(IQA, IQA.QS);
  }

  private queueError(info: number, what: string): void {
    this.regs.put(IQERCD, IQERCD.IQEI, info);
    this.regs.put(FSTS, FSTS.IQE, 1);
    if (this.telling) this.say(`invalidation queue error: ${what}; FSTS.IQE set, the head stays`);
  }

  /** Reads the descriptor at the head. @returns false where nothing decodes */
  private readDescriptor(): boolean {
    const offset = this.regs.read32(IQH.offset);
    const base = (this.regs.read32(IQA.offset + 4) & 0xfffff) * 0x100000 + (this.regs.read32(IQA.offset) >>> 12);
    const pfn = base + (offset >>> 12);
    for (let i = 0; i < 2; i++) {
      const at = this.memory.locate(pfn, ((offset & 0xfff) >>> 3) + i);
      if (at < 0) return false;
      this.descriptor[2 * i] = this.memory.lo(at);
      this.descriptor[2 * i + 1] = this.memory.hi(at);
    }
    return true;
  }

  private queueAgent(): Agent {
    return {
      name: 'VT-d invalidation queue',
      lane: 'iommu',
      choices: () => {
        const { regs } = this;
        if (regs.get(GSTS, GSTS.QIES) === 0 || regs.read32(IQH.offset) === regs.read32(IQT.offset)) return 0;
        if (regs.get(FSTS, FSTS.IQE) !== 0 || regs.get(FSTS, FSTS.ITE) !== 0) return 0;
        return this.readDescriptor() && this.type() === WAIT_DSC.TYPE.fixed && this.isHeld() ? 0 : 1;
      },
      step: () => this.fetch(),
    };
  }

  private type(): number {
    return (this.descriptor[0] & 0xf) | (((this.descriptor[0] >>> 9) & 7) << 4);
  }

  /** Executes the descriptor at the head (6.5.2): the head moves only past a valid one. */
  private fetch(): void {
    const { regs, descriptor } = this;
    if (regs.get(IQA, IQA.DW) === 1) return this.queueError(IQEI.width, '256-bit descriptors need scalable mode');
    if (!this.readDescriptor()) return this.queueError(IQEI.fetch, 'the descriptor could not be read');
    const raw = `${hex64(descriptor[2], descriptor[3])}:${hex64(descriptor[0], descriptor[1])}`;
    const type = this.type();
    if (type === IOTLB_INV_DSC.TYPE.fixed) {
      if (reservedSet(IOTLB_INV_DSC, descriptor)) return this.queueError(IQEI.reserved, `reserved bit set in ${raw}`);
      const granularity = get(IOTLB_INV_DSC.G, descriptor);
      const am = get(IOTLB_INV_DSC.AM, descriptor);
      const page = granularity === IOTLB_GRANULARITY.page;
      if (granularity === 0 || (page && (regs.get(CAP, CAP.PSI) === 0 || am > regs.get(CAP, CAP.MAMV)))) {
        return this.queueError(IQEI.reserved, `granularity or address mask not supported in ${raw}`);
      }
      this.invalidate({
        granularity,
        did: get(IOTLB_INV_DSC.DID, descriptor),
        ...pageOfAddress(descriptor[2], descriptor[3]),
        am,
        leafOnly: get(IOTLB_INV_DSC.IH, descriptor) === 1,
        drainReads: get(IOTLB_INV_DSC.DR, descriptor) === 1,
        drainWrites: get(IOTLB_INV_DSC.DW, descriptor) === 1,
      });
    } else if (type === CONTEXT_INV_DSC.TYPE.fixed) {
      if (reservedSet(CONTEXT_INV_DSC, descriptor)) return this.queueError(IQEI.reserved, `reserved bit set in ${raw}`);
      const granularity = get(CONTEXT_INV_DSC.G, descriptor);
      if (granularity === 0) return this.queueError(IQEI.reserved, `granularity 0 in ${raw}`);
      const sid = get(CONTEXT_INV_DSC.SID, descriptor);
      const did = get(CONTEXT_INV_DSC.DID, descriptor);
      invalidateContext(this.caches, this.dma, granularity, did, sid, get(CONTEXT_INV_DSC.FM, descriptor));
      if (this.telling) this.say(`context cache invalidated (${granularityName(CONTEXT_GRANULARITY, granularity)})`);
    } else if (type === WAIT_DSC.TYPE.fixed) {
      if (reservedSet(WAIT_DSC, descriptor)) return this.queueError(IQEI.reserved, `reserved bit set in ${raw}`);
      this.completeWait();
    } else {
      // Device-TLB and interrupt-entry-cache descriptors need ECAP.DT and ECAP.IR, which this unit does not report.
      return this.queueError(IQEI.type, `no descriptor of type ${hex(type)} (${raw})`);
    }
    regs.force32(IQH.offset, nextInRing(regs.read32(IQH.offset), 16, this.queueBytes()));
  }

  private completeWait(): void {
    const { descriptor } = this;
    if (get(WAIT_DSC.IF, descriptor) === 1) this.regs.put(ICS, ICS.IWC, 1);
    if (get(WAIT_DSC.SW, descriptor) === 1) {
      const pfn = (descriptor[3] & 0xfffff) * 0x100000 + (descriptor[2] >>> 12);
      const at = this.memory.locate(pfn, (descriptor[2] & 0xfff) >>> 3);
      // A 32-bit store: the other half of the word stays.
      if (at >= 0) {
        const upper = (descriptor[2] & 4) !== 0;
        this.memory.write(at, upper ? this.memory.lo(at) : descriptor[1], upper ? descriptor[1] : this.memory.hi(at));
      }
    }
    this.overtakes();
    if (this.telling) this.say(`the wait completes: status ${hex(descriptor[1] >>> 0)} written`);
  }

  /** An invalidation completes: note whether it overtook a request that it was not asked to drain. */
  private overtakes(): void {
    if (this.dma === null) return;
    for (let i = 0; i < this.dma.slots; i++) {
      if (this.dma.get(this.dma.at(i), SLOT.phase) === PHASE.translated) this.fire('overtakes');
    }
  }

  private isHeld(): boolean {
    const held = this.dma?.anyMarked(MARK.holdWalk | MARK.holdDrain) === true;
    if (held) this.fire('held');
    return held;
  }

  private invalidate(asked: IotlbInvalidation): void {
    const { profile, regs } = this;
    const page = asked.granularity === IOTLB_GRANULARITY.page;
    // From major version 2 on hardware always drains and the capability bits read 1 (11.4.2, 6.5.2.3).
    const inv = {
      ...asked,
      leafOnly: asked.leafOnly && page && profile.honoursInvalidationHint,
      drainReads: profile.drains && (this.alwaysDrains || (asked.drainReads && regs.get(CAP, CAP.DRD) === 1)),
      drainWrites: profile.drains && (this.alwaysDrains || (asked.drainWrites && regs.get(CAP, CAP.DWD) === 1)),
    };
    const before = this.telling ? this.caches.describe() : [];
    const kept = invalidateIotlb(this.caches, this.dma, inv);
    if (kept > 0) this.fire('hint');
    if (!this.telling) return;
    const where = page
      ? `, ${hex((asked.vpnHi * 0x40000 + asked.vpnLo) * 4096)} AM ${asked.am}, IH=${asked.leafOnly ? 1 : 0}`
      : '';
    const drain = `DR=${asked.drainReads ? 1 : 0} DW=${asked.drainWrites ? 1 : 0}`;
    this.say(
      `IOTLB invalidated (${granularityName(IOTLB_GRANULARITY, asked.granularity)}, DID ${asked.did}${where}, ${drain})`,
    );
    const after = this.caches.describe();
    for (const line of before) if (!after.includes(line)) this.say(`  drops ${line}`);
    if (inv.leafOnly) for (const line of after) if (!line.startsWith('IOTLB')) this.say(`  keeps ${line}`);
  }

  // ---- translation in steps (Translator) ---------------------------------------------------------------------------

  private load(slot: number): Walk {
    const { walk } = this;
    const dma = this.dma as Dma;
    walk.sid = dma.requesters[dma.get(slot, SLOT.device)].sid;
    walk.vpnHi = dma.get(slot, SLOT.vpnHi);
    walk.vpnLo = dma.get(slot, SLOT.vpnLo);
    walk.access = dma.get(slot, SLOT.access);
    walk.level = dma.get(slot, SLOT.level);
    walk.perms = dma.get(slot, SLOT.perms) & 3;
    walk.fpd = (dma.get(slot, SLOT.perms) & SLOT_FPD) !== 0;
    walk.did = dma.get(slot, SLOT.did);
    walk.pfnHi = dma.get(slot, SLOT.pfnHi);
    walk.pfnLo = dma.get(slot, SLOT.pfnLo);
    return walk;
  }

  private save(slot: number, step: number): void {
    const { walk } = this;
    const dma = this.dma as Dma;
    dma.set(slot, SLOT.phase, PHASE.translating);
    dma.set(slot, SLOT.step, step);
    dma.set(slot, SLOT.level, walk.level);
    dma.set(slot, SLOT.perms, walk.perms | ((walk.fpd ? 1 : 0) << SLOT_FPD_SHIFT));
    dma.set(slot, SLOT.did, walk.did);
    dma.set(slot, SLOT.pfnHi, walk.pfnHi);
    dma.set(slot, SLOT.pfnLo, walk.pfnLo);
  }

  private isBypassed(vpnHi: number, vpnLo: number): boolean {
    // FEEx_xxxx is the interrupt range (3.15): never translated.
    return this.regs.get(GSTS, GSTS.TES) === 0 || (vpnHi === 3 && vpnLo >>> 8 === 0x3ee);
  }

  choices(slot: number): number {
    const dma = this.dma as Dma;
    const { caches } = this;
    const walk = this.load(slot);
    const { sid, vpnHi, vpnLo } = walk;
    const step = dma.get(slot, SLOT.step);
    if (step === WALK_STEP.start) {
      if (this.isBypassed(vpnHi, vpnLo)) return 1;
      let n = 0;
      while (caches.nthTranslation(sid, vpnHi, vpnLo, walk.access, n) >= 0) n++;
      const context = caches.findContext(sid);
      if (context < 0) return n + 1;
      return n + this.pagingChoices(caches.contextTag(context) >>> TAG.did, caches.contextTag(context)) + 1;
    }
    if (step === WALK_STEP.context) {
      const did = this.walker.peekDomain(walk);
      return did < 0 ? 1 : 1 + caches.countPaging(5, did, vpnHi, vpnLo);
    }
    return 1;
  }

  private pagingChoices(did: number, tag: number): number {
    if (((tag >>> TAG.tt) & 3) === 2) return 1;
    return 1 + this.caches.countPaging(5, did, this.walk.vpnHi, this.walk.vpnLo);
  }

  step(slot: number, choice: number): void {
    const dma = this.dma as Dma;
    const walk = this.load(slot);
    switch (dma.get(slot, SLOT.step)) {
      case WALK_STEP.start:
        return this.start(slot, choice);
      case WALK_STEP.root: {
        const result = this.walker.root(
          walk,
          this.arena.words[this.internal.base],
          this.arena.words[this.internal.base + 1],
        );
        if (this.telling)
          this.say(`reads root entry ${hex64(walk.entryLo, walk.entryHi)} of bus ${hex(walk.sid >>> 8)}`);
        return result === STEP.fault ? this.faulted(slot) : this.save(slot, WALK_STEP.context);
      }
      case WALK_STEP.context: {
        const result = this.walker.context(walk);
        if (this.telling) {
          this.say(`reads context entry ${hex64(walk.entryLo, walk.entryHi)} of ${bdf(walk.sid)}: DID ${walk.did}`);
        }
        if (result === STEP.fault) return this.faulted(slot);
        if ((dma.get(slot, SLOT.flags) & MARK.stale) === 0) {
          this.caches.fillContext(walk.sid, contextTag(walk), walk.pfnHi, walk.pfnLo);
        }
        return this.enterTables(slot, choice);
      }
      default:
        return this.entryStep(slot, dma.get(slot, SLOT.step) === WALK_STEP.fresh);
    }
  }

  /** Look-up (6.2.7): IOTLB by source id and address, then the context cache, then the paging-structure caches. */
  private start(slot: number, choice: number): void {
    const { caches, walk } = this;
    const { sid, vpnHi, vpnLo, access } = walk;
    const dma = this.dma as Dma;
    if (this.isBypassed(vpnHi, vpnLo)) return dma.translated(slot, ...dma.identity(slot));
    let left = choice;
    const hit = caches.nthTranslation(sid, vpnHi, vpnLo, access, left);
    if (hit >= 0) {
      this.fire('iotlbUsed');
      dma.set(slot, SLOT.did, caches.contextTag(hit) >>> TAG.did);
      if (this.telling) this.say(`IOTLB hit: ${hex(this.frame(caches.pageHi(hit), caches.pageLo(hit, vpnLo)))}`);
      return dma.translated(slot, caches.pageHi(hit), caches.pageLo(hit, vpnLo));
    }
    // Entries that could have served are not there: evicted at some time before this look-up.
    for (let usable = caches.nthTranslation(sid, vpnHi, vpnLo, access, 0); usable >= 0; left--) {
      this.fire('iotlbEvicted');
      if (this.telling) this.say('the IOTLB entry is gone (evicted)');
      caches.iotlb.drop(usable);
      usable = caches.nthTranslation(sid, vpnHi, vpnLo, access, 0);
    }
    const context = caches.findContext(sid);
    if (context < 0) return this.save(slot, WALK_STEP.root);
    const tag = caches.contextTag(context);
    if (left === this.pagingChoices(tag >>> TAG.did, tag)) {
      this.fire('contextEvicted');
      if (this.telling) this.say('the context-cache entry is gone (evicted)');
      caches.context.drop(context);
      return this.save(slot, WALK_STEP.root);
    }
    this.fire('contextUsed');
    walk.fpd = ((tag >>> TAG.fpd) & 1) === 1;
    const [tt, aw] = [(tag >>> TAG.tt) & 3, (tag >>> TAG.aw) & 7];
    const result = this.walker.enter(
      walk,
      tt,
      aw,
      tag >>> TAG.did,
      caches.contextTableHi(context),
      caches.contextTableLo(context),
    );
    if (this.telling) this.say(`context cache hit: DID ${walk.did}`);
    if (result === STEP.fault) return this.faulted(slot);
    this.enterTables(slot, left);
  }

  /** The context is known: begin at the top, or below a cached non-leaf entry. @param choice how many of those to do without */
  private enterTables(slot: number, choice: number): void {
    const { caches, walk } = this;
    const dma = this.dma as Dma;
    if (walk.tt === 2) return dma.translated(slot, ...dma.identity(slot));
    let left = choice;
    for (let level = 2; level <= walk.level; level++) {
      const entry = caches.findPaging(level, walk.did, walk.vpnHi, walk.vpnLo);
      if (entry < 0) continue;
      if (left-- > 0) {
        this.fire('pagingEvicted');
        caches.paging[level].drop(entry);
        continue;
      }
      if (this.usePaging(level, entry)) return this.save(slot, WALK_STEP.deep);
    }
    this.save(slot, WALK_STEP.fresh);
  }

  /** Goes on below a cached non-leaf entry. @returns false where its rights do not suffice */
  private usePaging(level: number, entry: number): boolean {
    const { caches, walk } = this;
    const perms = caches.pagingPerms(entry);
    if ((perms & walk.access) === 0) return false;
    this.fire('pagingUsed');
    walk.perms = perms;
    walk.level = level - 1;
    walk.pfnHi = caches.pagingTableHi(entry);
    walk.pfnLo = caches.pagingTableLo(entry);
    if (this.telling) {
      this.say(`${ENTRY_NAME[level]} cache hit: the walk goes on at table ${hex(this.frame(walk.pfnHi, walk.pfnLo))}`);
    }
    return true;
  }

  private entryStep(slot: number, top: boolean): void {
    const { walk } = this;
    const dma = this.dma as Dma;
    const { level } = walk;
    const table = walk.pfn();
    dma.tableRead(table, walk.did);
    const result = this.walker.entry(walk, top);
    if (this.telling) {
      const address = table * 4096 + indexAt(level, walk.vpnHi, walk.vpnLo) * 8;
      this.say(`reads ${ENTRY_NAME[level]} ${hex64(walk.entryLo, walk.entryHi)} at ${hex(address)}`);
    }
    if (result === STEP.fault) return this.faulted(slot);
    const mayFill = (dma.get(slot, SLOT.flags) & MARK.stale) === 0;
    if (result === STEP.more) {
      if (mayFill) this.fillPaging(level);
      return this.save(slot, WALK_STEP.deep);
    }
    const page = this.pageOf(level);
    if (mayFill) this.fillTranslation(level);
    dma.translated(slot, walk.pfnHi, page);
  }

  private fillPaging(level: number): void {
    const { walk } = this;
    this.caches.fillPaging(level, walk.did, walk.perms, walk.vpnHi, walk.vpnLo, walk.pfnHi, walk.pfnLo);
  }

  private fillTranslation(level: number): void {
    const { walk } = this;
    const tag = TAG.valid | (level << TAG.level) | (walk.perms << TAG.perms) | (walk.did << TAG.did);
    this.caches.fillTranslation(walk.sid, tag, walk.vpnHi, walk.vpnLo, walk.pfnHi, walk.pfnLo);
  }

  /** Lower 20 bits of the page frame, for a leaf at a level. */
  private pageOf(level: number): number {
    return this.walk.pfnLo | (this.walk.vpnLo & ((1 << (9 * (level - 1))) - 1));
  }

  private frame(pfnHi: number, pfnLo: number): number {
    return (pfnHi * 0x100000 + pfnLo) * 4096;
  }

  private faulted(slot: number): void {
    const { walk } = this;
    this.report(walk);
    (this.dma as Dma).abort(slot);
  }

  private report(walk: Walk): void {
    const read = walk.access === ACCESS.read;
    const quiet = walk.fpd && isQualified(walk.fault);
    const recorded = !quiet && recordFault(this.regs, walk.fault, walk.sid, walk.vpnHi, walk.vpnLo, read);
    if (!this.telling) return;
    const how = quiet ? 'not recorded: FPD' : recorded ? 'recorded in FRCD' : 'not recorded: the record is in use';
    const iova = hex((walk.vpnHi * 0x40000 + walk.vpnLo) * 4096);
    this.say(
      `[DMA ${read ? 'Read' : 'Write'}] ${bdf(walk.sid)} fault addr ${iova} [fault reason 0x${walk.fault.toString(16).padStart(2, '0')}] ${FAULT_TEXT[walk.fault]} (${how})`,
    );
  }

  // ---- translation at once -----------------------------------------------------------------------------------------

  immediate(slot: number): void {
    const dma = this.dma as Dma;
    this.load(slot);
    const { walk } = this;
    const reason = this.translate(walk.sid, walk.vpnHi, walk.vpnLo, walk.access);
    if (reason === 0) dma.translated(slot, walk.pfnHi, walk.pfnLo);
    else dma.abort(slot);
  }

  /**
   * Translates one page for a requester at once, as `prompt` does: caches are used where they can be and filled.
   * @param vpnHi upper part of the input page number, bits above 18
   * @param access 1 read, 2 write
   * @returns 0, with the frame in {@link frameHi} and {@link frameLo}, or a fault reason, which was recorded
   */
  translate(sid: number, vpnHi: number, vpnLo: number, access: number): number {
    const { caches, walk, walker } = this;
    walk.sid = sid;
    walk.vpnHi = vpnHi;
    walk.vpnLo = vpnLo;
    walk.access = access;
    walk.fpd = false;
    if (this.isBypassed(vpnHi, vpnLo)) return this.pass();
    const hit = caches.nthTranslation(sid, vpnHi, vpnLo, access, 0);
    if (hit >= 0) {
      walk.pfnHi = caches.pageHi(hit);
      walk.pfnLo = caches.pageLo(hit, vpnLo);
      return 0;
    }
    let result: number;
    const context = caches.findContext(sid);
    if (context >= 0) {
      const tag = caches.contextTag(context);
      walk.fpd = ((tag >>> TAG.fpd) & 1) === 1;
      result = walker.enter(
        walk,
        (tag >>> TAG.tt) & 3,
        (tag >>> TAG.aw) & 7,
        tag >>> TAG.did,
        caches.contextTableHi(context),
        caches.contextTableLo(context),
      );
    } else {
      result = walker.root(walk, this.arena.words[this.internal.base], this.arena.words[this.internal.base + 1]);
      if (result === STEP.more) {
        result = walker.context(walk);
        if (result !== STEP.fault) caches.fillContext(sid, contextTag(walk), walk.pfnHi, walk.pfnLo);
      }
    }
    if (result === STEP.done) return this.pass();
    let top = true;
    for (let level = 2; result === STEP.more && top && level <= walk.level; level++) {
      const entry = caches.findPaging(level, walk.did, vpnHi, vpnLo);
      if (entry >= 0 && this.usePaging(level, entry)) top = false;
    }
    while (result === STEP.more) {
      const { level } = walk;
      result = walker.entry(walk, top);
      top = false;
      if (result === STEP.more) this.fillPaging(level);
      else if (result === STEP.done) {
        const page = this.pageOf(level);
        this.fillTranslation(level);
        walk.pfnLo = page;
      }
    }
    if (result === STEP.fault) {
      this.report(walk);
      return walk.fault;
    }
    return 0;
  }

  private pass(): number {
    const { walk } = this;
    const pfn = walk.vpnHi * 0x40000 + walk.vpnLo;
    walk.pfnHi = Math.floor(pfn / 0x100000);
    walk.pfnLo = pfn % 0x100000;
    return 0;
  }

  /** Page frame of the last {@link translate}, upper 20 bits. */
  get frameHi(): number {
    return this.walk.pfnHi;
  }

  /** Page frame of the last {@link translate}, lower 20 bits. */
  get frameLo(): number {
    return this.walk.pfnLo;
  }
}

/** The decisions that VT-d leaves to hardware, as far as this unit takes them. */
const RULES = {
  iotlbUsed: { id: 'iotlb.use', clause: 'VT-d 6.2.4', text: 'a cached translation serves a request' },
  iotlbEvicted: {
    id: 'iotlb.evict',
    clause: 'VT-d 6.2.4.1',
    text: 'a cached translation is gone by the time it could serve',
  },
  contextUsed: { id: 'context.use', clause: 'VT-d 6.2.2', text: 'a cached context entry serves a request' },
  contextEvicted: {
    id: 'context.evict',
    clause: 'VT-d 6.2.2',
    text: 'a cached context entry is gone by the time it could serve',
  },
  pagingUsed: { id: 'paging.use', clause: 'VT-d 6.2.5.5', text: 'a walk begins below a cached non-leaf entry' },
  pagingEvicted: {
    id: 'paging.evict',
    clause: 'VT-d 6.2.5.5',
    text: 'a cached non-leaf entry is gone by the time it could serve',
  },
  hint: {
    id: 'paging.survive-hint',
    clause: 'VT-d 6.5.1.2',
    text: 'a non-leaf entry survives an invalidation with IH = 1',
  },
  overtakes: {
    id: 'invalidation.overtake',
    clause: 'VT-d 6.5.4',
    text: 'an invalidation completes while a translated request is in flight',
  },
  held: {
    id: 'invalidation.held',
    clause: 'VT-d 6.5.4',
    text: 'an invalidation waits for a drain or for a walk in progress',
  },
} as const;

/** Page number of an address given as halves, up to 57 bits (bits above the address width are ignored, 11.4.6.4). */
function pageOfAddress(lo: number, hi: number): { vpnHi: number; vpnLo: number } {
  return { vpnHi: ((hi << 2) | (lo >>> 30)) & 0x7ffffff, vpnLo: (lo >>> 12) & 0x3ffff };
}

function granularityName(of: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(of).find((name) => of[name] === value) ?? `granularity ${value}`;
}
