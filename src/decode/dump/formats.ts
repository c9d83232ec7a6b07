import type { LineFormat } from '../line-format.ts';
import { AMD_DEVICE_TABLE_DUMP } from './amdvi/device-table-section.ts';
import { AMD_INTERRUPTS_DUMP, AMD_NO_INTERRUPTS } from './amdvi/interrupt-section.ts';
import { AMD_REGISTERS_DUMP } from './amdvi/registers-section.ts';
import { CONTEXTS_DUMP } from './context-section.ts';
import { INTERRUPTS_DUMP } from './interrupt-section.ts';
import { PAGE_TABLES_DUMP } from './page-table-section.ts';
import { QUEUE_DUMP } from './queue-section.ts';
import { REGISTERS_DUMP } from './registers-section.ts';

/** Heads of the tables of debugfs. */
export const DUMP_FORMATS: readonly LineFormat[] = [
  REGISTERS_DUMP,
  CONTEXTS_DUMP,
  PAGE_TABLES_DUMP,
  QUEUE_DUMP,
  INTERRUPTS_DUMP,
  AMD_REGISTERS_DUMP,
  AMD_DEVICE_TABLE_DUMP,
  AMD_INTERRUPTS_DUMP,
  ...AMD_NO_INTERRUPTS,
];
