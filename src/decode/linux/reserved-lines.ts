/** Lines of `/sys/kernel/iommu_groups/N/reserved_regions` (Documentation/ABI/testing/sysfs-kernel-iommu_groups): first and last byte, type. */
import { REGION } from '../facts/facts.ts';
import { hexNumber, NOTHING } from '../finding.ts';
import type { LineFormat } from '../line-format.ts';

export const RESERVED_LINES: readonly LineFormat[] = [
  {
    id: 'linux.reserved-region',
    // What nearly every last address begins with.
    needle: ' 0x0000',
    pattern:
      /(?:iommu_groups\/(?<group>\d{1,6})\/reserved_regions:)?\b(?<start>0x[0-9a-f]{16}) (?<end>0x[0-9a-f]{16}) (?<type>direct-relaxable|direct|reserved|msi)\s*$/,
    example: '0x00000000fee00000 0x00000000feefffff msi',
    printedBy: 'Linux 4.11 and later, in sysfs',
    decode: ({ end, group, start, type }) => {
      const [first, last] = [hexNumber(start ?? ''), hexNumber(end ?? '')];
      if (first === null || last === null || last < first) return null;
      return {
        ...NOTHING,
        kind: 'linux.reserved-region',
        model: 'linux',
        severity: 'info',
        summary: `reserved: 0x${first.toString(16)} to 0x${last.toString(16)}: ${REGION[type ?? '']?.text}`,
        address: { value: first, space: 'IOVA' },
        details: [
          ['start', `0x${first.toString(16)}`],
          ['end', `0x${last.toString(16)}`],
          ['type', type ?? ''],
          ...(group === undefined ? [] : [['group', `IOMMU group ${group}`] as const]),
        ],
      };
    },
  },
];
