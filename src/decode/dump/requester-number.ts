/** Whose tables are asked for, as a number: of PCI `bus:device.function`, of others the StreamID or device_id itself. */
import { hexNumber, pciRequester } from '../finding.ts';
import { WalkRefused } from './walk.ts';

/** @returns null where it is neither */
export function requesterNumber(text: string): number | null {
  const pci = pciRequester(text);
  if (pci !== null) return pci.id;
  if (!/^(?:0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text)) return null;
  const number = text.startsWith('0x') ? Number(hexNumber(text)) : Number(text);
  return number < 2 ** 32 ? number : null;
}

/** @param what it is called, `StreamID` @throws WalkRefused */
export function numberNeeded(device: string | null, what: string): number {
  if (device === null)
    throw new WalkRefused(`whose address it is has to be said: --device BUS:DEVICE.FUNCTION, or the ${what} as 0x…`);
  const number = requesterNumber(device);
  if (number === null) throw new WalkRefused(`'${device}' is no BUS:DEVICE.FUNCTION and no number`);
  return number;
}
