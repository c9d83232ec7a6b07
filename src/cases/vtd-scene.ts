import { encode, encode64 } from '../bits/index.ts';
import type { Drain, DriverVersion, InvalidationQueue, Invalidator, Mutation, NewMapping } from '../guest/index.ts';
import { LARGE, LEAF, PageTable, RegisterInvalidation, VERSIONS, VtdDomain } from '../guest/index.ts';
import { CAP, CONTEXT_ENTRY, ECAP, GCMD, IQA, ROOT_ENTRY, RTADDR } from '../iommu/vtd/index.ts';
import type { Cpu, Device, Frame, Pool } from '../machine/index.ts';
import type { UnitOptions } from './unit-scene.ts';
import { ADDRESS, SID, UnitScene } from './unit-scene.ts';

export { ADDRESS, SID } from './unit-scene.ts';

export interface SceneOptions extends UnitOptions {
  /** Driver version; `ideal` if absent. */
  readonly version?: DriverVersion;
  /** Which interface carries invalidations; the queue if absent. */
  readonly via?: 'queue' | 'register';
  /** What invalidations ask to drain. As in Linux if absent: everything by the queue, writes only by registers. */
  readonly drain?: Drain;
  readonly mutation?: Mutation;
  /** Entries of the page directory and of each page table that exist; a case names few. */
  readonly pdEntries?: readonly number[];
  readonly ptEntries?: readonly number[];
  /** Record faults of the device. */
  readonly recordFaults?: boolean;
}

/** Domain id of the one domain of a scene. */
export const DID = 1;

/**
 * One VT-d unit with translation on, one 4-level domain for function 02:00.0 whose PML4E and PDPE for the first GiB are there
 * (as in the loop of the report, whose upper tables persist), and a driver for it.
 */
export class VtdScene extends UnitScene {
  readonly domain: VtdDomain;
  /** Carries {@link cpu}'s invalidations; null where registers do. */
  readonly queue: InvalidationQueue | null;
  /** Free page-table pages. */
  readonly tables: Pool;
  private readonly tableFrames: readonly Frame[];
  private readonly tableOwner: number;
  private readonly options: SceneOptions;

  constructor(options: SceneOptions) {
    super(options);
    this.options = options;
    const { machine } = this;
    const { pdEntries = [0, 1], ptEntries = [0, 1, 2, 3], via = 'queue' } = options;
    this.tableOwner = machine.owner(`tables of domain ${DID}`, 'table', DID);
    machine.frame('PML4', ADDRESS.pml4, this.tableOwner, [0]);
    machine.frame('PDPT', ADDRESS.pdpt, this.tableOwner, [0]);
    machine.frame('PD', ADDRESS.pd, this.tableOwner, pdEntries);
    this.tableFrames = ADDRESS.pts.map((addr, i) => machine.frame(i === 0 ? 'PT' : `PT${i + 1}`, addr, 0, ptEntries));
    this.tables = machine.pool(this.tableFrames);
    machine.poke(ADDRESS.pml4, ADDRESS.pdpt | 3n);
    machine.poke(ADDRESS.pdpt, ADDRESS.pd | 3n);
    this.boot();

    const drain = options.drain ?? { reads: via === 'queue', writes: true };
    this.queue = via === 'queue' ? this.queueOn(drain, 128) : null;
    if (this.queue !== null) this.enableQueue();
    this.domain = this.domainOn(this.cpu, this.queue ?? new RegisterInvalidation(this.cpu, this.unit, drain));
  }

  /** The domain as another CPU handles it. @param newMapping what it does for a mapping that was not there before */
  domainOn(cpu: Cpu, invalidator: Invalidator, newMapping?: NewMapping): VtdDomain {
    const { machine, unit, options } = this;
    const { version = VERSIONS.ideal, via = 'queue', mutation } = options;
    // domain_flush_cache(), where walks do not snoop; the buffers of CAP.RWBF are none of its business.
    const writesBack = unit.regs.get(ECAP, ECAP.C) === 0 && mutation?.noCacheFlush !== true;
    const maxAddressMask = unit.regs.get(CAP, CAP.MAMV);
    const domain = { did: DID, version, via, largestLeaf: 3, maxAddressMask };
    return new VtdDomain(
      machine,
      new PageTable(cpu, this.tables, ADDRESS.pml4, 4, this.tableOwner, writesBack),
      this.tables,
      invalidator,
      newMapping === undefined ? domain : { ...domain, newMapping },
      mutation,
    );
  }

