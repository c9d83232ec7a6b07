/** What deviations of QEMU are made of, of whatever IOMMU. */

/** @template P where QEMU has it: a file, a function */
export interface KnownDeviation<P> {
  readonly name: string;
  /** What QEMU does. */
  readonly title: string;
  /** What says otherwise, or leaves it open. */
  readonly clause: string;
  readonly where: readonly P[];
  /** The specification leaves it to hardware: a difference, and no mistake. */
  readonly permitted: boolean;
  /** Whether the two are in different states from there on, so that what follows in the script cannot be compared. */
  readonly ends: boolean;
  /** Of the comparisons of one field, the part that it may explain; MOST_EXEMPT (tally.ts) if absent. More is for what scripts do on purpose. */
  readonly most?: number;
  /** A script that meets it. */
  readonly proof: string;
}

export const number = (text: string) => Number.parseInt(text, 16);
