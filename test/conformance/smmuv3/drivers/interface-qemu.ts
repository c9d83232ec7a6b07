/**
 * QEMU's SMMU as a programming interface. Faults are those of requests, whose tables are made here; what caches are asked is what QEMU's log says.
 */
import { encode } from '../../../../src/bits/index.ts';
import { OUTCOME } from '../../../../src/iommu/smmuv3/event-queue.ts';
import type { EventSource } from '../../../../src/iommu/smmuv3/event-record.ts';
import { CLASS, EVENT } from '../../../../src/iommu/smmuv3/event-record.ts';
import { CD, CR0, EVENTS, REQUEST, STE, STE_CONFIG } from '../../../../src/iommu/smmuv3/index.ts';
import type { TlbScope } from '../../../../src/iommu/smmuv3/tlb-scope.ts';
import { SCOPE_STAGE, tlbScope } from '../../../../src/iommu/smmuv3/tlb-scope.ts';
import type { EduMachine } from '../../drivers/edu-machine.ts';
import { needsModel } from '../../drivers/needs-model.ts';
import { MEMORY } from './driver.ts';
import type { InterfaceDriver } from './interface.ts';
import { STREAMS, STREAMS_LOG2 } from './interface.ts';
import { QemuDriver } from './qemu.ts';

const CONTEXTS = MEMORY + 0x5_0000n;
const FIRST_TABLE = MEMORY + 0x6_0000n;
/** Nothing decodes there. */
const NOWHERE = 0x10_0000_0000n;
/** Addresses beyond it are too large for CD.IPS = 0. */
const TOO_LARGE = 1n << 33n;
/** AF, nG, AP 1, of a page. */
const PAGE = 0xc43n;
const [AF, READ_ONLY] = [0x400n, 0x80n];

/** Descriptors of level 3 that lead to a fault of a write. */
const LEAVES: Readonly<Record<number, bigint>> = {
  [EVENT.F_TRANSLATION]: 0n,
  [EVENT.F_ADDR_SIZE]: TOO_LARGE | PAGE,
  [EVENT.F_ACCESS]: PAGE & ~AF,
  [EVENT.F_PERMISSION]: PAGE | READ_ONLY,
};

/** What QEMU says of an invalidation of translations, and what it is then. */
const SCOPES: readonly (readonly [RegExp, (vmid: number, asid: number) => Partial<TlbScope>])[] = [
  [/^smmu_iotlb_inv_all /, () => ({ stage: SCOPE_STAGE.both })],
  [/^smmu_iotlb_inv_vmid .*vmid=(?<vmid>-?\d+)/, (vmid) => ({ stage: SCOPE_STAGE.both, vmid })],
  [/^smmu_iotlb_inv_vmid_s1 .*vmid=(?<vmid>-?\d+)/, (vmid) => ({ stage: SCOPE_STAGE.one, vmid })],
  [
    /^smmu_iotlb_inv_asid_vmid .*asid=(?<asid>-?\d+) vmid=(?<vmid>-?\d+)/,
    (vmid, asid) => ({ stage: SCOPE_STAGE.one, vmid, asid }),
  ],
];
const RANGE =
  /^smmuv3_range_inval vmid=(-?\d+) asid=(-?\d+) addr=(\w+) tg=(\d+) num_pages=(\w+) ttl=(\d+) leaf=(\d) stage=(\d)/;
const GRANULES = [0, 12, 14, 16];
/** Whatever says that caches were asked for something. */
const ASKED = /^(smmuv3_cmdq_(cfgi|tlbi)|smmuv3_range_inval|smmu_iotlb_inv|smmu_config)/;

export class QemuInterface extends QemuDriver implements InterfaceDriver {
  /** What each stream's STE and CD were made for: they are cached. */
  private readonly streams = new Map<number, string>();
  private readonly tables = new Map<string, bigint>();
  private nextTable = FIRST_TABLE;
  private readonly told: TlbScope[] = [];
  private lines = 0;
  /** Of a command that is a range, which QEMU takes apart: the first part. */
  private range: TlbScope | null = null;

  get scopes(): readonly TlbScope[] {
    this.ready();
    return this.told;
  }

  get asked(): number {
    this.ready();
    return this.lines;
  }

  passes(sid: number): boolean {
    return 'address' in this.request({ sid, address: 0x5000n, kind: REQUEST.read });
  }

