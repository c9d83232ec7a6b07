/** A VT-d unit in scalable mode as the kernel's driver uses it; the model stands behind it. */
import type { Unmapped } from './smmu-hardware.ts';
import type { VtdTable } from './vtd-table.ts';

/** What CAP and ECAP say, as far as the driver asks. */
export interface VtdFeatures {
  /** ECAP.FSTS, SSTS, NEST. */
  readonly firstStage: boolean;
  readonly secondStage: boolean;
  readonly nested: boolean;
  /** ECAP.SSADS: the second stage has accessed and dirty flags. */
  readonly dirty: boolean;
  /** ECAP.SRS, EAFS. */
  readonly supervisor: boolean;
  readonly extendedAccessed: boolean;
  /** CAP.FS5LP. */
  readonly fiveLevels: boolean;
  /** ECAP.SC; SMPWCS: of tables, too. */
  readonly snoops: boolean;
  readonly walksSnoop: boolean;
}

/** A guest's tables, as the data of type VTD_S1 say. */
export interface GuestFirstStage {
  /** Of the first table, as the guest sees it. */
  readonly table: bigint;
  readonly levels: 4 | 5;
  /** Supervisors, extended accessed flag, write protection of supervisors. */
  readonly sre: boolean;
  readonly eafe: boolean;
  readonly wpe: boolean;
}

/** What the requests without PASID of a device do. */
export type VtdTranslation =
  | { readonly kind: 'blocked' }
  | { readonly kind: 'paging'; readonly table: VtdTable; readonly did: number; readonly tracksDirty: boolean }
  | { readonly kind: 'nested'; readonly parent: VtdTable; readonly guest: GuestFirstStage; readonly did: number };

export interface VtdHardware {
  readonly name: string;
  readonly features: VtdFeatures;
  readonly cap: bigint;
  readonly ecap: bigint;
  /** Bits of domain ids. */
  readonly didBits: number;
  table(stage: 1 | 2): VtdTable;
  /** Rewrites the PASID-table entry of a device (requester id), and forgets what is cached of it. */
  install(rid: number, translation: VtdTranslation, before: number | null): void;
  /** Forgets what the second stage of a domain maps in a range; null: all of it. */
  flushSecondStage(did: number, range: Unmapped | null): void;
  /** Forgets what the first stage of a domain maps for requests without PASID. @param leafOnly tables are as before (IH) */
  flushFirstStage(did: number, from: bigint, last: bigint, leafOnly: boolean): void;
}
