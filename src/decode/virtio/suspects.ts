/** virtio-iommu: what each reason of a fault (virtio 5.13.6.9) makes likely. */
import type { Suspect } from '../causes.ts';
import type { Missing } from '../suspects.ts';
import { DETACHED, missingPage } from '../suspects.ts';

const DOMAIN = 1;
const MAPPING = 2;

/** @returns none for "unknown": the device says that it has no reason to give */
export function suspectsOf(reason: number, request: Missing): Suspect[] {
  if (reason === DOMAIN) return [...DETACHED, { id: 'firmware-ids', sure: 'possible' }];
  return reason === MAPPING ? missingPage(request) : [];
}
