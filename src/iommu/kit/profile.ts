/** What profiles of all models have: which of the decisions that an architecture leaves to hardware an implementation takes is each model's own. */
export interface Profile {
  /** Of the model. */
  readonly name: string;
  readonly title: string;
  /** The profile whose verdicts hold where a case expects nothing else of this one. */
  readonly basis?: string;
}
