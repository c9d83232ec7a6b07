/** What a deviation of QEMU is made of. */
import type { Configuration } from './configurations.ts';
import type { Difference } from './judge.ts';
import type { KnownDeviation } from './known-deviation.ts';
import type { Script } from './script.ts';

/**
 * The version of QEMU that lines are of: the newest whose source could be had. What the deviations are is looked at on the QEMU that runs (11.1),
 * and functions are called as there.
 */
export const SOURCE = '10.2.2';

/** Where QEMU does it. */
export interface Place {
  readonly file: string;
  /** In {@link SOURCE}. */
  readonly line: number;
  readonly function: string;
  /** The function's name in {@link SOURCE}, where that was another one. */
  readonly was?: string;
}

/** A line of hw/i386/intel_iommu.c. */
export const line = (number: number, name: string, was?: string): Place => ({
  file: 'hw/i386/intel_iommu.c',
  line: number,
  function: name,
  ...(was === undefined ? {} : { was }),
});

/** As `hw/i386/intel_iommu.c:2236 (v10.2.2) vtd_do_iommu_translate`. */
export const placeText = ({ file, line: number, function: name, was }: Place): string =>
  `${file}:${number} (v${SOURCE}) ${name}${was === undefined ? '' : `, then ${was}`}`;

export interface Deviation extends KnownDeviation<Place> {
  explains(difference: Difference, script: Script, configuration: Configuration): boolean;
  /** Name of the configuration that has it; the first one, and others, if absent. */
  readonly only?: string;
}

/** What a request changes first where one side refuses it and the other does not. */
export const OUTCOME = ['FRCD.FI', 'FRCD.reason', 'FSTS', 'RESULT'];
/** FRCD 127:96: F, and T1 of a read. */
export const FAULTED = 0x80000000;
export const T1 = 0x40000000;
