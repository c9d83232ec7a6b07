/** Figures of measured cases: for people, as JSON and as CSV. */
import type { Figures, Measure, ModelName, ProfileOf } from '../cases/index.ts';
import type { Colours } from './story.ts';

export interface Measurement {
  readonly definition: Measure;
  readonly variant: string;
  readonly profile: ProfileOf[ModelName];
  readonly figures: Figures;
  readonly seconds: number;
}

/** Measures one variant. */
export function measured(definition: Measure, variant: string, profile: ProfileOf[ModelName]): Measurement {
  const start = performance.now();
  const figures = definition.measure({ variant, profile });
  return { definition, variant, profile, figures, seconds: (performance.now() - start) / 1000 };
}

/** The object of `check --json` (DESIGN §6), with the figures as columns and rows. */
export function measurementResult({ definition, variant, profile, figures, seconds }: Measurement): object {
  const { id, title, thread, model, notes } = definition;
  return {
    case: id,
    title,
    thread: thread ?? null,
    variant,
    model,
    profile: profile.name,
    expected: 'measured',
    verdict: 'measured',
    invariant: null,
    clause: null,
    steps: null,
    blocks: null,
    states: 0,
    depth: 0,
    exhausted: true,
    unfiredRules: [],
    figures,
    seconds: Number(seconds.toFixed(3)),
    trace: null,
    violations: [],
    mutant: null,
    file: null,
    notes: notes ?? [],
    interrupted: false,
  };
}

/** A title, the figures as a table, and what they mean. */
export function measurementLines(measurement: Measurement, colours: Colours): string[] {
  const { definition, variant, profile, figures } = measurement;
  const name = `${definition.id} ${variant} (${profile.name})`;
  return [
    `${colours.bold(name)}: measured, ${definition.variants[variant]}`,
    ...figuresTable(figures, colours).map((line) => `  ${line}`),
    ...(definition.notes ?? []).map((note) => colours.dim(`  ${note}`)),
    '',
  ];
}

function figuresTable({ columns, rows }: Figures, colours: Colours): string[] {
  const isNumber = columns.map(({ key }) => rows.every((row) => typeof row[key] === 'number'));
  const body = rows.map((row) =>
    columns.map(({ key }) => (typeof row[key] === 'number' ? row[key].toLocaleString('en') : String(row[key]))),
  );
  const widths = columns.map(({ title }, i) => Math.max(title.length, ...body.map((cells) => cells[i].length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (isNumber[i] ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
      .join('  ')
      .trimEnd();
  return [colours.dim(line(columns.map(({ title }) => title))), ...body.map(line)];
}

/** The figures as CSV (RFC 4180), a header line for each case; columns `case`, `variant`, `profile` come first. */
export function toCsv(measurements: readonly Measurement[]): string {
  const out: string[] = [];
  let last: Measure | null = null;
  for (const { definition, variant, profile, figures } of measurements) {
    const { columns, rows } = figures;
    if (definition !== last) out.push(csvLine(['case', 'variant', 'profile', ...columns.map(({ key }) => key)]));
    last = definition;
    for (const row of rows)
      out.push(csvLine([definition.id, variant, profile.name, ...columns.map(({ key }) => String(row[key]))]));
  }
  return out.join('\n');
}

function csvLine(cells: readonly string[]): string {
  return cells.map((cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(',');
}
