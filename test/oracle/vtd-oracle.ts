/** The VT-d model against QEMU's intel-iommu. */
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { campaign, printReplay, stillThere, withPair } from './campaign.ts';
import type { VtdPair } from './compare.ts';
import { compare } from './compare.ts';
import type { Configuration } from './configurations.ts';
import { CONFIGURATIONS, modelOf } from './configurations.ts';
import { placeText } from './deviation.ts';
import { DEVIATIONS } from './deviations.ts';
import { Generator } from './generate.ts';
import { INTERRUPT_SCENARIOS } from './interrupt-scenarios.ts';
import { readFields } from './judge.ts';
import type { Platform } from './platform.ts';
import { QemuPlatform } from './qemu-platform.ts';
import type { Qemu } from './qemu-process.ts';
import { SCALABLE_SCENARIOS } from './scalable-scenarios.ts';
import type { Scenario } from './scenarios.ts';
import { SCENARIOS } from './scenarios.ts';
import { lower, parse, print } from './script.ts';
import type { Tally } from './tally.ts';
import type { Oracle, Verdict } from './verdict.ts';

/** DMA requests of one script. */
const SCRIPT_LENGTH = 150;

export class VtdOracle implements Oracle {
  readonly name = 'vtd';
  readonly configurations = CONFIGURATIONS;
  private readonly qemu: Qemu;

  constructor(qemu: Qemu) {
    this.qemu = qemu;
  }

  async run(chosen: readonly string[], seed: number, requests: number, verdict: Verdict): Promise<void> {
    for (const each of CONFIGURATIONS) await this.pair(each, (pair) => deviations(pair, verdict));
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
      tallies.push(await this.pair(configuration, (pair) => random(pair, seed, each, verdict)));
    verdict.all(tallies, DEVIATIONS, ({ where }) => placeText(where[0]));
  }

  private scenarios(configuration: Configuration, all: readonly Scenario[], verdict: Verdict): Promise<void> {
    return this.pair(configuration, async ({ model, qemu }) => {
      for (const scenario of all) for (const platform of [qemu, model]) await act(scenario, platform, verdict);
    });
  }

  replay(name: string, file: string): Promise<number> {
    const configuration = CONFIGURATIONS.find((each) => each.name === name) as Configuration;
    return this.pair(configuration, async (pair) => {
      const { unexplained, tally } = await compare(pair, parse(readFileSync(file, 'utf8')));
      return printReplay(name, tally, unexplained);
    });
  }

  private pair<T>(configuration: Configuration, use: (pair: VtdPair) => Promise<T>): Promise<T> {
    return withPair(configuration, QemuPlatform.start(this.qemu, configuration.qemu), modelOf, use);
  }
}

/** Each deviation is still there, and explains what it is said to explain. */
function deviations(pair: VtdPair, verdict: Verdict): Promise<void> {
  const here = DEVIATIONS.filter(({ only }) => (only ?? CONFIGURATIONS[0].name) === pair.configuration.name);
  return stillThere(here, DEVIATIONS, (proof, known) => compare(pair, parse(proof), known), verdict.check);
}

/** Random scripts under one configuration. */
function random(pair: VtdPair, seed: number, requests: number, verdict: Verdict): Promise<Tally> {
  const { configuration } = pair;
  return campaign({
    ...{ name: configuration.name, seed, requests, print, deviations: DEVIATIONS, check: verdict.check },
    script: (of) => new Generator(of, configuration).script(SCRIPT_LENGTH),
    compare: (script) => compare(pair, script),
  });
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
