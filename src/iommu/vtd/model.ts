/** The VT-d remapping unit, legacy mode. Clauses: VT-d specification, revision 5.10. */
import { hex } from '../../bits/index.ts';
import type { Agent, Dma, MmioBlock, Translator } from '../../machine/index.ts';
import { SLOT } from '../../machine/index.ts';
import type { RegisterFile } from '../kit/register-file.ts';
import type { VtdCaches } from './caches.ts';
import { TAG } from './caches.ts';
import type { VtdOptions, VtdParts } from './core.ts';
import { VtdCore } from './core.ts';
import { FAULT } from './faults.ts';
import { GlobalCommands } from './global-command.ts';
import type { VtdProfile } from './profiles.ts';
import { InvalidationInterface } from './queue.ts';
import { RegisterInterface } from './register-interface.ts';
import { RequestSteps } from './requests.ts';
import { contextTag, isInterruptFrame, STEP } from './walk.ts';

export class Vtd implements Translator, MmioBlock {
  readonly name = 'VT-d';
  readonly profile: VtdProfile;
  readonly regs: RegisterFile;
  readonly caches: VtdCaches;
  /** What steps by itself: the invalidation queue and the register interface. */
  readonly agents: readonly Agent[];
  private readonly core: VtdCore;
  private readonly registers: RegisterInterface;
  private readonly requests: RequestSteps | null;

  constructor(parts: VtdParts, options: VtdOptions = {}) {
    this.core = new VtdCore(parts, options);
    this.profile = this.core.profile;
    this.regs = this.core.regs;
    this.caches = this.core.caches;
    const commands = new GlobalCommands(this.core);
    const invalidations = new InvalidationInterface(this.core, commands);
    this.registers = new RegisterInterface(this.core, commands, invalidations);
    this.agents = invalidations.agents;
    this.requests = parts.dma === undefined ? null : new RequestSteps(this.core, parts.dma);
  }

  registerName(offset: number): string {
    return this.core.regs.at(offset)?.name ?? `${this.name}+${hex(offset)}`;
  }

  /** Bytes from offset 0 to the end of the last register; the block is this, rounded up to whole pages (11.1). */
  get registerBytes(): number {
    return this.core.has.registerBytes;
  }

  /** Reads registers; see {@link RegisterInterface.read}. @param size bytes, 1 to 8 */
  read(offset: number, size: number): { lo: number; hi: number } {
    return this.registers.read(offset, size);
  }

  /** Writes registers; see {@link RegisterInterface.write}. @param size bytes, 1 to 8 */
  write(offset: number, size: number, lo: number, hi: number): void {
    this.registers.write(offset, size, lo, hi);
  }

  choices(slot: number): number {
    return (this.requests as RequestSteps).choices(slot);
  }

  step(slot: number, choice: number): void {
    (this.requests as RequestSteps).step(slot, choice);
  }

  immediate(slot: number): void {
    const dma = this.core.dma as Dma;
    const { walk } = this.core;
    const { sid } = dma.requesters[dma.get(slot, SLOT.device)];
    const reason = this.translate(
      sid,
      dma.get(slot, SLOT.vpnHi),
      dma.get(slot, SLOT.vpnLo),
      dma.get(slot, SLOT.access),
    );
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
    const { caches, walk, walker } = this.core;
    walk.sid = sid;
    walk.vpnHi = vpnHi;
    walk.vpnLo = vpnLo;
    walk.access = access;
    walk.fpd = false;
    if (this.core.isBypassed(vpnHi, vpnLo)) return this.pass();
    const hit = caches.nthTranslation(sid, vpnHi, vpnLo, access, 0);
    if (hit >= 0) {
      walk.fpd = ((caches.tag(hit) >>> TAG.fpd) & 1) === 1;
      walk.pfnHi = caches.pageHi(hit);
      walk.pfnLo = caches.pageLo(hit, vpnLo);
      return isInterruptFrame(walk.pfnHi, walk.pfnLo) ? this.refuse(FAULT.interruptRange) : 0;
    }
    let result: number;
    const context = caches.findContext(sid);
    if (context >= 0) {
      const tag = caches.tag(context);
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
      result = walker.root(
        walk,
        this.core.arena.words[this.core.internal.base],
        this.core.arena.words[this.core.internal.base + 1],
      );
      if (result === STEP.more) {
        result = walker.context(walk);
        if (result !== STEP.fault) caches.fillContext(sid, contextTag(walk), walk.pfnHi, walk.pfnLo);
      }
    }
    if (result === STEP.done) return this.pass();
    let top = true;
    for (let level = 2; result === STEP.more && top && level <= walk.level; level++) {
      const entry = caches.findPaging(level, walk.did, vpnHi, vpnLo);
      if (entry >= 0 && this.core.usePaging(level, entry)) top = false;
    }
    while (result === STEP.more) {
      const { level } = walk;
      result = walker.entry(walk, top);
      top = false;
      if (result === STEP.more) this.core.fillPaging(level);
      else if (result === STEP.done) {
        const page = this.core.pageOf(level);
        if (isInterruptFrame(walk.pfnHi, page)) return this.refuse(FAULT.interruptRange);
        this.core.fillTranslation(level);
        walk.pfnLo = page;
      }
    }
    return result === STEP.fault ? this.refuse(walk.fault) : 0;
  }

  private refuse(reason: number): number {
    this.core.walk.fault = reason;
    this.core.report(this.core.walk);
    return reason;
  }

  private pass(): number {
    const { walk } = this.core;
    const pfn = walk.vpnHi * 0x40000 + walk.vpnLo;
    walk.pfnHi = Math.floor(pfn / 0x100000);
    walk.pfnLo = pfn % 0x100000;
    return 0;
  }

  /** Page frame of the last {@link translate}, upper 20 bits. */
  get frameHi(): number {
    return this.core.walk.pfnHi;
  }

  /** Page frame of the last {@link translate}, lower 20 bits. */
  get frameLo(): number {
    return this.core.walk.pfnLo;
  }
}
