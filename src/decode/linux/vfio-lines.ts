/** Mappings that VFIO or iommufd refused, as QEMU (hw/vfio) and the kernel (vfio_iommu_type1) print them. */
import type { CauseId } from '../causes.ts';
import { suspects } from '../causes.ts';
import type { Detail, Finding } from '../finding.ts';
import { hexNumber, NOTHING } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';

/** Errors of Linux that a mapping can have: number, name, QEMU's words for it, what makes it likely. */
const ERRORS: readonly (readonly [number: number, name: string, text: string, ...causes: CauseId[]])[] = [
  [12, 'ENOMEM', 'Cannot allocate memory', 'memlock'],
  [14, 'EFAULT', 'Bad address', 'not-mappable'],
  [16, 'EBUSY', 'Device or resource busy', 'mapped-twice'],
  [17, 'EEXIST', 'File exists', 'mapped-twice'],
  [22, 'EINVAL', 'Invalid argument', 'iova-range'],
  [28, 'ENOSPC', 'No space left on device', 'dma-entry-limit'],
];

const hex = (value: bigint) => `0x${value.toString(16)}`;

/** @param number negative, as the call returned it; undefined where only its words are there */
function refused({ iova, number, size, text, vaddr }: Groups): Finding | null {
  const [address, bytes] = [iova, size].map((of) => (of === undefined ? null : hexNumber(of)));
  if (iova !== undefined && (address === null || bytes === null)) return null;
  const error = ERRORS.find(([value, , words]) => (number === undefined ? words === text : -value === Number(number)));
  const [, name, words, ...causes] = error ?? [0, `error ${number ?? text}`, text ?? ''];
  const what = address == null || bytes == null ? 'a mapping' : `the mapping of ${hex(bytes)} bytes at ${hex(address)}`;
  const details: Detail[] = [['error', words === '' ? name : `${name}: ${words}`]];
  if (vaddr !== undefined) details.push(['address in the process', vaddr]);
  return {
    ...NOTHING,
    kind: 'linux.vfio-map',
    model: 'linux',
    severity: causes[0] === 'not-mappable' ? 'warning' : 'error',
    summary: `VFIO: ${what} was refused: ${name}`,
    address: address == null ? null : { value: address, space: 'IOVA' },
    details,
    causes: suspects({ likely: causes }),
  };
}

const HEX = (name: string) => `(?<${name}>0x[0-9a-f]{1,16}|0)`;

export const VFIO_LINES: readonly LineFormat[] = [
  {
    id: 'linux.vfio-map',
    needle: '_dma_map(0x',
    pattern: new RegExp(
      String.raw`vfio(?:_container)?_dma_map\(0x[0-9a-f]{1,16}, ${HEX('iova')}, ${HEX('size')}, ${HEX('vaddr')}\) = (?<number>-\d{1,4})`,
      'i',
    ),
    example:
      'qemu-system-x86_64: vfio_container_dma_map(0x55a21b03a150, 0x380000001000, 0x3000, 0x7fce2c28b000) = -22 (Invalid argument)',
    printedBy: 'QEMU; vfio_dma_map before 8.2',
    decode: refused,
  },
  {
    id: 'linux.vfio-map.words',
    needle: '_MAP failed: ',
    pattern: /IOMMU_IOAS_MAP failed: (?<text>[A-Z][\w ]{3,40})/,
    example: 'qemu-system-x86_64: warning: IOMMU_IOAS_MAP failed: Bad address, PCI BAR?',
    printedBy: 'QEMU 8.2 and later, with iommufd',
    decode: refused,
  },
  {
    id: 'linux.vfio-map.type1',
    needle: 'VFIO_MAP_DMA',
    pattern: /VFIO_MAP_DMA(?: failed: (?<text>[A-Z][\w ]{3,40})|: (?<number>-\d{1,4}))/,
    example: 'qemu-system-x86_64: VFIO_MAP_DMA failed: Cannot allocate memory',
    printedBy: 'QEMU; with the number alone before 5.0',
    decode: refused,
  },
  {
    id: 'linux.memlock',
    needle: 'RLIMIT_MEMLOCK (',
    pattern: /(?<by>\w{4,40}): RLIMIT_MEMLOCK \((?<limit>\d{1,20})\) exceeded/,
    example: 'vfio_pin_pages_remote: RLIMIT_MEMLOCK (65536) exceeded',
    printedBy: 'Linux 3.6 and later',
    decode: ({ limit }) => ({
      ...NOTHING,
      kind: 'linux.memlock',
      model: 'linux',
      severity: 'error',
      summary: `VFIO: a mapping was refused: the process may lock ${limit} bytes and no more`,
      causes: suspects({ certain: ['memlock'] }),
    }),
  },
];
