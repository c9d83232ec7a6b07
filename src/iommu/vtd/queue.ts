/** Queued invalidation (VT-d 6.5.2): fetching descriptors, refusing bad ones, executing the others. */
import { get, hex, hex64, reservedSet } from '../../bits/index.ts';
import type { Agent } from '../../machine/index.ts';
import { MARK } from '../../machine/index.ts';
import { nextInRing } from '../kit/ring.ts';
import { readEntry, store32 } from '../kit/words.ts';
import {
  CONTEXT_INV_DSC,
  DEVICE_TLB_INV_DSC,
  IEC_INV_DSC,
  IOTLB_INV_DSC,
  IQEI,
  PAGE_GRP_RESP_DSC,
  PASID_CACHE_INV_DSC,
  PASID_DEVICE_TLB_INV_DSC,
  PASID_GRANULARITY,
  PASID_IOTLB_GRANULARITY,
  PASID_IOTLB_INV_DSC,
  WAIT_DSC,
} from './commands.ts';
import type { VtdCore } from './core.ts';
import { TABLE_MODE } from './core.ts';
import { ITAG_STEPS } from './device-tlb.ts';
import { FAULT_EVENT, hasUnservicedFault, INVALIDATION_EVENT, raiseEvent } from './events.ts';
import { FetchedDescriptors, isWaitHeld } from './fetched-descriptors.ts';
import type { Invalidator } from './invalidator.ts';
import { FSTS, GSTS, ICS, IOTLB_GRANULARITY, IQA, IQERCD, IQH, IQT } from './registers.ts';

/** Bytes of a descriptor with IQA.DW = 0, and with 1. */
const SHORT = 16;
const LONG = 32;

/** Descriptors that there are in each table mode (table 26), less those of functions that the unit lacks. */
const LEGACY = [CONTEXT_INV_DSC, IOTLB_INV_DSC, IEC_INV_DSC, WAIT_DSC, DEVICE_TLB_INV_DSC] as const;
const SCALABLE = [
  ...LEGACY,
  PASID_CACHE_INV_DSC,
  PASID_IOTLB_INV_DSC,
  PASID_DEVICE_TLB_INV_DSC,
  PAGE_GRP_RESP_DSC,
] as const;

export class InvalidationQueue {
  readonly agent: Agent;
  private readonly core: VtdCore;
  private readonly invalidator: Invalidator;
  /** The one that was read last; zero above its 16 bytes where it has no more. */
  private readonly descriptor = new Int32Array(LONG / 4);
  /** Descriptors that the head has passed and that are not executed yet; there is room for none unless it is asked for. */
  private readonly fetched: FetchedDescriptors;
  /** A wait that the head has passed and that is not complete; only with ECAP.DT, where a time-out forgets it (6.5.2.11). */
  private readonly pending: FetchedDescriptors;

  constructor(core: VtdCore, invalidator: Invalidator, fetchAhead: number) {
    this.core = core;
    this.invalidator = invalidator;
    this.fetched = new FetchedDescriptors(core, fetchAhead);
    const { deviceTlbs } = core;
    this.pending = new FetchedDescriptors(core, deviceTlbs === null ? 0 : 1, 'vtd.pending-wait');
    if (deviceTlbs !== null) deviceTlbs.onTimeOut = () => this.abortWaits();
    const stepsEach = deviceTlbs === null ? 2 : 2 + ITAG_STEPS;
    // Each wait writes its status.
    core.dma?.otherWrites.push(() => this.waiting() + this.fetched.count + this.pending.count);
    this.agent = {
      name: 'VT-d invalidation queue',
      lane: 'iommu',
      sparesSoftware: true,
      choices: () => {
        if (this.pending.count > 0) return this.isHeld(this.pending.word(0, 0)) ? 0 : 1;
        return this.fetchChoices() + (fetchAhead === 0 ? 0 : this.fetched.ready());
      },
      left: () => stepsEach * this.waiting() + (stepsEach - 1) * this.fetched.count + this.pending.count,
      step: (choice) => {
        if (this.pending.count > 0) return this.execute(this.pending.takeReady(0, this.descriptor));
        const fetches = fetchAhead === 0 ? 1 : this.fetchChoices();
        if (choice >= fetches) this.execute(this.fetched.takeReady(choice - fetches, this.descriptor));
        else this.fetch(choice);
      },
    };
  }

