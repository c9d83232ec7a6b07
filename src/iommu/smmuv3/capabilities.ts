/** Which implementation an SMMU is: IDR0 – IDR5 as asked for, refused where no implementation can say so (IHI 0070, 6.3.1 – 6.3.8). */
import type { Fields, Values } from '../../bits/index.ts';
import { encodeHalves } from '../../bits/index.ts';
import { zeros } from '../kit/zeros.ts';
import { AIDR, IDR0, IDR1, IDR3, IDR5, IIDR } from './capability-registers.ts';

export interface SmmuCapabilityOptions {
  readonly idr0?: Partial<Values<typeof IDR0.fields>>;
  readonly idr1?: Partial<Values<typeof IDR1.fields>>;
  readonly idr3?: Partial<Values<typeof IDR3.fields>>;
  readonly idr5?: Partial<Values<typeof IDR5.fields>>;
  readonly iidr?: Partial<Values<typeof IIDR.fields>>;
  readonly aidr?: Partial<Values<typeof AIDR.fields>>;
}

type All<F extends Fields> = Readonly<Record<keyof F, number>>;

/** Everything that is not named is 0. */
const DEFAULT_IDR0 = {
  ...zeros(IDR0),
  ...{ S2P: 1, S1P: 1, TTF: 2, COHACC: 1, HTTU: 2, Hyp: 1, ASID16: 1, MSI: 1, SEV: 1, VMW: 1, VMID16: 1, CD2L: 1 },
  ...{ TERM_MODEL: 0, ST_LEVEL: 1 },
};
const DEFAULT_IDR1 = { ...zeros(IDR1), SIDSIZE: 16, SSIDSIZE: 20, PRIQS: 19, EVENTQS: 19, CMDQS: 19 };
const DEFAULT_IDR3 = { ...zeros(IDR3), HAD: 1, XNX: 1, STT: 1, RIL: 1, BBML: 2 };
const DEFAULT_IDR5 = { ...zeros(IDR5), OAS: 5, GRAN4K: 1, GRAN16K: 1, GRAN64K: 1, STALL_MAX: 16 };
/** SMMUv3.2, which is what RIL and BBML are of. */
const DEFAULT_AIDR = { ...zeros(AIDR), ArchMinorRev: 2 };

/** Bits of an address, by IDR5.OAS, CD.IPS and STE.S2PS (6.3.6, 5.2, 5.4). */
export const ADDRESS_BITS: readonly number[] = [32, 36, 40, 42, 44, 48, 52, 56];

/** What the parts of an SMMU go by; fixed when it is built. */
export interface SmmuCapabilities {
  readonly idr0: All<typeof IDR0.fields>;
  readonly idr1: All<typeof IDR1.fields>;
  readonly idr3: All<typeof IDR3.fields>;
  readonly idr5: All<typeof IDR5.fields>;
  readonly aidr: All<typeof AIDR.fields>;
  /** Bits of an output address (IDR5.OAS). */
  readonly oas: number;
  /** Stalls can happen: IDR0.STALL_MODEL is not 01b. */
  readonly stalls: boolean;
  /** Halves of IDR0 – IDR3, IDR5, IIDR and AIDR, one each. */
  readonly halves: Readonly<Record<'idr0' | 'idr1' | 'idr3' | 'idr5' | 'iidr' | 'aidr', number>>;
}

/** @throws RangeError, in one line, where there can be no such implementation or it has what this model has not */
export function smmuCapabilitiesOf(options: SmmuCapabilityOptions): SmmuCapabilities {
  const idr0 = { ...DEFAULT_IDR0, ...options.idr0 };
  const idr1 = { ...DEFAULT_IDR1, ...options.idr1 };
  const idr3 = { ...DEFAULT_IDR3, ...options.idr3 };
  const idr5 = { ...DEFAULT_IDR5, ...options.idr5 };
  const aidr = { ...DEFAULT_AIDR, ...options.aidr };
  const iidr = { ...zeros(IIDR), ...options.iidr };
  const halves = {
    idr0: encodeHalves(IDR0, idr0)[0],
    idr1: encodeHalves(IDR1, idr1)[0],
    idr3: encodeHalves(IDR3, idr3)[0],
    idr5: encodeHalves(IDR5, idr5)[0],
    iidr: encodeHalves(IIDR, iidr)[0],
    aidr: encodeHalves(AIDR, aidr)[0],
  };
  const has = { idr0, idr1, idr3, idr5, aidr, oas: ADDRESS_BITS[idr5.OAS], stalls: idr0.STALL_MODEL !== 1, halves };
  const wrong = impossible(has) ?? missing(has);
  if (wrong !== null) throw new RangeError(`SMMU: ${wrong}`);
  return has;
}

