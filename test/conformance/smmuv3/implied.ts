/** What an SMMU has to have for a structure to mean what a test writes it for: where the test has not said what it has, another SMMU skips it. */
import { get } from '../../../src/bits/index.ts';
import { IDR0, IDR1, IDR3, IDR5 } from '../../../src/iommu/smmuv3/index.ts';
import { needsModel } from '../drivers/needs-model.ts';
import type { BenchOptions } from './drivers/driver.ts';

interface Implied {
  readonly register: typeof IDR0 | typeof IDR1 | typeof IDR3 | typeof IDR5;
  readonly name: string;
  /** Whether a value of the identification register is enough. */
  readonly enough: (value: number) => boolean;
}

const HTTU: Implied = { register: IDR0, name: 'HTTU', enough: (value) => value !== 0 };
const STALLS: Implied = { register: IDR0, name: 'STALL_MODEL', enough: (value) => value !== 1 };
const BIG_ENDIAN: Implied = { register: IDR0, name: 'TTENDIAN', enough: (value) => value !== 2 };
const SUBSTREAMS: Implied = { register: IDR1, name: 'SSIDSIZE', enough: (value) => value !== 0 };
const EL2: Implied = { register: IDR0, name: 'Hyp', enough: (value) => value === 1 };
const SMALL_TABLES: Implied = { register: IDR3, name: 'STT', enough: (value) => value === 1 };
/** 48 bits of address. */
const LARGE_ADDRESSES: Implied = { register: IDR5, name: 'OAS', enough: (value) => value >= 5 };
const RAZ_WI: Implied = { register: IDR0, name: 'TERM_MODEL', enough: (value) => value === 0 };

/** The largest T0SZ without small tables (5.4); the least S2T0SZ of 44 bits of address. */
const [LARGEST, LEAST] = [39, 20];

/** By field of an STE or a CD, and its value. */
function impliedBy(field: string, value: number, S2TG: number): Implied | null {
  if (field === 'A') return value === 0 ? RAZ_WI : null;
  if (field === 'S2T0SZ' && value >= 16 && value < LEAST) return LARGE_ADDRESSES;
  if (field === 'T0SZ' || field === 'T1SZ' || field === 'S2T0SZ')
    return value > LARGEST && value < 49 ? SMALL_TABLES : null;
  if (field === 'S2SL0') return value === 3 && S2TG === 0 ? SMALL_TABLES : null;
  if (value === 0) return null;
  if (['HA', 'HD', 'S2HA', 'S2HD'].includes(field)) return HTTU;
  if (['S', 'S2S', 'S1STALLD'].includes(field)) return STALLS;
  if (field === 'ENDI' || field === 'S2ENDI') return BIG_ENDIAN;
  if (field === 'S1CDMax') return SUBSTREAMS;
  return field === 'STRW' ? EL2 : null;
}

const SAID = new Map<Implied['register'], (stated: BenchOptions) => object | undefined>([
  [IDR0, ({ idr0 }) => idr0],
  [IDR1, ({ idr1 }) => idr1],
  [IDR3, ({ idr3 }) => idr3],
  [IDR5, ({ idr5 }) => idr5],
]);

/** Skips the test that runs where its SMMU has not what a structure is written for. @param read of an identification register */
export function needsImplied(stated: BenchOptions, values: object, read: (offset: number) => number): void {
  for (const [field, value] of Object.entries(values)) {
    const implied = impliedBy(field, Number(value), Number((values as { S2TG?: number }).S2TG ?? 0));
    if (implied === null) continue;
    const { register, name, enough } = implied;
    const said = SAID.get(register)?.(stated);
    if (said !== undefined && name in said) continue;
    const has = get(
      (register.fields as Readonly<Record<string, Parameters<typeof get>[0]>>)[name],
      Int32Array.of(read(register.offset)),
    );
    if (!enough(has)) needsModel('capability', `${register.name}.${name} for ${field} ${value}; QEMU’s has ${has}`);
  }
}
