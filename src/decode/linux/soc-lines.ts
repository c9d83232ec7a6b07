/** Faults of IOMMUs of single chips, which no model here has: what their drivers in Linux print of them (drivers/iommu, drivers/memory/tegra). */
import type { Suspect } from '../causes.ts';
import { suspects } from '../causes.ts';
import type { AccessKind, Detail, Finding } from '../finding.ts';
import { hexNumber, NOTHING } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import { missingPage } from '../suspects.ts';

interface SocFault {
  readonly id: string;
  readonly chip: string;
  readonly needle: string;
  /** Groups: `unit`, `address`, `access`, `client`, and what `why` reads. */
  readonly pattern: RegExp;
  readonly example: string;
  readonly printedBy: string;
  /** Whether it was the permission, not the page, that is missing. */
  isPermission(groups: Groups): boolean;
  /** In the driver's own words, where the line has some. */
  why?(groups: Groups): string | null;
}

const never = () => false;
const UNIT = String.raw`(?:(?<unit>[^\s:]{1,64}): )?`;

const FAULTS: readonly SocFault[] = [
  {
    id: 'rockchip',
    chip: 'Rockchip',
    needle: ': Page fault at 0x',
    pattern: new RegExp(`${UNIT}Page fault at (?<address>0x[0-9a-f]{1,16}) of type (?<access>read|write)`, 'i'),
    example: 'rk_iommu ff940300.iommu: Page fault at 0x7f4bda00 of type read',
    printedBy: 'Linux: rockchip-iommu',
    isPermission: never,
  },
  {
    id: 'apple',
    chip: 'Apple DART',
    needle: 'translation fault: status',
    pattern: new RegExp(
      String.raw`${UNIT}translation fault: status[: ]0x[0-9a-f]{1,8} stream[: ](?<client>\d{1,3}) code[: ](?<code>0x[0-9a-f]{1,8}) \((?<why>[^)]{1,60})\) at (?<address>0x[0-9a-f]{1,16})`,
      'i',
    ),
    example:
      'apple-dart 285800000.iommu: translation fault: status:0x80040008 stream:0 code:0x8 (NO PTE FOR IOVA) at 0x28e084008',
    printedBy: 'Linux: apple-dart',
    isPermission: ({ why }) => /PROTECTION/i.test(why ?? ''),
    why: ({ why }) => why?.toLowerCase() ?? null,
  },
  {
    id: 'mediatek',
    chip: 'MediaTek M4U',
    needle: 'fault type=0x',
    pattern: new RegExp(
      String.raw`${UNIT}fault type=(?<code>0x[0-9a-f]{1,8}) iova=(?<address>0x[0-9a-f]{1,16}) pa=0x[0-9a-f]{1,16} (?:master=0x[0-9a-f]{1,8}\()?larb=(?<larb>\d{1,3})(?: sub_comm=\d{1,3})? port=(?<port>\d{1,3})(?:.{0,40} layer=\d (?<access>read|write))?`,
      'i',
    ),
    example:
      'mtk-iommu 10205000.iommu: fault type=0x5 iova=0xfffff000 pa=0x0 master=0x500045b(larb=2 port=0) layer=0 read',
    printedBy: 'Linux: mtk_iommu, mtk_iommu_v1',
    isPermission: never,
  },
  {
    id: 'exynos',
    chip: 'Samsung SysMMU',
    needle: 'FAULT occurred at 0x',
    pattern: new RegExp(
      String.raw`${UNIT}(?<client>[^\s:]{1,64}): (?:\[(?<access>READ|WRITE)\] )?(?<why>[A-Z][A-Z -]{2,40}) FAULT occurred at (?<address>0x[0-9a-f]{1,16})`,
    ),
    example: 'exynos-sysmmu 14650000.sysmmu: 14450000.mixer: [READ] PAGE FAULT occurred at 0x20400000',
    printedBy: 'Linux: exynos-iommu; the direction since 6.0',
    isPermission: ({ why }) => /PROTECTION|SECURITY/.test(why ?? ''),
    why: ({ why }) => (why === undefined ? null : `${why.toLowerCase()} fault`),
  },
  {
    id: 'tegra',
    chip: 'Tegra SMMU',
    needle: 'SMMU translation error [',
    pattern:
      /memory-controller: (?<client>\w{1,20}): (?:secure )?(?<access>read|write) @(?<address>0x[0-9a-f]{1,16}): .{0,60}SMMU translation error \[(?<flags>[RSWN-]{2,4})\]/i,
    example:
      'tegra-mc 70019000.memory-controller: display0a: read @0xfe056b40: Page fault (SMMU translation error [--S])',
    printedBy: 'Linux: tegra mc; flags: readable, writable, secure',
    isPermission: ({ access, flags }) => (flags ?? '').startsWith('R') && access === 'write',
  },
  {
    id: 'sun50i',
    chip: 'Allwinner',
    needle: ': Page fault for 0x',
    pattern: new RegExp(
      String.raw`${UNIT}Page fault for (?<address>0x[0-9a-f]{1,16}) \(master (?<client>\d{1,3}), dir (?<direction>wr|rd)\)`,
      'i',
    ),
    example: 'sun50i-iommu 30f0000.iommu: Page fault for 0x00000000fff00000 (master 4, dir rd)',
    printedBy: 'Linux 5.8 and later: sun50i-iommu',
    isPermission: never,
  },
  {
    id: 'renesas',
    chip: 'Renesas IPMMU',
    needle: 'Unhandled fault: status 0x',
    pattern: new RegExp(
      `${UNIT}Unhandled fault: status (?<code>0x[0-9a-f]{1,8}) iova (?<address>0x[0-9a-f]{1,16})`,
      'i',
    ),
    example: 'ipmmu-vmsa febd0000.iommu: Unhandled fault: status 0x00000101 iova 0x7f095000',
    printedBy: 'Linux: ipmmu-vmsa',
    isPermission: never,
  },
  {
    id: 'adreno',
    chip: 'Adreno GPU',
    needle: '*** gpu fault: ',
    pattern:
      /\*\*\* gpu fault: (?:ttbr0=[0-9a-f]{1,16} )?iova ?= ?(?<address>[0-9a-f]{1,16})(?:,? dir=(?<access>READ|WRITE))?(?: type=(?<why>\w{1,20}))?(?: source=(?<client>[\w|]{1,30}))?/i,
    example:
      '*** gpu fault: ttbr0=0000000106ca2000 iova=00000001001f0000 dir=READ type=TRANSLATION source=UCHE (0,0,0,1)',
    printedBy: 'Linux: drm/msm, of its SMMUv2',
    isPermission: ({ why }) => why === 'PERMISSION',
    why: ({ why }) => why?.toLowerCase() ?? null,
  },
];

