/** pSeries: what a return code of a hypercall makes likely. */
import type { Suspect } from '../causes.ts';
import { suspects } from '../causes.ts';

const REFUSED = suspects({ likely: ['window-full'], possible: ['corrupt-entry'] });
const NO_MEMORY = suspects({ likely: ['window-full'] });
const GONE = suspects({ likely: ['not-attached'], possible: ['window-full'] });
const HARDWARE = suspects({ likely: ['hardware-error'], possible: ['pe-frozen'] });

/** By code; those of "done" and "busy" are no faults. */
const OF_CODE: Readonly<Record<number, readonly Suspect[]>> = {
  [-1]: HARDWARE,
  [-2]: suspects({ likely: ['window-full'] }),
  [-4]: REFUSED,
  [-9]: NO_MEMORY,
  [-16]: NO_MEMORY,
  [-44]: NO_MEMORY,
  [-46]: GONE,
  [-55]: REFUSED,
  [-56]: REFUSED,
  [-57]: REFUSED,
  [-58]: REFUSED,
};

export function suspectsOf(code: number): Suspect[] {
  return OF_CODE[code]?.slice() ?? [];
}
