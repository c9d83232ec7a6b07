/** Which combinations of scalable-mode capabilities there can be (VT-d 11.4.2, 11.4.3), and which of them this model has. */
import type { Capabilities } from './capabilities.ts';

type Cap = Capabilities['cap'];
type Ecap = Capabilities['ecap'];
type Name = keyof Ecap;

/** "Reported as Clear where … is Clear": a capability, and those without which there is none (11.4.3). */
const NEEDS: readonly (readonly [Name, readonly Name[]])[] = [
  ['SMTS', ['QI']],
  ['MTS', ['SMTS']],
  ['NEST', ['SMTS', 'FSTS', 'SSTS']],
  ['PRS', ['DT', 'SMTS']],
  ['SRS', ['SMTS']],
  ['NWFS', ['DT']],
  ['EAFS', ['FSTS', 'SMPWCS']],
  ['PASID', ['SMTS']],
  ['DIT', ['DT']],
  ['PDS', ['DT']],
  ['SSADS', ['SMPWCS']],
  ['FSTS', ['SMTS']],
  ['SMPWCS', ['SMTS']],
  ['RPS', ['SMTS']],
  ['RPRIVS', ['SRS']],
  ['HPTS', ['SMTS', 'DT']],
  ['PTRS', ['DT', 'PASID']],
  ['SSIRWS', ['SSTS']],
  ['SMS', ['PRS']],
  ['HPT1GPS', ['HPTS']],
  ['EIMER', ['EIM']],
  ['IRREQ', ['IR']],
];

/** PASIDs have 20 bits at most. */
const MOST_PSS = 19;

/** What the specification rules out. */
export function scalableImpossible(cap: Cap, ecap: Ecap): string | null {
  for (const [name, needs] of NEEDS) {
    const lacking = needs.filter((need) => ecap[need] === 0);
    if (ecap[name] === 1 && lacking.length > 0) return `ECAP.${name} without ECAP.${lacking.join(' and ')} (11.4.3)`;
  }
  if (ecap.PMS === 1 && cap.ECMDS === 0) return 'ECAP.PMS without CAP.ECMDS (11.4.3)';
  if (ecap.ERS === 1) return 'ECAP.ERS is deprecated and 0 (11.4.3)';
  if (ecap.PSS > 0 && ecap.SMTS === 0) return 'ECAP.PSS without ECAP.SMTS (11.4.3)';
  if (ecap.PSS > MOST_PSS) return `ECAP.PSS ${ecap.PSS}: PASIDs of ${ecap.PSS + 1} bits; they have 20 at most (11.4.3)`;
  if (ecap.SMTS === 1 && cap.RWBF === 1) return 'CAP.RWBF with ECAP.SMTS (11.4.2)';
  return null;
}

/** What an implementation may have, and this model has not. */
const MISSING: readonly (readonly [Name, string])[] = [
  ['PTRS', 'translated requests with PASID'],
  ['HPTS', 'host permission tables'],
  ['VCS', 'virtual commands'],
  ['PMS', 'performance monitoring'],
  ['TDXCS', 'TDX Connect'],
  ['RDTS', 'resource director technology'],
  ['SSIRWS', 'I/O read and write bits of the second stage'],
];

export function scalableMissing(ecap: Ecap): string | null {
  const found = MISSING.find(([name]) => ecap[name] === 1);
  return found === undefined ? null : `${found[1]} (ECAP.${found[0]}) are not modelled`;
}
