/** What a line of a trace is, and what it says: fields of one object, as no line makes another. */
import { LineCursor } from './line-cursor.ts';

/** What a line is. */
export const NONE = 0;
export const MAP = 1;
export const UNMAP = 2;
export const FAULT = 3;
export const QI_SUBMIT = 4;
export const ATTACH = 5;
export const DETACH = 6;
export const LOST = 7;
/** It has the event's name, and the rest is damaged, or of pages that are smaller than 4 KiB. */
export const DAMAGED = 8;

/** An event that says nothing here; known, so that nobody else has to look at it. */
export const OTHER = 9;

/** A domain is gone, with all that is mapped in it. */
export const DOMAIN_FREED = 10;

/** Buffers of the DMA API: mapped, not mapped after all, unmapped, and unmapped as a list that names no address of the device. */
export const DMA_MAP = 11;
export const DMA_MAP_FAILED = 12;
export const DMA_UNMAP = 13;
export const DMA_UNMAP_LIST = 14;

export type EventKind = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14;

/** Pages of the largest address. */
export const PAGES = 2 ** 52;

export class TraceEvent extends LineCursor {
  /** Seconds. */
  time = 0;
  /** The name of the task, or of who else made the event, is at `taskStart` … `taskEnd`. */
  taskStart = 0;
  taskEnd = 0;
  /** Pages `start` … before `end` of a map or unmap; `start` of a fault. */
  start = 0;
  end = 0;
  /** Domain that the event names; -1 for none, as with Linux. */
  domain = -1;
  /** Byte in the page, of a fault. */
  offset = 0;
  /** The fault was of a write. */
  isWrite = false;
  /** Physical page of a map; -1 where the line has none. */
  target = 0;
  /** Pages that an unmap unmapped. */
  unmapped = 0;
  /** Events that were lost, where the line says how many; else 1. */
  lost = 0;
  /** The device is at `deviceStart` … `deviceEnd`, of a fault, an attach, an event of the DMA API, or a map or unmap of a kernel that names it. */
  deviceStart = 0;
  deviceEnd = 0;
  /** Words of a descriptor, low halves first. */
  readonly halves = new Int32Array(8);
}
