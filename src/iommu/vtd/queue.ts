/** How software asks for an invalidation and learns that it is complete: registers (VT-d 6.5.1) and the queue (6.5.2). */
import { get, hex, hex64, reservedSet } from '../../bits/index.ts';
import type { Agent } from '../../machine/index.ts';
import { PHASE, SLOT } from '../../machine/index.ts';
import { nextInRing } from '../kit/ring.ts';
import { CONTEXT_INV_DSC, IOTLB_INV_DSC, IQEI, WAIT_DSC } from './commands.ts';
import type { VtdCore } from './core.ts';
import { INTERNAL } from './core.ts';
import { FAULT_EVENT, hasUnservicedFault, INVALIDATION_EVENT, raiseEvent } from './events.ts';
import type { GlobalCommands } from './global-command.ts';
import type { IotlbInvalidation } from './invalidation.ts';
import { invalidateContext, invalidateIotlb } from './invalidation.ts';
import {
  CAP,
  CCMD,
  CONTEXT_GRANULARITY,
  FSTS,
  GSTS,
  ICS,
  IOTLB_GRANULARITY,
  IQA,
  IQERCD,
  IQH,
  IQT,
  VER,
} from './registers.ts';

const PENDING = { none: 0, requested: 1, invalidated: 2 } as const;

export class InvalidationInterface {
  /** The queue and the registers, as what steps by itself. */
  readonly agents: readonly Agent[];
  private readonly core: VtdCore;
  private readonly commands: GlobalCommands;
  private readonly descriptor = new Int32Array(4);

  constructor(core: VtdCore, commands: GlobalCommands) {
    this.core = core;
    this.commands = commands;
    this.agents = [this.queueAgent(), this.registerAgent()];
  }

  // ---- register-based invalidation (6.5.1) ----------------------------------------------------------------------

  requestContext(): void {
    this.core.regs.put(CCMD, CCMD.CAIG, 0);
    if (this.registerInvalidationUsable()) this.core.arena.set(this.core.internal.base + 2, PENDING.requested);
    else this.core.regs.put(CCMD, CCMD.ICC, 0);
  }

  requestIotlb(): void {
    const { IOTLB } = this.core.has;
    this.core.regs.put(IOTLB, IOTLB.IAIG, 0);
    if (this.registerInvalidationUsable()) this.core.arena.set(this.core.internal.base + 3, PENDING.requested);
    else this.core.regs.put(IOTLB, IOTLB.IVT, 0);
  }

  /**
   * Not while queued invalidation is on, from major version 6 on, nor in another table mode than legacy (11.4.6.1): the request is
   * dropped and reported by granularity 0.
   */
  private registerInvalidationUsable(): boolean {
    const { regs } = this.core;
    return regs.get(GSTS, GSTS.QIES) === 0 && regs.get(VER, VER.MAX) < 6 && this.isLegacy();
  }

  private isLegacy(): boolean {
    return this.core.arena.words[this.core.internal.base + INTERNAL.tableMode] === 0;
  }

  private registerAgent(): Agent {
    const context = this.core.internal.base + 2;
    const iotlb = this.core.internal.base + 3;
    const commands = this.core.internal.base + INTERNAL.commands;
    const words = this.core.arena.words;
    return {
      name: 'VT-d register invalidation',
      lane: 'iommu',
      choices: () => {
        if (words[context] === PENDING.requested || words[iotlb] === PENDING.requested) return 1;
        const waiting = words[context] !== PENDING.none || words[iotlb] !== PENDING.none || words[commands] !== 0;
        return waiting && !this.core.isHeld() ? 1 : 0;
      },
      step: () => {
        if (words[context] === PENDING.requested) this.contextByRegister();
        else if (words[iotlb] === PENDING.requested) this.iotlbByRegister();
        else this.completeRegisters();
      },
    };
  }

  private contextByRegister(): void {
    const granularity = this.core.regs.get(CCMD, CCMD.CIRG);
    const did = this.core.regs.get(CCMD, CCMD.DID) & this.core.didMask;
    const sid = this.core.regs.get(CCMD, CCMD.SID);
    if (granularity !== 0) this.invalidateContext(granularity, did, sid, this.core.regs.get(CCMD, CCMD.FM));
    this.core.regs.put(CCMD, CCMD.CAIG, granularity);
    this.core.arena.set(this.core.internal.base + 2, PENDING.invalidated);
  }

