/** The verdict table, grouped by seed thread. */
import type { Finished, Job } from './job.ts';
import { isAsExpected } from './job.ts';
import { notes, verdictText } from './report.ts';
import type { Colours } from './story.ts';

const THREADS: readonly (readonly [string | null, string])[] = [
  ['000', 'in-flight DMA, invalidation and H_PUT_TCE'],
  ['001', 'VFIO and mdev under a vIOMMU'],
  ['002', 'nested SMMUv3, VMIDs, VCMDQ'],
  ['003', 'superpages and paging-structure caches on VT-d'],
  ['004', 'virtio and the DMA API on pSeries'],
  [null, 'cases of your own'],
];

const HEAD = ['case', 'model', 'variant', 'profile', 'verdict', '', 'broken', 'steps', 'blocks', 'states', 'seconds'];
const MODEL = 1;
const RIGHT = new Set([7, 8, 9, 10]);

export interface Row {
  readonly job: Job;
  readonly finished: Finished;
}

/** A cell, and how it is painted once it was padded. */
interface Cell {
  readonly text: string;
  readonly paint?: (text: string) => string;
}

function cells({ job, finished }: Row, colours: Colours): Cell[] {
  const right = isAsExpected(job, finished);
  const mark =
    finished.verdict === 'bounded'
      ? '?'
      : right
        ? '✓'
        : `✗ ${finished.verdict === finished.expected ? '' : finished.expected}`.trimEnd();
  const first = finished.broken[0];
  return [
    { text: job.definition.id, paint: colours.bold },
    { text: job.definition.model },
    { text: job.mutant === null ? job.variant : `${job.variant} + ${job.mutant}` },
    { text: job.profile.name },
    { text: finished.verdict, paint: (text) => verdictText(job, finished, colours).replace(finished.verdict, text) },
    { text: mark, paint: right ? colours.green : colours.red },
    { text: finished.broken.map((b) => (b.invariant === 'OPEN' ? 'open' : b.invariant)).join(' ') },
    { text: first === undefined ? '' : String(first.run.length) },
    { text: first === undefined ? '' : String(first.blocks) },
    { text: finished.states.toLocaleString('en') },
    { text: finished.seconds.toFixed(2) },
  ];
}

export function verdictTable(rows: readonly Row[], colours: Colours): string {
  const body = rows.map((row) => cells(row, colours));
  // One model needs no column.
  const several = new Set(rows.map(({ job }) => job.definition.model)).size > 1;
  const line = (texts: readonly string[]) => `  ${texts.filter((_, c) => several || c !== MODEL).join('  ')}`.trimEnd();
  const widths = HEAD.map((title, i) => Math.max(title.length, ...body.map((row) => row[i].text.length)));
  const pad = (text: string, i: number) => (RIGHT.has(i) ? text.padStart(widths[i]) : text.padEnd(widths[i]));
  const out: string[] = [];
  for (const [thread, title] of THREADS) {
    const members = rows.map((_, i) => i).filter((i) => (rows[i].job.definition.thread ?? null) === thread);
    if (members.length === 0) continue;
    out.push('', colours.bold(thread === null ? title : `Thread ${thread}: ${title}`));
    out.push(colours.dim(line(HEAD.map(pad))));
    for (const i of members) out.push(line(body[i].map((cell, c) => (cell.paint ?? String)(pad(cell.text, c)))));
    const told = new Set(
      members.flatMap((i) => notes(rows[i].job, rows[i].finished).map((n) => `${rows[i].job.definition.id}: ${n}`)),
    );
    for (const note of told) out.push(colours.dim(`  ${note}`));
  }
  return [...out.slice(1), '', summary(rows, colours)].join('\n');
}

/** `24 runs: 13 violated, 11 hold; all as expected.` */
export function summary(rows: readonly Row[], colours: Colours): string {
  const count = (verdict: string) => rows.filter((r) => r.finished.verdict === verdict).length;
  const holding = count('holds');
  const parts = [`${count('violated')} violated`, `${holding} ${holding === 1 ? 'holds' : 'hold'}`];
  if (count('undefined') > 0) parts.push(`${count('undefined')} undefined`);
  if (count('bounded') > 0) parts.push(`${count('bounded')} bounded`);
  const wrong = rows.filter((r) => !isAsExpected(r.job, r.finished));
  const open = count('bounded') > 0 ? 'not all were exhausted' : 'all as expected';
  const own = wrong.filter((r) => r.job.file !== null).length;
  const verdict =
    wrong.length === 0
      ? colours.green(open)
      : colours.red(own === wrong.length ? `${own} of your own violated` : `${wrong.length} not as expected`);
  const states = rows.reduce((sum, r) => sum + r.finished.states, 0).toLocaleString('en');
  return `${rows.length} ${rows.length === 1 ? 'run' : 'runs'}, ${states} states: ${parts.join(', ')}; ${verdict}.`;
}
