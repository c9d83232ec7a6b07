/** What a deviation of QEMU's SMMU is made of. */
import type { Difference } from '../compare.ts';
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

export interface Deviation {
  readonly name: string;
  /** What QEMU does. */
  readonly title: string;
  /** What says otherwise, or leaves it open. */
  readonly clause: string;
  readonly where: readonly Place[];
  /** SMMUv3 leaves it to hardware: a difference, and no mistake. */
  readonly permitted: boolean;
  /** Whether the two are in different states from there on, so that what follows in the script cannot be compared. */
  readonly ends: boolean;
  /** Of the comparisons of one field, the part that it may explain; MOST_EXEMPT (tally.ts) if absent. */
  readonly most?: number;
  /** @param ours, theirs all that was read, of which the difference is a part: a dump as bytes */
  explains(difference: Difference, script: Script, configuration: Configuration, ours: string, theirs: string): boolean;
  /** A script that meets it, in a configuration. */
  readonly proof: string;
  readonly only: Configuration['stage'];
}
