/** What the kernel makes of one HWPT_INVALIDATE of a guest's commands: which batches reach the SMMU's queue, and what is answered. */
import { join, toHalves } from '../../bits/index.ts';
import type { VsmmuIds } from '../iommufd/convert.ts';
import { convertCommand } from '../iommufd/convert.ts';
import type { Invalidated } from '../iommufd/invalidate.ts';
import { INVALIDATE_ARM_SMMUV3, invalidateVsmmu } from '../iommufd/invalidate.ts';
import type { Kernel } from '../iommufd/kernels.ts';
import { COMMAND_HALVES } from '../iommufd/supported-bits.ts';
import { bytesOf } from '../iommufd/user-array.ts';
import { FlatUserMemory, PAGE_SIZE } from '../iommufd/user-memory.ts';

/** One command: two 64-bit words. */
export type Command = readonly bigint[];

export interface InvalidationPlan extends Invalidated {
  /** With VMIDs and StreamIDs of the host; behind each there is a CMD_SYNC, which is waited for. */
  readonly batches: readonly (readonly Command[])[];
}

const BYTES = 4 * COMMAND_HALVES;

/** @param commands as the VMM passes them on. What is planned is what the ioctl does where every CMD_SYNC completes in time */
export function planInvalidation(commands: readonly Command[], vsmmu: VsmmuIds, kernel: Kernel): InvalidationPlan {
  const pages = Math.ceil((BYTES * Math.max(1, commands.length)) / Number(PAGE_SIZE));
  const memory = new FlatUserMemory(0n, pages, 0);
  memory.write(0n, bytesOf(toHalves(commands.flat())));
  const batches: Command[][] = [];
  const issue = (words: Int32Array, from: number, count: number) => {
    batches.push(Array.from({ length: count }, (_, i) => commandOf(words, from + COMMAND_HALVES * i)));
    return null;
  };
  const array = { type: INVALIDATE_ARM_SMMUV3, at: 0n, entryBytes: BYTES, entries: commands.length };
  return { ...invalidateVsmmu(memory, array, vsmmu, { issue }, kernel), batches };
}

/** Of commands that a kernel thread takes out of a shared ring: no array, no ioctl; the first that it refuses ends it. */
export function planRing(commands: readonly Command[], vsmmu: VsmmuIds, kernel: Kernel): InvalidationPlan {
  const batch: Command[] = [];
  for (const command of commands) {
    const words = toHalves(command);
    if (!convertCommand(words, 0, vsmmu, kernel)) break;
    batch.push(commandOf(words, 0));
  }
  const errno = batch.length < commands.length ? 'EIO' : null;
  return { errno, handled: batch.length, batches: batch.length === 0 ? [] : [batch] };
}

function commandOf(words: Int32Array, at: number): Command {
  return [join(words[at], words[at + 1]), join(words[at + 2], words[at + 3])];
}
