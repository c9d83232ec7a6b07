/** What a stream table entry and a context descriptor say of their stages (SMMUv3 5.2, 5.4), and what makes them bad. */
import type { DecodedStructure } from '../../structure.ts';
import { fieldOf } from '../../structure.ts';
import { EVENT, event, notWalked } from './faults.ts';
import type { Shape } from './granules.ts';
import { bitsFrom, SHAPE_0, SHAPE_1, startLevel } from './granules.ts';
import type { FirstStage, SecondStage } from './pages.ts';
import type { SmmuUnit } from './unit.ts';

/** IPS and S2PS in bits, capped to the OAS; 56 bits are VMSAv9-128's. */
const SIZES = [32, 36, 40, 42, 44, 48, 52, 56] as const;
/** TxSZ with IDR3.STT is 48 at most, with the 64 KiB granule 47; without it 39. */
const LARGEST_SIZE = 48;
/** Tables of a second stage that may be concatenated: 2^4. */
const CONCATENATED = 4;

/** With 4 and 16 KiB addresses have 48 bits: 52 need LPA2. */
function widest({ granule }: Shape): number {
  return granule === 64 ? 52 : 48;
}

function outputOf({ oas }: SmmuUnit, encoded: bigint): number {
  return Math.min(oas, SIZES[Number(encoded)] as number);
}

/** @param widestInput of the unit @returns whether TxSZ is one that a table of the granule can have */
function isSizeValid(shape: Shape, size: number, widestInput: number): boolean {
  const least = 64 - Math.min(widest(shape), widestInput);
  return size >= least && size <= LARGEST_SIZE - (shape.granule === 64 ? 1 : 0);
}

/** Where tables may begin. */
function isTableBeyond(shape: Shape, table: bigint, output: number): boolean {
  return table >> BigInt(Math.min(widest(shape), output)) !== 0n;
}

/** A table's lower address bits are taken for 0; where addresses have 52 bits, so are those below 64 bytes. */
function aligned(
  address: bigint,
  shape: Shape,
  start: number,
  { output, width }: { output: number; width: number },
): bigint {
  const bits = BigInt(Math.max(3 + width - (bitsFrom(shape, start) - shape.stride), output === 52 ? 6 : 0));
  return (address >> bits) << bits;
}

/** First level of a second stage by S2TG's granule and S2SL0: the highest ones need wide addresses (DDI 0487, AArch64.S2InvalidSL). */
function secondStart({ granule }: Shape, sl0: number, { oas }: SmmuUnit): number | null {
  if (sl0 === 2 && oas < (granule === 16 ? 42 : 44)) return null;
  if (granule === 4) return [2, 1, 0, 3][sl0] as number;
  return sl0 === 3 ? null : 3 - sl0;
}

/** @throws Ended with C_BAD_STE @throws WalkRefused */
export function secondStageOf(ste: DecodedStructure, unit: SmmuUnit): SecondStage {
  const field = (name: string) => Number(fieldOf(ste, name));
  if (field('S2AA64') === 0) notWalked('a second stage of VMSAv8-32 (STE.S2AA64 = 0)');
  if (field('S2DS') === 1) notWalked('a second stage of LPA2 (STE.S2DS = 1)');
  if (field('S2PIE') === 1) notWalked('a second stage with indirect permissions (STE.S2PIE = 1)');
  const shape = SHAPE_0[field('S2TG')];
  if (shape === undefined) return event(EVENT.badSte, 'S2TG is reserved');
  const size = field('S2T0SZ');
  if (!isSizeValid(shape, size, unit.oas)) event(EVENT.badSte, `S2T0SZ ${size} is out of range`);
  const width = 64 - size;
  const start = secondStart(shape, field('S2SL0'), unit);
  if (start === null)
    return event(
      EVENT.badSte,
      `S2SL0 ${field('S2SL0')} is none that the ${shape.granule} KiB granule has with addresses of ${unit.oas} bits`,
    );
  const full = bitsFrom(shape, start);
  if (width <= full - shape.stride || width > full + CONCATENATED)
    event(EVENT.badSte, `S2T0SZ and S2SL0 do not go together: ${width} bits cannot begin at level ${start}`);
  const output = outputOf(unit, fieldOf(ste, 'S2PS'));
  const table = fieldOf(ste, 'S2TTB');
  if (isTableBeyond(shape, table, output)) event(EVENT.badSte, `S2TTB has more than ${output} bits`);
  return {
    ...{ shape, start, width, output, table: aligned(table, shape, start, { output, width }) },
    bigEndian: field('S2ENDI') === 1,
    affd: field('S2AFFD') === 1,
    ha: field('S2HA') === 1,
    hd: field('S2HD') === 1,
    recorded: field('S2R') + field('S2S') > 0,
    noDeviceWalks: field('S2PTW') === 1,
    forced: field('S2FWB') === 1,
  };
}

