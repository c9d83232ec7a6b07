/** Invalidations as both interfaces do them (VT-d 6.5.1, 6.5.2): write buffers first, what is drained, what is told of it. */
import { hex } from '../../bits/index.ts';
import { sayDropped } from '../kit/dropped.ts';
import { PASID_GRANULARITY, PASID_IOTLB_GRANULARITY } from './commands.ts';
import type { VtdCore } from './core.ts';
import { TABLE_MODE } from './core.ts';
import { EVERY_INDEX } from './interrupt-remapping.ts';
import type { IotlbInvalidation } from './invalidation.ts';
import { invalidateContext, invalidateIotlb } from './invalidation.ts';
import { CONTEXT_GRANULARITY, IOTLB_GRANULARITY } from './registers.ts';
import { describeScalableCaches } from './scalable-cache-text.ts';
import {
  contextScope,
  invalidatePasidCache,
  invalidatePasidIotlb,
  invalidateScalableIotlb,
} from './scalable-invalidation.ts';
import { markForContext, markForIotlb, markForPasidIotlb, markForPasids } from './scalable-marks.ts';

export class Invalidator {
  private readonly core: VtdCore;
  /** The IOTLB invalidation that is being done: the explorer does many. */
  private readonly inv: IotlbInvalidation = {
    granularity: 0,
    did: 0,
    vpnHi: 0,
    vpnLo: 0,
    am: 0,
    leafOnly: false,
    drainReads: false,
    drainWrites: false,
  };

  constructor(core: VtdCore) {
    this.core = core;
  }

  /** Whether the table mode in force is the one in which this unit can invalidate. */
  isLegacy(): boolean {
    return this.core.tableMode === TABLE_MODE.legacy;
  }

  /** @param granularity see CONTEXT_GRANULARITY. @param functionMask CCMD.FM */
  context(granularity: number, did: number, sid: number, functionMask: number): void {
    const { core } = this;
    if (core.has.cap.RWBF === 1) core.flushWriteBuffers();
    const { scalable } = core;
    const before = scalable === null ? [] : this.held();
    if (scalable !== null && !this.isLegacy()) {
      const { ignore, requester } = contextScope(granularity, sid, functionMask);
      scalable.caches.dropContexts(requester, ignore);
      markForContext(core.dma, requester, ignore);
    } else invalidateContext(core.caches, core.dma, granularity, did & core.didMask, sid, functionMask);
    if (!core.telling) return;
    core.say(`context cache invalidated (${granularityName(CONTEXT_GRANULARITY, granularity)})`);
    if (scalable !== null) this.tellDropped(before);
  }

  /** @param lo, hi address of a page-selective one, as halves. @param asked everything else, as software asks for it */
  iotlb(lo: number, hi: number, asked: Omit<IotlbInvalidation, 'vpnHi' | 'vpnLo'>): void {
    const { core } = this;
    if (core.has.cap.RWBF === 1) core.flushWriteBuffers();
    const page = asked.granularity === IOTLB_GRANULARITY.page;
    // From major version 2 on hardware always drains and the capability bits read 1 (11.4.2, 6.5.2.3).
    const { inv } = this;
    inv.granularity = asked.granularity;
    inv.did = asked.did & core.didMask;
    // Address bits from MGAW on are ignored (11.4.6.4).
    inv.vpnHi = ((hi << 2) | (lo >>> 30)) & core.vpnHiMask;
    inv.vpnLo = (lo >>> 12) & 0x3ffff;
    inv.am = asked.am;
    inv.leafOnly = asked.leafOnly && page && core.profile.honoursInvalidationHint;
    inv.drainReads = core.drainsReads && (asked.drainReads || core.alwaysDrains);
    inv.drainWrites = core.drainsWrites && (asked.drainWrites || core.alwaysDrains);
    const before = this.held();
    const legacy = this.isLegacy();
    const kept = invalidateIotlb(core.caches, legacy ? core.dma : null, inv);
    if (core.scalable !== null && !legacy) {
      invalidateScalableIotlb(core.scalable, inv);
      markForIotlb(core.dma, inv);
    }
    if (kept > 0) core.fire('hint');
    if (!core.telling) return;
    const where = page
      ? `, ${hex((inv.vpnHi * 0x40000 + inv.vpnLo) * 4096)} AM ${asked.am}, IH=${asked.leafOnly ? 1 : 0}`
      : '';
    const drain = `DR=${asked.drainReads ? 1 : 0} DW=${asked.drainWrites ? 1 : 0}`;
    core.say(
      `IOTLB invalidated (${granularityName(IOTLB_GRANULARITY, asked.granularity)}, DID ${inv.did}${where}, ${drain})`,
    );
    this.tellDropped(before);
    if (!inv.leafOnly) return;
    const ofDomain = `cache: DID ${inv.did},`;
    for (const line of core.caches.describe()) if (line.includes(ofDomain)) core.say(`  keeps ${line}`);
  }

