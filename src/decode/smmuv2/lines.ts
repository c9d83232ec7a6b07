import type { LineFormat } from '../line-format.ts';
import { FAULT_LINES } from './fault-lines.ts';
import { UNIT_LINES } from './unit-lines.ts';

export const SMMU2_LINES: readonly LineFormat[] = [...FAULT_LINES, ...UNIT_LINES];
