/** The VT-d model against QEMU's intel-iommu. */
import { isDeepStrictEqual } from 'node:util';
import { compare } from './compare.ts';
import type { Configuration } from './configurations.ts';
import { CONFIGURATIONS, modelOf } from './configurations.ts';
import type { Deviation } from './deviation.ts';
import { placeText } from './deviation.ts';
import { DEVIATIONS } from './deviations.ts';
import { Generator } from './generate.ts';
import { INTERRUPT_SCENARIOS } from './interrupt-scenarios.ts';
import { readFields } from './judge.ts';
import type { ModelPlatform } from './model-platform.ts';
import type { Platform } from './platform.ts';
import { QemuOracle } from './qemu-oracle.ts';
import { QemuPlatform } from './qemu-platform.ts';
import type { Qemu } from './qemu-process.ts';
import { SCALABLE_SCENARIOS } from './scalable-scenarios.ts';
import type { Scenario } from './scenarios.ts';
import { SCENARIOS } from './scenarios.ts';
import type { Op } from './script.ts';
import { lower, parse, print } from './script.ts';
import type { Tally } from './tally.ts';
import type { Verdict } from './verdict.ts';

/** DMA requests of one script. */
const SCRIPT_LENGTH = 150;

export class VtdOracle extends QemuOracle<Configuration, Op, Deviation, ModelPlatform> {
  readonly name = 'vtd';

  constructor(qemu: Qemu) {
    super(qemu, {
      ...{ configurations: CONFIGURATIONS, deviations: DEVIATIONS, text: { parse, print }, compare, modelOf },
      start: (from, configuration) => QemuPlatform.start(from, configuration.qemu),
      script: (configuration, seed) => new Generator(seed, configuration).script(SCRIPT_LENGTH),
      has: ({ name }, { only }) => (only ?? CONFIGURATIONS[0].name) === name,
    });
  }

  async run(chosen: readonly string[], seed: number, requests: number, verdict: Verdict): Promise<void> {
    for (const each of CONFIGURATIONS) await this.pair(each, (pair) => this.deviations(pair, verdict));
    await this.scenarios(CONFIGURATIONS[0], SCENARIOS, verdict);
    for (const [mode, scenarios] of SCALABLE_SCENARIOS) {
      const configuration = CONFIGURATIONS.find(({ tables }) => tables.mode === mode) as Configuration;
      await this.scenarios(configuration, scenarios, verdict);
    }
    for (const [interrupts, scenarios] of INTERRUPT_SCENARIOS) {
      const configuration = CONFIGURATIONS.find((each) => each.interrupts === interrupts) as Configuration;
      await this.scenarios(configuration, scenarios, verdict);
    }
    const tallies: Tally[] = [];
    const each = Math.ceil(requests / chosen.length);
    for (const configuration of CONFIGURATIONS.filter(({ name }) => chosen.includes(name)))
      tallies.push(await this.pair(configuration, (pair) => this.random(pair, seed, each, verdict)));
    verdict.all(tallies, DEVIATIONS, ({ where }) => placeText(where[0]));
  }

  private scenarios(configuration: Configuration, all: readonly Scenario[], verdict: Verdict): Promise<void> {
    return this.pair(configuration, async ({ model, qemu }) => {
      for (const scenario of all) for (const platform of [qemu, model]) await act(scenario, platform, verdict);
    });
  }
}

/** What the specification says, read on one of both. */
async function act({ title, clause, text, reads }: Scenario, platform: Platform, verdict: Verdict): Promise<void> {
  const found = await readFields(platform, lower(parse(text)), Object.keys(reads));
  verdict.check(
    `${platform.name}: ${title} (VT-d ${clause})`,
    isDeepStrictEqual(found, reads),
    `wanted ${JSON.stringify(reads)}\nread   ${JSON.stringify(found)}`,
  );
}
