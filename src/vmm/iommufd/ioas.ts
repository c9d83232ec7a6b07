/** IO address spaces, and what user space may do with them (drivers/iommu/iommufd/ioas.c of Linux). */
import type { Values } from '../../bits/index.ts';
import { decodeHalves, encodeHalves } from '../../bits/index.ts';
import type { Iommufd } from './context.ts';
import type { Errno } from './errno.ts';
import { refused } from './errno.ts';
import { IOAS_MAP_FLAGS, OPTION_ID, OPTION_OP } from './flags.ts';
import type { HwptPaging } from './hwpt.ts';
import type { Slice } from './io-pagetable.ts';
import { IoPagetable } from './io-pagetable.ts';
import { IommufdObject } from './objects.ts';
import { Pages } from './pages.ts';
import type { Range } from './ranges.ts';
import { holes, overlaps } from './ranges.ts';
import type * as uapi from './structures.ts';
import { IOVA_RANGE } from './structures.ts';
import { bytesOf, halvesOf } from './user-array.ts';
import { PAGE_SIZE, ULONG_MAX } from './user-memory.ts';

export class Ioas extends IommufdObject {
  readonly type = 'IOAS';
  readonly table = new IoPagetable();
  /** Page tables that were made for it, in order. */
  readonly hwpts: HwptPaging[] = [];

  release(): void {
    const left = this.table.unmapAll();
    // Whoever has an access holds the IOAS; no area can be in use here.
    if (refused(left)) throw new Error(`IOAS ${this.id} cannot be emptied: ${left}`);
  }
}

type Cmd<S extends { fields: Parameters<typeof decodeHalves>[0]['fields'] }> = Values<S['fields']>;

export function allocateIoas(fd: Iommufd, cmd: Cmd<typeof uapi.IOAS_ALLOC>): Errno | null {
  if (cmd.flags !== 0) return 'EOPNOTSUPP';
  cmd.out_ioas_id = fd.objects.add(new Ioas()).id;
  return null;
}

const MAP_FLAGS = IOAS_MAP_FLAGS.FIXED_IOVA | IOAS_MAP_FLAGS.READABLE | IOAS_MAP_FLAGS.WRITEABLE;

/** What the flags of a map or copy ask for, or why they cannot be. */
function checkFlags(flags: number, addresses: readonly bigint[]): Errno | null {
  if ((flags & ~MAP_FLAGS) !== 0) return 'EOPNOTSUPP';
  if (addresses.some((address) => address >= ULONG_MAX)) return 'EOVERFLOW';
  return (flags & (IOAS_MAP_FLAGS.READABLE | IOAS_MAP_FLAGS.WRITEABLE)) === 0 ? 'EINVAL' : null;
}

const rightsOf = (flags: number) => ({
  read: (flags & IOAS_MAP_FLAGS.READABLE) !== 0,
  write: (flags & IOAS_MAP_FLAGS.WRITEABLE) !== 0,
});

function mapSlices(ioas: Ioas, slices: readonly Slice[], length: bigint, flags: number, iova: bigint): bigint | Errno {
  const at = (flags & IOAS_MAP_FLAGS.FIXED_IOVA) === 0 ? null : iova;
  return ioas.table.map(slices, length, at, rightsOf(flags));
}

export function mapIoas(fd: Iommufd, cmd: Cmd<typeof uapi.IOAS_MAP>): Errno | null {
  if (cmd.__reserved !== 0) return 'EOPNOTSUPP';
  const errno = checkFlags(cmd.flags, [cmd.iova, cmd.length]);
  if (errno !== null) return errno;
  const ioas = fd.objects.get(cmd.ioas_id, Ioas);
  if (refused(ioas)) return ioas;
  // So that rounding up to pages does not overflow.
  if (cmd.length === 0n || cmd.length > ULONG_MAX - PAGE_SIZE) return 'EINVAL';
  const mode = fd.options.mayLockAll ? 'none' : fd.accountMode;
  const writable = rightsOf(cmd.flags).write;
  const pages = new Pages(fd.memory, cmd.user_va, cmd.length, writable, fd.accounts, mode);
  const slice = { pages, startByte: cmd.user_va - pages.at, length: cmd.length };
  const iova = mapSlices(ioas, [slice], cmd.length, cmd.flags, cmd.iova);
  if (refused(iova)) return iova;
  cmd.iova = iova;
  return null;
}

export function copyIoas(fd: Iommufd, cmd: Cmd<typeof uapi.IOAS_COPY>): Errno | null {
  const errno = checkFlags(cmd.flags, [cmd.length, cmd.src_iova, cmd.dst_iova]);
  if (errno !== null) return errno;
  const from = fd.objects.get(cmd.src_ioas_id, Ioas);
  if (refused(from)) return from;
  const slices = from.table.slicesOf(cmd.src_iova, cmd.length);
  if (refused(slices)) return slices;
  const to = fd.objects.get(cmd.dst_ioas_id, Ioas);
  if (refused(to)) return to;
  const iova = mapSlices(to, slices, cmd.length, cmd.flags, cmd.dst_iova);
  if (refused(iova)) return iova;
  cmd.dst_iova = iova;
  return null;
}