  /**
   * In how many ways the descriptor at the head can be fetched: executed at once, or, where there is room, put off (6.5.2.12).
   */
  private fetchChoices(): number {
    const { core, fetched } = this;
    const { regs } = core;
    if (regs.get(GSTS, GSTS.QIES) === 0 || regs.read32(IQH.offset) === regs.read32(IQT.offset)) return 0;
    if (regs.get(FSTS, FSTS.IQE) !== 0 || regs.get(FSTS, FSTS.ITE) !== 0) return 0;
    if (!this.readDescriptor()) return 1;
    const { deviceTlbs } = core;
    if (isDeviceTlb(this.type()) && deviceTlbs !== null && !this.maySend()) return fetched.hasRoom ? 1 : 0;
    // With ECAP.DT a wait that has to wait is fetched nevertheless.
    const waits = (deviceTlbs === null || fetched.count > 0) && this.isWaitHeld();
    const atOnce = waits || (fetched.count > 0 && !fetched.mayFollow(this.descriptor)) ? 0 : 1;
    return atOnce + (fetched.hasRoom ? 1 : 0);
  }

  /** Whether a wait cannot complete yet. @param word its word 0 */
  private isHeld(word: number): boolean {
    return isWaitHeld(this.core, word);
  }

  private isWaitHeld(): boolean {
    return this.type() === WAIT_DSC.TYPE.fixed && this.isHeld(this.descriptor[0]);
  }

  /** Whether a device-TLB invalidation can be sent: an ITag is free (4.3), and IOTLB invalidations before it are complete (6.5.2.12). */
  private maySend(): boolean {
    const { deviceTlbs, dma } = this.core;
    return deviceTlbs?.hasRoom === true && dma?.anyMarked(MARK.holdWalk) !== true;
  }

  /** A device-TLB invalidation has timed out: no wait that is pending is completed. */
  private abortWaits(): void {
    this.pending.dropWaits();
    this.fetched.dropWaits();
  }

  /** Descriptors that the head has not passed, or 1 for a head or tail that is none. */
  private waiting(): number {
    const { regs } = this.core;
    const [head, tail] = [regs.read32(IQH.offset), regs.read32(IQT.offset)];
    if (head === tail || regs.get(FSTS, FSTS.IQE) !== 0) return 0;
    const bytes = this.queueBytes();
    return 1 + Math.ceil(((((tail - head) % bytes) + bytes) % bytes) / SHORT);
  }

  private descriptorBytes(): number {
    return this.core.regs.get(IQA, IQA.DW) === 1 ? LONG : SHORT;
  }

  /** Bit 4 of the head is reserved with descriptors of 256 bits (11.4.9.1). */
  private head(): number {
    return this.core.regs.read32(IQH.offset) & -this.descriptorBytes();
  }

  private queueBytes(): number {
    return 4096 << this.core.regs.get(IQA, IQA.QS);
  }

  private error(info: number, what: string): void {
    const { core } = this;
    const isNews = !hasUnservicedFault(core);
    core.regs.put(IQERCD, IQERCD.IQEI, info);
    core.regs.put(FSTS, FSTS.IQE, 1);
    if (core.telling) core.say(`invalidation queue error: ${what}; FSTS.IQE set, the head stays`);
    if (isNews) raiseEvent(core, FAULT_EVENT);
  }

  /** Reads the descriptor at the head. @returns false where nothing decodes */
  private readDescriptor(): boolean {
    const { memory, regs } = this.core;
    const base = (regs.read32(IQA.offset + 4) & 0xfffff) * 2 ** 32 + ((regs.read32(IQA.offset) & ~0xfff) >>> 0);
    this.descriptor.fill(0);
    return readEntry(memory, base + this.head(), this.descriptor, this.descriptorBytes() / 4);
  }

  private type(): number {
    return (this.descriptor[0] & 0xf) | (((this.descriptor[0] >>> 9) & 7) << 4);
  }

  /** Fetches the descriptor at the head (6.5.2): the head moves only past a valid one. @param choice see {@link fetchChoices} */
  private fetch(choice: number): void {
    const { core } = this;
    const { regs } = core;
    const wrong = this.wrongSetting();
    if (wrong !== null) return this.error(...wrong);
    if (!this.readDescriptor()) return this.error(IQEI.fetch, 'the descriptor could not be read');
    if (!this.isValid()) return;
    const held = this.isWaitHeld();
    if (held && this.pending.hasRoom && this.fetched.count === 0) {
      regs.force32(IQH.offset, nextInRing(this.head(), this.descriptorBytes(), this.queueBytes()));
      return this.pending.add(this.descriptor);
    }
    const sends = !isDeviceTlb(this.type()) || this.maySend();
    const atOnce = !held && sends && this.fetched.mayFollow(this.descriptor);
    regs.force32(IQH.offset, nextInRing(this.head(), this.descriptorBytes(), this.queueBytes()));
    if (choice > 0 || !atOnce) return this.fetched.add(this.descriptor);
    if (this.fetched.count > 0) core.fire('postponed');
    this.execute(this.type());
  }

