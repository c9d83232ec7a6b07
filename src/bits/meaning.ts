/** What a code means that hardware or firmware reports: a fault, an event, a return value. */
export interface Meaning {
  /** As the specification spells it. */
  readonly name: string;
  /** What has happened, in a few words. */
  readonly text: string;
  readonly clause: string;
}

/** By code. A code that is not there is reserved, or not of this model. */
export type Meanings<M extends Meaning = Meaning> = Readonly<Record<number, M>>;

/** The names alone, for `named()`. */
export function namesOf(meanings: Meanings): Readonly<Record<number, string>> {
  return Object.fromEntries(Object.entries(meanings).map(([code, { name }]) => [code, name]));
}
