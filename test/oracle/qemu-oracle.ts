/** What is done with any IOMMU that is compared with QEMU's: its deviations are looked for, random scripts are run, one script is replayed. */
import { readFileSync } from 'node:fs';
import { campaign, printReplay, stillThere } from './campaign.ts';
import type { Comparison, Difference, Pair } from './judge.ts';
import type { KnownDeviation } from './known-deviation.ts';
import type { Platform } from './platform.ts';
import type { Qemu } from './qemu-process.ts';
import type { ScriptText } from './script-text.ts';
import type { AnyOp } from './shrink.ts';
import type { Tally } from './tally.ts';
import type { Oracle, Verdict } from './verdict.ts';

/** What says of an IOMMU how it is compared. */
export interface Subject<C, O extends AnyOp, D extends KnownDeviation<unknown>, M extends Platform> {
  readonly configurations: readonly C[];
  readonly deviations: readonly D[];
  readonly text: ScriptText<O>;
  start(qemu: Qemu, configuration: C): Promise<Platform>;
  /** What is as QEMU says that it is. */
  modelOf(platform: Platform): Promise<M>;
  /** A random script of a seed. */
  script(configuration: C, seed: number): readonly O[];
  compare(pair: Pair<C, M>, script: readonly O[], deviations?: readonly D[]): Promise<Comparison>;
  /** Whether a configuration is the one that a deviation has its proof in. */
  has(configuration: C, deviation: D): boolean;
  /** See `shrink`. */
  more?(difference: Difference): string;
}

export abstract class QemuOracle<
  C extends { readonly name: string },
  O extends AnyOp,
  D extends KnownDeviation<unknown>,
  M extends Platform,
> implements Oracle
{
  abstract readonly name: string;
  readonly configurations: readonly C[];
  private readonly qemu: Qemu;
  private readonly of: Subject<C, O, D, M>;

  constructor(qemu: Qemu, of: Subject<C, O, D, M>) {
    this.qemu = qemu;
    this.of = of;
    this.configurations = of.configurations;
  }

  abstract run(chosen: readonly string[], seed: number, requests: number, verdict: Verdict): Promise<void>;

  replay(name: string, file: string): Promise<number> {
    const configuration = this.configurations.find((each) => each.name === name) as C;
    return this.pair(configuration, async (pair) => {
      const { unexplained, tally } = await this.of.compare(pair, this.of.text.parse(readFileSync(file, 'utf8')));
      return printReplay(name, tally, unexplained);
    });
  }

  /** What is done with a pair, whose QEMU ends behind it. */
  protected async pair<T>(configuration: C, use: (pair: Pair<C, M>) => Promise<T>): Promise<T> {
    const qemu = await this.of.start(this.qemu, configuration);
    try {
      return await use({ configuration, qemu, model: await this.of.modelOf(qemu) });
    } finally {
      await qemu.close();
    }
  }

  /** Each deviation is still there, and explains what it is said to explain. */
  protected deviations(pair: Pair<C, M>, verdict: Verdict): Promise<void> {
    const { of } = this;
    const here = of.deviations.filter((each) => of.has(pair.configuration, each));
    const compare = (proof: string, known: readonly D[]) => of.compare(pair, of.text.parse(proof), known);
    return stillThere(here, of.deviations, compare, verdict.check);
  }

  /** Random scripts. @param requests DMA requests in all */
  protected random(pair: Pair<C, M>, seed: number, requests: number, verdict: Verdict): Promise<Tally> {
    const { of } = this;
    const { configuration } = pair;
    return campaign({
      ...{ name: configuration.name, seed, requests, print: of.text.print, deviations: of.deviations },
      ...{ check: verdict.check, more: of.more },
      script: (each) => of.script(configuration, each),
      compare: (script) => of.compare(pair, script),
    });
  }
}
