/** Runs a script on both back ends and compares everything that was read. */
import { isRequest } from './common-operations.ts';
import type { Configuration } from './configurations.ts';
import type { Deviation } from './deviation.ts';
import { OUTCOME } from './deviation.ts';
import { DEVIATIONS } from './deviations.ts';
import type { Comparison, Difference, Pair } from './judge.ts';
import { judge, readBoth } from './judge.ts';
import type { ModelPlatform } from './model-platform.ts';
import { MAP } from './platform.ts';
import type { Script } from './script.ts';
import { lower } from './script.ts';

export type VtdPair = Pair<Configuration, ModelPlatform>;

/** @param deviations what may differ; {@link DEVIATIONS} if absent */
export async function compare(
  pair: VtdPair,
  script: Script,
  deviations: readonly Deviation[] = DEVIATIONS,
): Promise<Comparison> {
  const { configuration, model } = pair;
  return judge<Deviation>(script, await readBoth(pair, lower(script)), {
    ...{ outcomeOfEdu: 'FSTS', registers: MAP.iommu },
    complete: (difference) => ({ ...difference, lacking: wasLacking(model, script, difference.op) }),
    explain: (difference) =>
      deviations.find((each) => each.explains(difference, script, configuration)) ??
      deviations.find((each) => explainsLater(each, difference, script, pair)),
    ends: (why) => why.ends,
  });
}

/**
 * A request before may have come out otherwise without a trace: that of `edu` while the fault record is in use, one that is passed on to where
 * nothing decodes and is refused by the other side. Requests and memory behind it are explained as its own outcome would be.
 */
function explainsLater(deviation: Deviation, { op, field }: Difference, script: Script, pair: VtdPair): boolean {
  if (!deviation.ends || !(OUTCOME.includes(field) || /^(tables|memory)/.test(field))) return false;
  return script.slice(0, op).some((each, at) => {
    if (!isRequest(each)) return false;
    const traceless = { op: at, field: each.op === 'dma' ? 'RESULT' : 'FSTS', model: '0', qemu: '0' };
    const difference = { ...traceless, lacking: wasLacking(pair.model, script, at) };
    return deviation.explains(difference, script, pair.configuration);
  });
}

/** Of an access of `edu`; the others want one right only. */
function wasLacking(model: ModelPlatform, script: Script, op: number): boolean {
  if (script[op]?.op !== 'edu') return false;
  return model.lacking.has(script.slice(0, op).filter((each) => each.op === 'edu').length);
}
