/** The device that a line of Linux is about: of PCI, or of another bus. */
import type { Requester } from '../finding.ts';
import { pciRequester } from '../finding.ts';

/** Before a message: driver and device, or the device alone. No group is of unbounded length, as lines come from anywhere. */
export const DEVICE = String.raw`(?<device>[\w.@,+-]{1,64}(?::[\w.@,+-]{1,64}){0,3})`;

/** Of PCI, a requester; a device of another bus has no requester id. */
export function requesterOf(device: string | undefined): Requester | null {
  return device === undefined ? null : pciRequester(device);
}
