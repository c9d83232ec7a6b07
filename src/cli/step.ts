/** Walking through a counterexample, step by step, forth and back. */
import type { CaseRun, InvariantId } from '../cases/index.ts';
import type { Decision } from '../explore/index.ts';
import { replay } from '../explore/index.ts';
import type { Colours } from './story.ts';
import { brokenLine, finalState, hasSeveralDrivers, laneHead, stepLines, storyTitle } from './story.ts';

const KEYS = 'Enter: next step; b: back; s: state of caches, tables and pages; q: quit';

/**
 * Shows one step at a time, as the lines of `input` ask for it.
 * @returns when the input ends, or q is given
 */
export async function walk(
  run: CaseRun,
  invariant: InvariantId,
  decisions: readonly Decision[],
  input: AsyncIterable<string>,
  print: (text: string) => void,
  colours: Colours,
): Promise<void> {
  const { steps } = replay(run.fresh(), decisions);
  const named = hasSeveralDrivers(steps);
  // Steps that have been taken.
  let at = 0;
  print([storyTitle(run, colours), colours.dim(KEYS), '', laneHead(colours)].join('\n'));
  for await (const line of input) {
    const key = line.trim().toLowerCase();
    if (key === 'q') return;
    if (key === '') {
      if (at === steps.length) print(colours.dim('that was the last step; b: back, q: quit'));
      else {
        print(stepLines(steps[at], ++at, colours, named).join('\n'));
        if (at === steps.length) print(brokenLine(invariant, run.definition.model, at, colours));
      }
    } else if (key === 'b') {
      if (at > 0) at--;
      print(at === 0 ? colours.dim('at the start') : stepLines(steps[at - 1], at, colours, named).join('\n'));
    } else if (key === 's') {
      const instance = run.fresh();
      const told = replay(instance, decisions.slice(0, at));
      print(finalState(instance.machine, told.steps, colours).join('\n'));
    } else print(colours.dim(KEYS));
  }
}
