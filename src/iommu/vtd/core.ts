import { hex } from '../../bits/index.ts';
import { bdf, MARK } from '../../machine/index.ts';
import type { UnitParts } from '../kit/unit-core.ts';
import { offsetsOf, UnitCore } from '../kit/unit-core.ts';
import type { CacheSizes } from './caches.ts';
import { faultOf, levelTag, TAG, VtdCaches } from './caches.ts';
import type { Capabilities, CapabilityOptions } from './capabilities.ts';
import { capabilitiesOf } from './capabilities.ts';
import type { DeviceTlbSink } from './device-tlb.ts';
import { DeviceTlbs } from './device-tlb.ts';
import type { MessageSink } from './events.ts';
import type { Recording } from './fault-records.ts';
import { recordFault } from './fault-records.ts';
import { FAULT_TEXT, isQualified } from './faults.ts';
import { InterruptRemapping } from './interrupt-remapping.ts';
import type { PageGroupResponseSink } from './page-requests.ts';
import type { VtdProfile } from './profiles.ts';
import { PROFILES } from './profiles.ts';
import {
  CAP,
  ECAP,
  FECTL,
  FIXED_REGISTERS,
  IECTL,
  IRTA,
  IRTA_XAPIC,
  PAGE_REQUEST_REGISTERS,
  PECTL,
  PROTECTED_REGISTERS,
  QUEUE_REGISTERS,
  VER,
} from './registers.ts';
import { PAGE_REQUEST, REQUEST, suffices } from './request.ts';
import type { RuleName } from './rules.ts';
import { RULES } from './rules.ts';
import { Scalable } from './scalable.ts';
import { ENTRY_NAME } from './structures.ts';
import { Walk, Walker } from './walk.ts';

export interface VtdOptions extends CapabilityOptions {
  readonly profile?: VtdProfile;
  readonly caches?: Partial<CacheSizes>;
  /**
   * How many descriptors the unit may have fetched and not yet executed, and thereby execute out of order (6.5.2.12); 0 if absent. Used
   * where requests are taken in steps only.
   */
  readonly fetchAhead?: number;
  /** Whether the unit may cache a larger page as one of 4 KiB (6.5.3.2); false if absent. Used where requests are taken in steps only. */
  readonly fractures?: boolean;
  /** Device-TLB invalidations that can be under way at once (ECAP.DT); 2 if absent. Where requests are taken in steps only. */
  readonly itags?: number;
  /** Whether a device may fail to complete one of them; false if absent. Where requests are taken in steps only. */
  readonly deviceTlbTimesOut?: boolean;
}

/** What the unit is built into: page walks read `tables`; in `memory` the queue is read and status is written. */
export interface VtdParts extends UnitParts {
  /** Takes the unit's own interrupt messages (7.3, 6.5.2.10). */
  readonly message?: MessageSink;
  /**
   * Told that interrupt indexes, so many from `first` on, may mean something else from now on (6.5.2.8; SIRTP and IRE tell so of all). Who has
   * routed interrupts by what they meant before asks again.
   */
  readonly interruptEntriesChanged?: (first: number, count: number) => void;
  /**
   * With ECAP.DT, where everything is done at once: takes device-TLB invalidation requests, before the next descriptor is looked at. If absent,
   * no device has translations, and all are completed.
   */
  readonly invalidateDeviceTlb?: DeviceTlbSink;
  /** With ECAP.PRS: takes page group responses, of software and of the unit (7.4.1, 7.6.1). */
  readonly pageGroupResponse?: PageGroupResponseSink;
  /** Makes software's stores to tables visible to walks; asked for by units with CAP.RWBF (6.8). */
  readonly flushWriteBuffers?: () => void;
}

/** Words of a unit's state that are in no register. */
const INTERNAL_WORDS = [
  'rootHi',
  'rootLo',
  'context',
  'iotlb',
  'tableMode',
  'mode',
  'commands',
  'protects',
  'faultIndex',
  'remaps',
  'irtaHi',
  'irtaLo',
] as const;

