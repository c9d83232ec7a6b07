/** What iommufd answers when it refuses: names and numbers of Linux (include/uapi/asm-generic/errno*.h). */

export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  E2BIG: 7,
  ENOMEM: 12,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  /** Of an ioctl that nobody knows; the kernel's own ENOIOCTLCMD reaches user space as this. */
  ENOTTY: 25,
  ENOSPC: 28,
  ESPIPE: 29,
  ERANGE: 34,
  EDEADLOCK: 35,
  EOVERFLOW: 75,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  EADDRINUSE: 98,
  ETIMEDOUT: 110,
} as const;

/** A refusal. What succeeds returns something else than a string, or `null` where there is nothing to return. */
export type Errno = keyof typeof ERRNO;

/** Whether an operation was refused. */
export function refused(answer: unknown): answer is Errno {
  return typeof answer === 'string';
}

/** What the ioctl itself returns: 0 or more, or a negative error number. */
export function statusOf(answer: Errno | number | null): number {
  if (answer === null) return 0;
  return typeof answer === 'number' ? answer : -ERRNO[answer];
}
