/** IOMMU_HWPT_INVALIDATE on a vSMMU: arrays of a guest's commands, in batches (arm_vsmmu_cache_invalidate of Linux). */
import type { VsmmuIds } from './convert.ts';
import { convertCommand } from './convert.ts';
import type { Errno } from './errno.ts';
import { refused } from './errno.ts';
import type { Kernel } from './kernels.ts';
import { COMMAND_HALVES } from './supported-bits.ts';
import type { UserArray } from './user-array.ts';
import { copyArray, halvesOf } from './user-array.ts';
import type { UserMemory } from './user-memory.ts';

/** IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3. */
export const INVALIDATE_ARM_SMMUV3 = 1;

/** Commands that are issued with one CMD_SYNC: `CMDQ_BATCH_ENTRIES` − 1. */
export const BATCH = 63;

/** The most that the kernel allocates at once (KMALLOC_MAX_SIZE with pages of 4 KiB): what is above is −ENOMEM. */
const MOST_BYTES = 4 << 20;

const COMMAND_BYTES = 4 * COMMAND_HALVES;

/** The command queue of an SMMU, with what the kernel does to it. */
export interface CommandSink {
  /**
   * Issues commands and a CMD_SYNC, and waits for it. A command that the SMMU finds illegal is replaced by a CMD_SYNC in the queue
   * (__arm_smmu_cmdq_skip_err), and the wait still succeeds.
   * @param from half of `words` at which the first command stands
   * @returns ETIMEDOUT where the CMD_SYNC is not seen to complete
   */
  issue(words: Int32Array, from: number, commands: number): Errno | null;
}

/** What the ioctl answers: it says how many were handled, whether it fails or not. */
export interface Invalidated {
  readonly errno: Errno | null;
  readonly handled: number;
}

export function invalidateVsmmu(
  memory: UserMemory,
  array: UserArray,
  vsmmu: VsmmuIds,
  queue: CommandSink,
  kernel: Kernel,
): Invalidated {
  return kernel.invalidates === 'at once'
    ? invalidateAtOnce(memory, array, vsmmu, queue, kernel)
    : invalidateBatchwise(memory, array, vsmmu, queue, kernel);
}

/** Copies all, then converts one by one and issues when a batch is full or the array ends. */
function invalidateAtOnce(
  memory: UserMemory,
  array: UserArray,
  vsmmu: VsmmuIds,
  queue: CommandSink,
  kernel: Kernel,
): Invalidated {
  const { entries } = array;
  // The count is not touched on this way out: all are reported as handled.
  if (entries * COMMAND_BYTES > MOST_BYTES) return { errno: 'ENOMEM', handled: entries };
  const bytes = copyArray(memory, array, INVALIDATE_ARM_SMMUV3, COMMAND_BYTES);
  if (refused(bytes)) return { errno: bytes, handled: 0 };
  const words = halvesOf(bytes);
  let issued = 0;
  for (let i = 0; i < entries; ) {
    // Those from `issued` on were converted, never issued, and are counted.
    if (!convertCommand(words, COMMAND_HALVES * i, vsmmu, kernel)) return { errno: 'EIO', handled: i };
    i++;
    if (i !== entries && i - issued !== BATCH) continue;
    const errno = queue.issue(words, COMMAND_HALVES * issued, i - issued);
    if (errno !== null) return { errno, handled: i - 1 };
    issued = i;
  }
  return { errno: null, handled: entries };
}

/** Copies, converts and issues a batch after the other: of a batch with an illegal command nothing is issued. */
function invalidateBatchwise(
  memory: UserMemory,
  array: UserArray,
  vsmmu: VsmmuIds,
  queue: CommandSink,
  kernel: Kernel,
): Invalidated {
  if (array.type !== INVALIDATE_ARM_SMMUV3) return { errno: 'EINVAL', handled: 0 };
  for (let handled = 0; handled < array.entries; ) {
    const entries = Math.min(array.entries - handled, BATCH);
    const batch = { ...array, entries, at: array.at + BigInt(array.entryBytes * handled) };
    const bytes = copyArray(memory, batch, INVALIDATE_ARM_SMMUV3, COMMAND_BYTES);
    if (refused(bytes)) return { errno: bytes, handled };
    const words = halvesOf(bytes);
    for (let i = 0; i < entries; i++)
      if (!convertCommand(words, COMMAND_HALVES * i, vsmmu, kernel)) return { errno: 'EIO', handled };
    const errno = queue.issue(words, 0, entries);
    if (errno !== null) return { errno, handled };
    handled += entries;
  }
  return { errno: null, handled: array.entries };
}
