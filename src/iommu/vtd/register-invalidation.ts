/** Register-based invalidation (VT-d 6.5.1): CCMD, IVA and IOTLB_REG; and the end of GCMD's and PMEN's commands, which wait likewise. */
import type { Agent } from '../../machine/index.ts';
import type { VtdCore } from './core.ts';
import { INTERNAL } from './core.ts';
import type { GlobalCommands } from './global-command.ts';
import type { Invalidator } from './invalidator.ts';
import { CCMD, GSTS, IOTLB_GRANULARITY } from './registers.ts';

const PENDING = { none: 0, requested: 1, invalidated: 2 } as const;

export class RegisterInvalidation {
  /** Does what is asked for, and reports it as complete when nothing holds it. */
  readonly agent: Agent;
  private readonly core: VtdCore;
  private readonly commands: GlobalCommands;
  private readonly invalidator: Invalidator;
  /** Offsets of the state of a request in CCMD and in IOTLB_REG, and of commands under way. */
  private readonly context: number;
  private readonly iotlb: number;
  private readonly pendingCommands: number;

  constructor(core: VtdCore, commands: GlobalCommands, invalidator: Invalidator) {
    this.core = core;
    this.commands = commands;
    this.invalidator = invalidator;
    this.context = core.internal.base + INTERNAL.context;
    this.iotlb = core.internal.base + INTERNAL.iotlb;
    this.pendingCommands = core.internal.base + INTERNAL.commands;
    const { words } = core.arena;
    this.agent = {
      name: 'VT-d register invalidation',
      lane: 'iommu',
      sparesSoftware: true,
      choices: () => {
        if (words[this.context] === PENDING.requested || words[this.iotlb] === PENDING.requested) return 1;
        const waiting =
          words[this.context] !== PENDING.none ||
          words[this.iotlb] !== PENDING.none ||
          words[this.pendingCommands] !== 0;
        return waiting && !core.isHeld() ? 1 : 0;
      },
      left: () => {
        const requests = [words[this.context], words[this.iotlb]];
        const left = requests.reduce(
          (sum, state) => sum + (state === PENDING.none ? 0 : PENDING.invalidated + 1 - state),
          0,
        );
        return left + (words[this.pendingCommands] === 0 ? 0 : 1);
      },
      step: () => {
        if (words[this.context] === PENDING.requested) this.invalidateContext();
        else if (words[this.iotlb] === PENDING.requested) this.invalidateIotlb();
        else if (words[this.pendingCommands] !== 0) this.commands.complete();
        else this.complete();
      },
    };
  }

  /** CCMD was written with ICC set. */
  requestContext(): void {
    this.core.regs.put(CCMD, CCMD.CAIG, 0);
    if (this.isUsable()) this.core.arena.set(this.context, PENDING.requested);
    else this.core.regs.put(CCMD, CCMD.ICC, 0);
  }

  /** IOTLB_REG was written with IVT set. */
  requestIotlb(): void {
    const { IOTLB } = this.core.has;
    this.core.regs.put(IOTLB, IOTLB.IAIG, 0);
    if (this.isUsable()) this.core.arena.set(this.iotlb, PENDING.requested);
    else this.core.regs.put(IOTLB, IOTLB.IVT, 0);
  }

  /**
   * Not while queued invalidation is on, from major version 6 on, nor in another table mode than legacy (11.4.6.1): the request is
   * dropped and reported by granularity 0.
   */
  private isUsable(): boolean {
    const { regs, has } = this.core;
    return regs.get(GSTS, GSTS.QIES) === 0 && has.ver.MAX < 6 && this.invalidator.isLegacy();
  }

  private invalidateContext(): void {
    const { regs } = this.core;
    const granularity = regs.get(CCMD, CCMD.CIRG);
    if (granularity !== 0) {
      const [did, sid] = [regs.get(CCMD, CCMD.DID), regs.get(CCMD, CCMD.SID)];
      this.invalidator.context(granularity, did, sid, regs.get(CCMD, CCMD.FM));
    }
    regs.put(CCMD, CCMD.CAIG, granularity);
    this.core.arena.set(this.context, PENDING.invalidated);
  }

  private invalidateIotlb(): void {
    const { regs, has } = this.core;
    const { IVA, IOTLB, cap } = has;
    const asked = regs.get(IOTLB, IOTLB.IIRG);
    // Without CAP.PSI a page-selective request is done as a domain-selective one, which is coarser; MAMV means nothing then.
    const isPage = asked === IOTLB_GRANULARITY.page;
    const granularity = isPage && cap.PSI === 0 ? IOTLB_GRANULARITY.domain : asked;
    const am = regs.get(IVA, IVA.AM);
    const refused = granularity === 0 || (granularity === IOTLB_GRANULARITY.page && am > cap.MAMV);
    if (!refused) {
      this.invalidator.iotlb(regs.read32(IVA.offset), regs.read32(IVA.offset + 4), {
        granularity,
        did: regs.get(IOTLB, IOTLB.DID),
        am,
        leafOnly: regs.get(IVA, IVA.IH) === 1,
        drainReads: regs.get(IOTLB, IOTLB.DR) === 1,
        drainWrites: regs.get(IOTLB, IOTLB.DW) === 1,
      });
    }
    regs.put(IOTLB, IOTLB.IAIG, refused ? 0 : granularity);
    this.core.arena.set(this.iotlb, PENDING.invalidated);
  }

  private complete(): void {
    const { core } = this;
    if (core.arena.words[this.iotlb] === PENDING.invalidated) core.noteOvertaken();
    core.arena.set(this.context, PENDING.none);
    core.arena.set(this.iotlb, PENDING.none);
    core.regs.put(CCMD, CCMD.ICC, 0);
    core.regs.put(core.has.IOTLB, core.has.IOTLB.IVT, 0);
    if (core.telling) core.say('the invalidation is complete: ICC and IVT are clear');
  }
}
