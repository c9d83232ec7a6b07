/** The VT-d remapping unit, legacy mode. Clauses: VT-d specification, revision 5.10. */
import { hex } from '../../bits/index.ts';
import type { Agent, Dma, MmioBlock, Translator } from '../../machine/index.ts';
import { SLOT } from '../../machine/index.ts';
import type { RegisterFile } from '../kit/register-file.ts';
import type { VtdCaches } from './caches.ts';
import type { VtdOptions, VtdParts } from './core.ts';
import { MODE, VtdCore } from './core.ts';
import { GlobalCommands } from './global-command.ts';
import type { InterruptCache } from './interrupt-cache.ts';
import { InterruptMessage } from './interrupt-message.ts';
import { InterruptSteps } from './interrupt-steps.ts';
import { WALK_STEP } from './invalidation.ts';
import { Invalidator } from './invalidator.ts';
import { namingsOf } from './namings.ts';
import type { PageRequest } from './page-requests.ts';
import { PageRequests } from './page-requests.ts';
import type { VtdProfile } from './profiles.ts';
import { Prompt } from './prompt.ts';
import { InvalidationQueue } from './queue.ts';
import { RegisterInterface } from './register-interface.ts';
import { RegisterInvalidation } from './register-invalidation.ts';
import { PREFIX } from './request.ts';
import { kindOfSlot } from './request-of-slot.ts';
import { RequestSteps } from './requests.ts';
import type { ScalableCaches } from './scalable-caches.ts';
import { mostSteps } from './scalable-left.ts';
import { ScalableSteps } from './scalable-steps.ts';
import type { TranslationCompletion } from './translation-completion.ts';

/** More than the levels of any table, and the three steps before them. */
const FIRST_STEPS = 10;

export class Vtd implements Translator, MmioBlock {
  readonly name = 'VT-d';
  readonly profile: VtdProfile;
  readonly regs: RegisterFile;
  readonly caches: VtdCaches;
  /** Those of scalable mode; null in a unit without. */
  readonly scalableCaches: ScalableCaches | null;
  /** What steps by itself: the invalidation queue and the register interface. */
  readonly agents: readonly Agent[];
  private readonly core: VtdCore;
  private readonly pageRequests: PageRequests | null;
  private readonly prompt: Prompt;
  private readonly registers: RegisterInterface;
  private readonly requests: RequestSteps | null;
  /** Null in a unit without scalable mode. */
  private readonly scalable: ScalableSteps | null;
  private readonly interrupts: InterruptSteps | null;
  /** In a unit without ECAP.IR: the last interrupt. */
  private readonly passed = new InterruptMessage();