/** What the specification rules out. */
function impossible({ idr0, idr1, idr3, idr5, aidr }: SmmuCapabilities): string | null {
  if (idr0.S1P === 0 && idr0.S2P === 0) return 'IDR0.S1P 0 with S2P 0: it would translate nothing (6.3.1)';
  if (idr0.TTF === 0) return 'IDR0.TTF 0 is reserved (6.3.1)';
  if (idr0.TTENDIAN === 1) return 'IDR0.TTENDIAN 1 is reserved (6.3.1)';
  if (idr0.STALL_MODEL === 3) return 'IDR0.STALL_MODEL 3 is reserved (6.3.1)';
  if (idr0.ST_LEVEL > 1) return `IDR0.ST_LEVEL ${idr0.ST_LEVEL} is reserved (6.3.1)`;
  if (idr0.PRI === 1 && idr0.ATS === 0) return 'IDR0.PRI without ATS (6.3.1)';
  if (idr0.NS1ATS === 1 && (idr0.ATS === 0 || idr0.S2P === 0 || idr0.S1P === 0))
    return 'IDR0.NS1ATS without ATS and both stages (6.3.1)';
  if (idr0.ASID16 === 1 && idr0.S1P === 0) return 'IDR0.ASID16 without S1P (6.3.1)';
  if (idr0.VMID16 === 1 && idr0.S2P === 0) return 'IDR0.VMID16 without S2P (6.3.1)';
  if (idr0.CD2L === 1 && idr0.S1P === 0) return 'IDR0.CD2L without S1P (6.3.1)';
  if (idr0.Hyp === 1 && idr0.S1P === 0) return 'IDR0.Hyp without S1P (6.3.1)';
  if (idr1.SIDSIZE > 32) return `IDR1.SIDSIZE ${idr1.SIDSIZE}: a StreamID has 32 bits at most (6.3.2)`;
  if (idr1.SSIDSIZE > 20) return `IDR1.SSIDSIZE ${idr1.SSIDSIZE}: a SubstreamID has 20 bits at most (6.3.2)`;
  for (const queue of ['CMDQS', 'EVENTQS', 'PRIQS'] as const)
    if (idr1[queue] > 19) return `IDR1.${queue} ${idr1[queue]}: 19 at most (6.3.2)`;
  if (idr3.BBML === 3) return 'IDR3.BBML 3 is reserved (6.3.4)';
  if (idr5.GRAN4K === 0 && idr5.GRAN16K === 0 && idr5.GRAN64K === 0) return 'IDR5: no granule (6.3.6)';
  const wide = idr5.VAX > 0 ? `IDR5.VAX ${idr5.VAX}` : idr5.OAS === 6 ? 'IDR5.OAS 6' : null;
  if (wide !== null && aidr.ArchMinorRev === 0) return `${wide} in SMMUv3.0: addresses have 48 bits (6.3.6)`;
  // DS and D128 would do as well.
  if (wide !== null && idr5.GRAN64K === 0) return `${wide} without GRAN64K: no table has 52 bits (6.3.6)`;
  if (idr5.VAX > 1) return `IDR5.VAX ${idr5.VAX} is for VMSAv9-128 (6.3.6)`;
  if (idr0.STALL_MODEL === 1 && idr5.STALL_MAX !== 0) return 'IDR5.STALL_MAX with IDR0.STALL_MODEL 1 (6.3.6)';
  if (idr0.STALL_MODEL !== 1 && idr5.STALL_MAX === 0)
    return `IDR5.STALL_MAX 0 with IDR0.STALL_MODEL ${idr0.STALL_MODEL} (6.3.6)`;
  return null;
}

/** Functions that an implementation may have, and this model has not: by register and field. */
const NOT_MODELLED = {
  idr0: ['BTM', 'ATOS', 'VATOS', 'RME_IMPL'],
  idr1: ['REL', 'QUEUES_PRESET', 'TABLES_PRESET', 'ECMDQ'],
  idr3: ['PBHA', 'MPAM', 'DPT', 'PASIDTT', 'S1PI', 'S2PI', 'S2PO', 'THE', 'MTEPERM', 'AIE'],
  idr5: ['DS', 'D128'],
} as const;

function missing(has: SmmuCapabilities): string | null {
  if (has.idr0.TTF !== 2) return `IDR0.TTF ${has.idr0.TTF}: VMSAv8-32 LPAE is not modelled`;
  if (has.idr0.HTTU === 3) return 'IDR0.HTTU 3: the Access flag of tables is not modelled';
  if (has.oas > 52) return `IDR5.OAS ${has.idr5.OAS}: VMSAv9-128 is not modelled`;
  for (const [register, fields] of Object.entries(NOT_MODELLED)) {
    const values = has[register as keyof typeof NOT_MODELLED] as Readonly<Record<string, number>>;
    const field = fields.find((name) => values[name] !== 0);
    if (field !== undefined) return `${register.toUpperCase()}.${field} is not modelled`;
  }
  return null;
}
