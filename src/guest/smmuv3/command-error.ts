/** What a driver does about a command that its SMMU finds illegal (`__arm_smmu_cmdq_skip_err`): a CMD_SYNC takes its place, and the queue goes on. */
import { encode } from '../../bits/index.ts';
import { CMD_SYNC, COMMAND_BYTES } from '../../iommu/smmuv3/commands.ts';
import { CMDQ_CONS } from '../../iommu/smmuv3/queue-registers.ts';
import { GERROR, GERRORN } from '../../iommu/smmuv3/registers.ts';
import type { Cpu, MmioBlock, Program } from '../../machine/index.ts';
import type { CommandQueueOptions } from './command-queue.ts';

const CMDQ_ERR = 1 << GERROR.CMDQ_ERR.lo;

/** Whether GERROR.CMDQ_ERR is active (7.5). */
function hasError(smmu: MmioBlock): boolean {
  const at = (offset: number) => (smmu.peek ?? smmu.read).call(smmu, offset, 4).lo;
  return ((at(GERROR.offset) ^ at(GERRORN.offset)) & CMDQ_ERR) !== 0;
}

/** Waits for an error of the queue, and has it go on behind the command that has it (7.1). */
export function* skipBadCommand(cpu: Cpu, { smmu, base, log2size, exit }: CommandQueueOptions): Program {
  yield {
    name: `${cpu.name} GERROR.CMDQ_ERR of ${smmu.name}`,
    ready: () => hasError(smmu),
    run: () => {},
  };
  const cons = yield* cpu.mmioRead32(smmu, CMDQ_CONS.offset);
  const at = base + BigInt((cons & ((1 << log2size) - 1)) * COMMAND_BYTES);
  const [first, second] = encode(CMD_SYNC, {});
  yield* cpu.write64(at + 8n, second, '');
  yield* cpu.write64(at, first, 'the guest puts a CMD_SYNC in the place of the command in error');
  const active = yield* cpu.mmioRead32(smmu, GERROR.offset);
  yield* cpu.mmioWrite(smmu, GERRORN.offset, 4, BigInt(active & CMDQ_ERR), ', which acknowledges it');
  if (exit !== undefined) yield* exit();
}
