import type { LineFormat } from '../line-format.ts';
import { FAULT_LINES } from './fault-lines.ts';
import { FREEBSD_LINES } from './freebsd-lines.ts';
import { QEMU_LINES } from './qemu-lines.ts';
import { QEMU_TRACE_LINES } from './qemu-trace-lines.ts';
import { QUEUE_LINES } from './queue-lines.ts';
import { TABLE_LINES } from './table-lines.ts';
import { UNIT_LINES } from './unit-lines.ts';

export const VTD_LINES: readonly LineFormat[] = [
  ...FAULT_LINES,
  ...FREEBSD_LINES,
  ...QUEUE_LINES,
  ...TABLE_LINES,
  ...UNIT_LINES,
  ...QEMU_LINES,
  ...QEMU_TRACE_LINES,
];
