/**
 * `npm run test:qemu`: compares the models with QEMU.
 *
 *   --seed N          first seed (default: from the clock, and printed)
 *   --ops M           DMA requests in all, over the configurations of each IOMMU (default: 200000 of VT-d, 51000 of SMMUv3)
 *   --iommu NAME      vtd or smmuv3 only
 *   --config NAME     only configurations whose name contains this
 *   --replay FILE     runs one script of that form in place of random ones, under the first of these configurations, and prints what differs
 *
 * PINHOLE_QEMU and PINHOLE_QEMU_ARM name a qemu-system-x86_64 and a qemu-system-aarch64 to use; PINHOLE_ORACLE_REPORT a file for the counts.
 */
import { parseArgs } from 'node:util';
import { CONFIGURATIONS } from './configurations.ts';
import type { MachineName, Qemu } from './qemu-process.ts';
import { findQemu, isNamed, NoQemuError } from './qemu-process.ts';
import { CONFIGURATIONS as SMMU_CONFIGURATIONS } from './smmuv3/configurations.ts';
import { SmmuOracle } from './smmuv3/oracle.ts';
import type { Oracle } from './verdict.ts';
import { Verdict } from './verdict.ts';
import { VtdOracle } from './vtd-oracle.ts';

interface Compared {
  readonly machine: MachineName;
  /** DMA requests, where nothing is said. */
  readonly requests: number;
  readonly configurations: readonly { readonly name: string }[];
  readonly oracle: (qemu: Qemu) => Oracle;
}

const COMPARED: Readonly<Record<string, Compared>> = {
  vtd: { machine: 'x86', requests: 200_000, configurations: CONFIGURATIONS, oracle: (qemu) => new VtdOracle(qemu) },
  smmuv3: {
    ...{ machine: 'arm', requests: 51_000, configurations: SMMU_CONFIGURATIONS },
    oracle: (qemu) => new SmmuOracle(qemu),
  },
};

/** QEMU; null, which is told and counted as one skipped test, where there is none and none can be fetched. */
function obtain(machine: MachineName, verdict: Verdict): Qemu | null {
  try {
    return findQemu(machine);
  } catch (error) {
    // What was named, or is there, has to work.
    if (isNamed(machine) || !(error instanceof NoQemuError)) throw error;
    verdict.skip(`nothing was compared, as ${error.message}`);
    return null;
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      ops: { type: 'string' },
      iommu: { type: 'string' },
      config: { type: 'string', default: '' },
      replay: { type: 'string' },
    },
  });
  const seed = Number(values.seed ?? Date.now() % 1_000_000_000);
  const names = (of: Compared) =>
    of.configurations.map(({ name }) => name).filter((name) => name.includes(values.config));
  const chosen = Object.entries(COMPARED).filter(
    ([name, each]) => (values.iommu ?? name) === name && names(each).length > 0,
  );
  const badOps = values.ops !== undefined && !(Number(values.ops) > 0);
  if (!Number.isInteger(seed) || badOps || chosen.length === 0) {
    console.error(
      `test:qemu: --seed and --ops are numbers, --iommu is one of ${Object.keys(COMPARED).join(', ')}, --config is part of a configuration’s name`,
    );
    return 2;
  }
  const verdict = new Verdict();
  for (const [, each] of chosen) {
    const qemu = obtain(each.machine, verdict);
    if (qemu === null) continue;
    const oracle = each.oracle(qemu);
    if (values.replay !== undefined) return oracle.replay(names(each)[0], values.replay);
    console.log(`QEMU ${qemu.version}, ${oracle.name}, seed ${seed}`);
    await oracle.run(names(each), seed, Number(values.ops ?? each.requests), verdict);
  }
  return verdict.end();
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