/**
 * Offsets in {@link VtdCore.internal}: root pointer and table mode in force (latched by SRTP), what is under way, the next fault record.
 */
export const INTERNAL = offsetsOf(INTERNAL_WORDS);

/**
 * What becomes of requests: they pass; they are remapped, in legacy or in scalable mode; they are refused, as RTADDR.TTM names a mode that the
 * unit has not, or abort-DMA mode.
 */
export const MODE = { off: 0, legacy: 1, invalid: 2, scalable: 3, abort: 4 } as const;

/** RTADDR.TTM (11.4.5). */
export const TABLE_MODE = { legacy: 0, scalable: 1, reserved: 2, abort: 3 } as const;

/** What all parts of a unit share: registers, caches, the walker, and how to tell of what happens. */
export class VtdCore extends UnitCore<RuleName> {
  readonly profile: VtdProfile;
  /** What CAP, ECAP and VER say, and where registers are that lie where an implementation likes. */
  readonly has: Capabilities;
  readonly caches: VtdCaches;
  readonly walker: Walker;
  /** Null in a unit without ECAP.SMTS. */
  readonly scalable: Scalable | null;
  /** Null in a unit without ECAP.IR. */
  readonly interrupts: InterruptRemapping | null;
  /** Null in a unit without ECAP.DT. */
  readonly deviceTlbs: DeviceTlbs | null;
  /** The walk at hand; loaded and saved around each step of a transaction. */
  readonly walk = new Walk();
  private readonly deviceTlbTimesOut: boolean;
  /** Hardware drains whatever the request says. */
  readonly alwaysDrains: boolean;
  /** Descriptors that may be fetched and not executed. */
  readonly fetchAhead: number;
  /** Larger pages may be cached in parts. */
  readonly fractures: boolean;
  /** Requests that are in flight can be drained. */
  readonly drainsReads: boolean;
  readonly drainsWrites: boolean;
  readonly message: MessageSink | undefined;
  private readonly writeBuffers: (() => void) | undefined;
  /** Domain-id bits that CAP.ND gives; the others of a command are ignored (11.4.6.1, 6.5.2.1). */
  readonly didMask: number;
  /** Bits of the upper part of an input page number below CAP.MGAW; those above are ignored in a command (11.4.6.4). */
  readonly vpnHiMask: number;
  /** Bits of the upper part of a page frame number below the host address width. */
  readonly pfnHiMask: number;

