/**
 * `npm run test:qemu`: compares the model with QEMU.
 *
 *   --seed N          first seed (default: from the clock, and printed)
 *   --ops M           DMA requests in all, over the configurations (default 200000)
 *   --config NAME     only configurations whose name contains this
 *   --replay FILE     runs one script of that form in place of random ones, and prints what differs
 *
 * PINHOLE_QEMU names a qemu-system-x86_64 to use; PINHOLE_ORACLE_REPORT a file for the counts.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { and, campaign, stillThere } from './campaign.ts';
import { compare, readFields } from './compare.ts';
import type { Configuration } from './configurations.ts';
import { CONFIGURATIONS, modelOf } from './configurations.ts';
import { placeText } from './deviation.ts';
import { DEVIATIONS } from './deviations.ts';
import { Generator } from './generate.ts';
import { INTERRUPT_SCENARIOS } from './interrupt-scenarios.ts';
import { QemuPlatform } from './qemu-platform.ts';
import type { Qemu } from './qemu-process.ts';
import { findQemu, NoQemuError } from './qemu-process.ts';
import { SCALABLE_SCENARIOS } from './scalable-scenarios.ts';
import type { Scenario } from './scenarios.ts';
import { SCENARIOS } from './scenarios.ts';
import { parse, print } from './script.ts';
import { Tally } from './tally.ts';

/** DMA requests of one script. */
const SCRIPT_LENGTH = 150;
class Oracle {
  private passed = 0;
  private failed = 0;
  private readonly qemu: Qemu;
  private readonly all = new Tally();

  constructor(qemu: Qemu) {
    this.qemu = qemu;
  }

  private check(what: string, good: boolean, detail = ''): void {
    if (good) this.passed++;
    else this.failed++;
    if (!good) console.log(`FAILED ${what}${detail === '' ? '' : `\n${detail}`}`);
  }

  /** All that is compared under one configuration. */
  async configuration(configuration: Configuration, seed: number, requests: number): Promise<void> {
    const qemu = await QemuPlatform.start(this.qemu, configuration.qemu);
    try {
      const model = await modelOf(qemu);
      const pair = { configuration, qemu, model };
      const tally = await campaign({
        ...{ name: configuration.name, seed, requests, print, deviations: DEVIATIONS },
        script: (of) => new Generator(of, configuration).script(SCRIPT_LENGTH),
        compare: (script) => compare(pair, script),
        check: (what, good, detail) => this.check(what, good, detail),
      });
      this.all.add(tally);
    } finally {
      await qemu.close();
    }
  }

  /** Each deviation is still there, and explains what it is said to explain. */
  async deviations(configuration: Configuration): Promise<void> {
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
          (what, good, detail) => this.check(what, good, detail),
        );
      }
    } finally {
      await qemu.close();
    }
  }

  /** What the specification says, read on both. */
  async scenarios(configuration: Configuration, scenarios: readonly Scenario[]): Promise<void> {
    const qemu = await QemuPlatform.start(this.qemu, configuration.qemu);
    try {
      const model = await modelOf(qemu);
      for (const { title, clause, text, reads } of scenarios) {
        for (const platform of [qemu, model]) {
          const found = await readFields(platform, parse(text), Object.keys(reads));
          const same = isDeepStrictEqual(found, reads);
          this.check(
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

  /** @returns the status to exit with */
  summary(): number {
    const { all } = this;
    console.log('Deviations of QEMU met:');
    for (const { name, title, permitted, where } of DEVIATIONS) {
      const count = String(all.met(name)).padStart(6);
      console.log(`  ${count} ${name}${permitted ? ' (permitted)' : ''}: ${title}
         ${placeText(where[0])}`);
    }
    console.log(
      `${all.translations} translations${and(all.interrupts, 'interrupts')}; ${all.exemptions} of ${all.comparisons} comparisons exempted (${(100 * all.part).toFixed(3)} %)`,
    );
    const faults = all.faults(DEVIATIONS);
    this.check('enough was compared in all', faults.length === 0, faults.join('\n'));
    console.log(`${this.passed} passed, ${this.failed} failed`);
    const report = process.env.PINHOLE_ORACLE_REPORT;
    if (report !== undefined)
      writeFileSync(
        report,
        JSON.stringify({ success: this.failed === 0, numPassedTests: this.passed, numFailedTests: this.failed }),
      );
    return this.failed > 0 ? 1 : 0;
  }
}

/** Runs one script and prints every difference that nothing explains, the first one. */
async function replay(qemu: Qemu, configuration: Configuration, file: string): Promise<number> {
  const platform = await QemuPlatform.start(qemu, configuration.qemu);
  try {
    const model = await modelOf(platform);
    const script = parse(readFileSync(file, 'utf8'));
    const { unexplained, tally } = await compare({ configuration, qemu: platform, model }, script);
    console.log(
      `${configuration.name}: ${tally.comparisons} values compared; deviations: ${[...tally.exempted.keys()].join(', ') || 'none'}`,
    );
    if (unexplained !== null) console.log(JSON.stringify(unexplained));
    return unexplained === null ? 0 : 1;
  } finally {
    await platform.close();
  }
}

/** QEMU; null, which is told and counted as one skipped test, where there is none and none can be fetched. */
function obtain(): Qemu | null {
  try {
    return findQemu();
  } catch (error) {
    // What was named, or is there, has to work.
    if (process.env.PINHOLE_QEMU !== undefined || !(error instanceof NoQemuError)) throw error;
    console.log(`skipped: nothing was compared, as ${error.message}`);
    const report = process.env.PINHOLE_ORACLE_REPORT;
    if (report !== undefined)
      writeFileSync(
        report,
        JSON.stringify({ success: true, numPassedTests: 0, numFailedTests: 0, numPendingTests: 1 }),
      );
    return null;
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      ops: { type: 'string', default: '200000' },
      config: { type: 'string', default: '' },
      replay: { type: 'string' },
    },
  });
  const seed = Number(values.seed ?? Date.now() % 1_000_000_000);
  const requests = Number(values.ops);
  const chosen = CONFIGURATIONS.filter(({ name }) => name.includes(values.config));
  if (!Number.isInteger(seed) || !(requests > 0) || chosen.length === 0) {
    console.error('test:qemu: --seed and --ops are numbers, --config is part of a configuration’s name');
    return 2;
  }
  const qemu = obtain();
  if (qemu === null) return 0;
  if (values.replay !== undefined) return replay(qemu, chosen[0], values.replay);
  console.log(`QEMU ${qemu.version}, seed ${seed}`);
  const oracle = new Oracle(qemu);
  for (const each of CONFIGURATIONS) await oracle.deviations(each);
  await oracle.scenarios(CONFIGURATIONS[0], SCENARIOS);
  for (const [mode, scenarios] of SCALABLE_SCENARIOS) {
    const configuration = CONFIGURATIONS.find(({ tables }) => tables.mode === mode) as Configuration;
    await oracle.scenarios(configuration, scenarios);
  }
  for (const [interrupts, scenarios] of INTERRUPT_SCENARIOS) {
    const configuration = CONFIGURATIONS.find((each) => each.interrupts === interrupts) as Configuration;
    await oracle.scenarios(configuration, scenarios);
  }
  for (const each of chosen) await oracle.configuration(each, seed, Math.ceil(requests / chosen.length));
  return oracle.summary();
}

main().then(
  (status) => {
    process.exitCode = status;
  },
  (error) => {
    console.error(error);
    process.exitCode = 1;
  },
);
