/** Many lines under a head: a table of a debugfs file. Each line that comes is shown to it until it is over. */

import type { Tables } from './dump/tables.ts';
import type { Finding } from './finding.ts';

export interface Section {
  /** @returns whether the line is one of its own */
  take(line: string): boolean;
  /** No further line can be. */
  readonly isFull?: boolean;
  /** It is over, because its input is, or because other lines follow. */
  close(): Finding[];
}

/** @param tables where what it says of memory is kept, for who walks it; null where nobody does */
export type Opener = (groups: Readonly<Record<string, string | undefined>>, tables: Tables | null) => Section;
