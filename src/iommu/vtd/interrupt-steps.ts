/** An interrupt request one step at a time (VT-d 5.1.4, 6.4), for the explorer and the adversary. */
import { hex } from '../../bits/index.ts';
import type { Dma } from '../../machine/index.ts';
import { MARK, messageAddress, messageData, PHASE, SLOT } from '../../machine/index.ts';
import type { VtdCore } from './core.ts';
import type { InterruptRemapping } from './interrupt-remapping.ts';
import { WALK_STEP } from './invalidation.ts';
import { isInterruptPage, REQUEST } from './request.ts';
import { kindOfSlot } from './request-of-slot.ts';
import { STEP } from './walk.ts';

export class InterruptSteps {
  private readonly core: VtdCore;
  private readonly dma: Dma;
  private readonly remapping: InterruptRemapping;

  constructor(core: VtdCore, dma: Dma, remapping: InterruptRemapping) {
    this.core = core;
    this.dma = dma;
    this.remapping = remapping;
  }

  /** Whether a transaction that is not translated yet is an interrupt request. */
  takes(slot: number): boolean {
    const { dma } = this;
    if ((dma.get(slot, SLOT.flags) & (MARK.asks | MARK.direct)) !== 0) return false;
    // 3.15: with PASID it is a request like another.
    return (
      dma.requesters[dma.get(slot, SLOT.device)].pasid === undefined &&
      isInterruptPage(dma.get(slot, SLOT.vpnHi), dma.get(slot, SLOT.vpnLo)) &&
      kindOfSlot(dma, slot) === REQUEST.write
    );
  }

  private sid(slot: number): number {
    return this.dma.requesters[this.dma.get(slot, SLOT.device)].sid;
  }

  private decode(slot: number): number {
    return this.remapping.decode(messageAddress(this.dma, slot), messageData(this.dma, slot));
  }

  /** A cached entry may serve, or be gone. */
  choices(slot: number): number {
    const { dma, remapping } = this;
    if (dma.get(slot, SLOT.step) !== WALK_STEP.start || this.decode(slot) !== STEP.more) return 1;
    return remapping.cache.find(remapping.index) < 0 ? 1 : 2;
  }

  step(slot: number, choice: number): void {
    const { core, dma, remapping } = this;
    if (dma.get(slot, SLOT.step) !== WALK_STEP.start) {
      remapping.index = dma.get(slot, SLOT.did) - 1;
      return this.read(slot);
    }
    const decoded = this.decode(slot);
    if (decoded === STEP.fault) return this.refused(slot);
    if (decoded === STEP.done) return this.land(slot, 0);
    const hit = remapping.cache.find(remapping.index);
    if (hit >= 0 && choice === 0) {
      core.fire('interruptUsed');
      if (core.telling) core.say(`interrupt entry cache hit: index ${remapping.index}`);
      remapping.takeCached(hit);
      return remapping.apply(this.sid(slot)) === STEP.fault ? this.refused(slot) : this.land(slot, remapping.index + 1);
    }
    if (hit >= 0) {
      core.fire('interruptEvicted');
      if (core.telling) core.say('the cached interrupt entry is gone (evicted)');
      remapping.cache.drop(hit);
    }
    // From here on it is remapped, whatever becomes of IRE: a request is remapped wholly or not at all (11.4.4.1).
    dma.set(slot, SLOT.phase, PHASE.translating);
    dma.set(slot, SLOT.step, WALK_STEP.root);
    dma.set(slot, SLOT.did, remapping.index + 1);
  }

  /** Reads the entry: one step, as hardware reads it as a single operation. What led to a fault is cached with CAP.CM only (6.4). */
  private read(slot: number): void {
    const { core, dma, remapping } = this;
    if (remapping.fetch() === STEP.fault) return this.refused(slot);
    const mixed = remapping.usedMix(dma);
    if (mixed !== null && core.telling) core.say(`${mixed} is a mix of what it was and what it is to be`);
    const refused = remapping.apply(this.sid(slot)) === STEP.fault;
    if (core.profile.interruptEntryCache && (!refused || core.has.cap.CM === 1)) remapping.fill();
    if (refused) this.refused(slot);
    else this.land(slot, remapping.index + 1);
  }

  /** It is in flight as the message that it became. @param remappedBy interrupt index + 1; 0 where it passes as it is */
  private land(slot: number, remappedBy: number): void {
    const { dma } = this;
    const { addressHi, addressLo, data, destination, vector } = this.remapping.message;
    if (this.core.telling && remappedBy > 0) {
      this.core.say(`remapped by index ${remappedBy - 1}: vector ${hex(vector)} to ${hex(destination)}`);
    }
    dma.set(slot, SLOT.did, remappedBy);
    dma.set(slot, SLOT.word, (addressLo & 0xfff) >>> 2);
    dma.set(slot, SLOT.data, data | 0);
    dma.mark(slot, MARK.message);
    dma.translated(slot, addressHi | 0, addressLo >>> 12);
  }

  private refused(slot: number): void {
    this.remapping.report(this.sid(slot));
    this.dma.abort(slot);
  }

  /** All of it at once. */
  immediate(slot: number): void {
    const { dma, remapping } = this;
    const lo = messageAddress(dma, slot);
    if (remapping.remap(this.sid(slot), lo, messageData(dma, slot)) !== 0) dma.abort(slot);
    else this.land(slot, 0);
  }
}
