/** PASID-table entries as the kernel's driver sets them up and tears them down (drivers/iommu/intel/pasid.c). */
import { encode, hex } from '../../bits/index.ts';
import { PASID_TABLE_ENTRY, PGTT } from '../../iommu/vtd/scalable-structures.ts';
import type { Cpu, Program } from '../../machine/index.ts';
import type { InvalidationQueue } from './invalidation.ts';
import type { PasidInvalidation } from './pasid-invalidation.ts';

/** How the requests of a PASID are translated, and by which tables: byte addresses of top tables of 4 levels. */
export type PasidTranslation =
  | { readonly by: 'first-stage'; readonly did: number; readonly first: bigint }
  | { readonly by: 'second-stage'; readonly did: number; readonly second: bigint }
  | { readonly by: 'nested'; readonly did: number; readonly first: bigint; readonly second: bigint }
  | { readonly by: 'pass-through'; readonly did: number };

/** AW of 48 bits, 4 levels. */
const LEVELS_4 = 2;

/** The eight words of a present entry (`pasid_pte_config_first_level` and its like). Paging entries are snooped, as with ECAP.SMPWCS. */
export function pasidEntry(of: PasidTranslation): bigint[] {
  const first = of.by === 'first-stage' || of.by === 'nested' ? of.first : 0n;
  const second = of.by === 'second-stage' || of.by === 'nested' ? of.second : 0n;
  const pgtt = {
    'first-stage': PGTT.firstStage,
    'second-stage': PGTT.secondStage,
    nested: PGTT.nested,
    'pass-through': PGTT.passThrough,
  };
  return encode(PASID_TABLE_ENTRY, {
    P: 1,
    AW: LEVELS_4,
    PGTT: pgtt[of.by],
    SSPTPTR: second,
    DID: of.did,
    PWSNP: 1,
    FSPTPTR: first,
  });
}

/** Whether what an IOTLB invalidation has to name is the domain, or one PASID of it (VT-d table 28, `intel_pasid_tear_down_entry`). */
function isOfSecondStage({ by }: PasidTranslation): boolean {
  return by === 'second-stage' || by === 'nested';
}

const [P] = encode(PASID_TABLE_ENTRY, { P: 1 });
const [FPD] = encode(PASID_TABLE_ENTRY, { FPD: 1 });
const [SSADE] = encode(PASID_TABLE_ENTRY, { SSADE: 1 });

/** What is done to an entry that is torn down before anything is invalidated. */
export type TearDown =
  /** P alone is cleared; the rest follows behind the invalidations (75ed00055c05, v7.0; VT-d 6.5.3.3). */
  | 'present-first'
  /** All of it is zeroed, word by word (before). */
  | 'zeroed-at-once';

export interface PasidTableOptions {
  /** Byte address of the table's page: PASIDs 0 to 63 of one function. */
  readonly table: bigint;
  /** `present-first` if absent. */
  readonly tearDown?: TearDown;
  /** Source id of the function, where it has ATS: its own translations of the PASID are invalidated last. */
  readonly device?: number;
  /** A mutant: what a tear-down does not invalidate. */
  readonly leaves?: 'pasid-cache' | 'iotlb';
}

/** A page of PASID-table entries, and what is invalidated when one of them changes. */
export class PasidTable {
  private readonly cpu: Cpu;
  private readonly queue: InvalidationQueue;
  private readonly invalidation: PasidInvalidation;
  private readonly options: PasidTableOptions;

  constructor(cpu: Cpu, queue: InvalidationQueue, invalidation: PasidInvalidation, options: PasidTableOptions) {
    this.cpu = cpu;
    this.queue = queue;
    this.invalidation = invalidation;
    this.options = options;
  }

  private at(pasid: number, word: number): bigint {
    return this.options.table + BigInt(64 * (pasid & 63) + 8 * word);
  }

  /**
   * Fills an entry that is not present: every other word before the one with P (`pasid_set_present`). With CAP.CM = 0 nothing has to be
   * invalidated (`pasid_flush_caches`).
   */
  *setUp(pasid: number, of: PasidTranslation): Program {
    const words = pasidEntry(of);
    for (let i = words.length - 1; i >= 0; i--) {
      if (i > 0 && words[i] === 0n) continue;
      const what = i === 0 ? `: present, ${of.by}` : i === 1 ? `: DID ${of.did}` : '';
      yield* this.store(pasid, i, words[i], what);
    }
  }

