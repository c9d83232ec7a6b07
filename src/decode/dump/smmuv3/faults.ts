/** What ends a walk of an SMMU: an event of the specification's, or something that this walk does not do. */
import { EVENTS } from '../../../iommu/smmuv3/events.ts';
import type { Code } from '../../finding.ts';
import { fail } from '../reader.ts';
import { WalkRefused } from '../walk.ts';

export const EVENT = {
  badStreamId: 0x02,
  badSte: 0x04,
  streamDisabled: 0x06,
  badSubstreamId: 0x08,
  badCd: 0x0a,
  translation: 0x10,
  addressSize: 0x11,
  access: 0x12,
  permission: 0x13,
} as const;
export type EventNumber = (typeof EVENT)[keyof typeof EVENT];

export function event(number: EventNumber, why: string | null = null): never {
  const { clause, name, text } = EVENTS[number] as (typeof EVENTS)[number];
  const code: Code = { value: number, name, meaning: text, clause };
  return fail(code, why);
}

/** A format that the declarations do not have. */
export function notWalked(what: string): never {
  throw new WalkRefused(`${what} is not walked here: --as decodes the entries one by one`);
}
