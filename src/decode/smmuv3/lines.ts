import type { LineFormat } from '../line-format.ts';
import { EVENT_LINES } from './event-lines.ts';
import { QEMU_LINES } from './qemu-lines.ts';
import { QUEUE_LINES } from './queue-lines.ts';
import { UNIT_LINES } from './unit-lines.ts';

export const SMMU_LINES: readonly LineFormat[] = [...EVENT_LINES, ...QUEUE_LINES, ...UNIT_LINES, ...QEMU_LINES];
