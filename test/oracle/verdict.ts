/** What a run of the oracle finds: checks, and what was compared. */
import { writeFileSync } from 'node:fs';
import type { Check } from './campaign.ts';
import { and } from './campaign.ts';
import { Tally } from './tally.ts';

/** What a run says of a deviation in the end. */
export interface Named {
  readonly name: string;
  readonly title: string;
  readonly permitted: boolean;
  readonly most?: number;
}

export class Verdict {
  private passed = 0;
  private failed = 0;
  private skipped = 0;

  readonly check: Check = (what, good, detail = '') => {
    if (good) this.passed++;
    else this.failed++;
    if (!good) console.log(`FAILED ${what}${detail === '' ? '' : `\n${detail}`}`);
  };

  skip(why: string): void {
    this.skipped++;
    console.log(`skipped: ${why}`);
  }

  /** What was compared in all configurations of an IOMMU. @param placeText where QEMU has a deviation */
  all<D extends Named>(tallies: readonly Tally[], deviations: readonly D[], placeText: (deviation: D) => string): void {
    const all = new Tally();
    for (const each of tallies) all.add(each);
    console.log('Deviations of QEMU met:');
    for (const deviation of deviations) {
      const { name, title, permitted } = deviation;
      const count = String(all.met(name)).padStart(6);
      console.log(`  ${count} ${name}${permitted ? ' (permitted)' : ''}: ${title}
         ${placeText(deviation)}`);
    }
    console.log(
      `${all.translations} translations${and(all.interrupts, 'interrupts')}; ${all.exemptions} of ${all.comparisons} comparisons exempted (${(100 * all.part).toFixed(3)} %)`,
    );
    const faults = all.faults(deviations);
    this.check('enough was compared in all', faults.length === 0, faults.join('\n'));
  }

  /** Prints the counts, and writes them to PINHOLE_ORACLE_REPORT. @returns the status to exit with */
  end(): number {
    const { passed, failed, skipped } = this;
    console.log(`${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`);
    const report = process.env.PINHOLE_ORACLE_REPORT;
    const counts = { numPassedTests: passed, numFailedTests: failed, numPendingTests: skipped };
    if (report !== undefined) writeFileSync(report, JSON.stringify({ success: failed === 0, ...counts }));
    return failed > 0 ? 1 : 0;
  }
}

/** An IOMMU that is compared with QEMU's. */
export interface Oracle {
  readonly name: string;
  readonly configurations: readonly { readonly name: string }[];
  /** @param chosen names of the configurations with random scripts. @param requests DMA requests in all */
  run(chosen: readonly string[], seed: number, requests: number, verdict: Verdict): Promise<void>;
  /** Runs one script, and prints the first difference that nothing explains. @returns the status to exit with */
  replay(name: string, file: string): Promise<number>;
}
