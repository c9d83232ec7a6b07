/** Helpers of the VT-d conformance tests for scalable mode: tables written by hand, positions of bits written again on purpose. */
import type { Need } from './drivers/driver.ts';
import type { Answer, BenchOptions } from './unit.ts';
import { Bench, ON_QEMU, QUEUE, READ, REG, ROOT, SRTP, TE } from './unit.ts';

export const FIRST = 1;
export const SECOND = 2;
export const NESTED = 3;
export const PASS = 4;

/** Everything that scalable mode can have here. */
export const ALL = {
  SMTS: 1,
  FSTS: 1,
  SSTS: 1,
  NEST: 1,
  PASID: 1,
  PSS: 19,
  SRS: 1,
  RPS: 1,
  RPRIVS: 1,
  SMPWCS: 1,
  EAFS: 1,
  SSADS: 1,
} as const;

/**
 * The PASID whose entry tests of translation use, that of their requests (−1: none), and RID_PASID of another. No device of QEMU sends a PASID,
 * and its unit has no RID_PASID: there requests without one are those of PASID 0.
 */
export const USED = ON_QEMU ? { entry: 0, request: -1, rid: 0 } : { entry: 3, request: 3, rid: 9 };

/** A PASID-table entry in parts. */
export interface Entry {
  readonly pgtt?: number;
  readonly did?: number;
  readonly first?: bigint;
  readonly second?: bigint;
  readonly aw?: number;
  readonly fspm?: number;
  readonly sre?: number;
  readonly wpe?: number;
  readonly eafe?: number;
  readonly ssade?: number;
  /** PWSNP; 1 if absent. */
  readonly snoop?: number;
  readonly fpd?: number;
  readonly present?: number;
}

export interface Context {
  readonly pdts?: number;
  readonly ridPasid?: number;
  readonly ridPriv?: number;
  readonly paside?: number;
  readonly fpd?: number;
}

export interface Kind {
  readonly access?: number;
  readonly pasid?: number;
  readonly prefix?: number;
}

/** Where the tables are; page tables are made from 0x30000 on. */
export const LOWER = 0x4000n;
export const DIRECTORY = 0x5000n;
export const PASID_TABLE = 0x6000n;

/** Words of a PASID-table entry. */
export function pasidEntry(of: Entry): bigint[] {
  const { pgtt = SECOND, did = 1, first = 0n, second = 0n, aw = 2, fspm = 0, present = 1, snoop = 1 } = of;
  const { sre = 0, wpe = 0, eafe = 0, ssade = 0, fpd = 0 } = of;
  const b = BigInt;
  return [
    second | b(present) | (b(fpd) << 1n) | (b(aw) << 2n) | (b(pgtt) << 6n) | (b(ssade) << 9n),
    b(did) | (b(snoop) << 23n),
    first | b(sre) | (b(fspm) << 2n) | (b(wpe) << 4n) | (b(eafe) << 7n),
    0n,
    0n,
    0n,
    0n,
    0n,
  ];
}

/** Fields of ECAP without which an entry has no meaning, or another. */
function needsOf({ pgtt = SECOND, sre = 0, eafe = 0, ssade = 0 }: Entry): Need[] {
  const stage = { [FIRST]: 'FSTS', [SECOND]: 'SSTS', [NESTED]: 'NEST', [PASS]: 'PT' }[pgtt] as Need | undefined;
  const flags: readonly (readonly [number, Need])[] = [
    [sre, 'SRS'],
    [eafe, 'EAFS'],
    [ssade, 'SSADS'],
  ];
  return [...(stage === undefined ? [] : [stage]), ...flags.filter(([set]) => set !== 0).map(([, field]) => field)];
}

export class ScalableBench extends Bench {
  /** @param options ECAP is {@link ALL}, changed by what is given */
  constructor(options: BenchOptions = {}) {
    super(
      { ...options, ecap: { ...ALL, ...options.ecap }, cap: { FS1GP: 1, ...options.cap } },
      { ...options, ecap: { SMTS: 1, ...options.ecap } },
    );
  }

  /** Root pointer, scalable mode and translation on; a queue of 256-bit descriptors. */
  startScalable(root = ROOT): this {
    this.write64(REG.RTADDR, root | (1n << 10n));
    this.write32(REG.GCMD, SRTP);
    this.write32(REG.GCMD, TE);
    this.write64(REG.IQT, 0n);
    this.write64(REG.IQA, QUEUE | (1n << 11n));
    this.write32(REG.GCMD, TE | (1 << 26));
    return this;
  }

  pokeAll(at: bigint, words: readonly bigint[]): void {
    words.forEach((word, i) => void this.poke(at + BigInt(8 * i), word));
  }

  /** Address of the context entry of a function of bus 0, device 0 – 15. */
  contextAt(sid: number): bigint {
    return LOWER + BigInt((sid & 0x7f) * 32);
  }

