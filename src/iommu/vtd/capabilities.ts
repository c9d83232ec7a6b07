/** Which implementation a unit is: CAP, ECAP and VER as asked for, refused where no implementation can say so (VT-d 11.4.1 – 11.4.3). */
import type { Values } from '../../bits/index.ts';
import { encodeHalves, hex } from '../../bits/index.ts';
import { zeros } from '../kit/zeros.ts';
import {
  CAP,
  ECAP,
  FIRST_FREE_OFFSET,
  FRCD_BASE,
  FRCD_BYTES,
  faultRecord,
  IOTLB_BASE,
  iotlbRegisters,
  VER,
} from './registers.ts';
import { scalableImpossible, scalableMissing } from './scalable-capabilities.ts';

export interface CapabilityOptions {
  readonly ver?: Partial<Values<typeof VER.fields>>;
  readonly cap?: Partial<Values<typeof CAP.fields>>;
  readonly ecap?: Partial<Values<typeof ECAP.fields>>;
  /** Host address width, 32 to 52 bits; if absent 48, or CAP.MGAW + 1 where that is less. */
  readonly haw?: number;
}

const DEFAULT_CAP = {
  ND: 6,
  RWBF: 0,
  PLMR: 0,
  PHMR: 0,
  CM: 0,
  SAGAW: 0b00110,
  MGAW: 47,
  ZLR: 0,
  FRO: FRCD_BASE / 16,
  SSLPS: 3,
  PSI: 1,
  NFR: 0,
  MAMV: 18,
  DWD: 1,
  DRD: 1,
  FS1GP: 0,
  PI: 0,
  FS5LP: 0,
  ECMDS: 0,
  ESIRTPS: 0,
  ESRTPS: 0,
};

/** Everything that is not named is 0: a unit has legacy mode only, unless it is asked for more. */
const DEFAULT_ECAP = {
  ...zeros(ECAP),
  ...{ C: 1, QI: 1, PT: 1, SC: 1, IRO: IOTLB_BASE / 16 },
};

/** What the parts of a unit go by; fixed when it is built. */
export interface Capabilities {
  readonly ver: { readonly MAX: number; readonly MIN: number };
  readonly cap: Readonly<Record<keyof typeof DEFAULT_CAP, number>>;
  readonly ecap: Readonly<Record<keyof typeof DEFAULT_ECAP, number>>;
  readonly haw: number;
  /** Domain ids have this many bits. */
  readonly didBits: number;
  /** Bits of the widest input address that a page table of this unit translates: 39, 48 or 57. */
  readonly widest: number;
  /** IVA_REG and IOTLB_REG where ECAP.IRO says. */
  readonly IVA: ReturnType<typeof iotlbRegisters>['IVA'];
  readonly IOTLB: ReturnType<typeof iotlbRegisters>['IOTLB'];
  /** The fault records where CAP.FRO says. */
  readonly records: readonly ReturnType<typeof faultRecord>[];
  /** Bytes from offset 0 to the end of the last register. */
  readonly registerBytes: number;
  /** Halves of VER, CAP and ECAP. */
  readonly halves: { readonly ver: Int32Array; readonly cap: Int32Array; readonly ecap: Int32Array };
}

/** @throws RangeError, in one line, where there can be no such implementation or it has what this model has not */
export function capabilitiesOf(options: CapabilityOptions): Capabilities {
  const cap = { ...DEFAULT_CAP, ...options.cap };
  const ecap = { ...DEFAULT_ECAP, ...options.ecap };
  const ver = { MAX: 1, MIN: 0, ...options.ver };
  const halves = { ver: encodeHalves(VER, ver), cap: encodeHalves(CAP, cap), ecap: encodeHalves(ECAP, ecap) };
  const haw = options.haw ?? Math.min(48, cap.MGAW + 1);
  const wrong =
    impossible(cap, ecap, ver.MAX, haw) ??
    scalableImpossible(cap, ecap) ??
    missing(cap) ??
    scalableMissing(ecap) ??
    misplaced(cap, ecap);
  if (wrong !== null) throw new RangeError(`VT-d unit: ${wrong}`);
  const records = Array.from({ length: cap.NFR + 1 }, (_, n) => faultRecord(cap.FRO * 16, n));
  return {
    ver,
    cap,
    ecap,
    haw,
    didBits: 4 + 2 * cap.ND,
    widest: [39, 48, 57].filter((_, i) => ((cap.SAGAW >>> (i + 1)) & 1) === 1).at(-1) as number,
    ...iotlbRegisters(ecap.IRO * 16),
    records,
    registerBytes: Math.max(FIRST_FREE_OFFSET, ecap.IRO * 16 + 16, (cap.FRO + cap.NFR + 1) * FRCD_BYTES),
    halves,
  };
}

