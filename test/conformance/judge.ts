/** What a run of the conformance tests on another implementation comes to: which failures are expected, and why the rest was skipped. */

/** A test that was run, or was not. */
export interface Ran {
  /** Path under test/conformance. */
  readonly file: string;
  /** With the names of the groups around it. */
  readonly name: string;
  readonly state: 'passed' | 'failed' | 'skipped' | 'todo';
  /** Of a failure the message, of a skip its reason. */
  readonly why: string;
}

/** Where an implementation does something else than the specification says, or leaves it. */
export interface ExpectedFailures {
  /** As in test/oracle where it is the same one. */
  readonly name: string;
  readonly title: string;
  readonly clause: string;
  /** Function of QEMU’s hw/i386/intel_iommu.c, or hw/arm/smmuv3.c and smmu-common.c. */
  readonly qemu: string;
  /** The specification leaves it to hardware: the test shows what the model has decided. */
  readonly permitted: boolean;
  /** By file the tests that fail because of it, each by its whole name, or by a part where every test of that part fails. */
  readonly tests: Readonly<Record<string, readonly string[]>>;
}

export interface Verdict {
  readonly counts: { passed: number; failed: number; pending: number; todo: number };
  readonly lines: readonly string[];
}

/** Of why a test is skipped: what follows is the reason, a colon, and what it is about. */
export const PREFIX = 'needs the model: ';

/** @param some whether only some files were run, so that an entry may have none */
export function judge(ran: readonly Ran[], expected: readonly ExpectedFailures[], some = false): Verdict {
  const lines: string[] = [];
  const wrong: string[] = [];
  const failures = new Set(ran.filter(({ state }) => state === 'failed'));
  const met = new Map<string, number>();
  let deviating = 0;
  const seen = new Set<Ran>();
  for (const { name, tests } of expected) {
    for (const [file, parts] of Object.entries(tests)) {
      for (const part of parts) {
        const those = ran.filter((test) => test.file === file && test.name.includes(part));
        // Some of those with a name in common may ask for what only the model has.
        if (!those.some(({ state }) => state !== 'skipped') && !(some && ran.every((test) => test.file !== file)))
          wrong.push(`${name}: ${file}: no test '${part}' was run`);
        for (const test of those) {
          if (test.state === 'passed') wrong.push(`${name}: ${file}: '${test.name}' was to fail, and passes`);
          if (test.state !== 'failed') continue;
          if (!seen.has(test)) deviating++;
          met.set(name, (met.get(name) ?? 0) + 1);
          seen.add(test);
          failures.delete(test);
        }
      }
    }
  }
  for (const { file, name, why } of failures) wrong.push(`${file}: '${name}': ${why}`);
  const passed = ran.filter(({ state }) => state === 'passed').length;
  const todo = ran.filter(({ state }) => state === 'todo').length;
  const skipped = ran.filter(({ state }) => state === 'skipped');
  const reasons = new Map<string, Map<string, number>>();
  for (const { file, name, why } of skipped) {
    if (!why.startsWith(PREFIX)) wrong.push(`${file}: '${name}' was skipped without a reason: ${why}`);
    const [reason, what] = why.slice(PREFIX.length).split(/: (.*)/s);
    const of = reasons.get(reason) ?? new Map<string, number>();
    of.set(what, (of.get(what) ?? 0) + 1);
    reasons.set(reason, of);
  }
  for (const each of wrong) lines.push(`FAILED ${each}`);
  for (const { name, title, permitted } of expected)
    if (met.has(name)) lines.push(`  ${pad(met.get(name))} ${name}${permitted ? ' (permitted)' : ''}: ${title}`);
  for (const [reason, of] of [...reasons].sort((a, b) => sum(b[1]) - sum(a[1]) || order(a, b))) {
    lines.push(`skipped ${pad(sum(of))} ${reason}`);
    for (const [what, count] of [...of].sort((a, b) => b[1] - a[1] || order(a, b)))
      lines.push(`        ${pad(count)} ${what}`);
  }
  // What is expected to fail and does is a result that was looked at, as a pass is.
  const ranInAll = passed + deviating + wrong.length;
  lines.push(
    `run on QEMU ${ranInAll} (${passed} as specified, ${deviating} expected deviations), ${skipped.length} skipped, ${todo} todo, ${wrong.length} failed`,
  );
  return { counts: { passed: passed + deviating, failed: wrong.length, pending: skipped.length, todo }, lines };
}

/** One line for each file: how many of its tests passed, failed (as expected or not), and were skipped, by reason. */
export function countsOfFiles(ran: readonly Ran[]): string[] {
  return [...new Set(ran.map(({ file }) => file))].sort().map((file) => {
    const of = ran.filter((test) => test.file === file);
    const count = (state: Ran['state']) => of.filter((test) => test.state === state).length;
    const reasons = new Map<string, number>();
    for (const { state, why } of of) {
      if (state !== 'skipped') continue;
      const reason = why.slice(PREFIX.length).split(':')[0];
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
    const skipped = [...reasons].map(([reason, n]) => `${n} ${reason}`).join(', ');
    const [passed, failed] = [count('passed'), count('failed')];
    return `${file}: run ${passed + failed}, as specified ${passed}, otherwise ${failed}, skipped ${count('skipped')}${skipped === '' ? '' : ` (${skipped})`}`;
  });
}

const order = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) => (a < b ? -1 : 1);
const pad = (count = 0) => String(count).padStart(5);
const sum = (of: ReadonlyMap<string, number>) => [...of.values()].reduce((a, b) => a + b, 0);