  /** What forbids every descriptor: registers that do not fit the unit or each other (11.4.9.9). */
  private wrongSetting(): readonly [info: number, what: string] | null {
    const { has, regs, tableMode } = this.core;
    const { ADMS, SMTS } = has.ecap;
    const long = regs.get(IQA, IQA.DW) === 1;
    if (long && SMTS === 0 && ADMS === 0) return [IQEI.width, '256-bit descriptors need scalable or abort-DMA mode'];
    const known =
      tableMode === TABLE_MODE.legacy ||
      (tableMode === TABLE_MODE.scalable && SMTS === 1) ||
      (tableMode === TABLE_MODE.abort && ADMS === 1);
    if (!known) return [IQEI.tableMode, 'RTADDR names a table mode that the unit has not'];
    if (!long && tableMode !== TABLE_MODE.legacy) return [IQEI.width, '128-bit descriptors are for legacy mode'];
    const tail = regs.read32(IQT.offset);
    if (long && (tail & SHORT) !== 0) return [IQEI.tailAlignment, 'the tail is amid a descriptor'];
    return tail >= this.queueBytes() ? [IQEI.tail, 'the tail is beyond the queue'] : null;
  }

  /** Whether the descriptor that was read is valid (6.5.2.11); otherwise the queue stops at it. */
  private isValid(): boolean {
    const { descriptor } = this;
    const { cap, ecap } = this.core.has;
    const type = this.type();
    const raw = `${hex64(descriptor[2], descriptor[3])}:${hex64(descriptor[0], descriptor[1])}`;
    const known = this.invalidator.isLegacy() || this.core.scalable === null ? LEGACY.length : SCALABLE.length;
    const layout = SCALABLE.slice(0, known).find(({ TYPE }) => TYPE.fixed === type);
    const lacking =
      (layout === IEC_INV_DSC && ecap.IR === 0) ||
      (layout === PAGE_GRP_RESP_DSC && ecap.PRS === 0) ||
      (isDeviceTlb(type) && ecap.DT === 0);
    if (layout === undefined || lacking) this.error(IQEI.type, `no descriptor of type ${hex(type)} (${raw})`);
    else if (
      reservedSet(layout, descriptor) ||
      this.lacksFunction(type) ||
      descriptor.subarray(SHORT / 4).some((half) => half !== 0)
    )
      this.error(IQEI.reserved, `reserved bit set in ${raw}`);
    else if (!isGranularity(type, get(IOTLB_INV_DSC.G, descriptor)))
      this.error(IQEI.reserved, `reserved granularity in ${raw}`);
    else if (
      layout === IOTLB_INV_DSC &&
      get(IOTLB_INV_DSC.G, descriptor) === IOTLB_GRANULARITY.page &&
      (cap.PSI === 0 || get(IOTLB_INV_DSC.AM, descriptor) > cap.MAMV)
    )
      this.error(IQEI.reserved, `granularity or address mask not supported in ${raw}`);
    else if (
      layout === IEC_INV_DSC &&
      get(IEC_INV_DSC.G, descriptor) === 1 &&
      get(IEC_INV_DSC.IM, descriptor) > ecap.MHMV
    )
      this.error(IQEI.reserved, `index mask not supported in ${raw}`);
    else return true;
    return false;
  }

  /** A bit is set that is reserved in this unit: the physical function without ECAP.DIT (6.5.2.5), PD without ECAP.PDS (6.5.2.9). */
  private lacksFunction(type: number): boolean {
    if (type === WAIT_DSC.TYPE.fixed) return this.core.has.ecap.PDS === 0 && get(WAIT_DSC.PD, this.descriptor) === 1;
    if (!isDeviceTlb(type) || this.core.has.ecap.DIT === 1) return false;
    const { descriptor } = this;
    return get(DEVICE_TLB_INV_DSC.PFSID_LO, descriptor) !== 0 || get(DEVICE_TLB_INV_DSC.PFSID_HI, descriptor) !== 0;
  }

  /** Set by who answers devices; page group responses are valid with ECAP.PRS only. */
  onPageGroupResponse: (descriptor: Int32Array) => void = () => {};

