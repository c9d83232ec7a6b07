import type { LineFormat } from '../line-format.ts';
import { FAULT_LINES } from './fault-lines.ts';
import { QEMU_LINES } from './qemu-lines.ts';
import { QEMU_TRACE_LINES } from './qemu-trace-lines.ts';
import { QUEUE_LINES } from './queue-lines.ts';
import { TABLE_LINES } from './table-lines.ts';

export const VTD_LINES: readonly LineFormat[] = [
  ...FAULT_LINES,
  ...QUEUE_LINES,
  ...TABLE_LINES,
  ...QEMU_LINES,
  ...QEMU_TRACE_LINES,
];
