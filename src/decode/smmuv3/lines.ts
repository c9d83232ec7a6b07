import type { LineFormat } from '../line-format.ts';
import { EVENT_LINES } from './event-lines.ts';
import { QUEUE_LINES } from './queue-lines.ts';

export const SMMU_LINES: readonly LineFormat[] = [...EVENT_LINES, ...QUEUE_LINES];
