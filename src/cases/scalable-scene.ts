import { encode, encode64 } from '../bits/index.ts';
import type { Drain, Invalidator, Mutation, PasidTableOptions, PasidTranslation, TableFormat } from '../guest/index.ts';
import {
  type InvalidationQueue,
  LARGE,
  PageTable,
  PasidInvalidation,
  PasidTable,
  pasidEntry,
  SECOND_STAGE,
  VERSIONS,
  VtdDomain,
} from '../guest/index.ts';
import {
  CAP,
  ECAP,
  GCMD,
  IQA,
  PASID_DIRECTORY_ENTRY,
  PQA,
  RTADDR,
  SCALABLE_SLOT_WORDS,
  SM_CONTEXT_ENTRY,
  SM_ROOT_ENTRY,
  TABLE_MODE,
} from '../iommu/vtd/index.ts';
import type { Cpu, Frame, Pool } from '../machine/index.ts';
import type { UnitOptions } from './unit-scene.ts';
import { ADDRESS, SID, UnitScene } from './unit-scene.ts';

/** PASID under which requests without one are translated, as Linux has it (`IOMMU_NO_PASID`). */
export const RID_PASID = 0;

/** Where page requests are written. */
export const PAGE_REQUEST_QUEUE = 0x103a08000n;

export interface ScalableOptions extends UnitOptions {
  /** What IOTLB invalidations ask to drain; everything, if absent. */
  readonly drain?: Drain;
  /** Devices may have translations of their own; of one page, if the machine says nothing else. */
  readonly ats?: boolean;
  /** They may wait for pages as well: so many page requests can be under way. */
  readonly pageRequests?: number;
}

/** PASIDs of a function: a directory and the one page that it leads to. */
export interface Directory {
  readonly directory: bigint;
  readonly table: bigint;
}

/** Byte addresses of the pages of a table of 4 levels. */
export interface Pages {
  readonly pml4: bigint;
  readonly pdpt: bigint;
  readonly pd: bigint;
  readonly pts: readonly bigint[];
}

export const DIRECTORY: Directory = { directory: 0x103a04000n, table: 0x103a05000n };
/** Of a second function, domain or setting beside the first. */
export const OTHER_DIRECTORY: Directory = { directory: 0x103a06000n, table: 0x103a07000n };
export const OTHER_PAGES: Pages = {
  pml4: 0x1a31e4f000n,
  pdpt: 0x19dc5c1000n,
  pd: 0x1a1dacb000n,
  pts: [0x1a31a72000n],
};

export interface SpaceOptions {
  /** Domain id under which hardware walks its tables. */
  readonly did: number;
  readonly pages?: Pages;
  readonly format?: TableFormat;
  /** What of its pages is told of, if it is not the only one. */
  readonly name?: string;
  /** With nesting: what lies between the addresses that its entries hold and where its pages are; 0 if absent. */
  readonly moved?: bigint;
  /** Address whose tables are there; 0 if absent. */
  readonly at?: bigint;
  readonly pdEntries?: readonly number[];
  readonly ptEntries?: readonly number[];
}

/** An address space: page tables of one stage. */
export interface Space {
  readonly did: number;
  /** As entries hold it. */
  readonly top: bigint;
  readonly pd: bigint;
  /** As entries hold it. */
  readonly pt: bigint;
  readonly moved: bigint;
  readonly format: TableFormat;
  readonly owner: number;
  /** Page-table pages; the first one is in use where something is mapped from the start. */
  readonly frames: readonly Frame[];
  readonly pool: Pool;
}

/** One VT-d unit in scalable mode, translation on, with a queue of 256-bit descriptors. Tables are declared by the case. */
export class ScalableScene extends UnitScene {
  readonly queue: InvalidationQueue;
  readonly invalidation: PasidInvalidation;
  /** What context entries say of ATS and page requests. */
  private readonly device: { readonly DTE: number; readonly PRE: number };

  constructor(options: ScalableOptions) {
    const { pageRequests = 0 } = options;
    const waits = pageRequests > 0;
    const device = options.ats === true || waits;
    const all = {
      SMTS: 1,
      FSTS: 1,
      SSTS: 1,
      NEST: 1,
      PASID: 1,
      PSS: 19,
      SMPWCS: 1,
      SSADS: 1,
      ...(device ? { DT: 1 } : {}),
      ...(waits ? { PRS: 1, PDS: 1 } : {}),
    };
    super(
      {
        ...options,
        unit: { ...(device ? { itags: 1 } : {}), ...options.unit, ecap: { ...all, ...options.unit?.ecap } },
        machine: {
          translatorWords: SCALABLE_SLOT_WORDS,
          ...(device ? { atcEntries: 1 } : {}),
          ...(waits ? { pageRequests } : {}),
          ...options.machine,
        },
      },
      256,
    );
    this.queue = this.queueOn(options.drain ?? { reads: true, writes: true }, 256);
    this.invalidation = new PasidInvalidation(this.queue);
    this.device = { DTE: device ? 1 : 0, PRE: waits ? 1 : 0 };
    if (waits) this.pageRequestQueue(pageRequests);
    this.boot();
  }

  /** Another CPU and the queue as it uses it, with a status word of its own. */
  secondCpu(): { cpu: Cpu; queue: InvalidationQueue } {
    return this.another(this.queue);
  }

  /** Room for as many page requests as there can be, several times. */
  private pageRequestQueue(requests: number): void {
    const words = Array.from({ length: 8 * requests }, (_, i) => [4 * i, 4 * i + 1]).flat();
    this.machine.frame('page request queue', PAGE_REQUEST_QUEUE, this.kernel, words);
    this.write(PQA.offset, 8, encode64(PQA, { PQA: PAGE_REQUEST_QUEUE }));
  }

