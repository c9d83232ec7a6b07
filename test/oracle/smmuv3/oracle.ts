/** The SMMUv3 model against QEMU's arm-smmuv3. */
import { readFileSync } from 'node:fs';
import { campaign, printReplay, stillThere, withPair } from '../campaign.ts';
import type { Qemu } from '../qemu-process.ts';
import type { Tally } from '../tally.ts';
import type { Oracle, Verdict } from '../verdict.ts';
import type { SmmuPair } from './compare.ts';
import { compare, kindOf } from './compare.ts';
import type { Configuration } from './configurations.ts';
import { CONFIGURATIONS, modelOf } from './configurations.ts';
import { placeText } from './deviation.ts';
import { DEVIATIONS } from './deviations.ts';
import { Generator } from './generate.ts';
import { QemuPlatform } from './qemu-platform.ts';
import { parse, print } from './script.ts';

/** DMA requests of one script. */
const SCRIPT_LENGTH = 100;

export class SmmuOracle implements Oracle {
  readonly name = 'smmuv3';
  readonly configurations = CONFIGURATIONS;
  private readonly qemu: Qemu;

  constructor(qemu: Qemu) {
    this.qemu = qemu;
  }

  async run(chosen: readonly string[], seed: number, requests: number, verdict: Verdict): Promise<void> {
    const tallies: Tally[] = [];
    for (const configuration of CONFIGURATIONS) {
      await this.pair(configuration, async (pair) => {
        const here = DEVIATIONS.filter(({ only }) => only === configuration.stage);
        await stillThere(here, DEVIATIONS, (proof, known) => compare(pair, parse(proof), known), verdict.check);
        if (chosen.includes(configuration.name))
          tallies.push(await random(pair, seed, Math.ceil(requests / chosen.length), verdict));
      });
    }
    verdict.all(tallies, DEVIATIONS, ({ where }) => placeText(where[0]));
  }

  replay(name: string, file: string): Promise<number> {
    const configuration = CONFIGURATIONS.find((each) => each.name === name) as Configuration;
    return this.pair(configuration, async (pair) => {
      const { unexplained, tally } = await compare(pair, parse(readFileSync(file, 'utf8')));
      return printReplay(name, tally, unexplained);
    });
  }

  private pair<T>(configuration: Configuration, use: (pair: SmmuPair) => Promise<T>): Promise<T> {
    return withPair(configuration, QemuPlatform.start(this.qemu, configuration.stage), modelOf, use);
  }
}

function random(pair: SmmuPair, seed: number, requests: number, verdict: Verdict): Promise<Tally> {
  const { configuration } = pair;
  return campaign({
    ...{ name: configuration.name, seed, requests, print, deviations: DEVIATIONS, more: kindOf, check: verdict.check },
    script: (of) => new Generator(of, configuration).script(SCRIPT_LENGTH),
    compare: (script) => compare(pair, script),
  });
}
