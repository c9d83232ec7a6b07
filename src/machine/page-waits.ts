/** Devices that wait for a page (PCI Express ATS 10.4, page request interface; VT-d 7.4 – 7.9): a DMA that got no right sends a page request. */
import { sayOfDevice } from './device-story.ts';
import type { Dma } from './dma.ts';
import { SLOT } from './dma.ts';
import { MARK, PAGES_SENT } from './marks.ts';
import type { PageRequestChannel } from './page-requests.ts';
import { bdf } from './requester.ts';

export class PageWaits {
  readonly channel: PageRequestChannel;
  private readonly dma: Dma;

  constructor(dma: Dma, channel: PageRequestChannel) {
    this.dma = dma;
    this.channel = channel;
  }

  private sent(slot: number): number {
    return (this.dma.get(slot, SLOT.flags) >>> PAGES_SENT.at) & PAGES_SENT.most;
  }

  /** How many page requests the device may still send for the transaction. */
  left(slot: number): number {
    const { pageRequests = 0 } = this.dma.requesters[this.dma.get(slot, SLOT.device)];
    if ((this.dma.get(slot, SLOT.flags) & MARK.direct) !== 0) return 0;
    return Math.max(0, Math.min(pageRequests, PAGES_SENT.most) - this.sent(slot));
  }

  /** Whether the answer to a translation request lacks a right, and the device asks for the page. */
  isWanted(slot: number): boolean {
    const { dma } = this;
    return (dma.get(slot, SLOT.access) & ~dma.get(slot, SLOT.perms)) !== 0 && this.left(slot) > 0;
  }

  /** A recoverable fault (VT-d 7.4): the device dispatches a page request, for which there has to be room, and waits. */
  ask(slot: number): void {
    const { dma } = this;
    const { pasid = -1, privileged = false, sid } = dma.requesters[dma.get(slot, SLOT.device)];
    const group = this.freeGroup(sid);
    this.channel.dispatch({
      ...{ sid, pasid, privileged: pasid >= 0 && privileged, group, access: dma.get(slot, SLOT.access) },
      ...{ vpnHi: dma.get(slot, SLOT.vpnHi), vpnLo: dma.get(slot, SLOT.vpnLo) },
    });
    dma.set(slot, SLOT.level, group);
    dma.set(slot, SLOT.perms, 0);
    dma.set(slot, SLOT.pfnHi, 0);
    dma.set(slot, SLOT.pfnLo, 0);
    const flags = dma.get(slot, SLOT.flags) & ~(MARK.answered | MARK.holdAtc);
    dma.set(slot, SLOT.flags, (flags | MARK.page) + (1 << PAGES_SENT.at));
    sayOfDevice(
      this.dma,
      slot,
      `gets no right from the translation completion, sends a page request (group ${group}) and waits`,
    );
  }

  /** The first group index that none of the function's requests waits with. */
  private freeGroup(sid: number): number {
    for (let group = 0; ; group++) if (this.waiting(sid, group) < 0) return group;
  }

  /** Slot of the transaction that waits for the answer to a group; −1 for none. */
  private waiting(sid: number, group: number): number {
    const { dma } = this;
    for (let i = 0; i < dma.slots; i++) {
      const slot = dma.at(i);
      if ((dma.get(slot, SLOT.flags) & MARK.page) === 0 || dma.get(slot, SLOT.level) !== group) continue;
      if (dma.requesters[dma.get(slot, SLOT.device)].sid === sid) return slot;
    }
    return -1;
  }

  /**
   * A page group response arrives. With success the device looks up and asks once more; with any other code it gives up. One that nobody
   * waits for is discarded (VT-d 7.9).
   * @param pasid −1 for none
   */
  respond(sid: number, pasid: number, group: number, isSuccess: boolean): void {
    const { dma } = this;
    const slot = this.waiting(sid, group);
    if (slot < 0 || (dma.requesters[dma.get(slot, SLOT.device)].pasid ?? -1) !== pasid) {
      if (dma.log.on) dma.log.say('device', `${bdf(sid)} discards a page group response that it does not wait for`);
      return;
    }
    dma.set(slot, SLOT.level, 0);
    if (!isSuccess) {
      sayOfDevice(this.dma, slot, 'is told that there is no page, and gives up');
      return dma.abort(slot);
    }
    sayOfDevice(this.dma, slot, 'has the answer to its page request, and tries again');
    dma.set(slot, SLOT.flags, (dma.get(slot, SLOT.flags) & ~MARK.page) | MARK.ats);
  }

  /** A terminal condition of the device (VT-d 7.9): it forgets what it waits for pages with. Its page requests are on their way all the same. */
  forget(device: number): void {
    const { dma } = this;
    for (let i = 0; i < dma.slots; i++) {
      const slot = dma.at(i);
      const waits = (dma.get(slot, SLOT.flags) & MARK.page) !== 0 && dma.get(slot, SLOT.device) === device;
      if (waits) dma.abort(slot);
    }
  }
}
