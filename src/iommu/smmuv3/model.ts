/** The SMMU. Clauses: Arm IHI 0070, SMMUv3, Non-secure programming interface. */
import { hex } from '../../bits/index.ts';
import type { Agent, Dma, MmioBlock, Translator } from '../../machine/index.ts';
import { SLOT } from '../../machine/index.ts';
import type { RegisterFile } from '../kit/register-file.ts';
import type { AtsCompletion } from './ats-completion.ts';
import type { CacheSizes } from './cache-entries.ts';
import { SmmuCaches } from './caches.ts';
import type { SmmuOptions as CoreOptions, SmmuParts } from './core.ts';
import { SmmuCore } from './core.ts';
import { OUTCOME } from './event-queue.ts';
import { Marks } from './marks.ts';
import { namingsOf } from './namings.ts';
import type { PageRequest } from './pri-queue.ts';
import type { SmmuProfile } from './profiles.ts';
import type { InterfaceOptions } from './programming-interface.ts';
import { ProgrammingInterface } from './programming-interface.ts';
import { Prompt } from './prompt.ts';
import { REQUEST } from './request.ts';
import { RequestSteps } from './requests.ts';
import type { RequestMarks } from './tlb-scope.ts';
import { NO_MARKS } from './tlb-scope.ts';

export interface SmmuUnitOptions extends CoreOptions, InterfaceOptions {
  readonly caches?: Partial<CacheSizes>;
  /**
   * STEs and CDs are read by two accesses, the first word and the rest (3.21.3: 64 bits at once at least); by one if absent, and where the profile
   * has it so. Where requests are taken in steps only.
   */
  readonly readsInParts?: boolean;
}

/** As small as cases want them. */
const CACHES: CacheSizes = {
  ...{ ste: 4, cd: 4, levelOne: 2 },
  ...{ tlbSets: 1, tlbWays: 8, ipaSets: 1, ipaWays: 8, walk: 4 },
};

/** What a profile keeps. */
export function cacheSizesOf(profile: SmmuProfile, sizes: CacheSizes): CacheSizes {
  return {
    ...sizes,
    ...(profile.walkCaches ? {} : { walk: 0, levelOne: 0 }),
    ...(profile.ipaCache ? {} : { ipaWays: 0 }),
  };
}

export class Smmu implements Translator, MmioBlock {
  readonly name: string;
  readonly profile: SmmuProfile;
  readonly regs: RegisterFile;
  readonly caches: SmmuCaches;
  /** What steps by itself: Updates of registers, the command queue, invalidations under way. */
  readonly agents: readonly Agent[];
  /** What its parts share, and what it marks of requests in flight: for a CMDQ-V beside it, whose commands are done here. */
  readonly core: SmmuCore<SmmuCaches>;
  readonly marks: RequestMarks;
  private readonly prompt: Prompt;
  private readonly interface: ProgrammingInterface;
  private readonly requests: RequestSteps | null;

  constructor(parts: SmmuParts, options: SmmuUnitOptions = {}) {
    this.core = new SmmuCore<SmmuCaches>(parts, options, ({ arena, has, profile }) => {
      const sizes = cacheSizesOf(profile, { ...CACHES, ...options.caches });
      return new SmmuCaches(arena, has, sizes, parts.dma === undefined, profile.separateConfigurationCaches);
    });
    this.name = this.core.name;
    this.profile = this.core.profile;
    this.regs = this.core.regs;
    this.caches = this.core.caches;
    this.prompt = new Prompt(this.core);
    const { dma } = parts;
    this.requests =
      dma === undefined
        ? null
        : new RequestSteps(this.core, dma, options.readsInParts === true && this.profile.readsInParts);
    dma?.namings.push(...namingsOf(this.caches));
    this.marks = dma === undefined ? NO_MARKS : new Marks(this.core, dma);
    this.interface = new ProgrammingInterface(
      this.core,
      this.marks,
      (sid, ssid) => this.prompt.pparOf(sid, ssid),
      options,
    );
    this.agents = this.interface.agents;
  }

  registerName(offset: number): string {
    return this.core.regs.at(offset)?.name ?? `${this.name}+${hex(offset)}`;
  }

  /** Bytes from offset 0 to the end of the last register; the block is this, rounded up to whole pages of 64 KiB (6.1). */
  get registerBytes(): number {
    return this.interface.registerBytes;
  }

  /** Reads registers. @param size 4 or 8 bytes, aligned: others read as zero (6.2) */
  read(offset: number, size: number): { lo: number; hi: number } {
    return this.interface.read(offset, size);
  }

  /** Writes registers; what that sets off are steps of {@link agents}. @param size 4 or 8 bytes, aligned: others are dropped (6.2) */
  write(offset: number, size: number, lo: number, hi: number): void {
    this.interface.write(offset, size, lo, hi);
  }

  /** Takes all steps that hardware can take by itself. */
  settle(): void {
    this.interface.settle();
  }

  choices(slot: number): number {
    return (this.requests as RequestSteps).choices(slot);
  }

  step(slot: number, choice: number): void {
    (this.requests as RequestSteps).step(slot, choice);
  }

  /** See {@link Translator.left}. */
  left(slot: number): number {
    return (this.requests as RequestSteps).left(slot);
  }

  /** See {@link Translator.most}. */
  most(): number {
    return (this.requests as RequestSteps).most();
  }

  immediate(slot: number): void {
    const dma = this.core.dma as Dma;
    const { pasid = -1, privileged, sid } = dma.requesters[dma.get(slot, SLOT.device)];
    const vpnHi = dma.get(slot, SLOT.vpnHi);
    const lo = (vpnHi << 30) | (dma.get(slot, SLOT.vpnLo) << 12) | (dma.get(slot, SLOT.word) << 3);
    const kind = dma.get(slot, SLOT.access) | (privileged === true && pasid >= 0 ? REQUEST.privileged : 0);
    const event = this.translate(sid, pasid, vpnHi >> 2, lo, kind);
    if (event === 0) return dma.translated(slot, this.outHi, this.outLo >>> 12);
    // Where everything is done at once nobody would resume what stalls: it is aborted.
    if (event > 0 && this.outcome === OUTCOME.razwi) dma.ignored(slot);
    else dma.abort(slot);
  }

  /** Translates at once; see {@link Prompt.translate}. */
  translate(sid: number, ssid: number, hi: number, lo: number, kind: number): number {
    return this.prompt.translate(sid, ssid, hi, lo, kind);
  }

  /** Where the last {@link translate} leads that was not refused: halves of the address, its place in the page included. */
  get outHi(): number {
    return this.prompt.t.outHi;
  }

  get outLo(): number {
    return this.prompt.t.outLo;
  }

  /** What becomes of the transaction of the last {@link translate} that faulted: see OUTCOME; of one that stalls, its STAG is {@link stag}. */
  get outcome(): number {
    return this.prompt.outcome;
  }

  get stag(): number {
    return this.core.events.stag;
  }

  /** What the last ATS translation request was answered; the object stays the same. */
  get completion(): AtsCompletion {
    return this.prompt.ats.completion;
  }

  /** A page request message of a device (chapter 8). @returns whether it is in the page request queue; never without IDR0.PRI */
  pageRequest(request: PageRequest): boolean {
    return this.interface.pageRequest(request);
  }
}
