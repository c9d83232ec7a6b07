/** A machine with one CPU and one SMMUv3, and address spaces for its devices: page tables of 3 levels, with a CD or without. */
import type {
  AtcOwners,
  CommandQueue,
  SmmuDomainOptions,
  SmmuInvalidationOptions,
  StreamFeatures,
  TableFormat,
  TlbTag,
} from '../guest/index.ts';
import {
  ArmPageTable,
  LEVELS_39,
  SMMU_VERSIONS,
  SmmuDomain,
  SmmuInvalidation,
  STAGE_1,
  STAGE_2,
  stage1Cd,
  stage1Ste,
  stage2Ste,
} from '../guest/index.ts';
import { IDR3, SMMU_SLOT_WORDS } from '../iommu/smmuv3/index.ts';
import type { Cpu, Frame, MachineOptions, Pool, StoreOrder } from '../machine/index.ts';
import { Machine } from '../machine/index.ts';
import type { SmmuUnitSetup } from './smmu-unit.ts';
import { SmmuUnit } from './smmu-unit.ts';

/** StreamID 02:00.0 of the first device of a scene. */
export const STREAM = 0x0200;

export interface SmmuSceneOptions extends SmmuUnitSetup {
  readonly machine?: MachineOptions;
  /** In which order the driver's stores become visible; at once if absent. */
  readonly stores?: StoreOrder;
}

/** Byte addresses of the pages of an address space. */
export interface SmmuPages {
  /** Of the one CD; only stage 1 has it. */
  readonly cd: bigint;
  readonly l1: bigint;
  readonly l2: bigint;
  readonly l3s: readonly bigint[];
}

export const SPACE: SmmuPages = {
  cd: 0x8a0000000n,
  l1: 0x8a1000000n,
  l2: 0x8a1001000n,
  l3s: [0x8a1002000n, 0x8a1003000n],
};

/** Of a second address space. */
export const OTHER_SPACE: SmmuPages = {
  cd: 0x8b0000000n,
  l1: 0x8b1000000n,
  l2: 0x8b1001000n,
  l3s: [0x8b1002000n],
};

export interface SmmuSpaceOptions {
  /** Domain by which the machine knows it. */
  readonly did: number;
  /** Stage that translates, and what its translations are tagged by. */
  readonly tag: TlbTag;
  readonly pages?: SmmuPages;
  /** What its pages are called, if they are not the only ones. */
  readonly name?: string;
  /** Faults stall the transaction (CD.S). */
  readonly stalls?: boolean;
  readonly l2Entries?: readonly number[];
  readonly l3Entries?: readonly number[];
}

/** An address space of devices: page tables, of stage 1 a context descriptor as well. */
export interface SmmuSpace {
  readonly did: number;
  readonly tag: TlbTag;
  readonly format: TableFormat;
  readonly pages: SmmuPages;
  readonly owner: number;
  /** Tables of the last level; the first one is in use where pages are mapped from the start. */
  readonly frames: readonly Frame[];
  readonly pool: Pool;
  /** What the STE of a device in it says. */
  ste(has?: StreamFeatures): readonly bigint[];
}

/** What a case may change of a domain, and of what it invalidates. */
export type SmmuDomainSetup = Partial<Omit<SmmuDomainOptions, 'did'>> &
  Partial<Omit<SmmuInvalidationOptions, 'tag' | 'ranges' | 'atc'>> & {
    /** Devices of the domain that have translations of their own. */
    readonly atc?: AtcOwners;
  };

export class SmmuScene {
  readonly machine: Machine;
  readonly unit: SmmuUnit;
  readonly cpu: Cpu;
  /** The command queue as {@link cpu} uses it. */
  readonly queue: CommandQueue;

  constructor(options: SmmuSceneOptions) {
    this.machine = new Machine({ translatorWords: SMMU_SLOT_WORDS, ...options.machine });
    this.unit = new SmmuUnit(this.machine, options);
    this.cpu = this.machine.cpu('cpu0', options.stores);
    this.queue = this.unit.queue(this.cpu);
  }

