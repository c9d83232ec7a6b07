/**
 * Page requests of devices (PCI Express ATS 10.4): the message as an IOMMU handles it, where it comes from, and how it is answered. Where it is
 * written, and what is refused, the model says. At once a request is written when it arrives; in steps it is accepted first.
 */
import { hex, hex64 } from '../../bits/index.ts';
import type { Dma, PageRequestChannel, PageRequestMessage, PageRequestSink } from '../../machine/index.ts';
import { ACCESS, bdf } from '../../machine/index.ts';

/** A page request message, or a Stop PASID marker: `last` with PASID, without read and write. */
export interface PageRequest {
  readonly sid: number;
  /** −1 for a request without. */
  readonly pasid: number;
  /** Byte address, as halves; its low 12 bits do not matter. */
  readonly hi: number;
  readonly lo: number;
  readonly read: boolean;
  readonly write: boolean;
  readonly execute?: boolean;
  readonly privileged?: boolean;
  /** Page request group index, 9 bits. */
  readonly group: number;
  /** The last one of its group, which is answered. */
  readonly last: boolean;
}

/** Response codes (PCI Express ATS 10.4.2). */
export const RESPONSE_CODE = { success: 0, invalidRequest: 1, failure: 15 } as const;

/** What a device gets back. @param pasid −1 for none. @param code see {@link RESPONSE_CODE} */
export type PageResponseSink = (sid: number, pasid: number, group: number, code: number) => void;

/** The IOMMU that they arrive at. */
export interface PageRequestOwner {
  /** Null where everything is done at once. */
  readonly dma: Dma | null;
  readonly telling: boolean;
  say(text: string): void;
}

export abstract class PageRequestPort<O extends PageRequestOwner> implements PageRequestSink {
  protected readonly core: O;
  /** Requests under way; null where each is written at once. */
  protected readonly channel: PageRequestChannel | null;
  private readonly sink: PageResponseSink | undefined;

  /** @param sink takes answers that no device of the machine waits for */
  constructor(core: O, sink: PageResponseSink | undefined) {
    this.core = core;
    this.sink = sink;
    this.channel = core.dma?.ats?.pages?.channel ?? null;
    if (this.channel !== null) this.channel.sink = this;
  }

  /** @param queued requests that have their place behind what is written. @returns whether it is to be written; if not, it has been answered */
  protected abstract take(request: PageRequest, queued: number): boolean;

  /** Writes it. @returns whether it is in the queue now */
  protected abstract put(request: PageRequest): boolean;

  /** A device's message arrives. @returns whether it is in the queue now */
  receive(request: PageRequest): boolean {
    return this.take(request, 0) && this.put(request);
  }

  accept(message: PageRequestMessage, queued: number): boolean {
    return this.take(requestOf(message), queued);
  }

  deliver(message: PageRequestMessage): void {
    this.put(requestOf(message));
  }

  protected respond(sid: number, pasid: number, group: number, code: number): void {
    const { core } = this;
    if (core.telling) core.say(`page group response to ${bdf(sid)}: code ${code}`);
    const ats = core.dma?.ats ?? null;
    if (ats?.pages != null && ats.hasDevice(sid)) ats.pages.respond(sid, pasid, group, code === RESPONSE_CODE.success);
    else this.sink?.(sid, pasid, group, code);
  }

  protected tellQueued({ sid, pasid, hi, lo }: PageRequest): void {
    const { core } = this;
    if (!core.telling) return;
    const whose = pasid < 0 ? '' : `, PASID ${hex(pasid)}`;
    core.say(`page request of ${bdf(sid)}${whose} is in the queue: ${hex64(lo & ~0xfff, hi)}`);
  }

  /** It is not written. */
  protected discard({ sid }: PageRequest, why: string): false {
    if (this.core.telling) this.core.say(`page request of ${bdf(sid)} is discarded: ${why}`);
    return false;
  }
}

/** Page requests of the machine are of one page, the last of its group. */
function requestOf({ sid, pasid, vpnHi, vpnLo, access, privileged, group }: PageRequestMessage): PageRequest {
  const [lo, hi] = [(vpnHi << 30) | (vpnLo << 12), vpnHi >> 2];
  const [read, write] = [(access & ACCESS.read) !== 0, (access & ACCESS.write) !== 0];
  return { sid, pasid, hi, lo, read, write, privileged, group, last: true };
}
