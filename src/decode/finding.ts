/** What a line, a structure, a dump or a trace says, as plain data: what every decoder gives and every printer takes. */
import type { Suspect } from './causes.ts';
import type { DecodedStructure } from './structure.ts';

/** Which IOMMU, or which software, it is of. */
export type Model = 'vtd' | 'smmuv3' | 'smmuv2' | 'amdvi' | 'riscv' | 'spapr' | 'virtio' | 'linux' | 'windows';

/** Who made a request, as its line names it. */
export interface Requester {
  /** As it is written: `00:12.0`, `0000:00:12.0`, `sid 0x8`, `EP 8`. */
  readonly text: string;
  /** Requester id (bus 15:8, device 7:3, function 2:0), StreamID, device id or endpoint. */
  readonly id: number;
  /** Null where the request had none. */
  readonly pasid: number | null;
}

export type AccessKind = 'read' | 'write' | 'execute' | 'atomic' | 'translation request' | 'interrupt' | 'page request';

/** Space that an address is of. */
export type Space =
  | 'IOVA'
  /** Intermediate physical, of a guest. */
  | 'IPA'
  | 'physical'
  | 'interrupt index'
  /** The line does not tell. */
  | 'unknown';

export interface Address {
  readonly value: bigint;
  readonly space: Space;
}

/** A code of the specification. */
export interface Code {
  readonly value: number;
  /** The specification's name, or the register's field that holds it. */
  readonly name: string;
  readonly meaning: string;
  /** Null where the specification gives the code to nothing: then it is unknown, and said so. */
  readonly clause: string | null;
}

/** A fact with its name: everything else that was there. */
export type Detail = readonly [name: string, value: string];

export interface Finding {
  /** Which format: `vtd.fault`. Never changes its meaning; new ones are added. */
  readonly kind: string;
  readonly model: Model;
  /** A fault or an error, what goes with it, or what only informs. */
  readonly severity: 'error' | 'warning' | 'info';
  /** One line that stands alone. */
  readonly summary: string;
  readonly requester: Requester | null;
  readonly access: AccessKind | null;
  readonly address: Address | null;
  readonly code: Code | null;
  readonly details: readonly Detail[];
  /** Words that were printed with it, decoded. */
  readonly structures: readonly DecodedStructure[];
  /** Most likely first. */
  readonly causes: readonly Suspect[];
}

/** Where something stands. */
export interface Position {
  /** Name of the input: a file, or `-`. */
  readonly input: string;
  /** From 1. */
  readonly line: number;
  /** Time as it was written before the text; null where there is none. */
  readonly time: string | null;
}

/** One finding with where it was. */
export interface Found {
  readonly finding: Finding;
  readonly at: Position;
}

/** Fields that a format has nothing for. */
export const NOTHING = {
  requester: null,
  access: null,
  address: null,
  code: null,
  details: [],
  structures: [],
  causes: [],
} as const;

/** A requester of PCI. @param text `[segment:]bus:device.function`, hexadecimal */
export function pciRequester(text: string, pasid: number | null = null): Requester | null {
  const match = /^(?:[0-9a-f]{4,8}:)?(?:0x)?([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-9a-f])$/i.exec(text);
  if (match === null) return null;
  const [bus, device, fn] = match.slice(1).map((part) => Number.parseInt(part, 16)) as [number, number, number];
  if (device > 31 || fn > 7) return null;
  return { text, id: (bus << 8) | (device << 3) | fn, pasid };
}

/** `bus:device.function` of a requester id. */
export function bdf(id: number): string {
  const two = (n: number) => n.toString(16).padStart(2, '0');
  return `${two((id >> 8) & 0xff)}:${two((id >> 3) & 0x1f)}.${id & 7}`;
}

/** A hexadecimal number of up to 16 digits, with or without `0x`; null for anything else. */
export function hexNumber(text: string): bigint | null {
  const digits = text.replace(/^0x/i, '');
  return /^[0-9a-f]{1,16}$/i.test(digits) ? BigInt(`0x${digits}`) : null;
}