  constructor(parts: VtdParts, options: VtdOptions) {
    const has = capabilitiesOf(options);
    const { registerBytes } = has;
    super(parts, RULES, { prefix: 'vtd', registerBytes, registers: registersOf(has), internal: INTERNAL_WORDS });
    this.profile = options.profile ?? PROFILES[0];
    this.message = parts.message;
    this.fractures = parts.dma !== undefined && options.fractures === true;
    this.fetchAhead = parts.dma === undefined ? 0 : (options.fetchAhead ?? 0);
    this.writeBuffers = parts.flushWriteBuffers;
    this.has = has;
    this.preset(VER.offset, has.halves.ver);
    this.preset(CAP.offset, has.halves.cap);
    this.preset(ECAP.offset, has.halves.ecap);
    this.regs.put(FECTL, FECTL.IM, 1);
    if (has.ecap.QI === 1) this.regs.put(IECTL, IECTL.IM, 1);
    if (has.ecap.PRS === 1) this.regs.put(PECTL, PECTL.IM, 1);
    const sizes = { context: 4, iotlbSets: 1, iotlbWays: 8, pagingStructure: 4, ...options.caches };
    if (!this.profile.pagingStructureCaches) sizes.pagingStructure = 0;
    this.caches = new VtdCaches(parts.arena, sizes, parts.dma === undefined);
    this.walker = new Walker(parts.tables, {
      sagaw: has.cap.SAGAW,
      mgaw: has.cap.MGAW + 1,
      haw: has.haw,
      sslps: has.cap.SSLPS,
      didBits: has.didBits,
      snoopControl: has.ecap.SC === 1,
      passThrough: has.ecap.PT === 1,
      deviceTlb: has.ecap.DT === 1,
    });
    this.scalable = has.ecap.SMTS === 1 ? new Scalable(this, sizes, parts.dma === undefined) : null;
    this.interrupts =
      has.ecap.IR === 1
        ? new InterruptRemapping(this, sizes, parts.dma === undefined, parts.interruptEntriesChanged)
        : null;
    this.deviceTlbs =
      has.ecap.DT === 1
        ? new DeviceTlbs(this, parts.invalidateDeviceTlb, options.itags ?? 2, options.deviceTlbTimesOut === true)
        : null;
    this.deviceTlbTimesOut = options.deviceTlbTimesOut === true;
    this.alwaysDrains = has.ver.MAX >= 2;
    this.drainsReads = this.profile.drains && has.cap.DRD === 1;
    this.drainsWrites = this.profile.drains && has.cap.DWD === 1;
    this.didMask = (1 << has.didBits) - 1;
    this.vpnHiMask = 2 ** (has.cap.MGAW + 1 - 30) - 1;
    this.pfnHiMask = 2 ** (has.haw - 32) - 1;
    const paging = sizes.pagingStructure > 0;
    this.declareRules((name, { id }) => this.mayFire(name, id, paging));
  }

  private preset(offset: number, halves: Int32Array): void {
    halves.forEach((half, i) => this.regs.force32(offset + 4 * i, half));
  }

  private mayFire(name: RuleName, id: string, paging: boolean): boolean {
    return (
      (paging || !id.startsWith('paging')) &&
      (this.scalable !== null || !id.startsWith('pasid')) &&
      (this.has.cap.CM === 1 || name !== 'faultUsed') &&
      (this.fetchAhead > 0 || name !== 'postponed') &&
      (this.fractures || name !== 'fractured') &&
      ((this.deviceTlbs !== null && this.deviceTlbTimesOut) || name !== 'timedOut') &&
      ((this.has.ecap.IR === 1 && this.profile.interruptEntryCache) || !id.startsWith('interrupt')) &&
      name !== 'denied'
    );
  }

  override fire(name: RuleName): void {
    // Most software grants reads and writes together.
    if (name === 'denied') this.declareLate(name);
    super.fire(name);
  }

  /** A unit has all requesters behind it. */
  isMine(): boolean {
    return true;
  }

  /** See {@link MODE}. */
  get mode(): number {
    return this.getInternal(INTERNAL.mode);
  }

  /** RTADDR.TTM in force. */
  get tableMode(): number {
    return this.getInternal(INTERNAL.tableMode);
  }

  /** Whether interrupts are remapped (GCMD.IRE). */
  get remapsInterrupts(): boolean {
    return this.getInternal(INTERNAL.remaps) !== 0;
  }

  /** Whether protected memory is to be looked at (PMEN.EPM). */
  get protects(): boolean {
    return this.getInternal(INTERNAL.protects) !== 0;
  }

  /** Whether an invalidation, or a command, has to wait for a request in flight. */
  isHeld(): boolean {
    const held = this.dma?.anyMarked(MARK.holdWalk | MARK.holdDrain) === true;
    if (held) this.fire('held');
    return held;
  }

  /** On request, and before every invalidation of a unit with CAP.RWBF (6.8). */
  flushWriteBuffers(): void {
    this.writeBuffers?.();
    if (this.telling) this.say('the write buffers are flushed');
  }

