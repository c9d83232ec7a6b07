/** All formats of lines; a model adds its list. */
import { AMD_LINES } from './amdvi/lines.ts';
import { COMMAND_LINES } from './command-line/lines.ts';
import { DUMP_FORMATS } from './dump/formats.ts';
import type { LineFormat } from './line-format.ts';
import { LINUX_LINES } from './linux/lines.ts';
import { RISCV_LINES } from './riscv/lines.ts';
import { SMMU2_LINES } from './smmuv2/lines.ts';
import { SMMU_LINES } from './smmuv3/lines.ts';
import { SPAPR_LINES } from './spapr/lines.ts';
import { VIRTIO_LINES } from './virtio/lines.ts';
import { VTD_LINES } from './vtd/lines.ts';
import { WINDOWS_LINES } from './windows/lines.ts';

export const LINE_FORMATS: readonly LineFormat[] = [
  ...VTD_LINES,
  ...AMD_LINES,
  ...SMMU_LINES,
  ...SMMU2_LINES,
  ...RISCV_LINES,
  ...VIRTIO_LINES,
  ...SPAPR_LINES,
  ...LINUX_LINES,
  ...WINDOWS_LINES,
  ...COMMAND_LINES,
  ...DUMP_FORMATS,
];
