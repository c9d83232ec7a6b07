/** Mappings and unmappings that VFIO or iommufd refused, as QEMU (hw/vfio, backends/iommufd.c) and the kernel (vfio_iommu_type1) print them. */
import type { CauseId } from '../causes.ts';
import { suspects } from '../causes.ts';
import type { Detail, Finding } from '../finding.ts';
import { hexNumber, NOTHING } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';

/** Errors of Linux that a mapping can have: number, name, QEMU's words for it, what makes it likely. */
const ERRORS: readonly (readonly [number: number, name: string, text: string, ...causes: CauseId[]])[] = [
  [2, 'ENOENT', 'No such file or directory'],
  [12, 'ENOMEM', 'Cannot allocate memory', 'memlock'],
  [14, 'EFAULT', 'Bad address', 'not-mappable'],
  [16, 'EBUSY', 'Device or resource busy', 'mapped-twice'],
  [17, 'EEXIST', 'File exists', 'mapped-twice'],
  [22, 'EINVAL', 'Invalid argument', 'iova-range'],
  [28, 'ENOSPC', 'No space left on device', 'dma-entry-limit'],
];

/** The same of an unmapping: what it met is not what it was called for. */
const UNMAP_CAUSES: Readonly<Record<number, readonly CauseId[]>> = {
  2: ['unmap-mismatch'],
  22: ['unmap-splits'],
};

const hex = (value: bigint) => `0x${value.toString(16)}`;

