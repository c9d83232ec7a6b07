/** What a leaf lets pass (DDI 0487 D8.4; SMMUv3 3.13, 5.2, 5.4), by both stages. Execute permissions are as with FEAT_XNX. */
import type { DecodedStructure } from '../../structure.ts';
import { fieldOf } from '../../structure.ts';

/** What a transaction wants, after STE.INSTCFG and PRIVCFG. */
export interface Wanted {
  readonly access: 'read' | 'write' | 'execute';
  readonly privileged: boolean;
}

/** Flags that the unit keeps: AF, and what DBM stands for. */
export interface Flags {
  readonly ha: boolean;
  readonly hd: boolean;
}

/** What a stage says of permissions beside its descriptors. */
export interface FirstRules extends Flags {
  /** One privilege level alone: AP[1] and PXN mean nothing. */
  readonly single: boolean;
  readonly wxn: boolean;
  /** CD.PAN, and EPAN: of pages that users may execute too. */
  readonly pan: boolean;
  readonly epan: boolean;
}

/** What descriptors of tables have added up to. */
export class Restrictions {
  noUser = false;
  readOnly = false;
  noCode = false;
  noPrivilegedCode = false;

  add(table: DecodedStructure): void {
    const restricted = fieldOf(table, 'APTable');
    this.noUser ||= (restricted & 1n) !== 0n;
    this.readOnly ||= (restricted & 2n) !== 0n;
    this.noCode ||= fieldOf(table, 'UXNTable') === 1n;
    this.noPrivilegedCode ||= fieldOf(table, 'PXNTable') === 1n;
  }
}

const bit = (leaf: DecodedStructure, name: string) => fieldOf(leaf, name) === 1n;

/** Read-only only because it is clean. */
function isManaged(leaf: DecodedStructure, { ha, hd }: Flags): boolean {
  return ha && hd && bit(leaf, 'DBM');
}

/** @returns why a first stage's leaf does not let it pass; null where it does */
export function firstLacks(
  leaf: DecodedStructure,
  rules: FirstRules,
  tables: Restrictions,
  { access, privileged }: Wanted,
): string | null {
  const { epan, pan, single, wxn } = rules;
  const access2 = fieldOf(leaf, 'AP');
  const user = single || ((access2 & 1n) !== 0n && !tables.noUser);
  const writable = !tables.readOnly && ((access2 & 2n) === 0n || isManaged(leaf, rules));
  const code = !bit(leaf, 'UXN') && !tables.noCode;
  if (access === 'execute') {
    if (wxn && writable && (single || privileged || user)) return 'CD.WXN: what may be written is not executed';
    if (single || !privileged) return code ? null : 'UXN, or UXNTable above it: not to be executed';
    if (user && writable) return 'privileged accesses do not execute what users may write';
    return bit(leaf, 'PXN') || tables.noPrivilegedCode ? 'PXN, or PXNTable above it: not to be executed' : null;
  }
  if (!privileged && !user) return 'AP, or APTable above it, lets privileged accesses alone';
  if (privileged && !single && pan && (user || (epan && code)))
    return 'CD.PAN: privileged accesses may not reach pages of users';
  if (access === 'read' || writable) return null;
  return tables.readOnly ? 'APTable of a table above it lets no write' : 'AP lets no write';
}

/** @returns why a second stage's leaf does not let it pass; null where it does */
export function secondLacks(leaf: DecodedStructure, flags: Flags, { access, privileged }: Wanted): string | null {
  const rights = fieldOf(leaf, 'S2AP');
  if (access === 'read') return (rights & 1n) === 0n ? 'S2AP lets no read' : null;
  if (access === 'write') return (rights & 2n) === 0n && !isManaged(leaf, flags) ? 'S2AP lets no write' : null;
  // XN: 0 all, 1 unprivileged alone, 2 nobody, 3 privileged alone.
  const never = Number(fieldOf(leaf, 'XN'));
  return never === 0 || never === (privileged ? 3 : 1) ? null : 'XN: not to be executed';
}

/** Whether a write to it is one that makes the unit set its dirty state. */
export function dirties(leaf: DecodedStructure, flags: Flags): boolean {
  return isManaged(leaf, flags) && (fieldOf(leaf, 'AP') & 2n) !== 0n;
}
