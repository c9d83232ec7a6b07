/** What makes a context misconfigured (RISC-V IOMMU 2.1.4, 2.2.4), as far as the words, and the registers that are given, can tell. */
import type { DecodedStructure } from '../../structure.ts';
import { bitsText, fieldOf } from '../../structure.ts';
import { FIRST_STAGE, SECOND_STAGE } from './schemes.ts';

/** The unit, as far as inputs say: null where they do not. */
export interface Unit {
  readonly capabilities: DecodedStructure | null;
  readonly fctl: DecodedStructure | null;
}

/** Whether the unit may have a capability: what no input tells counts as there. */
export function may({ capabilities }: Unit, name: string): boolean {
  return capabilities === null || fieldOf(capabilities, name) === 1n;
}

/** fctl is 0 where no input tells. */
export function control({ fctl }: Unit, name: 'BE' | 'GXL'): 0 | 1 {
  return fctl !== null && fieldOf(fctl, name) === 1n ? 1 : 0;
}

type Check = readonly [why: string, wrong: (dc: DecodedStructure, unit: Unit) => boolean];

const is = (dc: DecodedStructure, name: string) => fieldOf(dc, `tc_${name}`) === 1n;
const bareSecond = (dc: DecodedStructure) => fieldOf(dc, 'iohgatp_MODE') === 0n;

/** pdtp.MODE, by its number, with the capability that it needs. */
export const PDTP_MODES: readonly (string | null)[] = [null, 'PD8', 'PD17', 'PD20'];

/** In the order of the specification's list. */
const DEVICE_CONTEXT: readonly Check[] = [
  [
    'EN_ATS, EN_PRI or PRPR without capabilities.ATS',
    (dc, unit) => !may(unit, 'ATS') && ['EN_ATS', 'EN_PRI', 'PRPR'].some((name) => is(dc, name)),
  ],
  ['T2GPA without EN_ATS', (dc) => is(dc, 'T2GPA') && !is(dc, 'EN_ATS')],
  ['EN_PRI without EN_ATS', (dc) => is(dc, 'EN_PRI') && !is(dc, 'EN_ATS')],
  ['PRPR without EN_PRI', (dc) => is(dc, 'PRPR') && !is(dc, 'EN_PRI')],
  ['T2GPA without capabilities.T2GPA', (dc, unit) => is(dc, 'T2GPA') && !may(unit, 'T2GPA')],
  ['T2GPA with a second stage that is Bare', (dc) => is(dc, 'T2GPA') && bareSecond(dc)],
  [
    'pdtp.MODE is none that the unit has',
    (dc, unit) => is(dc, 'PDTV') && !isProcessMode(fieldOf(dc, 'fsc_MODE'), unit),
  ],
  [
    'iosatp.MODE is none that the unit has',
    (dc, unit) => !is(dc, 'PDTV') && !isFirstMode(dc, fieldOf(dc, 'fsc_MODE'), unit),
  ],
  ['DPE without PDTV', (dc) => is(dc, 'DPE') && !is(dc, 'PDTV')],
  [
    'iohgatp.MODE is none that the unit has',
    (dc, unit) => !isMode(SECOND_STAGE[control(unit, 'GXL')], fieldOf(dc, 'iohgatp_MODE'), unit),
  ],
  ['msiptp.MODE is neither Off nor Flat', (dc) => fieldOf(dc, 'msiptp_MODE') > 1n],
  [
    'the root of the second stage is not at a multiple of 16 KiB',
    (dc) => !bareSecond(dc) && fieldOf(dc, 'iohgatp_PPN') % 0x4000n !== 0n,
  ],
  [
    'SADE or GADE without capabilities.AMO_HWAD',
    (dc, unit) => !may(unit, 'AMO_HWAD') && (is(dc, 'SADE') || is(dc, 'GADE')),
  ],
  [
    'SBE differs from fctl.BE without capabilities.END',
    (dc, unit) => !may(unit, 'END') && Number(is(dc, 'SBE')) !== control(unit, 'BE'),
  ],
  ['SXL is 0 with fctl.GXL = 1', (dc, unit) => control(unit, 'GXL') === 1 && !is(dc, 'SXL')],
  [
    'RCID or MCID without capabilities.QOSID',
    (dc, unit) => !may(unit, 'QOSID') && (fieldOf(dc, 'ta_RCID') !== 0n || fieldOf(dc, 'ta_MCID') !== 0n),
  ],
];

/** @returns what is wrong with it; null if nothing is */
export function deviceContextError(dc: DecodedStructure, unit: Unit): string | null {
  const reserved = dc.reserved[0];
  if (reserved !== undefined) return `bits ${bitsText(reserved)} are reserved, and set`;
  return DEVICE_CONTEXT.find(([, wrong]) => wrong(dc, unit))?.[0] ?? null;
}

/** @returns what is wrong with it; null if nothing is */
export function processContextError(pc: DecodedStructure, dc: DecodedStructure, unit: Unit): string | null {
  const reserved = pc.reserved[0];
  if (reserved !== undefined) return `bits ${bitsText(reserved)} are reserved, and set`;
  return isFirstMode(dc, fieldOf(pc, 'fsc_MODE'), unit) ? null : 'fsc.MODE is none that the unit has';
}

function isProcessMode(mode: bigint, unit: Unit): boolean {
  const needs = PDTP_MODES[Number(mode)];
  return needs === null || (needs !== undefined && may(unit, needs));
}

function isFirstMode(dc: DecodedStructure, mode: bigint, unit: Unit): boolean {
  return isMode(FIRST_STAGE[is(dc, 'SXL') ? 1 : 0], mode, unit);
}

function isMode(schemes: (typeof FIRST_STAGE)[0], mode: bigint, unit: Unit): boolean {
  const scheme = schemes[Number(mode)];
  return mode === 0n || (scheme !== undefined && may(unit, scheme.name));
}
