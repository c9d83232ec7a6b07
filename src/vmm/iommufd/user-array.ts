/** Structures that user space points to, of a size that it says: copy_struct_from_user and its kin (include/linux/iommu.h). */
import type { Errno } from './errno.ts';
import { refused } from './errno.ts';
import type { UserMemory } from './user-memory.ts';

/** One structure. */
export interface UserData {
  readonly type: number;
  readonly at: bigint;
  readonly bytes: number;
}

/** Structures that follow one another. */
export interface UserArray {
  readonly type: number;
  readonly at: bigint;
  readonly entryBytes: number;
  /** As user space asks. */
  readonly entries: number;
}

/** What the kernel knows `size` bytes of: of a shorter structure the rest is zero, of a longer one the rest must be (−E2BIG). */
export function copyStruct(memory: UserMemory, at: bigint, bytes: number, size: number): Uint8Array | Errno {
  const given = memory.read(at, bytes);
  if (given === null) return 'EFAULT';
  if (given.subarray(size).some((byte) => byte !== 0)) return 'E2BIG';
  const out = new Uint8Array(size);
  out.set(given.subarray(0, size));
  return out;
}

/** A driver's own data: neither shorter than its first version nor longer than the kernel knows it (−EINVAL). */
export function copyUserData(
  memory: UserMemory,
  data: UserData,
  type: number,
  size: number,
  smallest: number,
): Uint8Array | Errno {
  if (data.type !== type || data.bytes < smallest || data.bytes > size) return 'EINVAL';
  return copyStruct(memory, data.at, data.bytes, size);
}

/** Entry `index` of an array, by the rules of {@link copyUserData}. */
export function copyEntry(
  memory: UserMemory,
  array: UserArray,
  index: number,
  size: number,
  smallest: number,
): Uint8Array | Errno {
  const at = array.at + BigInt(array.entryBytes * index);
  return copyUserData(memory, { type: array.type, at, bytes: array.entryBytes }, array.type, size, smallest);
}

/** A whole array at once: entries may be of any length, as for {@link copyStruct}. An array of nothing is −EINVAL. */
export function copyArray(memory: UserMemory, array: UserArray, type: number, size: number): Uint8Array | Errno {
  if (array.type !== type || array.entries === 0) return 'EINVAL';
  const out = new Uint8Array(size * array.entries);
  for (let i = 0; i < array.entries; i++) {
    const one = copyStruct(memory, array.at + BigInt(array.entryBytes * i), array.entryBytes, size);
    if (refused(one)) return one;
    out.set(one, size * i);
  }
  return out;
}

/** Little-endian bytes as 32-bit halves. */
export function halvesOf(bytes: Uint8Array): Int32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Int32Array.from({ length: bytes.length / 4 }, (_, i) => view.getInt32(4 * i, true));
}

export function bytesOf(halves: Int32Array): Uint8Array {
  const bytes = new Uint8Array(halves.length * 4);
  const view = new DataView(bytes.buffer);
  halves.forEach((half, i) => view.setInt32(4 * i, half, true));
  return bytes;
}