/** The number is negative, as the call returned it; undefined where only its words are there. What is fatal is no BAR that can be left out. */
function refused({ fatal, iova, number, size, text, vaddr }: Groups, call: 'map' | 'unmap' = 'map'): Finding | null {
  const [address, bytes] = [iova, size].map((of) => (of === undefined ? null : hexNumber(of)));
  if (iova !== undefined && (address === null || bytes === null)) return null;
  const error = ERRORS.find(([value, , words]) => (number === undefined ? words === text : -value === Number(number)));
  const [value, name, words, ...ofMap] = error ?? [0, `error ${number ?? text}`, text ?? ''];
  const causes = call === 'map' ? ofMap : (UNMAP_CAUSES[value] ?? []);
  const noun = call === 'map' ? 'mapping' : 'unmapping';
  const what =
    address == null || bytes == null
      ? call === 'map'
        ? 'a mapping'
        : 'an unmapping'
      : `the ${noun} of ${hex(bytes)} bytes at ${hex(address)}`;
  const details: Detail[] = [['error', words === '' ? name : `${name}: ${words}`]];
  if (vaddr !== undefined) details.push(['address in the process', vaddr]);
  return {
    ...NOTHING,
    kind: `linux.vfio-${call}`,
    model: 'linux',
    severity: causes[0] === 'not-mappable' && fatal === undefined ? 'warning' : 'error',
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
      String.raw`(?<fatal>memory listener initialization failed: Region [\w.-]{1,64}: )?vfio(?:_container)?_dma_map\(0x[0-9a-f]{1,16}, ${HEX('iova')}, ${HEX('size')}, ${HEX('vaddr')}\) = (?<number>-\d{1,4})`,
      'i',
    ),
    example:
      'qemu-system-x86_64: vfio_container_dma_map(0x55a21b03a150, 0x380000001000, 0x3000, 0x7fce2c28b000) = -22 (Invalid argument)',
    printedBy: 'QEMU; vfio_dma_map before 8.2',
    decode: (groups) => refused(groups),
  },
  {
    id: 'linux.vfio-map.words',
    needle: '_MAP failed: ',
    pattern: /IOMMU_IOAS_MAP failed: (?<text>[A-Z][\w ]{3,40})/,
    example: 'qemu-system-x86_64: warning: IOMMU_IOAS_MAP failed: Bad address, PCI BAR?',
    printedBy: 'QEMU 8.2 and later, with iommufd',
    decode: (groups) => refused(groups),
  },
  {
    id: 'linux.vfio-map.type1',
    needle: 'VFIO_MAP_DMA',
    pattern: /VFIO_MAP_DMA(?: failed: (?<text>[A-Z][\w ]{3,40})|: (?<number>-\d{1,4}))/,
    example: 'qemu-system-x86_64: VFIO_MAP_DMA failed: Cannot allocate memory',
    printedBy: 'QEMU; with the number alone before 5.0',
    decode: (groups) => refused(groups),
  },
  {
    id: 'linux.vfio-map.dpdk',
    needle: ' DMA remapping, error ',
    pattern: /(?<fatal>[Cc]annot set up) DMA remapping, error (?<number>\d{1,4}) \(/,
    example: 'EAL: Cannot set up DMA remapping, error 12 (Cannot allocate memory)',
    printedBy: 'DPDK and SPDK',
    decode: (groups) => refused({ ...groups, number: `-${groups.number}` }),
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
  {
    id: 'linux.vfio-unmap',
    needle: '_dma_unmap(0x',
    pattern: new RegExp(
      String.raw`vfio(?:_container|_legacy)?_dma_unmap\(0x[0-9a-f]{1,16}, ${HEX('iova')}, ${HEX('size')}\) = (?<number>-\d{1,4})`,
      'i',
    ),
    example:
      'qemu-system-x86_64: vfio_container_dma_unmap(0x55a21b03a150, 0x380000001000, 0x3000) = -22 (Invalid argument)',
    printedBy: 'QEMU; vfio_dma_unmap before 8.2',
    decode: (groups) => refused(groups, 'unmap'),
  },
  {
    id: 'linux.vfio-unmap.words',
    needle: '_UNMAP failed: ',
    pattern: /IOMMU_IOAS_UNMAP failed: (?<text>[A-Z][\w ]{3,40})/,
    example: 'qemu-system-x86_64: IOMMU_IOAS_UNMAP failed: No such file or directory',
    printedBy: 'QEMU 8.2 and later, with iommufd',
    decode: (groups) => refused(groups, 'unmap'),
  },
  {
    id: 'linux.vfio-unmap.type1',
    needle: 'VFIO_UNMAP_DMA',
    pattern: /VFIO_UNMAP_DMA(?: failed: (?<text>[A-Z][\w ]{3,40})|: (?<number>-\d{1,4}))/,
    example: 'qemu-system-x86_64: VFIO_UNMAP_DMA failed: Invalid argument',
    printedBy: 'QEMU; with the number alone before 5.0',
    decode: (groups) => refused(groups, 'unmap'),
  },
  {
    id: 'linux.iommufd-call',
    needle: 'iommufd_backend_',
    pattern: new RegExp(
      String.raw`iommufd_backend_(?<call>map_dma|map_file_dma|unmap_dma|invalidate_cache|alloc_hwpt|alloc_viommu|alloc_vdev|set_dirty) {1,2}iommufd=\d{1,9} (?:ioas=(?<ioas>\d{1,9}) iova=${HEX('iova')} size=${HEX('size')})?.{0,200}\((?<number>-\d{1,4})\)\s*$`,
    ),
    example:
      'iommufd_backend_map_dma  iommufd=9 ioas=2 iova=0x380000001000 size=0x3000 addr=0x7fce2c28b000 readonly=0 (-1)',
    printedBy: 'QEMU with -trace, 8.2 and later',
    decode: ({ call, iova, ioas, size }) => {
      const address = iova === undefined ? null : hexNumber(iova);
      return {
        ...NOTHING,
        kind: 'linux.iommufd-call',
        model: 'linux',
        severity: 'warning',
        summary: `iommufd: ${call?.replaceAll('_', ' ')}${address === null ? '' : ` at ${hex(address)}`} failed; QEMU's own log has the reason`,
        address: address === null ? null : { value: address, space: 'IOVA' },
        details:
          ioas === undefined
            ? []
            : [
                ['IOAS', ioas],
                ['size', size ?? ''],
              ],
      };
    },
  },
];
