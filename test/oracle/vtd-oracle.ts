/** The VT-d model against QEMU's intel-iommu. */
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { campaign, printReplay, stillThere } from './campaign.ts';
import { compare } from './compare.ts';
import type { Configuration } from './configurations.ts';
import { CONFIGURATIONS, modelOf } from './configurations.ts';
import { placeText } from './deviation.ts';
import { DEVIATIONS } from './deviations.ts';
import { Generator } from './generate.ts';
import { INTERRUPT_SCENARIOS } from './interrupt-scenarios.ts';
import { readFields } from './judge.ts';
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
    for (const each of CONFIGURATIONS) await this.deviations(each, verdict);
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
    for (const each of CONFIGURATIONS.filter(({ name }) => chosen.includes(name)))
      tallies.push(await this.random(each, seed, Math.ceil(requests / chosen.length), verdict));
    verdict.all(tallies, DEVIATIONS, ({ where }) => placeText(where[0]));
  }

  /** Random scripts under one configuration. */
  private async random(configuration: Configuration, seed: number, requests: number, verdict: Verdict): Promise<Tally> {
    const qemu = await QemuPlatform.start(this.qemu, configuration.qemu);
    try {
      const pair = { configuration, qemu, model: await modelOf(qemu) };
      return await campaign({
        ...{ name: configuration.name, seed, requests, print, deviations: DEVIATIONS },
        script: (of) => new Generator(of, configuration).script(SCRIPT_LENGTH),
        compare: (script) => compare(pair, script),
        check: (what, good, detail) => verdict.check(what, good, detail),
      });
    } finally {
      await qemu.close();
    }
  }

  /** Each deviation is still there, and explains what it is said to explain. */
  private async deviations(configuration: Configuration, verdict: Verdict): Promise<void> {
    const qemu = await QemuPlatform.start(this.qemu, configuration.qemu);
    try {
      const pair = { configuration, qemu, model: await modelOf(qemu) };
      const here = DEVIATIONS.filter(({ only }) => (only ?? CONFIGURATIONS[0].name) === configuration.name);
      for (const deviation of here) {
        const script = parse(deviation.proof);
        const others = DEVIATIONS.filter((each) => each !== deviation);
        await stillThere(
          deviation.name,
          (without) => compare(pair, script, without ? others : DEVIATIONS),
          (what, good, detail) => verdict.check(what, good, detail),
        );
      }
    } finally {
      await qemu.close();
    }
  }

  /** What the specification says, read on both. */
  private async scenarios(
    configuration: Configuration,
    scenarios: readonly Scenario[],
    verdict: Verdict,
  ): Promise<void> {
    const qemu = await QemuPlatform.start(this.qemu, configuration.qemu);
    try {
      const model = await modelOf(qemu);
      for (const { title, clause, text, reads } of scenarios) {
        for (const platform of [qemu, model]) {
          const found = await readFields(platform, lower(parse(text)), Object.keys(reads));
          const same = isDeepStrictEqual(found, reads);
          verdict.check(
            `${platform.name}: ${title} (VT-d ${clause})`,
            same,
            `wanted ${JSON.stringify(reads)}\nread   ${JSON.stringify(found)}`,
          );
        }
      }
    } finally {
      await qemu.close();
    }
  }

  async replay(name: string, file: string): Promise<number> {
    const configuration = CONFIGURATIONS.find((each) => each.name === name) as Configuration;
    const platform = await QemuPlatform.start(this.qemu, configuration.qemu);
    try {
      const model = await modelOf(platform);
      const script = parse(readFileSync(file, 'utf8'));
      const { unexplained, tally } = await compare({ configuration, qemu: platform, model }, script);
      return printReplay(name, tally, unexplained);
    } finally {
      await platform.close();
    }
  }
}
