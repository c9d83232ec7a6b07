/** The SMMUv3 model against QEMU's arm-smmuv3. */
import { QemuOracle } from '../qemu-oracle.ts';
import type { Qemu } from '../qemu-process.ts';
import type { Tally } from '../tally.ts';
import type { Verdict } from '../verdict.ts';
import { compare, kindOf } from './compare.ts';
import type { Configuration } from './configurations.ts';
import { CONFIGURATIONS, modelOf } from './configurations.ts';
import type { Deviation } from './deviation.ts';
import { placeText } from './deviation.ts';
import { DEVIATIONS } from './deviations.ts';
import { Generator } from './generate.ts';
import type { ModelPlatform } from './model-platform.ts';
import { QemuPlatform } from './qemu-platform.ts';
import type { Op } from './script.ts';
import { parse, print } from './script.ts';

/** DMA requests of one script. */
const SCRIPT_LENGTH = 100;

export class SmmuOracle extends QemuOracle<Configuration, Op, Deviation, ModelPlatform> {
  readonly name = 'smmuv3';

  constructor(qemu: Qemu) {
    super(qemu, {
      ...{ configurations: CONFIGURATIONS, deviations: DEVIATIONS, text: { parse, print } },
      ...{ compare, modelOf, more: kindOf },
      start: (from, { stage }) => QemuPlatform.start(from, stage),
      script: (configuration, seed) => new Generator(seed, configuration).script(SCRIPT_LENGTH),
      has: ({ stage }, { only }) => only === stage,
    });
  }

  async run(chosen: readonly string[], seed: number, requests: number, verdict: Verdict): Promise<void> {
    const tallies: Tally[] = [];
    for (const configuration of CONFIGURATIONS) {
      await this.pair(configuration, async (pair) => {
        await this.deviations(pair, verdict);
        if (chosen.includes(configuration.name))
          tallies.push(await this.random(pair, seed, Math.ceil(requests / chosen.length), verdict));
      });
    }
    verdict.all(tallies, DEVIATIONS, ({ where }) => placeText(where[0]));
  }
}