export function unmapIoas(fd: Iommufd, cmd: Cmd<typeof uapi.IOAS_UNMAP>): Errno | null {
  const ioas = fd.objects.get(cmd.ioas_id, Ioas);
  if (refused(ioas)) return ioas;
  const bytes = cmd.iova === 0n && cmd.length === ULONG_MAX ? ioas.table.unmapAll() : unmapRange(ioas, cmd);
  if (refused(bytes)) return bytes;
  cmd.length = bytes;
  return null;
}

function unmapRange(ioas: Ioas, { iova, length }: { iova: bigint; length: bigint }): bigint | Errno {
  if (iova >= ULONG_MAX || length >= ULONG_MAX) return 'EOVERFLOW';
  if (length === 0n) return 'EINVAL';
  const last = iova + length - 1n;
  if (last > ULONG_MAX) return 'EOVERFLOW';
  const bytes = ioas.table.unmap({ start: iova, last });
  return bytes === 0n ? 'ENOENT' : bytes;
}

const RANGE_BYTES = IOVA_RANGE.width / 8;

export function allowIovas(fd: Iommufd, cmd: Cmd<typeof uapi.IOAS_ALLOW_IOVAS>): Errno | null {
  if (cmd.__reserved !== 0) return 'EOPNOTSUPP';
  const ioas = fd.objects.get(cmd.ioas_id, Ioas);
  if (refused(ioas)) return ioas;
  const ranges: Range[] = [];
  for (let i = 0; i < cmd.num_iovas; i++) {
    const bytes = fd.memory.read(cmd.allowed_iovas + BigInt(RANGE_BYTES * i), RANGE_BYTES);
    if (bytes === null) return 'EFAULT';
    const range = decodeHalves(IOVA_RANGE, halvesOf(bytes));
    // A range of one byte is refused as well.
    if (range.start >= range.last || ranges.some((other) => overlaps(range, other))) return 'EINVAL';
    ranges.push(range);
  }
  return ioas.table.allow(ranges);
}

/** Writes as many ranges as there is room for, and says how many there are: EMSGSIZE if there is less room. */
export function iovaRanges(fd: Iommufd, cmd: Cmd<typeof uapi.IOAS_IOVA_RANGES>): Errno | null {
  if (cmd.__reserved !== 0) return 'EOPNOTSUPP';
  const ioas = fd.objects.get(cmd.ioas_id, Ioas);
  if (refused(ioas)) return ioas;
  const free = holes(ioas.table.reserved, { start: 0n, last: ULONG_MAX });
  const room = cmd.num_iovas;
  for (const [i, range] of free.slice(0, room).entries()) {
    const bytes = bytesOf(encodeHalves(IOVA_RANGE, range));
    if (!fd.memory.write(cmd.allowed_iovas + BigInt(RANGE_BYTES * i), bytes)) return 'EFAULT';
  }
  cmd.num_iovas = free.length;
  cmd.out_iova_alignment = ioas.table.alignment;
  return free.length > room ? 'EMSGSIZE' : null;
}

export function option(fd: Iommufd, cmd: Cmd<typeof uapi.OPTION>): Errno | null {
  if (cmd.__reserved !== 0) return 'EOPNOTSUPP';
  if (cmd.option_id === OPTION_ID.RLIMIT_MODE) return limitMode(fd, cmd);
  return cmd.option_id === OPTION_ID.HUGE_PAGES ? hugePages(fd, cmd) : 'EOPNOTSUPP';
}

/** Of the whole file, and only while it has no objects. */
function limitMode(fd: Iommufd, cmd: Cmd<typeof uapi.OPTION>): Errno | null {
  if (cmd.object_id !== 0) return 'EOPNOTSUPP';
  if (cmd.op === OPTION_OP.GET) {
    cmd.val64 = fd.accountMode === 'mm' ? 1n : 0n;
    return null;
  }
  if (cmd.op !== OPTION_OP.SET) return 'EOPNOTSUPP';
  if (!fd.options.mayChangeLimits) return 'EPERM';
  if (!fd.objects.isEmpty) return 'EBUSY';
  if (cmd.val64 > 1n) return 'EINVAL';
  fd.accountMode = cmd.val64 === 1n ? 'mm' : 'user';
  return null;
}

function hugePages(fd: Iommufd, cmd: Cmd<typeof uapi.OPTION>): Errno | null {
  const ioas = fd.objects.get(cmd.object_id, Ioas);
  if (refused(ioas)) return ioas;
  if (cmd.op === OPTION_OP.GET) {
    cmd.val64 = ioas.table.hugePages ? 1n : 0n;
    return null;
  }
  if (cmd.op !== OPTION_OP.SET) return 'EOPNOTSUPP';
  return cmd.val64 > 1n ? 'EINVAL' : ioas.table.setHugePages(cmd.val64 === 1n);
}
