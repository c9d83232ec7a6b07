/**
 * `npm run test:conformance -- --on model|qtest`: the conformance tests on the model (as `npm test` runs them), or on a real QEMU.
 *
 *   --on model|qtest          default model
 *   --iommu vtd|smmuv3|all    default all
 *   --only FILE               only files whose path contains this; deviations of other files are then not looked for
 *   --failures                prints what fails, without comparing it with what is expected (to write an entry)
 *   --files                   prints the counts of each file
 *
 * On QEMU a test that wants what only the model can show is skipped, with its reason; one that is expected to fail is an entry of
 * vtd/qemu-deviations.ts or smmuv3/qemu-deviations.ts. PINHOLE_QEMU and PINHOLE_QEMU_ARM name a qemu-system-x86_64 and a qemu-system-aarch64 to
 * use; PINHOLE_CONFORMANCE_REPORT a file for the counts.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { TestCase, TestSuite } from 'vitest/node';
import { startVitest } from 'vitest/node';
import type { MachineName } from '../oracle/qemu-process.ts';
import { findQemu, isNamed, NoQemuError } from '../oracle/qemu-process.ts';
import type { ExpectedFailures, Ran } from './judge.ts';
import { countsOfFiles, judge, PREFIX } from './judge.ts';
import { DEVIATIONS as SMMU_DEVIATIONS } from './smmuv3/qemu-deviations.ts';
import { DEVIATIONS as VTD_DEVIATIONS } from './vtd/qemu-deviations.ts';

const FOLDER = fileURLToPath(new URL('.', import.meta.url));

interface Iommu {
  /** A folder beside this file. */
  readonly name: string;
  readonly machine: MachineName;
  readonly deviations: readonly ExpectedFailures[];
}

const IOMMUS: readonly Iommu[] = [
  { name: 'vtd', machine: 'x86', deviations: VTD_DEVIATIONS },
  { name: 'smmuv3', machine: 'arm', deviations: SMMU_DEVIATIONS },
];

function report(counts: { passed: number; failed: number; pending: number }): void {
  const file = process.env.PINHOLE_CONFORMANCE_REPORT;
  if (file === undefined) return;
  const { passed, failed, pending } = counts;
  // What is missing is counted where the tests run on the model.
  const vitest = { numPassedTests: passed, numFailedTests: failed, numPendingTests: pending };
  writeFileSync(file, JSON.stringify({ success: failed === 0, ...vitest }));
}

async function run(on: string, iommus: readonly Iommu[], only: string): Promise<Ran[]> {
  process.env.PINHOLE_CONFORMANCE_ON = on;
  // On QEMU one process, so that its machines are started once.
  const single = on === 'qtest' ? { isolate: false, fileParallelism: false, maxWorkers: 1 } : {};
  const reporters: 'default'[] | { onInit(): void }[] = on === 'qtest' ? [{ onInit() {} }] : ['default'];
  const paths = iommus.map(({ name }) => `test/conformance/${name}/${only}`);
  const vitest = await startVitest('test', paths, { watch: false, ...single, reporters });
  const ran: Ran[] = [];
  for (const module of vitest.state.getTestModules()) {
    const file = module.moduleId.slice(FOLDER.length);
    for (const { name, message } of module.errors()) {
      // A file of which nothing can run there says so at its head.
      const state = name === 'NeedsModelError' ? 'skipped' : 'failed';
      ran.push({ file, name: '(the file)', state, why: message });
    }
    for (const test of module.children.allTests()) {
      const result = test.result();
      const meta = test.meta() as { needsModel?: string; canAsk?: boolean; asked?: boolean };
      const { needsModel = result.state === 'skipped' ? refusalOf(test) : undefined } = meta;
      // QEMU is started by the first question: a test that has none would pass whatever it is, and one that builds the model itself is about that.
      const asksNothing = on === 'qtest' && result.state === 'passed' && meta.asked !== true;
      const idle = asksNothing && meta.canAsk === true;
      const own = asksNothing && !idle ? `${PREFIX}inside: the test builds the model itself` : undefined;
      const why = needsModel ?? own ?? result.errors?.[0]?.message ?? (idle ? 'it passes, and has asked nothing' : '');
      const ended = idle || result.state === 'pending' ? 'failed' : own === undefined ? result.state : 'skipped';
      const state = test.options.mode === 'todo' ? 'todo' : ended;
      ran.push({ file, name: test.fullName, state, why });
    }
  }
  await vitest.close();
  return ran;
}

/** What a hook of a group around a test was refused. */
function refusalOf({ parent }: TestCase | TestSuite): string | undefined {
  if (parent.type !== 'suite') return undefined;
  const refused = parent.errors().find(({ name }) => name === 'NeedsModelError');
  return refused?.message ?? refusalOf(parent);
}

/** Whether there is a QEMU for it, or one could be fetched. */
function obtain({ name, machine }: Iommu): boolean {
  try {
    console.log(`${name} on QEMU ${findQemu(machine).version}`);
    return true;
  } catch (error) {
    // What was named, or is there, has to work.
    if (isNamed(machine) || !(error instanceof NoQemuError)) throw error;
    console.log(`skipped: no conformance test of ${name} was run on QEMU, as ${error.message}`);
    return false;
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      on: { type: 'string', default: 'model' },
      iommu: { type: 'string', default: 'all' },
      only: { type: 'string', default: '' },
      failures: { type: 'boolean', default: false },
      files: { type: 'boolean', default: false },
    },
  });
  const { on, iommu, only, failures, files } = values;
  const chosen = IOMMUS.filter(({ name }) => iommu === 'all' || iommu === name);
  if ((on !== 'model' && on !== 'qtest') || chosen.length === 0) {
    console.error(
      `test:conformance: --on is model or qtest, --iommu is ${IOMMUS.map(({ name }) => name).join(', ')} or all`,
    );
    return 2;
  }
  if (on === 'model') {
    const failed = (await run(on, chosen, only)).filter(({ state }) => state === 'failed').length;
    return failed > 0 ? 1 : 0;
  }
  const there = chosen.filter(obtain);
  const missing = chosen.length - there.length;
  if (there.length === 0) {
    report({ passed: 0, failed: 0, pending: missing });
    return 0;
  }
  const ran = await run(on, there, only);
  if (failures) {
    for (const { file, name, why } of ran.filter(({ state }) => state === 'failed'))
      console.log(`${file}\t${name}\t${why.split('\n')[0]}`);
  }
  const deviations = there.flatMap((each) => each.deviations);
  if (files) for (const line of countsOfFiles(ran)) console.log(line);
  const { counts, lines } = judge(ran, deviations, only !== '');
  for (const line of lines) console.log(line);
  report({ ...counts, pending: counts.pending + missing });
  return counts.failed > 0 ? 1 : 0;
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