  usePaging(level: number, entry: number): boolean {
    const { caches, walk } = this;
    if (faultOf(caches.tag(entry)) !== 0) return false;
    const perms = caches.pagingPerms(entry);
    if (!suffices(perms, walk.access)) return false;
    this.fire('pagingUsed');
    walk.perms = perms;
    walk.level = level - 1;
    walk.pfnHi = caches.pagingTableHi(entry);
    walk.pfnLo = caches.pagingTableLo(entry);
    if (this.telling) {
      this.say(`${ENTRY_NAME[level]} cache hit: the walk goes on at table ${hex(this.frame(walk.pfnHi, walk.pfnLo))}`);
    }
    return true;
  }

  fillPaging(level: number): void {
    const { walk } = this;
    this.caches.fillPaging(level, walk.did, walk.perms, walk.vpnHi, walk.vpnLo, walk.pfnHi, walk.pfnLo);
  }

  /** @param pfnLo lower 20 bits of the frame; with level 1 a larger page may be filled in as one of its pages */
  fillTranslation(level: number, pfnLo = this.walk.pfnLo): void {
    const { walk } = this;
    const fpd = (walk.fpd ? 1 : 0) << TAG.fpd;
    const tag = levelTag(level) | (walk.perms << TAG.perms) | fpd | (walk.did << TAG.did);
    this.caches.fillTranslation(walk.sid, tag, walk.vpnHi, walk.vpnLo, walk.pfnHi, pfnLo);
  }

  /** Lower 20 bits of the page frame, for a leaf at a level. */
  pageOf(level: number): number {
    return this.walk.pfnLo | (this.walk.vpnLo & ((1 << (9 * (level - 1))) - 1));
  }

  frame(pfnHi: number, pfnLo: number): number {
    return (pfnHi * 0x100000 + pfnLo) * 4096;
  }

  report(walk: Walk): void {
    const quiet = walk.fpd && isQualified(walk.fault);
    const recording = quiet ? null : recordFault(this, walk);
    if (!this.telling) return;
    const how = recording === null ? 'not recorded: FPD' : RECORDING_TEXT[recording];
    // Canonical addresses of the upper half are sign-extended.
    const iova = hex(BigInt.asUintN(64, BigInt(walk.vpnHi * 0x40000 + walk.vpnLo) << 12n));
    this.say(
      `[DMA ${typeOf(walk.access)}] ${bdf(walk.sid)}${walk.pasid < 0 ? '' : ` PASID ${hex(walk.pasid)}`} fault addr ${iova} [fault reason 0x${walk.fault.toString(16).padStart(2, '0')}] ${FAULT_TEXT[walk.fault]} (${how})`,
    );
  }
}

function typeOf(access: number): string {
  if (access === REQUEST.write) return 'Write';
  if (access === PAGE_REQUEST) return 'Page';
  return access === REQUEST.atomic ? 'Atomic' : 'Read';
}

const RECORDING_TEXT: Readonly<Record<Recording, string>> = {
  recorded: 'recorded in FRCD',
  overflow: 'not recorded: the record is in use',
  collapsed: 'not recorded: a fault of this requester is pending',
};

/** The registers that a unit with these capabilities has; the others are reserved. */
function registersOf(has: Capabilities): object[] {
  const { enable, low, high } = PROTECTED_REGISTERS;
  return [
    ...FIXED_REGISTERS,
    ...(has.ecap.QI === 1 ? QUEUE_REGISTERS : []),
    ...(has.ecap.PRS === 1 ? PAGE_REQUEST_REGISTERS : []),
    ...(has.ecap.IR === 1 ? [has.ecap.EIM === 1 ? IRTA : IRTA_XAPIC] : []),
    ...(has.cap.PLMR === 1 || has.cap.PHMR === 1 ? [enable] : []),
    ...(has.cap.PLMR === 1 ? low : []),
    ...(has.cap.PHMR === 1 ? high : []),
    has.IVA,
    has.IOTLB,
    ...has.records.flatMap(({ LO, HI }) => [LO, HI]),
  ];
}
