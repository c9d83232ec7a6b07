/** What a deviation of QEMU's SMMU is made of. */
import type { Difference } from '../judge.ts';
import type { KnownDeviation } from '../known-deviation.ts';
import type { Configuration } from './configurations.ts';
import type { Script } from './script.ts';

/** Where QEMU does it. */
export interface Place {
  readonly file: 'hw/arm/smmuv3.c' | 'hw/arm/smmu-common.c';
  readonly function: string;
}

/** The version of QEMU that functions are named by: between 10.0 and 10.1, the newest whose source could be had. What deviations are is looked at on the QEMU that runs (11.1). */
export const SOURCE = '10.0-rc';

export const placeText = ({ file, function: name }: Place): string => `${file} (v${SOURCE}) ${name}`;

/** A function of hw/arm/smmuv3.c, and of hw/arm/smmu-common.c. */
export const smmuv3 = (name: string): Place => ({ file: 'hw/arm/smmuv3.c', function: name });
export const common = (name: string): Place => ({ file: 'hw/arm/smmu-common.c', function: name });

export interface Deviation extends KnownDeviation<Place> {
  /** @param ours, theirs all that was read, of which the difference is a part: a dump as bytes */
  explains(difference: Difference, script: Script, configuration: Configuration, ours: string, theirs: string): boolean;
  /** The configuration that has it. */
  readonly only: Configuration['stage'];
}