type Cap = Capabilities['cap'];
type Ecap = Capabilities['ecap'];

/** What the specification rules out. */
function impossible(cap: Cap, ecap: Ecap, major: number, haw: number): string | null {
  if (!Number.isInteger(haw) || haw < 32 || haw > 52) return `a host address width of ${haw} bits; it is 32 to 52`;
  if (cap.ND === 7) return 'CAP.ND 7 is reserved (11.4.2)';
  if (cap.SAGAW === 0) return 'CAP.SAGAW 0: no page table could be used (11.4.2)';
  if ((cap.SAGAW & 0b10001) !== 0) return `CAP.SAGAW 0x${cap.SAGAW.toString(16)}: bits 0 and 4 are reserved (11.4.2)`;
  if (cap.MGAW + 1 < haw)
    return `CAP.MGAW ${cap.MGAW} is less than the host address width of ${haw} bits allows: at least ${haw - 1} (11.4.2)`;
  if (![0, 1, 3].includes(cap.SSLPS)) return `CAP.SSLPS ${cap.SSLPS}: it is 0, 1 or 3 (11.4.2)`;
  if (major >= 2 && (cap.DRD === 0 || cap.DWD === 0))
    return `VER.MAX ${major} with CAP.DRD ${cap.DRD} and DWD ${cap.DWD}: from version 2 on both are 1 (11.4.2)`;
  if (major >= 6 && ecap.QI === 0) return `VER.MAX ${major} without ECAP.QI: nothing could be invalidated (6.5)`;
  if (ecap.QI === 0 && ecap.DT === 1) return 'ECAP.DT without ECAP.QI (11.4.3)';
  if (ecap.QI === 0 && ecap.IR === 1) return 'ECAP.IR without ECAP.QI (11.4.3)';
  if (ecap.IR === 0 && (ecap.EIM === 1 || ecap.MHMV !== 0 || cap.PI === 1 || cap.ESIRTPS === 1))
    return 'ECAP.EIM, ECAP.MHMV, CAP.PI or CAP.ESIRTPS without ECAP.IR (11.4.2, 11.4.3)';
  if (ecap.FSTS === 0 && (cap.FS1GP === 1 || cap.FS5LP === 1))
    return 'CAP.FS1GP or FS5LP without first-stage translation (11.4.2)';
  return null;
}

/** What an implementation may have, and this model has not. */
function missing(cap: Cap): string | null {
  if (cap.PI === 1) return 'posted interrupts (CAP.PI) are not modelled';
  if (cap.ECMDS === 1) return 'enhanced commands (CAP.ECMDS) are not modelled';
  return null;
}

/** Registers that an implementation places where it likes lie beside the others and each other. */
function misplaced(cap: Cap, ecap: Ecap): string | null {
  const iotlb = { name: 'ECAP.IRO', from: ecap.IRO * 16, to: ecap.IRO * 16 + 16 };
  const records = { name: 'CAP.FRO', from: cap.FRO * 16, to: (cap.FRO + cap.NFR + 1) * FRCD_BYTES };
  for (const { name, from } of [iotlb, records]) {
    if (from < FIRST_FREE_OFFSET)
      return `${name} 0x${(from / 16).toString(16)}: offset ${hex(from)} lies among the other registers, which end at ${hex(FIRST_FREE_OFFSET)} (11.4)`;
  }
  if (iotlb.from < records.to && records.from < iotlb.to)
    return `ECAP.IRO: the IOTLB registers at ${hex(iotlb.from)} lie in the ${cap.NFR + 1} fault records at ${hex(records.from)} … ${hex(records.to - 1)} (11.4)`;
  return null;
}