  constructor(parts: VtdParts, options: VtdOptions = {}) {
    this.core = new VtdCore(parts, options);
    this.profile = this.core.profile;
    this.regs = this.core.regs;
    this.caches = this.core.caches;
    this.scalableCaches = this.core.scalable?.caches ?? null;
    const commands = new GlobalCommands(this.core);
    const invalidator = new Invalidator(this.core);
    const queue = new InvalidationQueue(this.core, invalidator, this.core.fetchAhead);
    this.pageRequests =
      this.core.has.ecap.PRS === 1 ? new PageRequests(this.core, invalidator, parts.pageGroupResponse) : null;
    queue.onPageGroupResponse = (descriptor) => this.pageRequests?.answer(descriptor);
    const invalidations = new RegisterInvalidation(this.core, commands, invalidator);
    this.registers = new RegisterInterface(this.core, commands, invalidations);
    this.registers.onPageRequestRead = () => this.pageRequests?.push();
    this.agents = [queue.agent, invalidations.agent, ...(this.core.deviceTlbs?.agents ?? [])];
    this.prompt = new Prompt(this.core);
    if (parts.dma !== undefined) parts.dma.namings.push(...namingsOf(this.core));
    this.requests = parts.dma === undefined ? null : new RequestSteps(this.core, parts.dma);
    const { scalable } = this.core;
    this.scalable =
      parts.dma === undefined || scalable === null ? null : new ScalableSteps(this.core, parts.dma, scalable);
    const { interrupts } = this.core;
    this.interrupts =
      parts.dma === undefined || interrupts === null ? null : new InterruptSteps(this.core, parts.dma, interrupts);
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

  /** What a read would find, if nothing is under way that it would push; see {@link RegisterInterface.peek}. */
  peek(offset: number, size: number): { lo: number; hi: number } {
    return this.registers.peek(offset, size);
  }

  /** Writes registers; see {@link RegisterInterface.write}. @param size bytes, 1 to 8 */
  write(offset: number, size: number, lo: number, hi: number): void {
    this.registers.write(offset, size, lo, hi);
  }

  choices(slot: number): number {
    if (this.interrupts?.takes(slot)) return this.interrupts.choices(slot);
    if (this.scalable?.takes(slot, this.core.mode === MODE.scalable)) return this.scalable.choices(slot);
    return (this.requests as RequestSteps).choices(slot);
  }

  step(slot: number, choice: number): void {
    if (this.interrupts?.takes(slot)) return this.interrupts.step(slot, choice);
    if (this.scalable?.takes(slot, this.core.mode === MODE.scalable)) return this.scalable.step(slot, choice);
    (this.requests as RequestSteps).step(slot, choice);
  }

  /** See {@link Translator.left}. */
  left(slot: number): number {
    const dma = this.core.dma as Dma;
    const isInterrupt = this.interrupts?.takes(slot) === true;
    if (!isInterrupt && this.scalable?.takes(slot, this.core.mode === MODE.scalable) === true)
      return this.scalable.left(slot, dma.pendingWrites());
    const step = dma.get(slot, SLOT.step);
    // Before the tables there are the look-up, the root entry and the context entry; then each level is one step.
    return step < WALK_STEP.fresh ? FIRST_STEPS - step : dma.get(slot, SLOT.level);
  }

  /** See {@link Translator.most}. */
  most(): number {
    const { dma, has, mode } = this.core;
    if (mode !== MODE.scalable || dma === null) return FIRST_STEPS;
    return mostSteps(has.ecap.NEST === 1, dma.pendingWrites());
  }

  immediate(slot: number): void {
    if (this.interrupts?.takes(slot)) return this.interrupts.immediate(slot);
    const dma = this.core.dma as Dma;
    const { walk } = this.core;
    const { pasid = -1, sid } = dma.requesters[dma.get(slot, SLOT.device)];
    const [vpnHi, vpnLo] = [dma.get(slot, SLOT.vpnHi), dma.get(slot, SLOT.vpnLo)];
    const kind = kindOfSlot(dma, slot);
    const plain = kind === dma.get(slot, SLOT.access);
    let reason: number;
    if (pasid >= 0) reason = this.requestWithPasid(sid, pasid, vpnHi, vpnLo, kind, PREFIX.none);
    else reason = plain ? this.translate(sid, vpnHi, vpnLo, kind) : this.request(sid, vpnHi, vpnLo, kind);
    if (reason === 0) dma.translated(slot, walk.pfnHi, walk.pfnLo);
    else dma.abort(slot);
  }

  /** Translates one page at once; see {@link Prompt.translate}. */
  translate(sid: number, vpnHi: number, vpnLo: number, access: number): number {
    return this.prompt.translate(sid, vpnHi, vpnLo, access);
  }

  /** As {@link translate}, for every kind of request; see {@link Prompt.request}. */
  request(sid: number, vpnHi: number, vpnLo: number, kind: number): number {
    return this.prompt.request(sid, vpnHi, vpnLo, kind);
  }

  /** What the last translation request was answered (VT-d 4.1.2); the object stays the same. */
  get completion(): TranslationCompletion {
    return this.prompt.completion;
  }

  /** A page request message of a device (VT-d 7.4.1). @returns whether it is in the page request queue; never without ECAP.PRS */
  pageRequest({ address, ...rest }: PageRequest): boolean {
    const [lo, hi] = [Number(BigInt.asIntN(32, address)), Number(BigInt.asIntN(32, address >> 32n))];
    return this.pageRequests?.receive({ ...rest, lo, hi }) === true;
  }

  /** A device sends an invalidation completion that nobody waits for (VT-d 4.3). Nothing without ECAP.DT. */
  unexpectedCompletion(sid: number): void {
    this.core.deviceTlbs?.unexpectedCompletion(sid);
  }

  /** A request with PASID; see {@link Prompt.requestWithPasid}. @param prefix see PREFIX */
  requestWithPasid(sid: number, pasid: number, vpnHi: number, vpnLo: number, kind: number, prefix: number): number {
    return this.prompt.requestWithPasid(sid, pasid, vpnHi, vpnLo, kind, prefix);
  }

  /**
   * An interrupt request at once: a write of one DWORD to 0xFEEx_xxxx.
   * @returns 0, with {@link remapped}; a reason of table 15
   */
  interrupt(sid: number, addressLo: number, data: number): number {
    const { interrupts } = this.core;
    if (interrupts !== null) return interrupts.remap(sid, addressLo, data);
    this.passed.set(0, addressLo, data);
    return 0;
  }

  /** Interrupt remapping entries that are cached; null in a unit without ECAP.IR. */
  get interruptCache(): InterruptCache | null {
    return this.core.interrupts?.cache ?? null;
  }

  /** What the last {@link interrupt} that was not refused became; the object stays the same. */
  get remapped(): InterruptMessage {
    return this.core.interrupts?.message ?? this.passed;
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