  entryAtPasid(pasid: number): bigint {
    return PASID_TABLE + BigInt((pasid & 63) * 64);
  }

  /** Root entry of bus 0, context entry, and the directory entry of PASIDs 0 – 63. */
  setDevice(sid: number, { pdts = 0, ridPasid = 0, ridPriv = 0, paside = 1, fpd = 0 }: Context = {}): void {
    if (ridPasid !== 0) this.driver.needs('RPS');
    if (ridPriv !== 0) this.driver.needs('RPRIVS');
    if (paside !== 0) this.driver.needs('PASID');
    this.pokeAll(ROOT, [LOWER | 1n, 0n]);
    const lo = DIRECTORY | 1n | (BigInt(fpd) << 1n) | (BigInt(paside) << 3n) | (BigInt(pdts) << 9n);
    this.pokeAll(this.contextAt(sid), [lo, BigInt(ridPasid) | (BigInt(ridPriv) << 20n), 0n, 0n]);
    this.poke(DIRECTORY, PASID_TABLE | 1n);
  }

  setPasid(pasid: number, entry: Entry): void {
    for (const field of needsOf(entry)) this.driver.needs(field);
    this.pokeAll(this.entryAtPasid(pasid), pasidEntry(entry));
  }

  /**
   * Maps through a table of `levels`; tables above are made where there are none. @param bits of entries that reference a table
   * @returns address of the entry
   */
  put(top: bigint, levels: number, address: bigint, entry: bigint, level = 1, bits = 7n): bigint {
    let table = top;
    for (let l = levels; ; l--) {
      const at = table + ((address >> BigInt(12 + 9 * (l - 1))) & 511n) * 8n;
      if (l === level) {
        this.poke(at, entry);
        return at;
      }
      if ((this.peek(at) & 3n) === 0n) this.poke(at, this.newTable() | bits);
      table = this.peek(at) & 0xffffffffff000n;
    }
  }

  /** Maps guest addresses to themselves, in the second stage, as far as this bench has memory. */
  identity(top: bigint, levels = 4, bits = 3n): void {
    this.put(top, levels, 0n, 0x80n | bits, 2, bits);
  }

  /** A request of `sid`, at once. @param address as the device sends it, 64 bits */
  ask(sid: number, address: bigint, { access = READ, pasid = -1, prefix = 0 }: Kind = {}): Answer {
    return this.driver.request({ sid, address: BigInt.asIntN(64, address), kind: access, pasid, prefix });
  }

  /** A refusal for a reason of table 30, as this unit tells it. */
  refused(reason: number, access = READ): Answer {
    return { fault: this.driver.reasonFor(reason, access) };
  }

  /** Submits 256-bit descriptors. @param words of each; missing ones are 0 */
  queue(...descriptors: readonly (readonly bigint[])[]): number {
    const size = 4096 << (Number(this.read64(REG.IQA)) & 7);
    let tail = this.read32(REG.IQT);
    for (const words of descriptors) {
      for (let i = 0; i < 4; i++) this.poke(QUEUE + BigInt(tail + 8 * i), words[i] ?? 0n);
      tail = (tail + 32) % size;
    }
    this.write32(REG.IQT, tail);
    return this.run();
  }

  /** What is cached is gone, as it may be at any time. */
  dropCaches(): void {
    const { context, iotlb, paging } = this.unit.caches;
    for (const cache of [context, iotlb, ...paging]) cache.dropAll();
    const scalable = this.unit.scalableCaches;
    if (scalable === null) return;
    for (const cache of [scalable.context, scalable.pasid, scalable.iotlb, ...scalable.first]) cache.dropAll();
  }

  /** Everything that is cached goes. */
  flushAll(): void {
    this.queue([0x11n], [0x37n], [0x12n]);
  }
}

// ---- descriptors (VT-d 6.5.2), written by hand -------------------------------------------------------------------------

export function pasidCacheInv(g: number, did = 0, pasid = 0): bigint[] {
  return [7n | (BigInt(g) << 4n) | (BigInt(did) << 16n) | (BigInt(pasid) << 32n)];
}

export interface PasidIotlbInv {
  readonly g: number;
  readonly did?: number;
  readonly pasid?: number;
  readonly addr?: bigint;
  readonly am?: number;
  readonly ih?: number;
}

export function pasidIotlbInv({ g, did = 0, pasid = 0, addr = 0n, am = 0, ih = 0 }: PasidIotlbInv): bigint[] {
  const page = BigInt.asUintN(64, addr) & ~0xfffn;
  return [
    6n | (BigInt(g) << 4n) | (BigInt(did) << 16n) | (BigInt(pasid) << 32n),
    page | (BigInt(ih) << 6n) | BigInt(am),
  ];
}
