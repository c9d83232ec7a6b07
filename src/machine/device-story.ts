import type { Dma } from './dma.ts';
import { SLOT } from './dma.ts';
import { bdf } from './requester.ts';

/** A line of the story: what the device of the transaction in a slot does. */
export function sayOfDevice(dma: Dma, slot: number, what: string): void {
  if (!dma.log.on) return;
  const { name, sid } = dma.requesters[dma.get(slot, SLOT.device)];
  dma.log.say('device', `${name} [${bdf(sid)}] ${what}`);
}
