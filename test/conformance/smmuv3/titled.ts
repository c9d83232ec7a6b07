/** Titles of rows that vitest’s own formats cannot make: what is in them in hexadecimal, or left out. */
import { hex } from '../../../src/bits/index.ts';

export { hex };

/**
 * For `test.each(titled(rows, (…row) => 'title'))('%s', (_, …row) => …)`.
 * @returns each row behind its title
 */
export function titled<R extends readonly [unknown, ...unknown[]]>(
  rows: readonly R[],
  title: NoInfer<(...row: R) => string>,
): [title: string, ...row: R][] {
  return rows.map((row) => [title(...row), ...row]);
}