/** Whose translations a stream's are, as far as stage 1 goes. */
export interface World {
  /** Two parts of the address space, and two privilege levels: EL1, and EL2 with E2H. */
  readonly two: boolean;
  readonly privileged: boolean;
  /** STE.INSTCFG: reads are instruction fetches. */
  readonly instruction: boolean;
  /** STE.S1STALLD. */
  readonly noStall: boolean;
}

/**
 * The stage of the part of the address space that an address is of.
 * @returns with the address as the tables are indexed by it
 * @throws Ended with C_BAD_CD, or where there is no walk for the address
 */
export function firstStageOf(
  cd: DecodedStructure,
  world: World,
  unit: SmmuUnit,
  address: bigint,
): { stage: FirstStage; key: bigint } {
  const is = (name: string) => fieldOf(cd, name) === 1n;
  if (!is('V')) event(EVENT.badCd, 'V is 0');
  if (world.noStall && is('S')) event(EVENT.badCd, 'S is 1, and STE.S1STALLD too');
  if (!is('AA64')) notWalked('a first stage of VMSAv8-32 (CD.AA64 = 0)');
  if (is('DS')) notWalked('a first stage of LPA2 (CD.DS = 1)');
  if (is('PIE')) notWalked('a first stage with indirect permissions (CD.PIE = 1)');
  const [lower, upper] = [halfOf(cd, 0, world, unit), world.two ? halfOf(cd, 1, world, unit) : null];
  const isUpper = world.two && ((address >> 55n) & 1n) === 1n;
  const half = isUpper ? upper : lower;
  const recorded = is('R') || is('S');
  const refuse = (why: string) => event(EVENT.translation, recorded ? why : `${why}; not recorded (CD.R and S are 0)`);
  if (half === null) return refuse(`no walk by TTB${isUpper ? 1 : 0} (CD.EPD)`);
  if (world.two && !world.privileged && is(`E0PD${isUpper ? 1 : 0}`)) refuse('CD.E0PD: no unprivileged access');
  const { output, shape, size, start, table, width } = half;
  const top = is(`TBI${isUpper ? 1 : 0}`) ? BigInt.asUintN(56, address) : address;
  const bits = BigInt((is(`TBI${isUpper ? 1 : 0}`) ? 56 : 64) - width);
  if (top >> BigInt(width) !== (isUpper ? (1n << bits) - 1n : 0n))
    refuse(`the address has more bits than T${isUpper ? 1 : 0}SZ = ${size} permits (${width})`);
  return {
    key: BigInt.asUintN(width, address),
    stage: {
      ...{
        shape,
        start,
        width,
        output,
        table: aligned(table, shape, start, { output, width }),
        recorded,
        upper: isUpper,
      },
      ...{ bigEndian: is('ENDI'), affd: is('AFFD'), ha: is('HA'), hd: is('HD') },
      had: is(`HAD${isUpper ? 1 : 0}`),
      rules: {
        ...{ single: !world.two, wxn: is('WXN'), pan: is('PAN'), epan: is('EPAN') },
        ...{ ha: is('HA'), hd: is('HD') },
      },
    },
  };
}

/** What a CD says of TTB0 or TTB1, checked whether the address is of its part or not; null where its walks are off. */
function halfOf(cd: DecodedStructure, n: 0 | 1, { two }: World, unit: SmmuUnit) {
  // With one part of the address space EPD means nothing.
  if (two && fieldOf(cd, `EPD${n}`) === 1n) return null;
  const shape = (n === 0 ? SHAPE_0 : SHAPE_1)[Number(fieldOf(cd, `TG${n}`))];
  if (shape === undefined) return event(EVENT.badCd, `TG${n} is reserved`);
  const size = Number(fieldOf(cd, `T${n}SZ`));
  if (!isSizeValid(shape, size, unit.wideInput ? 52 : 48)) event(EVENT.badCd, `T${n}SZ ${size} is out of range`);
  const width = 64 - size;
  const output = outputOf(unit, fieldOf(cd, 'IPS'));
  const table = fieldOf(cd, `TTB${n}`);
  if (isTableBeyond(shape, table, output)) event(EVENT.badCd, `TTB${n} has more than ${output} bits`);
  return { shape, size, width, start: startLevel(shape, width), output, table };
}
