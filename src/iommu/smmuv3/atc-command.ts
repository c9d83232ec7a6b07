/** CMD_ATC_INV (IHI 0070, 4.5.1): what the command asks of a device's ATC. */
import { get, hex64 } from '../../bits/index.ts';
import { bdf, EVERY_PASID } from '../../machine/index.ts';
import type { AtcInvalidations } from '../kit/atc-invalidations.ts';
import { CMD_ATC_INV } from './commands.ts';
import type { SmmuCore } from './core.ts';

/** Sends it, where there is room; ignored while SMMUEN is 0. @param atc null without IDR0.ATS */
export function sendAtcInvalidation(core: SmmuCore, atc: AtcInvalidations | null, command: Int32Array): void {
  if (!core.enabled || atc === null) return;
  const { Global, SSV, Size, StreamID, SubstreamID } = CMD_ATC_INV;
  const sid = get(StreamID, command);
  // Without substreams the command behaves as though SSV were 0.
  const withPasid = core.has.idr1.SSIDSIZE > 0 && get(SSV, command) === 1;
  const every = withPasid && get(Global, command) === 1;
  const pasid = every ? EVERY_PASID : withPasid ? get(SubstreamID, command) : -1;
  const [lo, hi, size] = [command[2] & -4096, command[3], get(Size, command)];
  if (core.telling) core.say(`CMD_ATC_INV to ${bdf(sid)}: ${hex64(lo, hi)}, 2^${size} pages`);
  atc.send(sid, pasid, lo, hi, size);
}