  private execute(type: number): void {
    const { descriptor, invalidator } = this;
    if (type === CONTEXT_INV_DSC.TYPE.fixed) {
      const [did, sid] = [get(CONTEXT_INV_DSC.DID, descriptor), get(CONTEXT_INV_DSC.SID, descriptor)];
      invalidator.context(get(CONTEXT_INV_DSC.G, descriptor), did, sid, get(CONTEXT_INV_DSC.FM, descriptor));
    } else if (type === IOTLB_INV_DSC.TYPE.fixed) {
      invalidator.iotlb(descriptor[2], descriptor[3], {
        granularity: get(IOTLB_INV_DSC.G, descriptor),
        did: get(IOTLB_INV_DSC.DID, descriptor),
        am: get(IOTLB_INV_DSC.AM, descriptor),
        leafOnly: get(IOTLB_INV_DSC.IH, descriptor) === 1,
        drainReads: get(IOTLB_INV_DSC.DR, descriptor) === 1,
        drainWrites: get(IOTLB_INV_DSC.DW, descriptor) === 1,
      });
    } else if (type === IEC_INV_DSC.TYPE.fixed) {
      const [index, mask] = [get(IEC_INV_DSC.IIDX, descriptor), get(IEC_INV_DSC.IM, descriptor)];
      invalidator.interrupts(get(IEC_INV_DSC.G, descriptor) === 1, index, mask);
    } else if (type === PASID_CACHE_INV_DSC.TYPE.fixed) {
      const [did, pasid] = [get(PASID_CACHE_INV_DSC.DID, descriptor), get(PASID_CACHE_INV_DSC.PASID, descriptor)];
      invalidator.pasidCache(get(PASID_CACHE_INV_DSC.G, descriptor), did, pasid);
    } else if (type === PASID_IOTLB_INV_DSC.TYPE.fixed) {
      const [did, pasid] = [get(PASID_IOTLB_INV_DSC.DID, descriptor), get(PASID_IOTLB_INV_DSC.PASID, descriptor)];
      const am = get(PASID_IOTLB_INV_DSC.AM, descriptor);
      const ih = get(PASID_IOTLB_INV_DSC.IH, descriptor) === 1;
      invalidator.pasidIotlb(get(PASID_IOTLB_INV_DSC.G, descriptor), did, pasid, descriptor[2], descriptor[3], am, ih);
    } else if (isDeviceTlb(type)) this.core.deviceTlbs?.send(descriptor, type);
    else if (type === PAGE_GRP_RESP_DSC.TYPE.fixed) this.onPageGroupResponse(descriptor);
    else this.completeWait();
  }

  /** The status write, then the event, which pushes it (6.5.2.9, 6.5.2.10). */
  private completeWait(): void {
    const { core, descriptor } = this;
    const writes = get(WAIT_DSC.SW, descriptor) === 1;
    if (writes) this.writeStatus();
    core.noteOvertaken();
    if (core.telling) {
      core.say(`the wait completes${writes ? `: status ${hex(descriptor[1] >>> 0)} written` : ''}`);
    }
    // IWC that is set already is no new condition.
    if (get(WAIT_DSC.IF, descriptor) === 0 || core.regs.get(ICS, ICS.IWC) === 1) return;
    core.regs.put(ICS, ICS.IWC, 1);
    raiseEvent(core, INVALIDATION_EVENT);
  }

  private writeStatus(): void {
    const { descriptor } = this;
    const { memory, pfnHiMask } = this.core;
    store32(memory, descriptor[3] & pfnHiMask, descriptor[2], descriptor[1]);
  }
}

function isDeviceTlb(type: number): boolean {
  return type === DEVICE_TLB_INV_DSC.TYPE.fixed || type === PASID_DEVICE_TLB_INV_DSC.TYPE.fixed;
}

/** Whether a descriptor of a type knows the granularity; G is bits 5:4 in all that have more than two. */
function isGranularity(type: number, g: number): boolean {
  if (type === WAIT_DSC.TYPE.fixed || type === IEC_INV_DSC.TYPE.fixed || isDeviceTlb(type)) return true;
  if (type === PAGE_GRP_RESP_DSC.TYPE.fixed) return true;
  if (type === PASID_CACHE_INV_DSC.TYPE.fixed) return (Object.values(PASID_GRANULARITY) as number[]).includes(g);
  if (type === PASID_IOTLB_INV_DSC.TYPE.fixed) return (Object.values(PASID_IOTLB_GRANULARITY) as number[]).includes(g);
  return g !== 0;
}
