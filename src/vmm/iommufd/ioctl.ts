/** The ioctls of /dev/iommu: which there are, and how their structures grow (drivers/iommu/iommufd/main.c of Linux 6.18). */
import type { Fields, Structure, Values } from '../../bits/index.ts';
import { decodeHalves, encodeHalves } from '../../bits/index.ts';
import type { Iommufd } from './context.ts';
import { getDirtyBitmap, setDirtyTracking } from './dirty.ts';
import type { Errno } from './errno.ts';
import { refused, statusOf } from './errno.ts';
import { allocateFaultQueue } from './fault-queue.ts';
import { getHwInfo } from './hw-info.ts';
import { allocateHwQueue } from './hw-queue.ts';
import { allocateHwpt } from './hwpt.ts';
import { invalidateHwpt } from './hwpt-invalidate.ts';
import { allocateIoas, allowIovas, copyIoas, Ioas, iovaRanges, mapIoas, option, unmapIoas } from './ioas.ts';
import * as uapi from './structures.ts';
import { bytesOf, halvesOf } from './user-array.ts';
import { allocateVeventQueue } from './vevent-queue.ts';
import { allocateVdevice, allocateViommu } from './viommu.ts';

/** `_IO(';', nr)`. */
const ioctlNumber = (nr: number): number => (0x3b << 8) | nr;

export interface Ioctl<F extends Fields = Fields> {
  readonly name: string;
  readonly number: number;
  readonly of: Structure<F>;
  /** Bytes of its first version: a shorter structure is −EINVAL. */
  readonly smallest: number;
  run(fd: Iommufd, cmd: Values<F>): Errno | null;
}

/** @param last the last member of the structure's first version */
function ioctl<F extends Fields>(
  name: string,
  nr: number,
  of: Structure<F>,
  last: keyof F & string,
  run: (fd: Iommufd, cmd: Values<F>) => Errno | null,
): Ioctl<F> {
  return { name, number: ioctlNumber(nr), of, smallest: (of.fields[last].hi + 1) / 8, run };
}

function destroy(fd: Iommufd, { id }: Values<typeof uapi.DESTROY.fields>): Errno | null {
  const errno = fd.objects.destroy(id);
  if (errno === null && fd.vfioIoas === id) fd.vfioIoas = 0;
  return errno;
}

/** Which IOAS a VFIO container of this file has. */
function vfioIoas(fd: Iommufd, cmd: Values<typeof uapi.VFIO_IOAS.fields>): Errno | null {
  if (cmd.__reserved !== 0) return 'EOPNOTSUPP';
  if (cmd.op === 0) {
    if (fd.vfioIoas === 0) return 'ENODEV';
    cmd.ioas_id = fd.vfioIoas;
  } else if (cmd.op === 1) {
    const ioas = fd.objects.get(cmd.ioas_id, Ioas);
    if (refused(ioas)) return ioas;
    fd.vfioIoas = ioas.id;
  } else if (cmd.op === 2) fd.vfioIoas = 0;
  else return 'EOPNOTSUPP';
  return null;
}

