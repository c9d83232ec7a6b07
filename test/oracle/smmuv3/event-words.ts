/** The dump of the event queue, as a comparison has it. */
import { EVENT_BYTES } from '../../../src/iommu/smmuv3/index.ts';
import { LAYOUT } from './machine.ts';

const offsetOf = (field: string) => Number(field.split(' ')[1]) - LAYOUT.events;

/** The slot of the queue that a field `events 0x…` lies in. */
export const slotOf = (field: string) => Math.floor(offsetOf(field) / EVENT_BYTES);

/** Which of the eight words of its record a field is. */
export const wordOf = (field: string) => (offsetOf(field) % EVENT_BYTES) / 4;

/** The number of the event in the slot of a field. @param dump bytes */
export function eventNumber(dump: string, field: string): number {
  return Number.parseInt(dump.slice(slotOf(field) * EVENT_BYTES * 2, slotOf(field) * EVENT_BYTES * 2 + 2), 16);
}
