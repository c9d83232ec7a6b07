/** IOMMU_GET_HW_INFO (drivers/iommu/iommufd/device.c of Linux). */
import type { Values } from '../../bits/index.ts';
import type { Iommufd } from './context.ts';
import { Device } from './device.ts';
import type { Errno } from './errno.ts';
import { refused } from './errno.ts';
import { HW_CAPABILITIES, HW_INFO_FLAGS, HW_INFO_TYPE } from './flags.ts';
import type * as uapi from './structures.ts';
import type { UserMemory } from './user-memory.ts';
import { PAGE_SIZE } from './user-memory.ts';

/** Writes as much as there is room for, zeros behind it, and says how long it is. */
export function getHwInfo(fd: Iommufd, cmd: Values<typeof uapi.GET_HW_INFO.fields>): Errno | null {
  const reserved = cmd.__reserved0 | cmd.__reserved1 | cmd.__reserved2;
  if ((cmd.flags & ~HW_INFO_FLAGS.INPUT_TYPE) !== 0 || reserved !== 0) return 'EOPNOTSUPP';
  const device = fd.objects.get(cmd.dev_id, Device);
  if (refused(device)) return device;
  const asked = (cmd.flags & HW_INFO_FLAGS.INPUT_TYPE) === 0 ? HW_INFO_TYPE.NONE : cmd.data_type;
  const info = device.host.iommu.info(asked);
  if (refused(info)) return info;
  if (!writePadded(fd.memory, cmd.data_uptr, cmd.data_len, info.bytes)) return 'EFAULT';
  cmd.data_len = info.bytes.length;
  cmd.data_type = info.type;
  cmd.out_max_pasid_log2 = 0;
  cmd.out_capabilities = device.host.dirtyTracking ? BigInt(HW_CAPABILITIES.DIRTY_TRACKING) : 0n;
  return null;
}

/** Bytes, as far as there is room, and zeros up to the end of the room; in parts, as the room may be any number. */
function writePadded(memory: UserMemory, at: bigint, room: number, bytes: Uint8Array): boolean {
  if (room > 0 && !memory.write(at, bytes.subarray(0, room))) return false;
  const part = Number(PAGE_SIZE);
  for (let from = bytes.length; from < room; from += part)
    if (!memory.write(at + BigInt(from), new Uint8Array(Math.min(part, room - from)))) return false;
  return true;
}
