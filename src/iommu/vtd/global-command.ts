/** GCMD (VT-d 11.4.4.1) and PMEN (11.4.8.1): what switches the unit's parts on and off, and reports when that is done. */
import { get } from '../../bits/index.ts';
import type { VtdCore } from './core.ts';
import { INTERNAL, MODE, TABLE_MODE } from './core.ts';
import type { InterruptRemapping } from './interrupt-remapping.ts';
import { EVERY_INDEX } from './interrupt-remapping.ts';
import { drainAll, invalidateContext, invalidateIotlb } from './invalidation.ts';
import { CONTEXT_GRANULARITY, GCMD, GSTS, IOTLB_GRANULARITY, IQH, IRTA, PMEN, RTADDR } from './registers.ts';
import { forgetScalable } from './scalable-invalidation.ts';

/** Commands under way; each ends when no request that it waits for is left. */
const PENDING = { rootPointer: 1, enable: 2, protect: 4, interruptPointer: 8, enableInterrupts: 16 } as const;

const EVERYTHING = {
  granularity: IOTLB_GRANULARITY.global,
  did: 0,
  vpnHi: 0,
  vpnLo: 0,
  am: 0,
  leafOnly: false,
  drainReads: false,
  drainWrites: false,
} as const;

export class GlobalCommands {
  private readonly core: VtdCore;
  private readonly halves = new Int32Array(1);

  constructor(core: VtdCore) {
    this.core = core;
  }

  /**
   * A write of GCMD. Software changes one field a write; where it changes several, they are taken in this order: SRTP, WBF, QIE, TE, SIRTP, CFI, IRE.
   * Fields of functions that the unit lacks do nothing.
   * @param lanes the bits that the write carries; state bits of bytes that it does not carry stay
   */
  command(value: number, lanes: number): void {
    const { core, halves } = this;
    const { regs } = core;
    halves[0] = (value & lanes) | (regs.read32(GSTS.offset) & ~lanes & ~ONE_SHOT);
    if (get(GCMD.SRTP, halves) === 1) this.setRootPointer();
    if (get(GCMD.WBF, halves) === 1 && core.has.cap.RWBF === 1) core.flushWriteBuffers();
    if (core.has.ecap.QI === 1) this.enableQueue(get(GCMD.QIE, halves));
    this.enableTranslation(get(GCMD.TE, halves));
    if (core.interrupts === null) return;
    if (get(GCMD.SIRTP, halves) === 1) this.setInterruptPointer(core.interrupts);
    regs.put(GSTS, GSTS.CFIS, get(GCMD.CFI, halves));
    this.enableInterrupts(core.interrupts, get(GCMD.IRE, halves));
  }

  /** Address, size and mode of the interrupt remapping table take effect (6.7). With CAP.ESIRTPS the entry cache is dropped. */
  private setInterruptPointer(interrupts: InterruptRemapping): void {
    const { core } = this;
    const { arena, internal, regs } = core;
    arena.set(internal.base + INTERNAL.irtaHi, regs.read32(IRTA.offset + 4));
    arena.set(internal.base + INTERNAL.irtaLo, regs.read32(IRTA.offset));
    regs.put(GSTS, GSTS.IRTPS, 0);
    this.forgetInterrupts(interrupts, 'SIRTP');
    this.start(PENDING.interruptPointer);
  }

  /** New interrupts are remapped, or not, from now on; IRES is set when those in flight have drained (6.5.5). */
  private enableInterrupts(interrupts: InterruptRemapping, on: number): void {
    const { core } = this;
    const at = core.internal.base + INTERNAL.remaps;
    if (on === core.arena.words[at]) return;
    core.arena.set(at, on);
    if (on === 1) {
      interrupts.drain();
      interrupts.tell(0, EVERY_INDEX);
      return this.start(PENDING.enableInterrupts);
    }
    this.forget(PENDING.enableInterrupts);
    core.regs.put(GSTS, GSTS.IRES, 0);
    this.forgetInterrupts(interrupts, 'IRE = 0');
    this.resetFaultIndex();
  }

  /** SIRTP, and the end of remapping: hardware with CAP.ESIRTPS forgets what it has cached. */
  private forgetInterrupts(interrupts: InterruptRemapping, why: string): void {
    const { core } = this;
    if (core.has.cap.ESIRTPS === 1) {
      interrupts.invalidate(0, EVERY_INDEX);
      if (core.telling) core.say(`${why}: the interrupt entry cache is invalidated (CAP.ESIRTPS)`);
    } else interrupts.tell(0, EVERY_INDEX);
  }

  /** Faults are recorded from the first record on again when neither addresses nor interrupts are translated any more (7.2.1). */
  private resetFaultIndex(): void {
    const { core } = this;
    if (core.mode === MODE.off && !core.remapsInterrupts) core.arena.set(core.internal.base + INTERNAL.faultIndex, 0);
  }

