import type { Values } from '../../bits/index.ts';
import { encodeHalves, hex } from '../../bits/index.ts';
import type { Arena, Dma, EventLog, Memory, Region, Rules } from '../../machine/index.ts';
import { ACCESS, bdf } from '../../machine/index.ts';
import { RegisterFile } from '../kit/register-file.ts';
import type { CacheSizes } from './caches.ts';
import { TAG, VtdCaches } from './caches.ts';
import { FAULT_TEXT, isQualified, recordFault } from './faults.ts';
import type { VtdProfile } from './profiles.ts';
import { PROFILES } from './profiles.ts';
import { CAP, ECAP, FRCD_BASE, GSTS, IOTLB_BASE, REGISTER_BYTES, REGISTERS, VER } from './registers.ts';
import type { RuleName } from './rules.ts';
import { RULES } from './rules.ts';
import { ENTRY_NAME } from './structures.ts';
import { Walk, Walker } from './walk.ts';

export interface VtdOptions {
  readonly profile?: VtdProfile;
  readonly ver?: Partial<Values<typeof VER.fields>>;
  readonly cap?: Partial<Values<typeof CAP.fields>>;
  readonly ecap?: Partial<Values<typeof ECAP.fields>>;
  /** Host address width, 32 to 52 bits; 48 if absent. */
  readonly haw?: number;
  readonly caches?: Partial<CacheSizes>;
}

/** What the unit is built into. `dma` is absent in plain emulation, where every request is translated at once. */
export interface VtdParts {
  readonly arena: Arena;
  /** What page walks read. */
  readonly tables: Memory;
  /** Where the queue is read and status is written. */
  readonly memory: Memory;
  readonly dma?: Dma;
  readonly log?: EventLog;
  readonly rules?: Rules;
}

const DEFAULT_CAP = {
  ND: 6,
  SAGAW: 0b00110,
  MGAW: 47,
  FRO: FRCD_BASE / 16,
  SSLPS: 3,
  PSI: 1,
  MAMV: 18,
  DWD: 1,
  DRD: 1,
} as const;
const DEFAULT_ECAP = { C: 1, QI: 1, PT: 1, SC: 1, IRO: IOTLB_BASE / 16, MHMV: 15 } as const;

/** What all parts of a unit share: registers, caches, the walker, and how to tell of what happens. */
export class VtdCore {
  readonly profile: VtdProfile;
  readonly regs: RegisterFile;
  readonly caches: VtdCaches;
  readonly arena: Arena;
  readonly memory: Memory;
  readonly dma: Dma | null;
  readonly walker: Walker;
  /** The walk at hand; loaded and saved around each step of a transaction. */
  readonly walk = new Walk();
  /** Root pointer in force (latched by SRTP) and register-based invalidations under way. */
  readonly internal: Region;
  /** Hardware drains whatever the request says. */
  readonly alwaysDrains: boolean;
  /** Domain-id bits that CAP.ND gives; the others of a command are ignored (11.4.6.1, 6.5.2.1). */
  readonly didMask: number;
  /** Bits of the upper part of an input page number below CAP.MGAW; those above are ignored in a command (11.4.6.4). */
  readonly vpnHiMask: number;
  /** Bits of the upper part of a page frame number below the host address width. */
  readonly pfnHiMask: number;
  private readonly log: EventLog | null;
  private readonly rules: Rules | null;
  private readonly rule: Readonly<Record<RuleName, number>>;