  /**
   * Takes an entry out, and invalidates what was cached of it (`intel_pasid_tear_down_entry`).
   * @param of what it says now
   * @param ignoresFaults FPD is left set, as when the address space goes before the device stops. With `present-first` it is not: whether to
   * set it is asked when the entry is not present any more (`intel_pasid_clear_entry` after 75ed00055c05)
   */
  *tearDown(pasid: number, of: PasidTranslation, ignoresFaults = false): Program {
    const words = pasidEntry(of);
    const presentFirst = this.options.tearDown !== 'zeroed-at-once';
    if (presentFirst) yield* this.store(pasid, 0, words[0] & ~P, ': P is clear');
    else yield* this.zero(pasid, words, ignoresFaults);
    yield* this.flush(pasid, of);
    if (presentFirst) yield* this.zero(pasid, words, false);
  }

  /**
   * The device's driver gives a PASID back whose address space may be gone already (`intel_pasid_tear_down_entry` from v6.14 on).
   * @param of what the entry says, if it is still present
   * @param drain of page requests. @param drains also where the entry is not present and FPD is set (cf08ca81d08a, v6.14)
   */
  *unbind(pasid: number, of: PasidTranslation, drain: () => Program, drains: boolean): Program {
    const entry = yield* this.cpu.readOwn64(this.at(pasid, 0));
    if ((entry & P) !== 0n) {
      yield* this.tearDown(pasid, of);
      return yield* drain();
    }
    if ((entry & FPD) === 0n || !drains) return;
    yield* this.store(pasid, 0, 0n, ': FPD is clear');
    yield* drain();
  }

  /**
   * Stores another entry over one that is present, and invalidates behind it (`intel_pasid_replace_first_level` and its like, v6.13 to v6.19; a
   * structure assignment, here from its first word on). @param old what it says now
   */
  *replace(pasid: number, old: PasidTranslation, of: PasidTranslation): Program {
    const [before, words] = [pasidEntry(old), pasidEntry(of)];
    for (let i = 0; i < words.length; i++) if (words[i] !== before[i]) yield* this.store(pasid, i, words[i], '');
    // `intel_pasid_flush_present`, by the old domain id.
    yield* this.invalidation.pasidCache(old.did, pasid);
    yield* this.invalidation.pasidIotlb(old.did, pasid);
  }

  /** Sets SSADE of an entry that is present, and invalidates (`intel_pasid_setup_dirty_tracking`). @param of what it says now */
  *enableDirty(pasid: number, of: PasidTranslation): Program {
    yield* this.store(pasid, 0, pasidEntry(of)[0] | SSADE, ': SSADE is set');
    yield* this.flush(pasid, of);
  }

  /** PASID cache first, as what it has may tag what the IOTLB is filled with (6.5.2.2). */
  private *flush(pasid: number, of: PasidTranslation): Program {
    const { leaves } = this.options;
    if (leaves !== 'pasid-cache') yield* this.invalidation.pasidCache(of.did, pasid);
    if (leaves === 'iotlb') return;
    if (isOfSecondStage(of)) yield* this.queue.flushDomain(of.did);
    else yield* this.invalidation.pasidIotlb(of.did, pasid);
    const { device } = this.options;
    if (device !== undefined) yield* this.invalidation.deviceTlb(device, pasid);
  }

  /** Zeroes the words that are not zero, from the first on (`pasid_clear_entry`, `pasid_clear_entry_with_fpd`). */
  private *zero(pasid: number, words: readonly bigint[], leavesFpd: boolean): Program {
    for (let i = 0; i < words.length; i++) {
      const fpd = leavesFpd && i === 0;
      if (words[i] !== 0n) yield* this.store(pasid, i, fpd ? FPD : 0n, fpd ? ': FPD' : '');
    }
  }

  private *store(pasid: number, word: number, value: bigint, what: string): Program {
    const addr = this.at(pasid, word);
    yield* this.cpu.write64(addr, value, `PASID table entry ${hex(pasid)}, word ${word} = ${hex(value)}${what}`);
    yield* this.cpu.clflush(addr);
  }
}
