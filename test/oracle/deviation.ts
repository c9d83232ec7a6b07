/** What a deviation of QEMU is made of. */
import type { Difference } from './compare.ts';
import type { Configuration } from './configurations.ts';
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

export interface Deviation {
  readonly name: string;
  /** What QEMU does. */
  readonly title: string;
  /** What says otherwise, or leaves it open. */
  readonly clause: string;
  readonly where: readonly Place[];
  /** VT-d leaves it to hardware: a difference, and no mistake. */
  readonly permitted: boolean;
  /** Whether the two are in different states from there on, so that what follows in the script cannot be compared. */
  readonly ends: boolean;
  /** Of the comparisons of one field, the part that it may explain; MOST_EXEMPT (tally.ts) if absent. More is for what scripts do on purpose. */
  readonly most?: number;
  explains(difference: Difference, script: Script, configuration: Configuration): boolean;
  /** A script that meets it. */
  readonly proof: string;
  /** Name of the configuration that has it; the first one, and others, if absent. */
  readonly only?: string;
}

export const number = (text: string) => Number.parseInt(text, 16);
export const isRequest = (script: Script, op: number) => script[op]?.op === 'dma' || script[op]?.op === 'edu';
/** What a request changes first where one side refuses it and the other does not. */
export const OUTCOME = ['FRCD.FI', 'FRCD.reason', 'FSTS', 'RESULT'];
/** FRCD 127:96: F, and T1 of a read. */
export const FAULTED = 0x80000000;
export const T1 = 0x40000000;
