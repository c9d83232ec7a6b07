/** A counterexample as a numbered story in lanes. */
import pc from 'picocolors';
import type { CaseRun, InvariantId, ModelName } from '../cases/index.ts';
import { INVARIANTS, wordsOf } from '../cases/index.ts';
import type { Decision, Replay } from '../explore/index.ts';
import { replay } from '../explore/index.ts';
import type { Lane, Machine } from '../machine/index.ts';

const LANES: readonly Lane[] = ['driver', 'device', 'iommu', 'memory'];
const TITLES: Readonly<Record<Lane, string>> = { driver: 'driver', device: 'device', iommu: 'IOMMU', memory: 'memory' };
/** Columns before the first lane, and of each lane; the text of a line may run on to the right. */
const INDENT = 6;
const LANE_WIDTH = 8;

export type Colours = ReturnType<typeof pc.createColors>;
export const PLAIN: Colours = pc.createColors(false);

/** One line of a lane, with thin bars for the lanes to its left. */
function laneLine(number: string, lane: Lane, text: string, colours: Colours): string {
  const index = LANES.indexOf(lane);
  const bars = colours.dim('│'.padEnd(LANE_WIDTH)).repeat(index);
  const paint = { driver: colours.cyan, device: colours.yellow, iommu: colours.magenta, memory: colours.green }[lane];
  return `${number.padStart(INDENT - 2)}  ${bars}${paint(text)}`;
}

/** The names of the lanes, above them. */
export function laneHead(colours: Colours): string {
  const head = LANES.map((lane) => TITLES[lane].padEnd(LANE_WIDTH)).join('');
  return ' '.repeat(INDENT) + colours.bold(head.trimEnd());
}

/** Whether several actors fill the driver's lane, so that its lines say whose they are. */
export function hasSeveralDrivers(steps: Replay['steps']): boolean {
  return new Set(steps.filter((step) => step.lane === 'driver').map((step) => step.agent)).size > 1;
}

/** One step; only its first line is numbered. @param number from 1. @param named lines of the driver's lane say whose they are */
export function stepLines(step: Replay['steps'][number], number: number, colours: Colours, named: boolean): string[] {
  const lines = step.lines.length > 0 ? step.lines : [{ lane: step.lane, text: `(${step.agent} goes on)` }];
  const who = named && step.lines.length > 0 && step.lane === 'driver' ? `${step.agent}: ` : '';
  return lines.map(({ lane, text }, k) =>
    laneLine(k === 0 ? String(number) : '', lane, lane === 'driver' ? who + text : text, colours),
  );
}

/** The steps of a replay, numbered, in lanes. */
export function laneLines(steps: Replay['steps'], colours: Colours): string[] {
  const named = hasSeveralDrivers(steps);
  return [laneHead(colours), ...steps.flatMap((step, i) => stepLines(step, i + 1, colours, named))];
}

/** What the hardware's caches hold, what the tables say, and whose the page frames of the story are. */
export function finalState(machine: Machine, told: Replay['steps'], colours: Colours): string[] {
  const text = told.flatMap((step) => step.lines.map((line) => line.text)).join('\n');
  const caches = machine.views.flatMap((view) => view());
  const out = [
    colours.bold('  In the caches then:'),
    ...(caches.length > 0 ? caches : ['nothing']).map((line) => `    ${line}`),
  ];
  const tables: string[] = [];
  const frames: string[] = [];
  for (const frame of machine.frames.list) {
    const owner = machine.frames.owners[machine.frames.ownerOf(frame.index)];
    if (owner.name === 'the kernel') continue;
    const words = machine.memory.contents(frame);
    const address = `0x${(frame.pfn * 4096).toString(16)}`;
    if (owner.kind === 'table') tables.push(...words);
    // Frames that the story does not speak of are left out.
    else if (text.includes(address))
      frames.push(`${frame.name} (${address}): ${owner.name}${words.length > 0 ? `; ${words.join(', ')}` : ''}`);
  }
  out.push(
    colours.bold('  In the tables:'),
    ...(tables.length > 0 ? tables : ['nothing']).map((line) => `    ${line}`),
  );
  if (frames.length > 0) out.push(colours.bold('  Page frames:'), ...frames.map((line) => `    ${line}`));
  return out;
}

/** The whole story of a broken invariant. @param token what `pinhole replay` takes */
export function tellStory(
  run: CaseRun,
  invariant: InvariantId,
  decisions: readonly Decision[],
  token: string,
  colours: Colours,
): string {
  const instance = run.fresh();
  const told = replay(instance, decisions);
  const stuck = invariant === 'I9' ? waiting(instance.actors) : [];
  if (invariant === 'I9' && told.recurs >= 0) {
    const round = `    steps ${told.recurs + 1} to ${told.steps.length} lead back to where they began, and may go round for ever`;
    stuck.unshift(round);
  }
  return [
    storyTitle(run, colours),
    '',
    ...laneLines(told.steps, colours),
    '',
    brokenLine(invariant, run.definition.model, told.steps.length, colours),
    ...stuck,
    ...finalState(instance.machine, told.steps, colours),
    colours.dim(`  replay: pinhole replay ${token}`),
  ].join('\n');
}

/** Which case, in which of its forms. */
export function storyTitle({ definition, setup }: CaseRun, colours: Colours): string {
  const mutant = setup.mutant === null ? '' : `, mutant ${setup.mutant}`;
  return `${colours.bold(`${definition.id} ${setup.variant}`)} under ${setup.profile.name}${mutant}: ${definition.title}`;
}

/** Which rule the last step broke, and where the rule comes from. */
export function brokenLine(invariant: InvariantId, model: ModelName, step: number, colours: Colours): string {
  const { id, name } = INVARIANTS[invariant];
  const { meaning, clause } = wordsOf(invariant, model);
  if (id === 'OPEN') return colours.yellow(colours.bold(`  ? step ${step} is left open by ${clause}: ${meaning}`));
  return colours.red(colours.bold(`  ✗ ${id} ${name} is broken in step ${step}: ${meaning} (${clause})`));
}

function waiting(actors: readonly { name: string; hasFinished(): boolean; next(): string | null }[]): string[] {
  return actors.filter((a) => !a.hasFinished()).map((a) => `    ${a.name} waits: ${a.next()}`);
}
