/**
 * `npm run test:conformance -- --on model|qtest`: the conformance tests on the model (as `npm test` runs them), or on a real QEMU.
 *
 *   --on model|qtest  default model
 *   --only FILE       only files whose path contains this; deviations of other files are then not looked for
 *   --failures        prints what fails, without comparing it with what is expected (to write an entry)
 *
 * On QEMU a test that wants what only the model can show is skipped, with its reason; one that is expected to fail is an entry of
 * vtd/qemu-deviations.ts. PINHOLE_QEMU names a qemu-system-x86_64 to use; PINHOLE_CONFORMANCE_REPORT a file for the counts.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { TestCase, TestSuite } from 'vitest/node';
import { startVitest } from 'vitest/node';
import { findQemu, NoQemuError } from '../oracle/qemu-process.ts';
import type { Ran } from './judge.ts';
import { judge } from './judge.ts';
import { DEVIATIONS } from './vtd/qemu-deviations.ts';

const FOLDER = fileURLToPath(new URL('.', import.meta.url));

function report(counts: { passed: number; failed: number; pending: number }): void {
  const file = process.env.PINHOLE_CONFORMANCE_REPORT;
  if (file === undefined) return;
  const { passed, failed, pending } = counts;
  // What is missing is counted where the tests run on the model.
  const vitest = { numPassedTests: passed, numFailedTests: failed, numPendingTests: pending };
  writeFileSync(file, JSON.stringify({ success: failed === 0, ...vitest }));
}

async function run(on: string, only: string): Promise<Ran[]> {
  process.env.PINHOLE_CONFORMANCE_ON = on;
  // On QEMU one process, so that its machines are started once.
  const single = on === 'qtest' ? { isolate: false, fileParallelism: false, maxWorkers: 1 } : {};
  const reporters: 'default'[] | { onInit(): void }[] = on === 'qtest' ? [{ onInit() {} }] : ['default'];
  const vitest = await startVitest('test', [`test/conformance/vtd/${only}`], { watch: false, ...single, reporters });
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
      const { needsModel = result.state === 'skipped' ? refusalOf(test) : undefined } = test.meta() as {
        needsModel?: string;
      };
      const why = needsModel ?? result.errors?.[0]?.message ?? '';
      const state = test.options.mode === 'todo' ? 'todo' : result.state === 'pending' ? 'failed' : result.state;
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

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      on: { type: 'string', default: 'model' },
      only: { type: 'string', default: '' },
      failures: { type: 'boolean', default: false },
    },
  });
  const { on, only, failures } = values;
  if (on !== 'model' && on !== 'qtest') {
    console.error(`test:conformance: --on is model or qtest, not '${on}'`);
    return 2;
  }
  if (on === 'model') {
    const failed = (await run(on, only)).filter(({ state }) => state === 'failed').length;
    return failed > 0 ? 1 : 0;
  }
  try {
    console.log(`QEMU ${findQemu().version}`);
  } catch (error) {
    // What was named, or is there, has to work.
    if (process.env.PINHOLE_QEMU !== undefined || !(error instanceof NoQemuError)) throw error;
    console.log(`skipped: no conformance test was run on QEMU, as ${error.message}`);
    report({ passed: 0, failed: 0, pending: 1 });
    return 0;
  }
  const ran = await run(on, only);
  if (failures) {
    for (const { file, name, why } of ran.filter(({ state }) => state === 'failed'))
      console.log(`${file}\t${name}\t${why.split('\n')[0]}`);
  }
  const verdict = judge(ran, DEVIATIONS, only !== '');
  for (const line of verdict.lines) console.log(line);
  report(verdict.counts);
  return verdict.counts.failed > 0 ? 1 : 0;
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
