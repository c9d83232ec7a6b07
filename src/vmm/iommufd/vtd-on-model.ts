/** A VT-d unit that is a model with registers and memory, in scalable mode: root, context and PASID tables, and the invalidation queue. */
import { encode64, encodeHalves, get, high, join, low } from '../../bits/index.ts';
import { Settling } from '../../iommu/kit/settle.ts';
import { CAP, ECAP } from '../../iommu/vtd/capability-registers.ts';
import {
  CONTEXT_INV_DSC,
  IOTLB_INV_DSC,
  PASID_CACHE_INV_DSC,
  PASID_GRANULARITY,
  PASID_IOTLB_GRANULARITY,
  PASID_IOTLB_INV_DSC,
} from '../../iommu/vtd/commands.ts';
import { CONTEXT_GRANULARITY, GCMD, IOTLB_GRANULARITY, IQA, IQH, IQT, RTADDR } from '../../iommu/vtd/registers.ts';
import {
  PASID_DIRECTORY_ENTRY,
  PASID_TABLE_ENTRY,
  PGTT,
  SM_CONTEXT_ENTRY,
  SM_ROOT_ENTRY,
} from '../../iommu/vtd/scalable-structures.ts';
import type { Agent, MmioBlock } from '../../machine/index.ts';
import type { HostMemory } from './host-memory.ts';
import type { Unmapped } from './smmu-hardware.ts';
import { PAGE_SIZE } from './user-memory.ts';
import type { VtdFeatures, VtdHardware, VtdTranslation } from './vtd-hardware.ts';
import { VtdTable } from './vtd-table.ts';

/** A unit with its registers. */
export interface VtdUnit extends Pick<MmioBlock, 'read' | 'write'> {
  /** What steps by itself. */
  readonly agents: readonly Agent[];
}

/** Requests without PASID are translated as those of this one (RID_PASID). */
const NO_PASID = 0;

/** Words of 64 bits in an entry. */
const WORDS = { root: 2, context: 4, pasid: 8, descriptor: 4 } as const;
const CONTEXTS_IN_TABLE = 128;
const DESCRIPTORS = 4096 / (8 * WORDS.descriptor);

/** Address widths in PASID-table entries: 48 bits. */
const AW_48 = 2;

const frameAddress = (frame: number): bigint => BigInt(frame) * PAGE_SIZE;

export class VtdOnModel implements VtdHardware {
  readonly name: string;
  readonly features: VtdFeatures;
  readonly cap: bigint;
  readonly ecap: bigint;
  readonly didBits: number;
  private readonly unit: VtdUnit;
  private readonly settling: Settling;
  private readonly host: HostMemory;
  private readonly rootFrame: number;
  private readonly queueFrame: number;
  /** By half a bus: the table of its contexts. */
  private readonly contexts = new Map<number, number>();
  /** By requester id: the table with its PASID-table entry. */
  private readonly pasidTables = new Map<number, number>();

  constructor(name: string, unit: VtdUnit, host: HostMemory) {
    this.name = name;
    this.unit = unit;
    this.settling = new Settling(unit.agents);
    this.host = host;
    const [cap, ecap] = [CAP, ECAP].map(({ offset }) => this.load64(offset));
    this.cap = join(cap[0], cap[1]);
    this.ecap = join(ecap[0], ecap[1]);
    const has = (field: typeof ECAP.NEST) => get(field, ecap) === 1;
    this.features = {
      ...{ firstStage: has(ECAP.FSTS), secondStage: has(ECAP.SSTS), nested: has(ECAP.NEST), supervisor: has(ECAP.SRS) },
      ...{
        extendedAccessed: has(ECAP.EAFS),
        fiveLevels: get(CAP.FS5LP, cap) === 1,
        snoops: has(ECAP.SC),
        walksSnoop: has(ECAP.SMPWCS),
        dirty: has(ECAP.SSADS),
      },
    };
    this.didBits = 4 + 2 * get(CAP.ND, cap);
    this.rootFrame = host.take();
    this.queueFrame = host.take();
    this.store64(RTADDR.offset, encode64(RTADDR, { TTM: 1, RTA: frameAddress(this.rootFrame) }));
    this.command({ SRTP: 1 });
    this.store64(IQA.offset, encode64(IQA, { DW: 1, IQA: frameAddress(this.queueFrame) }));
    this.command({ QIE: 1 });
    this.command({ QIE: 1, TE: 1 });
  }

  table(stage: 1 | 2): VtdTable {
    return new VtdTable(this.host, stage);
  }

  /** Not present in between: requests are refused there. */
  install(rid: number, translation: VtdTranslation, before: number | null): void {
    const frame = this.pasidTableOf(rid);
    this.host.set(frame, NO_PASID * WORDS.pasid, 0, 0);
    if (before !== null) this.forget(before);
    if (translation.kind === 'blocked') return;
    const halves = encodeHalves(PASID_TABLE_ENTRY, {
      P: 1,
      PWSNP: this.features.walksSnoop ? 1 : 0,
      ...this.entryOf(translation),
    });
    this.host.setAll(frame, NO_PASID * WORDS.pasid + 1, halves.subarray(2));
    this.host.setAll(frame, NO_PASID * WORDS.pasid, halves.subarray(0, 2));
  }

