import type { LineFormat } from '../line-format.ts';
import { ASSIGNMENT_LINES } from './assignment-lines.ts';
import { DMA_API_LINES } from './dma-api-lines.ts';
import { FIRMWARE_LINES } from './firmware-lines.ts';
import { HISTORY_LINES } from './history-lines.ts';
import { MAPPING_LINES } from './mapping-lines.ts';
import { MODE_LINES } from './mode-lines.ts';
import { PCIE_LINES } from './pcie-lines.ts';
import { RESERVED_LINES } from './reserved-lines.ts';
import { SOC_LINES } from './soc-lines.ts';
import { VFIO_LINES } from './vfio-lines.ts';

export const LINUX_LINES: readonly LineFormat[] = [
  ...MAPPING_LINES,
  ...DMA_API_LINES,
  ...VFIO_LINES,
  ...ASSIGNMENT_LINES,
  ...RESERVED_LINES,
  ...FIRMWARE_LINES,
  ...SOC_LINES,
  ...HISTORY_LINES,
  ...MODE_LINES,
  ...PCIE_LINES,
];
