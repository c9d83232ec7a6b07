/** To which of a vSMMU's vIOMMUs a guest's command goes: which knows the StreamID, or which may hold the translation. */
import { get, toHalves } from '../../bits/index.ts';
import { CMD_CFGI_CD } from '../../iommu/smmuv3/commands.ts';
import type { SoftwareWord } from '../../machine/index.ts';
import { CONVERSIONS } from '../iommufd/convert.ts';
import type { Routing } from '../iommufd/sharing.ts';
import type { CommandFeatures, CommandMasks } from '../iommufd/supported-bits.ts';
import type { Command } from './invalidation-plan.ts';
import type { PhysicalQueue } from './physical-queue.ts';

/** A vIOMMU of the kernel: a VMID on one physical SMMU. A vSMMU is one or several of them. */
export interface VirtualIommu {
  readonly name: string;
  /** Of its stage 2; a word where stage 2 is replaced as the guest runs. */
  readonly vmid: number | SoftwareWord;
  readonly features: CommandFeatures;
  readonly masks: CommandMasks;
  /** StreamIDs of its devices by vStreamID, as vDEVICEs say. */
  readonly streams: ReadonlyMap<number, number>;
  /** Whether one of its devices is attached, where devices come and go; if absent, whether there is one. */
  readonly used?: SoftwareWord;
  readonly queue: PhysicalQueue;
}

const { OPCODE, StreamID } = CMD_CFGI_CD;

/**
 * Which of them, by index, a command is passed on to. What names a StreamID goes to the vIOMMU that has the device, as all others would refuse it; to the
 * first, where none has: it refuses, too.
 * @param used by index: whether it has devices
 */
export function routeOf(
  command: Command,
  iommus: readonly VirtualIommu[],
  routing: Routing,
  used: readonly boolean[],
): readonly number[] {
  const words = toHalves(command);
  const all = iommus.map((_, i) => i);
  if (CONVERSIONS[get(OPCODE, words)] === 'StreamID') {
    const owner = iommus.findIndex(({ streams }) => streams.has(get(StreamID, words)));
    return [Math.max(owner, 0)];
  }
  if (routing === 'the first') return [0];
  return routing === 'those with devices' ? all.filter((i) => used[i]) : all;
}