  /** What is cached, for {@link tellDropped}; nothing where nobody listens. */
  private held(): string[] {
    const { core } = this;
    if (!core.telling) return [];
    return [...core.caches.describe(), ...(core.scalable === null ? [] : describeScalableCaches(core.scalable.caches))];
  }

  private tellDropped(before: readonly string[]): void {
    sayDropped(before, this.held(), (text) => this.core.say(text));
  }

  /** Of scalable mode. @param granularity see {@link PASID_GRANULARITY} */
  pasidCache(granularity: number, did: number, pasid: number): void {
    const { core } = this;
    if (core.scalable === null) return;
    const before = this.held();
    invalidatePasidCache(core.scalable, granularity, did & core.didMask, pasid);
    markForPasids(core.dma, granularity, pasid);
    if (!core.telling) return;
    const whose = { domain: `, DID ${did}`, pasid: `, DID ${did}, PASID ${hex(pasid)}`, global: '' };
    const granule = granularityName(PASID_GRANULARITY, granularity);
    core.say(`PASID cache invalidated (${granule}${whose[granule as keyof typeof whose] ?? ''})`);
    this.tellDropped(before);
  }

  /** Of scalable mode. @param granularity see {@link PASID_IOTLB_GRANULARITY}. @param lo, hi address of a page-selective one, as halves */
  pasidIotlb(granularity: number, did: number, pasid: number, lo: number, hi: number, am: number, ih: boolean): void {
    const { core } = this;
    if (core.scalable === null) return;
    const inv = {
      granularity,
      did: did & core.didMask,
      pasid,
      vpnHi: (hi << 2) | (lo >>> 30),
      vpnLo: (lo >>> 12) & 0x3ffff,
      am,
      leafOnly: ih && core.profile.honoursInvalidationHint,
    };
    const before = this.held();
    if (invalidatePasidIotlb(core.scalable, inv) > 0) core.fire('hint');
    markForPasidIotlb(core.dma, inv, core.profile.drains);
    if (!core.telling) return;
    const page = granularity === PASID_IOTLB_GRANULARITY.page;
    const from = hex(BigInt.asUintN(64, BigInt(inv.vpnHi * 0x40000 + inv.vpnLo) << 12n));
    const where = page ? `, ${from} AM ${am}, IH=${ih ? 1 : 0}` : '';
    core.say(
      `PASID-based IOTLB invalidated (${granularityName(PASID_IOTLB_GRANULARITY, granularity)}, DID ${inv.did}, PASID ${hex(pasid)}${where})`,
    );
    this.tellDropped(before);
  }

  /** The interrupt entry cache (6.5.2.8). @param selective of the block of 2^mask indexes; else all of it */
  interrupts(selective: boolean, index: number, mask: number): void {
    const { core } = this;
    if (core.has.cap.RWBF === 1) core.flushWriteBuffers();
    core.interrupts?.invalidate(selective ? index : 0, selective ? mask : EVERY_INDEX);
    if (core.telling) {
      core.say(`interrupt entry cache invalidated (${selective ? `index ${hex(index)} IM ${mask}` : 'global'})`);
    }
  }
}

function granularityName(of: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(of).find((name) => of[name] === value) ?? `granularity ${value}`;
}