  /** The queue before scalable mode: descriptors of 128 bits are errors in it (6.5.2). */
  private boot(): void {
    this.words(ADDRESS.root + BigInt((SID >> 8) * 16), encode(SM_ROOT_ENTRY, { LP: 1, LCTP: ADDRESS.context }));
    this.write(IQA.offset, 8, encode64(IQA, { DW: 1, IQA: ADDRESS.queue }));
    this.write(GCMD.offset, 4, encode64(GCMD, { QIE: 1 }));
    this.write(RTADDR.offset, 8, encode64(RTADDR, { TTM: TABLE_MODE.scalable, RTA: ADDRESS.root }));
    this.write(GCMD.offset, 4, encode64(GCMD, { QIE: 1, SRTP: 1 }));
    this.write(GCMD.offset, 4, encode64(GCMD, { QIE: 1, TE: 1 }));
  }

  /** Declares a directory and its page of entries, whose words exist for the given PASIDs. */
  directory(name: string, { directory, table }: Directory, pasids: readonly number[] = [RID_PASID]): void {
    const { machine, kernel } = this;
    machine.frame(`PASID directory${name}`, directory, kernel, [0]);
    const words = pasids.flatMap((pasid) => Array.from({ length: 8 }, (_, i) => pasid * 8 + i));
    machine.frame(`PASID table${name}`, table, kernel, words);
    machine.poke(directory, encode64(PASID_DIRECTORY_ENTRY, { P: 1, SMPTBLPTR: table }));
  }

  /** The words of a context entry that leads to a directory. */
  contextEntry({ directory }: Directory): bigint[] {
    return encode(SM_CONTEXT_ENTRY, { P: 1, PASIDE: 1, ...this.device, PASIDDIRPTR: directory, RID_PASID });
  }

  /** Byte address of the context entry of function 02:00.0. */
  get contextAt(): bigint {
    return ADDRESS.context + BigInt((SID & 0x7f) * 32);
  }

  /** Puts function 02:00.0 under a directory before the story begins. */
  attach(directory: Directory): void {
    this.words(this.contextAt, this.contextEntry(directory));
    this.machine.configures(SID, this.contextAt, 4);
  }

  /** Fills a PASID-table entry before the story begins. */
  enter({ table }: Directory, pasid: number, of: PasidTranslation): void {
    this.words(table + BigInt(64 * pasid), pasidEntry(of));
  }

  /** The driver of a page of PASID-table entries. */
  pasidTable(options: PasidTableOptions): PasidTable {
    return new PasidTable(this.cpu, this.queue, this.invalidation, options);
  }

  /** Declares page tables, linked down to the page directory of an address. */
  space(options: SpaceOptions): Space {
    const { did, pages = ADDRESS, format = SECOND_STAGE, name, at = 0n, moved = 0n } = options;
    const { pdEntries = [0], ptEntries = [0] } = options;
    const { machine } = this;
    const [pml4, pdpt, pd] = [pages.pml4 + moved, pages.pdpt + moved, pages.pd + moved];
    const owner = machine.owner(`tables of ${name ?? `domain ${did}`}`, 'table', did);
    const of = name === undefined ? '' : ` of ${name}`;
    const [i4, i3] = [39n, 30n].map((shift) => Number((at >> shift) & 511n));
    machine.frame(`PML4${of}`, pml4, owner, [i4]);
    machine.frame(`PDPT${of}`, pdpt, owner, [i3]);
    machine.frame(`PD${of}`, pd, owner, pdEntries);
    machine.poke(pml4 + BigInt(8 * i4), pages.pdpt | format.table);
    machine.poke(pdpt + BigInt(8 * i3), pages.pd | format.table);
    const frames = pages.pts.map((pt, i) => machine.frame(`PT${i === 0 ? '' : i + 1}${of}`, pt + moved, 0, ptEntries));
    const pool = machine.pool(frames);
    return { did, top: pages.pml4, pd, pt: pages.pts[0], moved, format, owner, frames, pool };
  }

  /** Maps a page of 4 KiB before the story begins, below the space's first page table. */
  premap({ format, frames, moved, owner, pd, pt }: Space, iova: bigint, phys: bigint): void {
    const { machine } = this;
    machine.frames.setOwner(frames[0].index, owner);
    machine.poke(pd + 8n * ((iova >> 21n) & 511n), pt | format.table);
    machine.poke(pt + moved + 8n * ((iova >> 12n) & 511n), phys | format.leaf);
  }

  /** Maps a page of 2 MiB before the story begins. */
  premapLarge({ format, pd }: Space, iova: bigint, phys: bigint): void {
    this.machine.poke(pd + 8n * ((iova >> 21n) & 511n), phys | format.leaf | LARGE);
  }

  table({ format, owner, pool, top }: Space, cpu: Cpu = this.cpu): PageTable {
    return new PageTable(cpu, pool, top, 4, owner, this.unit.regs.get(ECAP, ECAP.C) === 0, format);
  }

  /** A space as a domain of the driver. */
  domain(space: Space, invalidator: Invalidator = this.queue, mutation?: Mutation): VtdDomain {
    const { machine, unit } = this;
    const maxAddressMask = unit.regs.get(CAP, CAP.MAMV);
    const options = { did: space.did, version: VERSIONS.ideal, via: 'queue', largestLeaf: 2, maxAddressMask } as const;
    return new VtdDomain(machine, this.table(space), space.pool, invalidator, options, mutation);
  }

  /** A page that is granted to DMA of a domain. @param words indices of its 64-bit words that the case looks at */
  buffer(did: number, name: string, addr: bigint, words: readonly number[] = []): Frame {
    const { machine } = this;
    return machine.frame(name, addr, machine.owner(`DMA buffer of domain ${did}`, 'buffer', did), words);
  }
}
