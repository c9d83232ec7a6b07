/** What a deviation of QEMU is made of. */
import type { Difference } from './compare.ts';
import type { Configuration } from './configurations.ts';
import type { Script } from './script.ts';

export interface Deviation {
  readonly name: string;
  /** What QEMU does. */
  readonly title: string;
  /** What says otherwise, or leaves it open. */
  readonly clause: string;
  /** Function of hw/i386/intel_iommu.c. */
  readonly qemu: string;
  /** VT-d leaves it to hardware: a difference, and no mistake. */
  readonly permitted: boolean;
  /** Whether the two are in different states from there on, so that what follows in the script cannot be compared. */
  readonly ends: boolean;
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