  fault(of: EventSource): number {
    const { event, sid, rnw } = of;
    const name = EVENTS[event].name;
    const isFaultOfStage1 = event in LEAVES || event === EVENT.F_WALK_EABT;
    if (of.ssid >= 0 || of.ind === 1 || of.pnu === 1) needsModel('request', 'with a SubstreamID, or of another kind');
    if (of.s === 1) needsModel('capability', 'stalls');
    if (isFaultOfStage1 && of.a === 0) needsModel('capability', 'SMMU_IDR0.TERM_MODEL 0');
    if (of.s2 === 1 || (isFaultOfStage1 && of.class !== (event === EVENT.F_WALK_EABT ? CLASS.TTD : CLASS.IN)))
      needsModel('request', `${name} of another class`);
    if ((this.read(CR0.offset, 4) & 1n) === 0n) needsModel('request', 'that fault while the SMMU is disabled');
    if (event === EVENT.C_BAD_STREAMID) {
      if (sid < 1 << STREAMS_LOG2) needsModel('request', `${name} of a stream that there is`);
    } else {
      if (sid >= 1 << STREAMS_LOG2) needsModel('request', `${name} of a stream that there is not`);
      this.configure(of, isFaultOfStage1, name);
    }
    const address = (BigInt(of.hi >>> 0) << 32n) | BigInt(of.lo >>> 0);
    if (isFaultOfStage1) this.lead(of, address);
    const answer = this.request({ sid, address, kind: rnw === 1 ? REQUEST.read : REQUEST.write });
    if ('address' in answer) throw new Error(`a request that was to be refused with ${name} went to ${answer.address}`);
    // TERM_MODEL: it is always aborted.
    return OUTCOME.abort;
  }

  private configure({ event, sid, r, mev }: EventSource, isFaultOfStage1: boolean, name: string): void {
    const made = isFaultOfStage1 ? `${r} ${mev}` : name;
    const before = this.streams.get(sid);
    if (before === made) return;
    if (before !== undefined) needsModel('request', 'of one stream that is configured otherwise each time');
    this.streams.set(sid, made);
    const context = CONTEXTS + 64n * BigInt(sid);
    const cd = { V: 1, AA64: 1, A: 1, R: r, T0SZ: 25, EPD1: 1, IPS: 0, ASID: sid, TTB0: this.table(`${sid}`) };
    const contextAt = event === EVENT.F_CD_FETCH ? NOWHERE : context;
    const ste = { V: 1, Config: STE_CONFIG.s1, S1ContextPtr: contextAt, MEV: mev };
    if (event === EVENT.C_BAD_STE) ste.V = 0;
    else if (event === EVENT.C_BAD_CD) cd.V = 0;
    else if (!isFaultOfStage1 && event !== EVENT.F_CD_FETCH) needsModel('request', `that fault with ${name}`);
    this.put(STREAMS + 64n * BigInt(sid), encode(STE, ste));
    this.put(context, encode(CD, cd));
  }

  /** Tables that lead to the fault. */
  private lead({ event, sid }: EventSource, address: bigint): void {
    let table = this.table(`${sid}`);
    for (let level = 1; level < 3; level++) {
      const at = table + ((address >> BigInt(12 + 9 * (3 - level))) & 511n) * 8n;
      table = event === EVENT.F_WALK_EABT ? NOWHERE & 0xffff_ffffn : this.table(`${sid} ${level} ${at}`);
      this.poke(at, table | 3n);
    }
    this.poke(table + ((address >> 12n) & 511n) * 8n, LEAVES[event]);
  }

  private table(name: string): bigint {
    const known = this.tables.get(name);
    if (known !== undefined) return known;
    const at = this.nextTable;
    this.nextTable += 0x1000n;
    this.tables.set(name, at);
    return at;
  }

  private put(address: bigint, words: readonly bigint[]): void {
    words.forEach((word, i) => this.poke(address + BigInt(8 * i), word));
  }

  protected override choose(): EduMachine {
    this.told.length = 0;
    this.lines = 0;
    return super.choose();
  }

  protected override listen(lines: string[]): string[] {
    for (const line of lines) {
      if (ASKED.test(line)) this.lines++;
      if (line.startsWith('smmuv3_cmdq_opcode ')) this.range = null;
      for (const [pattern, scope] of SCOPES) {
        const found = pattern.exec(line);
        if (found === null) continue;
        const { vmid = -1, asid = -1 } = found.groups ?? {};
        this.told.push({ ...tlbScope(), ...scope(Number(vmid), Number(asid)) });
      }
      const [, ...parts] = RANGE.exec(line) ?? [];
      if (parts.length > 0) this.tellRange(parts);
    }
    return super.listen(lines);
  }

  private tellRange([vmid, asid, address, tg, count, ttl, leaf, stage]: readonly string[]): void {
    if (this.range !== null) {
      this.range.count += Number(count);
      return;
    }
    const at = BigInt(address);
    this.range = {
      ...{ ...tlbScope(), vmid: Number(vmid), asid: Number(asid), stage: Number(stage), whole: false },
      ...{ hi: Number(BigInt.asIntN(32, at >> 32n)), lo: Number(BigInt.asIntN(32, at)) },
      ...{ granule: GRANULES[Number(tg)], count: Number(count), leafOnly: leaf === '1', ttl: Number(ttl) },
    };
    this.told.push(this.range);
  }
}