  /** Root pointer and table mode take effect (6.6). With CAP.ESRTPS the caches are dropped, else they stay as they are. */
  private setRootPointer(): void {
    const { core } = this;
    const { arena, regs } = core;
    const lo = regs.read32(RTADDR.offset);
    arena.set(core.internal.base + INTERNAL.rootHi, regs.read32(RTADDR.offset + 4) & 0xfffff);
    arena.set(core.internal.base + INTERNAL.rootLo, lo >>> 12);
    const tableMode = regs.get(RTADDR, RTADDR.TTM);
    // Software must not change it while TES is set without CAP.ESRTPS (6.6): entries of one mode mean nothing to another.
    const otherMode = core.scalable !== null && tableMode !== core.tableMode;
    arena.set(core.internal.base + INTERNAL.tableMode, tableMode);
    if (core.mode !== MODE.off) this.setMode(true);
    regs.put(GSTS, GSTS.RTPS, 0);
    if (core.has.cap.ESRTPS === 1) this.forgetAll('SRTP invalidates all caches (CAP.ESRTPS)');
    else if (core.profile.forgetsAtSwitch) this.forgetAll('SRTP drops all caches');
    else if (otherMode) this.forgetAll('another table mode: all caches are dropped');
    this.start(PENDING.rootPointer);
  }

  private forgetAll(why: string): void {
    const { core } = this;
    invalidateContext(core.caches, core.dma, CONTEXT_GRANULARITY.global, 0, 0, 0);
    invalidateIotlb(core.caches, core.dma, EVERYTHING);
    if (core.scalable !== null) forgetScalable(core.scalable);
    if (core.telling) core.say(why);
  }

  private enableQueue(on: number): void {
    const { regs } = this.core;
    if (on === 0) regs.force32(IQH.offset, 0);
    regs.put(GSTS, GSTS.QIES, on);
  }

  /** New requests are remapped, or not, from now on; TES is set when those that were not have drained (6.5.4). */
  private enableTranslation(on: number): void {
    const { core } = this;
    const was = core.mode !== MODE.off;
    if ((on === 1) !== was && core.profile.forgetsAtSwitch) this.forgetAll('a change of TE drops all caches');
    if (on === 1 && !was) {
      this.setMode(true);
      drainAll(core);
      this.start(PENDING.enable);
    } else if (on === 0 && was) {
      this.setMode(false);
      // 11.4.4.1, TE: hardware with scalable mode does so.
      if (core.scalable !== null) this.forgetAll('translation is disabled: all caches are dropped');
      this.forget(PENDING.enable);
      core.regs.put(GSTS, GSTS.TES, 0);
      this.resetFaultIndex();
    }
  }

  /** Table modes that the unit has not refuse every request (RTA.1). */
  private modeOfTables(): number {
    const { has, tableMode } = this.core;
    if (tableMode === TABLE_MODE.legacy) return MODE.legacy;
    if (tableMode === TABLE_MODE.scalable && has.ecap.SMTS === 1) return MODE.scalable;
    return tableMode === TABLE_MODE.abort && has.ecap.ADMS === 1 ? MODE.abort : MODE.invalid;
  }

  private setMode(on: boolean): void {
    const { core } = this;
    core.arena.set(core.internal.base + INTERNAL.mode, on ? this.modeOfTables() : MODE.off);
  }

  /** A write of PMEN: requests are stopped from now on; PRS is set when those translated before have drained. */
  protect(): void {
    const { core } = this;
    const on = core.regs.get(PMEN, PMEN.EPM);
    if (on === core.arena.words[core.internal.base + INTERNAL.protects]) return;
    core.arena.set(core.internal.base + INTERNAL.protects, on);
    if (on === 1) {
      drainAll(core);
      this.start(PENDING.protect);
    } else {
      this.forget(PENDING.protect);
      core.regs.put(PMEN, PMEN.PRS, 0);
    }
  }

  private start(command: number): void {
    const { core } = this;
    const at = core.internal.base + INTERNAL.commands;
    core.arena.set(at, core.arena.words[at] | command);
    if (!core.isHeld()) this.complete();
  }

  private forget(command: number): void {
    const { core } = this;
    const at = core.internal.base + INTERNAL.commands;
    core.arena.set(at, core.arena.words[at] & ~command);
  }

  /** Reports what is under way as done. */
  complete(): void {
    const { core } = this;
    const { regs } = core;
    const pending = core.arena.words[core.internal.base + INTERNAL.commands];
    if ((pending & PENDING.rootPointer) !== 0) regs.put(GSTS, GSTS.RTPS, 1);
    if ((pending & PENDING.enable) !== 0) regs.put(GSTS, GSTS.TES, 1);
    if ((pending & PENDING.protect) !== 0) regs.put(PMEN, PMEN.PRS, 1);
    if ((pending & PENDING.interruptPointer) !== 0) regs.put(GSTS, GSTS.IRTPS, 1);
    if ((pending & PENDING.enableInterrupts) !== 0) regs.put(GSTS, GSTS.IRES, 1);
    core.arena.set(core.internal.base + INTERNAL.commands, 0);
  }
}

/** Bits of GCMD that start something and are not kept. */
const ONE_SHOT = GCMD.masks.oneShot[0];