  private iotlbByRegister(): void {
    const { regs } = this.core;
    const { IVA, IOTLB } = this.core.has;
    const granularity = regs.get(IOTLB, IOTLB.IIRG);
    const am = regs.get(IVA, IVA.AM);
    const refused = granularity === 0 || (granularity === IOTLB_GRANULARITY.page && am > regs.get(CAP, CAP.MAMV));
    if (!refused) {
      this.invalidate({
        granularity: this.pageSelective(granularity),
        did: regs.get(IOTLB, IOTLB.DID) & this.core.didMask,
        ...pageOfAddress(regs.read32(IVA.offset), regs.read32(IVA.offset + 4), this.core.vpnHiMask),
        am,
        leafOnly: regs.get(IVA, IVA.IH) === 1,
        drainReads: regs.get(IOTLB, IOTLB.DR) === 1,
        drainWrites: regs.get(IOTLB, IOTLB.DW) === 1,
      });
    }
    regs.put(IOTLB, IOTLB.IAIG, refused ? 0 : this.pageSelective(granularity));
    this.core.arena.set(this.core.internal.base + 3, PENDING.invalidated);
  }

  private completeRegisters(): void {
    if (this.core.arena.words[this.core.internal.base + INTERNAL.commands] !== 0) {
      this.commands.complete();
      return;
    }
    if (this.core.arena.words[this.core.internal.base + 3] === PENDING.invalidated) this.overtakes();
    for (const pending of [this.core.internal.base + 2, this.core.internal.base + 3])
      this.core.arena.set(pending, PENDING.none);
    this.core.regs.put(CCMD, CCMD.ICC, 0);
    this.core.regs.put(this.core.has.IOTLB, this.core.has.IOTLB.IVT, 0);
    if (this.core.telling) this.core.say('the invalidation is complete: ICC and IVT are clear');
  }

  /** Without CAP.PSI a page-selective request is done as a domain-selective one. */
  private pageSelective(granularity: number): number {
    const page = granularity === IOTLB_GRANULARITY.page && this.core.regs.get(CAP, CAP.PSI) === 0;
    return page ? IOTLB_GRANULARITY.domain : granularity;
  }

  // ---- queued invalidation (6.5.2) --------------------------------------------------------------------------------

  private queueBytes(): number {
    return 4096 << this.core.regs.get(IQA, IQA.QS);
  }

  private queueError(info: number, what: string): void {
    const isNews = !hasUnservicedFault(this.core);
    this.core.regs.put(IQERCD, IQERCD.IQEI, info);
    this.core.regs.put(FSTS, FSTS.IQE, 1);
    if (this.core.telling) this.core.say(`invalidation queue error: ${what}; FSTS.IQE set, the head stays`);
    if (isNews) raiseEvent(this.core, FAULT_EVENT);
  }

  /** Reads the descriptor at the head. @returns false where nothing decodes */
  private readDescriptor(): boolean {
    const offset = this.core.regs.read32(IQH.offset);
    const base =
      (this.core.regs.read32(IQA.offset + 4) & 0xfffff) * 0x100000 + (this.core.regs.read32(IQA.offset) >>> 12);
    const pfn = base + (offset >>> 12);
    for (let i = 0; i < 2; i++) {
      const at = this.core.memory.locate(pfn, ((offset & 0xfff) >>> 3) + i);
      if (at < 0) return false;
      this.descriptor[2 * i] = this.core.memory.lo(at);
      this.descriptor[2 * i + 1] = this.core.memory.hi(at);
    }
    return true;
  }

  private queueAgent(): Agent {
    return {
      name: 'VT-d invalidation queue',
      lane: 'iommu',
      choices: () => {
        const { regs } = this.core;
        if (regs.get(GSTS, GSTS.QIES) === 0 || regs.read32(IQH.offset) === regs.read32(IQT.offset)) return 0;
        if (regs.get(FSTS, FSTS.IQE) !== 0 || regs.get(FSTS, FSTS.ITE) !== 0) return 0;
        return this.readDescriptor() && this.type() === WAIT_DSC.TYPE.fixed && this.core.isHeld() ? 0 : 1;
      },
      step: () => this.fetch(),
    };
  }

  private type(): number {
    return (this.descriptor[0] & 0xf) | (((this.descriptor[0] >>> 9) & 7) << 4);
  }

