/** `pinhole bench`: how fast this build is on this machine. */
import { buildCommand } from '@stricli/core';
import type { Benchmark, Measured } from '../../bench/index.ts';
import { BENCHMARKS, measure } from '../../bench/index.ts';
import { nearest, unknownName } from '../nearest.ts';
import { coloursFor, print } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';

/** What runs: the sources, through a loader that makes them somewhat slower, or what was built of them. */
const BUILD = import.meta.url.endsWith('.ts') ? 'sources' : 'built';

const COLUMNS = ['name', 'median', 'min', 'max', 'unit', 'runs', 'what is measured'];
const RIGHT = new Set([1, 2, 3, 5]);

export const benchCommand = buildCommand<{ readonly json?: boolean }, string[]>({
  docs: { brief: 'measure translations, invalidations, the explorer and the reading of logs' },
  parameters: {
    flags: { json: { kind: 'boolean', optional: true, withNegated: false, brief: 'as JSON' } },
    positional: {
      kind: 'array',
      parameter: { brief: 'row, or the beginning of its name up to a slash', parse: String, placeholder: 'NAME' },
    },
  },
  func(flags, ...names) {
    const chosen = choose(names);
    const rows: Measured[] = [];
    for (const [i, benchmark] of chosen.entries()) {
      tell(`[${i + 1}/${chosen.length}] ${benchmark.rows[0]?.name}`);
      rows.push(...measure(benchmark, performance).filter(({ name }) => isNamed(name, names)));
    }
    tell('');
    if (flags.json === true) {
      const told = rows.map(({ name, unit, median, min, max, runs }) => ({
        ...{ name, unit, median, min, max, runs },
        build: BUILD,
      }));
      print(JSON.stringify(told, null, 2));
    } else print(table(rows));
  },
});

function isNamed(row: string, names: readonly string[]): boolean {
  return names.length === 0 || names.some((name) => row === name || row.startsWith(name.replace(/\/?$/, '/')));
}

function choose(names: readonly string[]): Benchmark[] {
  const all = BENCHMARKS.flatMap(({ rows }) => rows.map(({ name }) => name));
  for (const name of names) {
    if (all.some((row) => isNamed(row, [name]))) continue;
    const folders = all.flatMap((row) => row.split('/').map((_, i, parts) => parts.slice(0, i + 1).join('/')));
    const near = nearest(name, [...new Set(folders)]);
    throw new UsageError(unknownName('benchmark', name, near.length > 0 ? near : ['translate', 'explore']));
  }
  return BENCHMARKS.filter(({ rows }) => rows.some(({ name }) => isNamed(name, names)));
}

/** Progress, for a person; an empty text takes it away. */
function tell(text: string): void {
  if (process.stderr.isTTY === true) process.stderr.write(`\r\u001b[K${text}`);
}

function figure(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en');
  return value >= 1 ? value.toFixed(1) : value.toPrecision(2);
}

function table(rows: readonly Measured[]): string {
  const colours = coloursFor(process.stdout);
  const cells = rows.map(({ name, unit, median, min, max, runs, what }) => [
    ...[name, figure(median), figure(min), figure(max), unit, String(runs), what],
  ]);
  const widths = COLUMNS.map((title, i) => Math.max(title.length, ...cells.map((row) => (row[i] as string).length)));
  const line = (row: readonly string[]) =>
    row
      .map((text, i) => (RIGHT.has(i) ? text.padStart(widths[i] as number) : text.padEnd(widths[i] as number)))
      .join('  ')
      .trimEnd();
  const said =
    BUILD === 'built'
      ? 'Measured: the built package.'
      : "Measured: the sources, as they are loaded in a checkout; 'npm run bench' builds them first, which is somewhat faster.";
  return [colours.dim(line(COLUMNS)), ...cells.map(line), '', said].join('\n');
}
