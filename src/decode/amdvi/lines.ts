import type { LineFormat } from '../line-format.ts';
import { BUFFER_LINES } from './buffer-lines.ts';
import { EVENT_LINES } from './event-lines.ts';
import { FEATURE_LINES } from './feature-lines.ts';
import { OTHER_EVENT_LINES } from './other-event-lines.ts';
import { QEMU_TRACE_LINES } from './qemu-trace-lines.ts';
import { UNIT_LINES } from './unit-lines.ts';

export const AMD_LINES: readonly LineFormat[] = [
  ...EVENT_LINES,
  ...OTHER_EVENT_LINES,
  ...UNIT_LINES,
  ...FEATURE_LINES,
  ...BUFFER_LINES,
  ...QEMU_TRACE_LINES,
];
