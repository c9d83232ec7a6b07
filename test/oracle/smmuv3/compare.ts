/** Runs a script on both back ends and compares everything that was read. */
import type { Comparison, Difference } from '../compare.ts';
import { splitDump } from '../compare.ts';
import type { Platform } from '../platform.ts';
import { Tally } from '../tally.ts';
import type { Configuration } from './configurations.ts';
import type { Deviation } from './deviation.ts';
import { DEVIATIONS } from './deviations.ts';
import { slotOf } from './event-words.ts';
import type { Script } from './script.ts';
import { lower } from './script.ts';

export interface Pair {
  readonly configuration: Configuration;
  readonly model: Platform;
  readonly qemu: Platform;
}

/** @param deviations what may differ; {@link DEVIATIONS} if absent */
export async function compare(
  pair: Pair,
  script: Script,
  deviations: readonly Deviation[] = DEVIATIONS,
): Promise<Comparison> {
  const { program, ops } = lower(script);
  const each = async (platform: Platform) => {
    await platform.reset();
    return platform.run(program.accesses);
  };
  // QEMU works while the model does.
  const [theirs, ours] = await Promise.all([each(pair.qemu), each(pair.model)]);
  /** The request whose event is in the slot that a field of the dump lies in. */
  const requestOf = (field: string) => {
    const prods = program.labels.flatMap((label, i) => (label === 'EVENTQ_PROD' ? [i] : []));
    const found = prods.find((i) => Number.parseInt(theirs[i], 16) > slotOf(field));
    return found === undefined ? script.length : ops[found];
  };
  const tally = new Tally();
  let ends = false;
  for (let i = 0; i < program.labels.length && !ends; i++) {
    const label = program.labels[i];
    if (label === '') continue;
    const op = script[ops[i]];
    if (label === 'RESULT' || (label === 'EVENTQ_PROD' && op?.op === 'edu')) tally.translations++;
    tally.compare(label);
    if (theirs[i] === ours[i]) continue;
    const parts =
      program.dumpedAt[i] < 0
        ? [[label, ours[i], theirs[i]]]
        : splitDump(label, ours[i], theirs[i], program.dumpedAt[i]);
    const explained = new Set<string>();
    for (const [field, model, qemu] of parts) {
      const difference: Difference = { op: label === 'events' ? requestOf(field) : ops[i], field, model, qemu };
      const why = deviations.find((one) => one.explains(difference, script, pair.configuration, ours[i], theirs[i]));
      if (why === undefined) return { unexplained: difference, tally };
      // One comparison is exempted once, though many words of it differ.
      if (!explained.has(why.name)) tally.exempt(why.name, label);
      explained.add(why.name);
      // Behind it the two are in different states, and nothing can be compared any more.
      ends ||= why.ends && label !== 'events';
    }
  }
  return { unexplained: null, tally };
}

/** What two differences of the same field have to have in common to be of one kind: results, and who has told of a fault that the other has not. */
export function kindOf({ field, model, qemu }: Difference): string {
  if (field === 'RESULT') return `${model} ${qemu}`;
  return field === 'EVENTQ_PROD' ? String(Number.parseInt(model, 16) > Number.parseInt(qemu, 16)) : '';
}
