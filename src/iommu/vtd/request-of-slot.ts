/** What a transaction of the machine asks of the unit. */
import type { Dma } from '../../machine/index.ts';
import { ACCESS, MARK, SLOT } from '../../machine/index.ts';
import { REQUEST } from './request.ts';
import type { Walk } from './walk.ts';

/** AT (4.1): what kind of address a request has. */
export const ADDRESS_TYPE = { untranslated: 0, asks: 1, translated: 2 } as const;

/** Of several words it is no interrupt, the one word of a shorter one stands for a DWORD. */
export function kindOfSlot(dma: Dma, slot: number): number {
  const access = dma.get(slot, SLOT.access);
  return access === ACCESS.write && dma.get(slot, SLOT.more) > 0 ? REQUEST.longWrite : access;
}

/**
 * The request as it arrives, into `walk`. A translation request wants both rights, or what there is (4.2.3.1). A translated one comes
 * without PASID (4.2.1), and with the address that its device got.
 */
export function requestOf(dma: Dma, slot: number, walk: Walk): Walk {
  const flags = dma.get(slot, SLOT.flags);
  const { pasid = -1, privileged = false, sid } = dma.requesters[dma.get(slot, SLOT.device)];
  walk.sid = sid;
  walk.pasid = pasid;
  walk.privileged = pasid >= 0 && privileged;
  walk.execute = false;
  walk.vpnHi = dma.get(slot, SLOT.vpnHi);
  walk.vpnLo = dma.get(slot, SLOT.vpnLo);
  walk.access = dma.get(slot, SLOT.access);
  walk.fpd = false;
  walk.at = ADDRESS_TYPE.untranslated;
  if ((flags & MARK.asks) !== 0) {
    walk.at = ADDRESS_TYPE.asks;
    walk.access = REQUEST.atomic;
  } else if ((flags & MARK.direct) !== 0) {
    const [pfnHi, pfnLo] = [dma.get(slot, SLOT.pfnHi), dma.get(slot, SLOT.pfnLo)];
    walk.at = ADDRESS_TYPE.translated;
    walk.pasid = -1;
    walk.privileged = false;
    walk.vpnHi = (pfnHi << 2) | (pfnLo >>> 18);
    walk.vpnLo = pfnLo & 0x3ffff;
  }
  return walk;
}
