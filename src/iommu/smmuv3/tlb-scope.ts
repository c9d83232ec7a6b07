/** What an invalidation of translations concerns, in the words of IHI 0070, 4.4. */

/** StreamWorlds as far as invalidations tell them apart (3.17). */
export const REGIME = { EL1: 0, EL2: 1 } as const;

/** Of which stage the entries are that an invalidation names. */
export const SCOPE_STAGE = { one: 1, two: 2, both: 12 } as const;

/** One object that an invalidator fills in anew for each command; nobody keeps it. */
export interface TlbScope {
  /** See {@link REGIME}. */
  regime: number;
  /** −1: of any. */
  vmid: number;
  /** Bits of a VMID that count (CR0.VMW, 6.3.9). */
  vmidMask: number;
  /** −1: of any, and global ones. Otherwise of this one; global ones as well where an address is given, and not where `whole` (4.4.2.2, 4.4.2.4). */
  asid: number;
  /** See {@link SCOPE_STAGE}: `one` what stage 1 made, combined with stage 2 or not; `two` what stage 2 made alone; `both`. */
  stage: number;
  /** All addresses; then `hi` to `count` say nothing. */
  whole: boolean;
  /** First address, as halves of a byte address; bits below the granule are 0. Of `two` it is an IPA. */
  hi: number;
  lo: number;
  /** log2 of the bytes of a granule, 12, 14 or 16; 0 where the command names one address and any entry that holds it (TG = 0). */
  granule: number;
  /** Granules from the first address on; 1 where granule is 0. */
  count: number;
  /** Entries of the last level of a walk only (4.4.1). */
  leafOnly: boolean;
  /** Level of the leaf, 1 to 3; 0: any (4.4.1). A hint: an entry of another level may stay. */
  ttl: number;
}

export function tlbScope(): TlbScope {
  return {
    ...{ regime: REGIME.EL1, vmid: -1, vmidMask: 0xffff, asid: -1, stage: SCOPE_STAGE.both, whole: true },
    ...{ hi: 0, lo: 0, granule: 0, count: 1, leafOnly: false, ttl: 0 },
  };
}

/** What the programming interface asks of the caches. StreamIDs are unsigned numbers of up to 32 bits. */
export interface InvalidatedCaches {
  /** The STE of a stream. @param leafOnly keeps cached level-1 descriptors of the stream table. Its CDs go by {@link dropCdAll} */
  dropSte(sid: number, leafOnly: boolean): void;
  /** STEs of 2^log2 StreamIDs, that of `sid` among them, aligned, with their level-1 descriptors and all CDs that were found through them. */
  dropSteRange(sid: number, log2: number): void;
  /** All that is cached of stream tables and context descriptors. */
  dropAllConfig(): void;
  /** @param leafOnly keeps cached level-1 context descriptors */
  dropCd(sid: number, ssid: number, leafOnly: boolean): void;
  /** All CDs and level-1 context descriptors that were found through the STE of a stream. */
  dropCdAll(sid: number): void;
  dropTlb(scope: TlbScope): void;
  /** What is cached, a line each. */
  describe(): string[];
}

/** Requests in flight that an invalidation concerns: what they have read may not be cached any more, and a CMD_SYNC waits for them (3.21.1, 3.21.3). */
export interface RequestMarks {
  forTlb(scope: TlbScope): void;
  /** Of 2^log2 StreamIDs, that of `sid` among them, aligned; 32 for all. @param ssid −1: STE and all CDs; else that CD */
  forConfig(sid: number, log2: number, ssid: number): void;
}

/** Where nothing is in flight. */
export const NO_MARKS: RequestMarks = { forTlb: () => {}, forConfig: () => {} };
