/** What an SMMU can do, as far as inputs have its registers. What they do not tell counts as there; IDR0's and IDR3's other features are not looked at. */
import type { DecodedStructure } from '../../structure.ts';
import { fieldOf } from '../../structure.ts';
import type { Tables } from '../tables.ts';

/** Registers that a walk looks at beside those that tables begin at. */
export const UNIT_REGISTERS: readonly string[] = [
  ...['smmuv3.cr0', 'smmuv3.cr2', 'smmuv3.gbpa', 'smmuv3.idr0', 'smmuv3.idr1', 'smmuv3.idr5'],
];

/** IDR5.OAS in bits; the last one counts where inputs do not tell. */
const OAS = [32, 36, 40, 42, 44, 48, 52] as const;
const WIDEST = 52;

export interface SmmuUnit {
  /** Bits of a physical address. */
  readonly oas: number;
  /** Whether inputs tell. */
  readonly isOasKnown: boolean;
  /** Virtual addresses may have 52 bits. */
  readonly wideInput: boolean;
  /** Bits of a StreamID. */
  readonly streams: number;
  /** Bits of a SubstreamID; 0: there are none, and STE.S1CDMax is not looked at. */
  readonly substreams: number;
  /** STE.PRIVCFG counts. */
  readonly overrides: boolean;
  readonly ats: boolean;
  /** Null where inputs do not tell. */
  readonly e2h: boolean | null;
}

export function unitOf({ given }: Tables): SmmuUnit {
  const field = (register: string, name: string): number | null => {
    const found: DecodedStructure | undefined = given.get(`smmuv3.${register}`);
    return found === undefined ? null : Number(fieldOf(found, name));
  };
  const oas = field('idr5', 'OAS');
  const e2h = field('cr2', 'E2H');
  return {
    oas: oas === null ? WIDEST : (OAS[oas] ?? WIDEST),
    isOasKnown: oas !== null,
    wideInput: field('idr5', 'VAX') !== 0,
    streams: field('idr1', 'SIDSIZE') ?? 32,
    substreams: field('idr1', 'SSIDSIZE') ?? 20,
    overrides: field('idr1', 'ATTR_PERMS_OVR') !== 0,
    ats: field('idr0', 'ATS') === 1,
    e2h: e2h === null ? null : e2h === 1,
  };
}