  /** Another CPU and the queue as it uses it, with a status word of its own. */
  secondCpu(): { cpu: Cpu; queue: InvalidationQueue } {
    if (this.queue === null) throw new RangeError('a second CPU needs the queue; leave via out');
    return this.another(this.queue);
  }

  /** What firmware and the driver's start do: tables, RTADDR, SRTP, TE. */
  private boot(): void {
    const { unit } = this;
    this.words(ADDRESS.root + BigInt((SID >> 8) * 16), encode(ROOT_ENTRY, { P: 1, CTP: ADDRESS.context }));
    this.attach(SID);
    this.write(RTADDR.offset, 8, ADDRESS.root);
    this.write(GCMD.offset, 4, encode64(GCMD, { SRTP: 1 }));
    this.write(GCMD.offset, 4, encode64(GCMD, { TE: 1 }));
    unit.caches.context.dropAll();
  }

  /** Puts a function of the bus into the domain. */
  private attach(sid: number): void {
    const at = ADDRESS.context + BigInt((sid & 0xff) * 16);
    const context = { P: 1, FPD: this.options.recordFaults === true ? 0 : 1, SSPTPTR: ADDRESS.pml4, AW: 2, DID };
    this.words(at, encode(CONTEXT_ENTRY, context));
    this.machine.configures(sid, at, 2);
  }

  private enableQueue(): void {
    this.write(IQA.offset, 8, encode64(IQA, { IQA: ADDRESS.queue }));
    this.write(GCMD.offset, 4, encode64(GCMD, { TE: 1, QIE: 1 }));
  }

  /** The device that the domain is for. @param aims byte addresses that its DMA goes to */
  device(name: string, aims: readonly bigint[]): Device {
    return this.machine.device(name, SID, DID, aims);
  }

  /**
   * So many devices of the domain, 02:00.0, 02:00.1 and so on, called `name` and a number: for `machine.twins`.
   * @param aims byte addresses that the DMA of each goes to
   */
  devices(name: string, count: number, aims: readonly bigint[]): Device[] {
    return Array.from({ length: count }, (_, i) => {
      if (i > 0) this.attach(SID + i);
      return this.machine.device(`${name}${i}`, SID + i, DID, aims);
    });
  }

  /** A page that is granted to DMA of the domain. @param words indices of its 64-bit words that the case looks at */
  buffer(name: string, addr: bigint, words: readonly number[] = []): Frame {
    return this.machine.frame(name, addr, this.machine.owner(`DMA buffer of domain ${DID}`, 'buffer', DID), words);
  }

  /** Pages that were mapped before the story begins: 4 KiB leaves below PDE `iova >> 21`. */
  premap(iova: bigint, phys: bigint, pages: number): void {
    const { machine } = this;
    const directory = ADDRESS.pd + 8n * ((iova >> 21n) & 511n);
    let table = this.tableOf(directory);
    if (table === 0n) {
      const frame = this.tableFrames.find((f) => machine.frames.ownerOf(f.index) === 0) as Frame;
      machine.frames.setOwner(frame.index, this.tableOwner);
      table = BigInt(frame.pfn) << 12n;
      machine.poke(directory, table | 3n);
    }
    for (let i = 0n; i < BigInt(pages); i++) {
      machine.poke(table + 8n * (((iova >> 12n) + i) & 511n), (phys + i * 4096n) | LEAF);
    }
    machine.onStart(() => machine.grants.granted(DID, Number(iova >> 12n), pages, Number(phys >> 12n)));
  }

  /** A 2 MiB page that was mapped before the story begins, by the last call. */
  premapLarge(iova: bigint, phys: bigint): void {
    const { machine } = this;
    machine.poke(ADDRESS.pd + 8n * ((iova >> 21n) & 511n), phys | LEAF | LARGE);
    const [first, frame] = [Number(iova >> 12n), Number(phys >> 12n)];
    machine.onStart(() => {
      machine.grants.begin(DID, first, 512);
      machine.grants.granted(DID, first, 512, frame);
    });
  }

  private tableOf(directory: bigint): bigint {
    const { memory } = this.machine;
    const at = memory.locate(Number(directory >> 12n), Number(directory & 0xfffn) >> 3);
    return (BigInt(memory.hi(at) >>> 0) << 32n) | BigInt((memory.lo(at) & 0xfffff000) >>> 0);
  }
}
