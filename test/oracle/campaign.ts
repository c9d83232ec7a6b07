/** Random scripts on both back ends until enough was compared; what differs is shrunk and printed. */
import type { Comparison, Difference } from './judge.ts';
import type { KnownDeviation } from './known-deviation.ts';
import type { AnyOp } from './shrink.ts';
import { shrink } from './shrink.ts';
import { percent, Tally } from './tally.ts';

/** A script that shows a difference is printed where it is no longer than this; the shrinker is expected to get there. */
const REPORT_LINES = 20;
/** Mismatches that are shrunk and printed; more of them tell nothing new. */
const MOST_REPORTS = 3;

/** Told of everything that is checked. @param detail printed where it is not good */
export type Check = (what: string, good: boolean, detail?: string) => void;

export interface Campaign<O extends AnyOp> {
  /** Of the configuration. */
  readonly name: string;
  readonly seed: number;
  /** DMA requests in all. */
  readonly requests: number;
  readonly script: (seed: number) => readonly O[];
  readonly compare: (script: readonly O[]) => Promise<Comparison>;
  readonly print: (op: O) => string;
  readonly deviations: readonly { readonly name: string; readonly most?: number }[];
  readonly check: Check;
  /** See {@link shrink}. */
  readonly more?: ((difference: Difference) => string) | undefined;
}

export async function campaign<O extends AnyOp>(of: Campaign<O>): Promise<Tally> {
  const { name, seed, requests, compare, print, check } = of;
  const tally = new Tally();
  const start = performance.now();
  let reports = 0;
  let scripts = 0;
  for (; tally.translations < requests && reports < MOST_REPORTS; scripts++) {
    const script = of.script(seed + scripts);
    const result = await compare(script);
    tally.add(result.tally);
    if (result.unexplained === null) continue;
    reports++;
    const judge = async (one: readonly O[]) => (await compare(one)).unexplained;
    const least = await shrink(script, result.unexplained, judge, of.more);
    const { op, field, model: ours, qemu: theirs } = (await judge(least)) ?? result.unexplained;
    const lines = least.map(print).slice(0, REPORT_LINES);
    const where = op < least.length ? `after line ${op + 1}` : 'at the end';
    check(
      `${name}, seed ${seed + scripts}: ${field} ${where}: model ${ours}, QEMU ${theirs}; replay:`,
      false,
      lines.join('\n'),
    );
  }
  const seconds = (performance.now() - start) / 1000;
  const rate = Math.round(tally.translations / seconds);
  const { part, comparisons } = tally;
  console.log(
    `${name}: ${tally.translations} translations${and(tally.interrupts, 'interrupts')} in ${scripts} scripts, ${comparisons} values compared (${percent(part)} exempted), ${seconds.toFixed(1)} s, ${rate} translations a second`,
  );
  const faults = tally.faults(of.deviations);
  check(`${name}: enough was compared`, faults.length === 0, faults.join('\n'));
  check(`${name}: no mismatch`, reports === 0);
  return tally;
}

export const and = (count: number, what: string) => (count === 0 ? '' : ` and ${count} ${what}`);

/**
 * Whether each deviation is still there, and explains what it is said to explain.
 * @param here those of a configuration. @param all of the IOMMU. @param compare the script of a proof, by the deviations that are given
 */
export async function stillThere<D extends KnownDeviation<unknown>>(
  here: readonly D[],
  all: readonly D[],
  compare: (proof: string, known: readonly D[]) => Promise<Comparison>,
  check: Check,
): Promise<void> {
  for (const deviation of here) {
    const { name, proof } = deviation;
    const { unexplained, tally } = await compare(proof, all);
    const others = all.filter((each) => each !== deviation);
    const without = await compare(proof, others);
    const good = unexplained === null && tally.met(name) > 0 && without.unexplained !== null;
    check(
      `deviation ${name} is still there`,
      good,
      JSON.stringify({ unexplained, met: [...tally.exempted.keys()], without: without.unexplained }),
    );
  }
}

/** What one script has shown. @returns the status to exit with */
export function printReplay(name: string, tally: Tally, unexplained: Difference | null): number {
  console.log(
    `${name}: ${tally.comparisons} values compared; deviations: ${[...tally.exempted.keys()].join(', ') || 'none'}`,
  );
  if (unexplained !== null) console.log(JSON.stringify(unexplained));
  return unexplained === null ? 0 : 1;
}