export const IOMMU_DESTROY = ioctl('IOMMU_DESTROY', 0x80, uapi.DESTROY, 'id', destroy);
export const IOMMU_IOAS_ALLOC = ioctl('IOMMU_IOAS_ALLOC', 0x81, uapi.IOAS_ALLOC, 'out_ioas_id', allocateIoas);
export const IOMMU_IOAS_ALLOW_IOVAS = ioctl(
  'IOMMU_IOAS_ALLOW_IOVAS',
  0x82,
  uapi.IOAS_ALLOW_IOVAS,
  'allowed_iovas',
  allowIovas,
);
export const IOMMU_IOAS_COPY = ioctl('IOMMU_IOAS_COPY', 0x83, uapi.IOAS_COPY, 'src_iova', copyIoas);
export const IOMMU_IOAS_IOVA_RANGES = ioctl(
  'IOMMU_IOAS_IOVA_RANGES',
  0x84,
  uapi.IOAS_IOVA_RANGES,
  'out_iova_alignment',
  iovaRanges,
);
export const IOMMU_IOAS_MAP = ioctl('IOMMU_IOAS_MAP', 0x85, uapi.IOAS_MAP, 'iova', mapIoas);
export const IOMMU_IOAS_UNMAP = ioctl('IOMMU_IOAS_UNMAP', 0x86, uapi.IOAS_UNMAP, 'length', unmapIoas);
export const IOMMU_OPTION = ioctl('IOMMU_OPTION', 0x87, uapi.OPTION, 'val64', option);
export const IOMMU_VFIO_IOAS = ioctl('IOMMU_VFIO_IOAS', 0x88, uapi.VFIO_IOAS, '__reserved', vfioIoas);
export const IOMMU_HWPT_ALLOC = ioctl('IOMMU_HWPT_ALLOC', 0x89, uapi.HWPT_ALLOC, '__reserved', allocateHwpt);
export const IOMMU_GET_HW_INFO = ioctl('IOMMU_GET_HW_INFO', 0x8a, uapi.GET_HW_INFO, '__reserved2', getHwInfo);
export const IOMMU_HWPT_SET_DIRTY_TRACKING = ioctl(
  'IOMMU_HWPT_SET_DIRTY_TRACKING',
  0x8b,
  uapi.HWPT_SET_DIRTY_TRACKING,
  '__reserved',
  setDirtyTracking,
);
export const IOMMU_HWPT_GET_DIRTY_BITMAP = ioctl(
  'IOMMU_HWPT_GET_DIRTY_BITMAP',
  0x8c,
  uapi.HWPT_GET_DIRTY_BITMAP,
  'data',
  getDirtyBitmap,
);
export const IOMMU_HWPT_INVALIDATE = ioctl(
  'IOMMU_HWPT_INVALIDATE',
  0x8d,
  uapi.HWPT_INVALIDATE,
  '__reserved',
  invalidateHwpt,
);
export const IOMMU_FAULT_QUEUE_ALLOC = ioctl(
  'IOMMU_FAULT_QUEUE_ALLOC',
  0x8e,
  uapi.FAULT_QUEUE_ALLOC,
  'out_fault_fd',
  allocateFaultQueue,
);
export const IOMMU_VIOMMU_ALLOC = ioctl('IOMMU_VIOMMU_ALLOC', 0x90, uapi.VIOMMU_ALLOC, 'out_viommu_id', allocateViommu);
export const IOMMU_VDEVICE_ALLOC = ioctl('IOMMU_VDEVICE_ALLOC', 0x91, uapi.VDEVICE_ALLOC, 'virt_id', allocateVdevice);
export const IOMMU_VEVENTQ_ALLOC = ioctl(
  'IOMMU_VEVENTQ_ALLOC',
  0x93,
  uapi.VEVENTQ_ALLOC,
  '__reserved',
  allocateVeventQueue,
);
export const IOMMU_HW_QUEUE_ALLOC = ioctl('IOMMU_HW_QUEUE_ALLOC', 0x94, uapi.HW_QUEUE_ALLOC, 'length', allocateHwQueue);

/** IOAS_MAP_FILE (0x8f) and IOAS_CHANGE_PROCESS (0x92) are not modelled: they are refused as an older kernel does, with −ENOTTY. */
export const IOCTLS: readonly Ioctl[] = [
  ...[IOMMU_DESTROY, IOMMU_IOAS_ALLOC, IOMMU_IOAS_ALLOW_IOVAS, IOMMU_IOAS_COPY, IOMMU_IOAS_IOVA_RANGES],
  ...[IOMMU_IOAS_MAP, IOMMU_IOAS_UNMAP, IOMMU_OPTION, IOMMU_VFIO_IOAS, IOMMU_HWPT_ALLOC, IOMMU_GET_HW_INFO],
  ...[IOMMU_HWPT_SET_DIRTY_TRACKING, IOMMU_HWPT_GET_DIRTY_BITMAP, IOMMU_HWPT_INVALIDATE, IOMMU_FAULT_QUEUE_ALLOC],
  ...[IOMMU_VIOMMU_ALLOC, IOMMU_VDEVICE_ALLOC, IOMMU_VEVENTQ_ALLOC, IOMMU_HW_QUEUE_ALLOC],
] as unknown as readonly Ioctl[];

/** What a call answers: the structure's fields afterwards, and why it was refused. */
export type Answer<F extends Fields> = Values<F> & { readonly errno: Errno | null };

/** An ioctl without bytes: fields that are not given are zero. */
export function call<F extends Fields>(fd: Iommufd, one: Ioctl<F>, values: Partial<Values<F>>): Answer<F> {
  const empty = decodeHalves(one.of, new Int32Array(one.of.width / 32 + 1));
  const cmd = { ...empty, ...values };
  const errno = one.run(fd, cmd);
  return { ...cmd, errno };
}

/**
 * ioctl(): the structure stands in `bytes`, its size first; what is answered is written back there, as far as user space knows the structure.
 * @returns 0, or a negative error number
 */
export function doIoctl(fd: Iommufd, number: number, bytes: Uint8Array): number {
  const one = IOCTLS.find((known) => known.number === number);
  if (one === undefined) return statusOf('ENOTTY');
  if (bytes.length < 4) return statusOf('EFAULT');
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  if (size < one.smallest) return statusOf('EINVAL');
  if (size > bytes.length) return statusOf('EFAULT');
  const known = one.of.width / 8;
  // What the kernel does not know has to be zero.
  if (bytes.subarray(known, size).some((byte) => byte !== 0)) return statusOf('E2BIG');
  const whole = new Uint8Array(known);
  whole.set(bytes.subarray(0, Math.min(size, known)));
  const cmd = decodeHalves(one.of, halvesOf(whole));
  const errno = one.run(fd, cmd);
  bytes.set(bytesOf(encodeHalves(one.of, cmd)).subarray(0, Math.min(size, known)));
  return statusOf(errno);
}