  /** Executes the descriptor at the head (6.5.2): the head moves only past a valid one. */
  private fetch(): void {
    const { descriptor } = this;
    const { regs } = this.core;
    if (regs.get(IQA, IQA.DW) === 1) return this.queueError(IQEI.width, '256-bit descriptors need scalable mode');
    if (!this.isLegacy()) return this.queueError(IQEI.tableMode, 'RTADDR names a table mode that the unit has not');
    if (regs.read32(IQT.offset) >= this.queueBytes()) return this.queueError(IQEI.tail, 'the tail is beyond the queue');
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
        did: get(IOTLB_INV_DSC.DID, descriptor) & this.core.didMask,
        ...pageOfAddress(descriptor[2], descriptor[3], this.core.vpnHiMask),
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
      const did = get(CONTEXT_INV_DSC.DID, descriptor) & this.core.didMask;
      this.invalidateContext(granularity, did, sid, get(CONTEXT_INV_DSC.FM, descriptor));
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
    if (get(WAIT_DSC.SW, descriptor) === 1) {
      const pfn = (descriptor[3] & this.core.pfnHiMask) * 0x100000 + (descriptor[2] >>> 12);
      const at = this.core.memory.locate(pfn, (descriptor[2] & 0xfff) >>> 3);
      // A 32-bit store: the other half of the word stays.
      if (at >= 0) {
        const upper = (descriptor[2] & 4) !== 0;
        this.core.memory.write(
          at,
          upper ? this.core.memory.lo(at) : descriptor[1],
          upper ? descriptor[1] : this.core.memory.hi(at),
        );
      }
    }
    this.overtakes();
    if (this.core.telling) {
      const status = get(WAIT_DSC.SW, descriptor) === 1 ? `: status ${hex(descriptor[1] >>> 0)} written` : '';
      this.core.say(`the wait completes${status}`);
    }
    // The event comes behind the status write, which it pushes (6.5.2.10); IWC that is set already is no new condition.
    if (get(WAIT_DSC.IF, descriptor) === 0 || this.core.regs.get(ICS, ICS.IWC) === 1) return;
    this.core.regs.put(ICS, ICS.IWC, 1);
    raiseEvent(this.core, INVALIDATION_EVENT);
  }

  /** An invalidation completes: note whether it overtook a request that it was not asked to drain. */
  private overtakes(): void {
    if (this.core.dma === null) return;
    for (let i = 0; i < this.core.dma.slots; i++) {
      if (this.core.dma.get(this.core.dma.at(i), SLOT.phase) === PHASE.translated) this.core.fire('overtakes');
    }
  }

  private invalidateContext(granularity: number, did: number, sid: number, functionMask: number): void {
    const { core } = this;
    if (core.has.cap.RWBF === 1) core.flushWriteBuffers();
    invalidateContext(core.caches, core.dma, granularity, did, sid, functionMask);
    if (core.telling) core.say(`context cache invalidated (${granularityName(CONTEXT_GRANULARITY, granularity)})`);
  }

  private invalidate(asked: IotlbInvalidation): void {
    const { profile } = this.core;
    if (this.core.has.cap.RWBF === 1) this.core.flushWriteBuffers();
    const page = asked.granularity === IOTLB_GRANULARITY.page;
    // From major version 2 on hardware always drains and the capability bits read 1 (11.4.2, 6.5.2.3).
    const inv = {
      ...asked,
      leafOnly: asked.leafOnly && page && profile.honoursInvalidationHint,
      drainReads: this.core.drainsReads && (asked.drainReads || this.core.alwaysDrains),
      drainWrites: this.core.drainsWrites && (asked.drainWrites || this.core.alwaysDrains),
    };
    const before = this.core.telling ? this.core.caches.describe() : [];
    const kept = invalidateIotlb(this.core.caches, this.core.dma, inv);
    if (kept > 0) this.core.fire('hint');
    if (!this.core.telling) return;
    const where = page
      ? `, ${hex((asked.vpnHi * 0x40000 + asked.vpnLo) * 4096)} AM ${asked.am}, IH=${asked.leafOnly ? 1 : 0}`
      : '';
    const drain = `DR=${asked.drainReads ? 1 : 0} DW=${asked.drainWrites ? 1 : 0}`;
    this.core.say(
      `IOTLB invalidated (${granularityName(IOTLB_GRANULARITY, asked.granularity)}, DID ${asked.did}${where}, ${drain})`,
    );
    const after = this.core.caches.describe();
    for (const line of before) if (!after.includes(line)) this.core.say(`  drops ${line}`);
    if (inv.leafOnly) for (const line of after) if (!line.startsWith('IOTLB')) this.core.say(`  keeps ${line}`);
  }
}

/** Page number of an address given as halves. @param mask bits of its upper part that are looked at */
function pageOfAddress(lo: number, hi: number, mask: number): { vpnHi: number; vpnLo: number } {
  return { vpnHi: ((hi << 2) | (lo >>> 30)) & mask, vpnLo: (lo >>> 12) & 0x3ffff };
}

function granularityName(of: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(of).find((name) => of[name] === value) ?? `granularity ${value}`;
}
