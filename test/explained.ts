/** What `explain` makes of lines, for tests of decoders. */
import { expect } from 'vitest';
import type { Finding } from '../src/decode/index.ts';
import { Explainer, explain, Tables } from '../src/decode/index.ts';

/** The one finding of a text of which everything is known. */
export function only(...lines: string[]): Finding {
  const text = lines.join('\n');
  const { groups, unknownCount } = explain(text);
  expect([groups.length, unknownCount], text).toEqual([1, 0]);
  return groups[0].finding;
}

/** Of the causes that a finding names. */
export const ids = ({ causes }: { causes: readonly { id: string }[] }): string[] => causes.map(({ id }) => id);

/** The tables that a dump has. */
export function tablesOf(text: string): Tables {
  const tables = new Tables();
  const explainer = new Explainer(tables);
  explainer.begin('dump');
  explainer.push(text);
  explainer.end();
  return tables;
}
