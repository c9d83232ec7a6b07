/** Runs a script on both back ends and compares everything that was read. */
import type { Comparison, Difference, Pair } from '../judge.ts';
import { judge, readBoth } from '../judge.ts';
import type { Configuration } from './configurations.ts';
import type { Deviation } from './deviation.ts';
import { DEVIATIONS } from './deviations.ts';
import { slotOf } from './event-words.ts';
import type { Script } from './script.ts';
import { lower } from './script.ts';

export type SmmuPair = Pair<Configuration>;

/** @param deviations what may differ; {@link DEVIATIONS} if absent */
export async function compare(
  pair: SmmuPair,
  script: Script,
  deviations: readonly Deviation[] = DEVIATIONS,
): Promise<Comparison> {
  const readings = await readBoth(pair, lower(script));
  const prods = readings.filter(({ label }) => label === 'EVENTQ_PROD');
  /** The request whose event is in the slot that a field of the dump lies in. */
  const requestOf = (field: string) =>
    prods.find(({ qemu }) => Number.parseInt(qemu, 16) > slotOf(field))?.op ?? script.length;
  return judge<Deviation>(script, readings, {
    outcomeOfEdu: 'EVENTQ_PROD',
    complete: (difference) =>
      isOfEvents(difference) ? { ...difference, op: requestOf(difference.field) } : difference,
    explain: (difference, { model, qemu }) =>
      deviations.find((each) => each.explains(difference, script, pair.configuration, model, qemu)),
    // The events are looked at in the end, the data in memory behind them.
    ends: (why, { label }) => why.ends && label !== 'events',
  });
}

const isOfEvents = ({ field }: Difference) => field.startsWith('events');

/** What two differences of the same field have to have in common to be of one kind: results, and who has told of a fault that the other has not. */
export function kindOf({ field, model, qemu }: Difference): string {
  if (field === 'RESULT') return `${model} ${qemu}`;
  return field === 'EVENTQ_PROD' ? String(Number.parseInt(model, 16) > Number.parseInt(qemu, 16)) : '';
}