  constructor(parts: VtdParts, options: VtdOptions) {
    this.arena = parts.arena;
    this.memory = parts.memory;
    this.dma = parts.dma ?? null;
    this.log = parts.log ?? null;
    this.rules = parts.rules ?? null;
    this.profile = options.profile ?? PROFILES[0];
    this.regs = new RegisterFile(parts.arena, 'vtd.regs', REGISTER_BYTES, REGISTERS);
    this.internal = parts.arena.region('vtd.internal', ['rootHi', 'rootLo', 'context', 'iotlb']);
    const cap = { ...DEFAULT_CAP, ...options.cap };
    const ecap = { ...DEFAULT_ECAP, ...options.ecap };
    const ver = { MAX: 1, MIN: 0, ...options.ver };
    this.preset(VER.offset, encodeHalves(VER, ver));
    this.preset(CAP.offset, encodeHalves(CAP, cap));
    this.preset(ECAP.offset, encodeHalves(ECAP, ecap));
    const sizes = { context: 4, iotlbSets: 1, iotlbWays: 8, pagingStructure: 4, ...options.caches };
    if (!this.profile.pagingStructureCaches) sizes.pagingStructure = 0;
    this.caches = new VtdCaches(parts.arena, sizes, parts.dma === undefined);
    this.walker = new Walker(parts.tables, {
      sagaw: cap.SAGAW,
      mgaw: cap.MGAW + 1,
      haw: options.haw ?? 48,
      sslps: cap.SSLPS,
      didBits: 4 + 2 * cap.ND,
      snoopControl: ecap.SC === 1,
      passThrough: ecap.PT === 1,
      deviceTlb: false,
    });
    this.alwaysDrains = ver.MAX >= 2;
    this.didMask = (1 << (4 + 2 * cap.ND)) - 1;
    this.vpnHiMask = 2 ** (cap.MGAW + 1 - 30) - 1;
    this.pfnHiMask = 2 ** ((options.haw ?? 48) - 32) - 1;
    this.rule = this.declareRules(sizes.pagingStructure > 0);
  }

  private preset(offset: number, halves: Int32Array): void {
    halves.forEach((half, i) => this.regs.force32(offset + 4 * i, half));
  }

  private declareRules(paging: boolean): Record<RuleName, number> {
    const index = {} as Record<RuleName, number>;
    for (const [key, rule] of Object.entries(RULES) as [keyof typeof RULES, (typeof RULES)[keyof typeof RULES]][]) {
      const usable = paging || !rule.id.startsWith('paging');
      index[key] = usable && this.rules !== null ? this.rules.declare(rule) : -1;
    }
    return index;
  }

  fire(rule: RuleName): void {
    if (this.rules !== null && this.rule[rule] >= 0) this.rules.fire(this.rule[rule]);
  }

  say(text: string): void {
    this.log?.say('iommu', text);
  }

  get telling(): boolean {
    return this.log?.on === true;
  }

  isBypassed(vpnHi: number, vpnLo: number): boolean {
    // FEEx_xxxx is the interrupt range (3.15): never translated.
    return this.regs.get(GSTS, GSTS.TES) === 0 || (vpnHi === 3 && vpnLo >>> 8 === 0x3ee);
  }

  usePaging(level: number, entry: number): boolean {
    const { caches, walk } = this;
    const perms = caches.pagingPerms(entry);
    if ((perms & walk.access) === 0) return false;
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

  fillTranslation(level: number): void {
    const { walk } = this;
    const fpd = (walk.fpd ? 1 : 0) << TAG.fpd;
    const tag = TAG.valid | (level << TAG.level) | (walk.perms << TAG.perms) | fpd | (walk.did << TAG.did);
    this.caches.fillTranslation(walk.sid, tag, walk.vpnHi, walk.vpnLo, walk.pfnHi, walk.pfnLo);
  }

  /** Lower 20 bits of the page frame, for a leaf at a level. */
  pageOf(level: number): number {
    return this.walk.pfnLo | (this.walk.vpnLo & ((1 << (9 * (level - 1))) - 1));
  }

  frame(pfnHi: number, pfnLo: number): number {
    return (pfnHi * 0x100000 + pfnLo) * 4096;
  }

  report(walk: Walk): void {
    const read = walk.access === ACCESS.read;
    const quiet = walk.fpd && isQualified(walk.fault);
    const recorded = !quiet && recordFault(this.regs, walk.fault, walk.sid, walk.vpnHi, walk.vpnLo, read);
    if (!this.telling) return;
    const how = quiet ? 'not recorded: FPD' : recorded ? 'recorded in FRCD' : 'not recorded: the record is in use';
    const iova = hex((walk.vpnHi * 0x40000 + walk.vpnLo) * 4096);
    this.say(
      `[DMA ${read ? 'Read' : 'Write'}] ${bdf(walk.sid)} fault addr ${iova} [fault reason 0x${walk.fault.toString(16).padStart(2, '0')}] ${FAULT_TEXT[walk.fault]} (${how})`,
    );
  }
}
