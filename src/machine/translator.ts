/** What sits between devices and memory; an IOMMU model. */
export interface Translator {
  /** In how many ways the next step of the transaction can go; at least 1. */
  choices(slot: number): number;
  /** Takes it: ends in {@link Dma.translated}, {@link Dma.abort} or a slot that has moved on. */
  step(slot: number, choice: number): void;
  /** Steps that are left before it is translated or aborted, at most: each {@link step} makes them fewer. See `Agent.left`. */
  left?(slot: number): number;
  /** What {@link left} is of a request that has not begun, at most. Falls with each step of hardware that may make requests longer. */
  most?(): number;
  /** Translates at once: ends in {@link Dma.translated} or {@link Dma.abort}. */
  immediate(slot: number): void;
}