function faultOf(of: SocFault, groups: Groups): Finding | null {
  const value = hexNumber(groups.address ?? '');
  if (value === null) return null;
  const access = accessOf(groups);
  const permission = of.isPermission(groups);
  const why = of.why?.(groups) ?? (permission ? 'the page is mapped, not for this access' : 'the page is not mapped');
  const client = /^\d+$/.test(groups.client ?? '') ? `stream ${groups.client}` : (groups.client ?? portOf(groups));
  const details: Detail[] = [
    ...(groups.unit === undefined ? [] : [['unit', groups.unit] as const]),
    ...(client === null ? [] : [['client', client] as const]),
    ...(groups.code === undefined ? [] : [['code', groups.code] as const]),
  ];
  return {
    ...NOTHING,
    kind: `linux.soc-fault.${of.id}`,
    model: 'linux',
    severity: 'error',
    summary: `${of.chip}${client === null ? '' : `, ${client}`}: ${access ?? 'request'} of 0x${value.toString(16)} refused: ${why}`,
    access,
    address: { value, space: 'IOVA' },
    details,
    causes: causesOf(value, access, permission),
  };
}

function accessOf({ access, direction }: Groups): AccessKind | null {
  if (direction !== undefined) return direction === 'wr' ? 'write' : 'read';
  return (access?.toLowerCase() ?? null) as AccessKind | null;
}

function portOf({ larb, port }: Groups): string | null {
  return larb === undefined ? null : `larb ${larb} port ${port}`;
}

function causesOf(address: bigint, access: AccessKind | null, present: boolean): Suspect[] {
  const causes = missingPage({ access, address, pasid: null, present, own: ['dma-ranges', 'enabled-before'] });
  // There are no requester ids at these.
  const without = causes.filter(({ id }) => id !== 'wrong-requester-id' && id !== 'kdump');
  return without.length > 0 ? without : suspects({ likely: ['never-mapped'] });
}

export const SOC_LINES: readonly LineFormat[] = FAULTS.map((of) => ({
  id: `linux.soc-fault.${of.id}`,
  needle: of.needle,
  pattern: of.pattern,
  example: of.example,
  printedBy: of.printedBy,
  decode: (groups) => faultOf(of, groups),
}));
