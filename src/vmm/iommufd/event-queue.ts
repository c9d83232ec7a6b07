/** Queues that user space reads through a file of their own (drivers/iommu/iommufd/eventq.c of Linux). */
import type { Errno } from './errno.ts';
import { IommufdObject } from './objects.ts';

/** The file holds the queue as well: it is destroyed only after it was closed. */
export abstract class EventQueue extends IommufdObject {
  /** read(): whole events, as many as fit; nothing where there is none. */
  abstract read(bytes: number): Uint8Array | Errno;
  /** write(): bytes that were taken. */
  abstract write(bytes: Uint8Array): number | Errno;
  /** poll(): whether a read would give something. */
  abstract get isReadable(): boolean;
}
