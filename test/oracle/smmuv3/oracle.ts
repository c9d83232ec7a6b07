/** The SMMUv3 model against QEMU's arm-smmuv3. */
import { readFileSync } from 'node:fs';
import { campaign, printReplay, stillThere } from '../campaign.ts';
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
        await deviations(pair, verdict);
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

  private async pair<T>(configuration: Configuration, use: (pair: SmmuPair) => Promise<T>): Promise<T> {
    const qemu = await QemuPlatform.start(this.qemu, configuration.stage);
    try {
      return await use({ configuration, qemu, model: await modelOf(qemu) });
    } finally {
      await qemu.close();
    }
  }
}

/** Each deviation is still there, and explains what it is said to explain. */
async function deviations(pair: SmmuPair, verdict: Verdict): Promise<void> {
  for (const deviation of DEVIATIONS.filter(({ only }) => only === pair.configuration.stage)) {
    const script = parse(deviation.proof);
    const others = DEVIATIONS.filter((each) => each !== deviation);
    await stillThere(
      deviation.name,
      (without) => compare(pair, script, without ? others : DEVIATIONS),
      (what, good, detail) => verdict.check(what, good, detail),
    );
  }
}

function random(pair: SmmuPair, seed: number, requests: number, verdict: Verdict): Promise<Tally> {
  const { configuration } = pair;
  return campaign({
    ...{ name: configuration.name, seed, requests, print, deviations: DEVIATIONS, more: kindOf },
    script: (of) => new Generator(of, configuration).script(SCRIPT_LENGTH),
    compare: (script) => compare(pair, script),
    check: (what, good, detail) => verdict.check(what, good, detail),
  });
}
