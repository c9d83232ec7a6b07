/** A format of one line of a log, as data: how it is known, and what it says. */
import type { Finding } from './finding.ts';
import type { Opener } from './section.ts';

/** Named groups of a pattern; those that took no part are undefined. */
export type Groups = Readonly<Record<string, string | undefined>>;

export interface LineFormat {
  /** As {@link Finding}.kind. */
  readonly id: string;
  /**
   * Where in a line it stands is free: logs put prefixes before it. Named groups only; no group may be of unbounded backtracking, as lines
   * come from anywhere.
   */
  readonly pattern: RegExp;
  /** Text that every such line has, by which lines are found at all. */
  readonly needle: string;
  /** A line as it is printed, for tests and for `--formats`. */
  readonly example: string;
  /** Who prints it, and since when or until when. */
  readonly printedBy: string;
  /** Of the line alone. @returns null where a number is none that the format can have: the line is counted as damaged */
  readonly decode?: (groups: Groups) => Finding | null;
  /** It is the head of a table. */
  readonly section?: Opener;
  /** Lines that belong to it and follow, each with the groups of its own pattern, up to the first other line of the same kind. */
  readonly follow?: FollowingLines;
}

/** What follows a line. Lines of others may stand between. */
export interface FollowingLines {
  readonly pattern: RegExp;
  /** Lines at most. */
  readonly count: number;
  /** Lines that stand behind the format's example, for tests. */
  readonly example: readonly string[];
  /** Made anew with what has come so far, after each line. */
  decode(first: Groups, rest: readonly Groups[]): Finding | null;
}