  /** Declares an address space, with its tables linked down to level 2 for addresses from 0 on. */
  space(options: SmmuSpaceOptions): SmmuSpace {
    const { did, tag, pages = SPACE, name, stalls = false, l2Entries = [0], l3Entries = [0] } = options;
    const { machine } = this;
    const owner = machine.owner(`tables of ${name ?? `domain ${did}`}`, 'table', did);
    const of = name === undefined ? '' : ` of ${name}`;
    const format = tag.stage === 1 ? STAGE_1 : STAGE_2;
    machine.frame(`L1${of}`, pages.l1, owner, [0]);
    machine.frame(`L2${of}`, pages.l2, owner, l2Entries);
    machine.poke(pages.l1, pages.l2 | format.table);
    const frames = pages.l3s.map((l3, i) => machine.frame(`L3${i === 0 ? '' : ` (${i + 1})`}${of}`, l3, 0, l3Entries));
    if (tag.stage === 1) {
      machine.frame(`CD${of}`, pages.cd, machine.owner('the kernel', 'other'));
      const cd = stage1Cd({ asid: tag.asid, ttb0: pages.l1, stalls });
      for (const [i, word] of cd.entries()) machine.poke(pages.cd + BigInt(8 * i), word);
    }
    const ste = (has?: StreamFeatures) =>
      tag.stage === 1 ? stage1Ste({ cdTable: pages.cd }, has) : stage2Ste({ vmid: tag.vmid, s2ttb: pages.l1 }, has);
    return { did, tag, format, pages, owner, frames, pool: machine.pool(frames), ste };
  }

  /** Maps a page of 4 KiB before the story begins, below the space's first table of the last level. */
  premap(space: SmmuSpace, iova: bigint, phys: bigint): void {
    const { did, format, pages } = space;
    this.link(space, iova);
    this.machine.poke(pages.l3s[0] + 8n * ((iova >> 12n) & 511n), phys | format.leaf);
    this.grantFromStart(did, iova, phys, 1);
  }

  /** Puts the space's first table of the last level where pages around an address are looked for, before the story begins. */
  link({ format, frames, owner, pages }: SmmuSpace, iova: bigint): void {
    const { machine } = this;
    machine.frames.setOwner(frames[0].index, owner);
    machine.poke(pages.l2 + 8n * ((iova >> 21n) & 511n), pages.l3s[0] | format.table);
  }

  /** Maps a block of 2 MiB before the story begins, by the last call of the API. */
  premapBlock({ did, format, pages }: SmmuSpace, iova: bigint, phys: bigint): void {
    this.machine.poke(pages.l2 + 8n * ((iova >> 21n) & 511n), phys | (format.leaf ^ format.size));
    this.grantFromStart(did, iova, phys, 512);
  }

  /** What the last call before the story mapped. */
  grantFromStart(did: number, iova: bigint, phys: bigint, pages: number): void {
    const { grants } = this.machine;
    this.machine.onStart(() => {
      grants.begin(did, Number(iova >> 12n), pages);
      grants.granted(did, Number(iova >> 12n), pages, Number(phys >> 12n));
    });
  }

  table({ format, owner, pages, pool }: SmmuSpace, cpu: Cpu = this.cpu): ArmPageTable {
    return new ArmPageTable(cpu, pool, pages.l1, LEVELS_39, owner, !this.machine.memory.coherent, format);
  }

  /** What is invalidated when translations of a space go. */
  invalidation(space: SmmuSpace, setup: SmmuDomainSetup = {}, queue: CommandQueue = this.queue): SmmuInvalidation {
    const { regs } = this.unit.smmu;
    return new SmmuInvalidation(queue, { ...setup, tag: space.tag, ranges: regs.get(IDR3, IDR3.RIL) === 1 });
  }

  /** A space as a domain of the driver. */
  domain(space: SmmuSpace, setup: SmmuDomainSetup = {}): SmmuDomain {
    const defaults = { version: SMMU_VERSIONS.ideal, largestLeaf: 2 };
    const options = { ...defaults, ...setup, did: space.did };
    return new SmmuDomain(this.machine, this.table(space), this.invalidation(space, setup), options);
  }

  /** A page that is granted to DMA of a domain. @param words indices of its 64-bit words that the case looks at */
  buffer(did: number, name: string, addr: bigint, words: readonly number[] = []): Frame {
    const { machine } = this;
    return machine.frame(name, addr, machine.owner(`DMA buffer of domain ${did}`, 'buffer', did), words);
  }
}
