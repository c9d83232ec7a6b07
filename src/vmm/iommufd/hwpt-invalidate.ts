/** IOMMU_HWPT_INVALIDATE: what a guest has changed in its own tables (drivers/iommu/iommufd/hw_pagetable.c of Linux). */
import type { Values } from '../../bits/index.ts';
import type { Iommufd } from './context.ts';
import type { Errno } from './errno.ts';
import { refused } from './errno.ts';
import { HwptNested } from './hwpt.ts';
import type { Invalidated } from './invalidate.ts';
import { IommufdObject } from './objects.ts';
import type * as uapi from './structures.ts';
import { Viommu } from './viommu.ts';

type Cmd = Values<typeof uapi.HWPT_INVALIDATE.fields>;

/** Always says how many were handled, refused or not. */
export function invalidateHwpt(fd: Iommufd, cmd: Cmd): Errno | null {
  const { errno, handled } = invalidate(fd, cmd);
  cmd.entry_num = handled;
  return errno;
}

function invalidate(fd: Iommufd, cmd: Cmd): Invalidated {
  if (cmd.__reserved !== 0) return { errno: 'EOPNOTSUPP', handled: 0 };
  if (cmd.entry_num !== 0 && (cmd.data_uptr === 0n || cmd.entry_len === 0)) return { errno: 'EINVAL', handled: 0 };
  const on = fd.objects.get(cmd.hwpt_id, IommufdObject);
  if (refused(on)) return { errno: on, handled: 0 };
  const run = on instanceof HwptNested ? on.domain.invalidate : on instanceof Viommu ? on.host.invalidate : undefined;
  if (run === undefined) return { errno: 'EINVAL', handled: 0 };
  if (run === null) return { errno: 'EOPNOTSUPP', handled: 0 };
  const array = { type: cmd.data_type, at: cmd.data_uptr, entryBytes: cmd.entry_len, entries: cmd.entry_num };
  return run(fd.memory, array);
}
