/** What a table says of the machine: units, who is behind which, memory that is reserved for devices. */

/** Requester ids of one segment that are certain, without a look at bridges. */
export interface IdRange {
  readonly segment: number;
  readonly first: number;
  readonly last: number;
}

/** Ids of a unit's own: StreamIDs, device ids, endpoints. */
export interface OwnRange {
  readonly first: number;
  readonly last: number;
}

/** Something behind a unit. */
export interface Behind {
  /** `00:02.0`, `all other PCI devices of segment 0`. */
  readonly what: string;
  /** `endpoint`, `IOAPIC 2`. */
  readonly kind: string;
  /** Null for what is known by a path, or by a name. */
  readonly ids: IdRange | null;
  /** How its ids come out: `StreamID 0x0 to 0xffff`; null where they are the requester's. */
  readonly out: string | null;
  /** The same as a range. */
  readonly outIds?: OwnRange;
  /** Devices behind a bridge, itself perhaps one of them: the buses that they are on are known at run time alone. */
  readonly beyond?: { readonly segment: number; readonly bridge: number };
  /** All devices of a segment that no other unit has. */
  readonly restOf?: number;
}

export interface Unit {
  /** `DRHD 0`. */
  readonly name: string;
  readonly segment: number | null;
  /** Of its registers; null where it is found otherwise. */
  readonly base: bigint | null;
  /** Its own place on PCI. */
  readonly at: string | null;
  readonly facts: readonly string[];
  readonly devices: readonly Behind[];
}

/** Memory that devices reach whatever is mapped. */
export interface Region {
  /** `RMRR`. */
  readonly kind: string;
  readonly first: bigint;
  /** Last byte. */
  readonly last: bigint;
  readonly devices: readonly string[];
  readonly facts: readonly string[];
  /** Whose it is, as far as ids tell: of PCI, or a unit's own. Without either, of devices behind bridges. */
  readonly of: {
    readonly all: boolean;
    readonly ids: readonly IdRange[];
    readonly outIds: readonly OwnRange[];
  };
}

export interface Topology {
  /** What holds for the whole machine. */
  readonly facts: readonly string[];
  readonly units: readonly Unit[];
  readonly regions: readonly Region[];
  /** What is translated by no unit, as the table says so. */
  readonly untranslated: readonly Behind[];
}

export function segmentText(segment: number): string {
  return segment.toString(16).padStart(4, '0');
}