  private entryOf(of: Exclude<VtdTranslation, { kind: 'blocked' }>) {
    const { did: DID } = of;
    const snooped = this.features.snoops ? { PGSNP: 1 } : {};
    if (of.kind === 'nested') {
      const { eafe, levels, sre, table, wpe } = of.guest;
      return {
        ...{ PGTT: PGTT.nested, DID, AW: AW_48, SSPTPTR: of.parent.base, FSPTPTR: table, FSPM: levels - 4 },
        ...{ SRE: sre ? 1 : 0, EAFE: eafe ? 1 : 0, WPE: wpe ? 1 : 0 },
      };
    }
    const { base, stage } = of.table;
    if (stage === 1) return { PGTT: PGTT.firstStage, DID, FSPTPTR: base, ...snooped };
    return { PGTT: PGTT.secondStage, DID, AW: AW_48, SSPTPTR: base, SSADE: of.tracksDirty ? 1 : 0, ...snooped };
  }

  /** What is cached of a device's entry, and of all that its domain id tagged for it (6.5.3.3). */
  private forget(did: number): void {
    this.issue(encodeHalves(PASID_CACHE_INV_DSC, { G: PASID_GRANULARITY.pasid, DID: did, PASID: NO_PASID }));
    this.issue(encodeHalves(PASID_IOTLB_INV_DSC, { G: PASID_IOTLB_GRANULARITY.pasid, DID: did, PASID: NO_PASID }));
    this.flushSecondStage(did, null);
  }

  flushSecondStage(did: number, range: Unmapped | null): void {
    const drains = { DID: did, DW: 1, DR: 1 };
    if (range === null) return this.issue(encodeHalves(IOTLB_INV_DSC, { G: IOTLB_GRANULARITY.domain, ...drains }));
    for (const { AM, ADDR } of masked(range.iova, range.iova + range.length - 1n))
      this.issue(encodeHalves(IOTLB_INV_DSC, { G: IOTLB_GRANULARITY.page, ...drains, IH: 1, AM, ADDR }));
  }

  flushFirstStage(did: number, from: bigint, last: bigint, leafOnly: boolean): void {
    const scope = { DID: did, PASID: NO_PASID };
    const isAll = from === 0n && last >= (1n << 56n) - 1n;
    if (isAll) return this.issue(encodeHalves(PASID_IOTLB_INV_DSC, { G: PASID_IOTLB_GRANULARITY.pasid, ...scope }));
    for (const { AM, ADDR } of masked(from, last)) {
      const where = { AM, ADDR, IH: leafOnly ? 1 : 0 };
      this.issue(encodeHalves(PASID_IOTLB_INV_DSC, { G: PASID_IOTLB_GRANULARITY.page, ...scope, ...where }));
    }
  }

  private pasidTableOf(rid: number): number {
    const known = this.pasidTables.get(rid);
    if (known !== undefined) return known;
    const { host } = this;
    const [directory, table] = [host.take(), host.take()];
    this.pasidTables.set(rid, table);
    const entry = encodeHalves(PASID_DIRECTORY_ENTRY, { P: 1, SMPTBLPTR: frameAddress(table) });
    host.setAll(directory, 0, entry);
    const context = { P: 1, PASIDDIRPTR: frameAddress(directory), RID_PASID: NO_PASID };
    const at = (rid % CONTEXTS_IN_TABLE) * WORDS.context;
    host.setAll(this.contextTableOf(Math.floor(rid / CONTEXTS_IN_TABLE)), at, encodeHalves(SM_CONTEXT_ENTRY, context));
    this.issue(encodeHalves(CONTEXT_INV_DSC, { G: CONTEXT_GRANULARITY.device, SID: rid }));
    return table;
  }

  private contextTableOf(half: number): number {
    const known = this.contexts.get(half);
    if (known !== undefined) return known;
    const frame = this.host.take();
    this.contexts.set(half, frame);
    const pointer = encodeHalves(SM_ROOT_ENTRY, { LP: 1, LCTP: frameAddress(frame) }).subarray(0, 2);
    this.host.setAll(this.rootFrame, half, pointer);
    return frame;
  }

  /** One descriptor, done when this returns. */
  private issue(halves: Int32Array): void {
    const tail = this.load64(IQT.offset);
    const entry = get(IQT.QT, tail) >> 1;
    this.host.setAll(this.queueFrame, entry * WORDS.descriptor, [...halves, 0, 0, 0, 0].slice(0, 8));
    this.store64(IQT.offset, encode64(IQT, { QT: ((entry + 1) % DESCRIPTORS) << 1 }));
    const [reached, put] = [IQH.offset, IQT.offset].map((offset) => this.load64(offset)[0]);
    if (reached !== put) throw new Error(`${this.name}: a descriptor of the kernel's was not taken`);
  }

  private command(fields: Parameters<typeof encodeHalves<typeof GCMD.fields>>[1]): void {
    this.unit.write(GCMD.offset, 4, encodeHalves(GCMD, fields)[0], 0);
    this.settling.run();
  }

  private load64(offset: number): readonly number[] {
    const { hi, lo } = this.unit.read(offset, 8);
    return [lo, hi];
  }

  private store64(offset: number, value: bigint): void {
    this.unit.write(offset, 8, low(value), high(value));
    this.settling.run();
  }
}

/** A range as blocks of 2^AM pages, each on a multiple of its size. */
function masked(from: bigint, last: bigint): { readonly AM: number; readonly ADDR: bigint }[] {
  const out: { AM: number; ADDR: bigint }[] = [];
  const end = last / PAGE_SIZE + 1n;
  for (let page = from / PAGE_SIZE; page < end; ) {
    let AM = 0;
    while (AM < MOST_MASKED && page % (2n << BigInt(AM)) === 0n && page + (2n << BigInt(AM)) <= end) AM++;
    out.push({ AM, ADDR: page * PAGE_SIZE });
    page += 1n << BigInt(AM);
  }
  return out;
}

/** CAP.MAMV of every unit in reach: 1 GiB at once. */
const MOST_MASKED = 18;
