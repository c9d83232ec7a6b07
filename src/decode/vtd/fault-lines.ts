/** Linux's lines of VT-d faults (drivers/iommu/intel/dmar.c), the newest form and those before it. */
import { decodeHalves } from '../../bits/index.ts';
import { FSTS } from '../../iommu/vtd/registers.ts';
import { suspects } from '../causes.ts';
import type { AccessKind, Finding } from '../finding.ts';
import { bdf, hexNumber, NOTHING, pciRequester } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import { reasonCode } from './reason.ts';
import { suspectsOf } from './suspects.ts';

/** `bus:device.function`, in hexadecimal; once with `0x` before each part. */
const DEVICE = String.raw`(?<device>(?:0x)?[0-9a-f]{1,2}:(?:0x)?[0-9a-f]{1,2}\.[0-9a-f])`;
const HEX = (name: string) => `(?:0x)?(?<${name}>[0-9a-f]{1,16})`;
const REASON = String.raw`\[fault reason (?:0x)?(?<reason>[0-9a-f]{1,3})\]`;

const XEN_DEVICE = String.raw`(?<device>[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])`;
const XEN_REASON = /\[VT-D\](?:DMAR|INTR-REMAP): reason (?<reason>[0-9a-f]{1,2}) -/i;

/** The PASID of older lines where there is none. */
const NO_PASID = 0xffffffff;

/** Of a DMA request. @param hexadecimal the reason is; addresses and PASIDs are ever */
export function fault(groups: Groups, hexadecimal: boolean): Finding | null {
  const address = hexNumber(groups.address ?? '');
  const reason = groups.reason === undefined ? null : Number.parseInt(groups.reason, hexadecimal ? 16 : 10);
  const pasid = groups.pasid === undefined ? null : Number.parseInt(groups.pasid, 16);
  const requester = pciRequester((groups.device ?? '').replaceAll('0x', ''), pasid === NO_PASID ? null : pasid);
  if (address === null || requester === null || (reason ?? 0) > 0xff) return null;
  const access: AccessKind = groups.type?.toLowerCase() === 'write' ? 'write' : 'read';
  const code = reason === null ? null : reasonCode(reason);
  const why =
    code === null ? 'for a reason that is not in the log' : `${code.meaning} (reason 0x${code.value.toString(16)})`;
  const where = `0x${address.toString(16)}`;
  const who = requester.pasid === null ? requester.text : `${requester.text} PASID 0x${requester.pasid.toString(16)}`;
  return {
    kind: 'vtd.fault',
    model: 'vtd',
    severity: 'error',
    summary: `${who}: DMA ${access} of ${where} refused: ${why}`,
    requester,
    access,
    address: { value: address, space: 'IOVA' },
    code,
    details: [],
    structures: [],
    causes: reason === null ? [] : suspectsOf(reason, requester.pasid, address, access),
  };
}

/** Of an interrupt request. */
export function interruptFault(groups: Groups, hexadecimal: boolean): Finding | null {
  const index = hexNumber(groups.address ?? '');
  const reason = groups.reason === undefined ? null : Number.parseInt(groups.reason, hexadecimal ? 16 : 10);
  const requester = pciRequester((groups.device ?? '').replaceAll('0x', ''));
  if (index === null || requester === null || (reason ?? 0) > 0xff) return null;
  const code = reason === null ? null : reasonCode(reason);
  const why =
    code === null ? 'for a reason that is not in the log' : `${code.meaning} (reason 0x${code.value.toString(16)})`;
  return {
    kind: 'vtd.interrupt-fault',
    model: 'vtd',
    severity: 'error',
    summary: `${requester.text}: interrupt through entry ${index} refused: ${why}`,
    requester,
    access: 'interrupt',
    address: { value: index, space: 'interrupt index' },
    code,
    details: [],
    structures: [],
    causes: reason === null ? [] : suspectsOf(reason, null, null, 'interrupt'),
  };
}

const SINCE_5_13 = 'Linux 5.13 and later';

export const FAULT_LINES: readonly LineFormat[] = [
  {
    id: 'vtd.fault',
    needle: 'Request device [',
    pattern: new RegExp(
      String.raw`\[DMA (?<type>Read|Write) (?:NO_PASID|PASID ${HEX('pasid')})\] Request device \[${DEVICE}\] fault addr ${HEX('address')} ${REASON}`,
      'i',
    ),
    example:
      'DMAR: [DMA Write NO_PASID] Request device [00:12.0] fault addr 0x9c000000 [fault reason 0x05] PTE Write access is not set',
    printedBy: SINCE_5_13,
    decode: (groups) => fault(groups, true),
  },
  {
    id: 'vtd.fault.pasid-after',
    needle: 'Request device [',
    pattern: new RegExp(
      String.raw`\[DMA (?<type>Read|Write)\] Request device \[${DEVICE}\] PASID (?<pasid>[0-9a-f]{1,8}) fault addr ${HEX('address')} \[fault reason (?<reason>\d{1,3})\]`,
      'i',
    ),
    example:
      'DMAR: [DMA Read] Request device [03:00.0] PASID ffffffff fault addr 9c000000 [fault reason 06] PTE Read access is not set',
    printedBy: 'Linux 4.20 to 5.12, the reason in decimal',
    decode: (groups) => fault(groups, false),
  },
  {
    id: 'vtd.fault.old',
    needle: 'Request device [',
    pattern: new RegExp(
      String.raw`\[DMA (?<type>Read|Write)\] Request device \[${DEVICE}\] fault addr ${HEX('address')}\s+\[fault reason (?<reason>\d{1,3})\]`,
      'i',
    ),
    example: 'DMAR: [DMA Write] Request device [00:12.0] fault addr 0 [fault reason 05] PTE Write access is not set',
    printedBy: 'Linux before 4.20, the reason in decimal',
    decode: (groups) => fault(groups, false),
  },
  {
    id: 'vtd.fault.two-lines',
    needle: 'Request device [',
    pattern: new RegExp(
      String.raw`\[DMA (?<type>Read|Write)\] Request device \[${DEVICE}\] fault addr ${HEX('address')}\s*$`,
      'i',
    ),
    example: 'DMAR:[DMA Write] Request device [02:00.0] fault addr 7f6de000 ',
    printedBy: 'Linux before 4.7: the reason on a line of its own',
    decode: (groups) => fault(groups, false),
    follow: {
      pattern: /DMAR:\s*\[fault reason (?<reason>\d{1,3})\]/i,
      count: 1,
      example: ['DMAR:[fault reason 05] PTE Write access is not set'],
      decode: (first, [second]) => fault({ ...first, ...second }, false),
    },
  },
  {
    id: 'vtd.fault.xen',
    needle: 'Request device [',
    pattern: new RegExp(
      String.raw`\[VT-D\]DMAR:\s?\[DMA (?<type>Read|Write)\] Request device \[${XEN_DEVICE}\] fault addr ${HEX('address')}(?:, iommu reg = [0-9a-f]{1,16})?\s*$`,
      'i',
    ),
    example: '(XEN) [VT-D]DMAR:[DMA Write] Request device [0000:65:00.0] fault addr 1200000000',
    printedBy: 'Xen: the reason on a line of its own',
    decode: (groups) => fault(groups, true),
    follow: {
      pattern: XEN_REASON,
      count: 1,
      example: ['(XEN) [VT-D]DMAR: reason 05 - PTE Write access is not set'],
      decode: (first, [second]) => fault({ ...first, ...second }, true),
    },
  },
  {
    id: 'vtd.interrupt-fault.xen',
    needle: 'Request device [',
    pattern: new RegExp(
      String.raw`\[VT-D\]INTR-REMAP:? Request device \[${XEN_DEVICE}\] fault index ${HEX('address')}(?:, iommu reg = [0-9a-f]{1,16})?\s*$`,
      'i',
    ),
    example: '(XEN) [VT-D]INTR-REMAP: Request device [0000:f0:1f.7] fault index 1f, iommu reg = ffff82c00021d000',
    printedBy: 'Xen: the reason on a line of its own',
    decode: (groups) => interruptFault(groups, true),
    follow: {
      pattern: XEN_REASON,
      count: 1,
      example: ['(XEN) [VT-D]INTR-REMAP: reason 22 - Present field in the IRTE entry is clear'],
      decode: (first, [second]) => interruptFault({ ...first, ...second }, true),
    },
  },
  {
    id: 'vtd.interrupt-fault',
    needle: 'Request device [',
    pattern: new RegExp(
      String.raw`\[?INTR-REMAP\]?:? Request device \[${DEVICE}\] fault index ${HEX('address')} \[fault reason 0x(?<reason>[0-9a-f]{1,2})\]`,
      'i',
    ),
    example:
      'DMAR: [INTR-REMAP] Request device [f0:1f.7] fault index 0x0 [fault reason 0x25] Blocked a compatibility format interrupt request',
    printedBy: SINCE_5_13,
    decode: (groups) => interruptFault(groups, true),
  },
  {
    id: 'vtd.interrupt-fault.old',
    needle: 'Request device [',
    pattern: new RegExp(
      String.raw`\[?INTR-REMAP\]?:? Request device \[${DEVICE}\] fault index ${HEX('address')}\s+\[fault reason (?<reason>\d{1,3})\]`,
      'i',
    ),
    example:
      'DMAR: [INTR-REMAP] Request device [f0:1f.7] fault index 0 [fault reason 37] Blocked a compatibility format interrupt request',
    printedBy: 'Linux before 5.13, the reason in decimal',
    decode: (groups) => interruptFault(groups, false),
  },
  {
    id: 'vtd.interrupt-fault.two-lines',
    needle: 'Request device [',
    pattern: new RegExp(String.raw`INTR-REMAP: Request device \[\[?${DEVICE}\] fault index ${HEX('address')}\s*$`, 'i'),
    example: 'DMAR: INTR-REMAP: Request device [[f0:1f.0] fault index 18',
    printedBy: 'Linux before 4.7: the reason on a line of its own',
    decode: (groups) => interruptFault(groups, false),
    follow: {
      pattern: /INTR-REMAP:\s*\[fault reason (?<reason>\d{1,3})\]/i,
      count: 1,
      example: ['INTR-REMAP:[fault reason 34] Present field in the IRTE entry is clear'],
      decode: (first, [second]) => interruptFault({ ...first, ...second }, false),
    },
  },
  {
    id: 'vtd.fault-status',
    needle: 'handling fault status reg',
    pattern: /DMAR:\s*DRHD: handling fault status reg (?<status>[0-9a-f]{1,8})\b/i,
    example: 'DMAR: DRHD: handling fault status reg 2',
    printedBy: 'Linux',
    decode: ({ status }) => faultStatus(Number.parseInt(status ?? '', 16)),
  },
];

function faultStatus(status: number): Finding {
  const bits = decodeHalves(FSTS, [status]);
  const named = ['PFO', 'PPF', 'IQE', 'ICE', 'ITE'].filter((name) => bits[name as 'PFO'] === 1);
  const gone = status === 0xffffffff;
  return {
    kind: 'vtd.fault-status',
    model: 'vtd',
    severity: gone || bits.PFO === 1 ? 'warning' : 'info',
    summary: gone
      ? "the fault status reads as all ones: the unit's registers do not answer"
      : `fault status 0x${status.toString(16)}: ${named.join(', ') || 'nothing pending'}, first record ${bits.FRI}`,
    ...NOTHING,
    details: named.map((name) => [name, FSTS_TEXT[name as keyof typeof FSTS_TEXT]] as const),
    causes: gone ? suspects({ likely: ['registers-gone'] }) : bits.PFO === 1 ? suspects({ certain: ['overflow'] }) : [],
  };
}

const FSTS_TEXT = {
  PFO: 'faults were lost, as no record was free',
  PPF: 'a fault record is pending',
  IQE: 'invalidation queue error',
  ICE: 'a device answered an invalidation wrongly',
  ITE: 'a device did not answer an invalidation in time',
} as const;

/** Requester id as Linux prints it in queue errors. */
export function requesterOf(id: number): string {
  return id === 0xffff ? 'unknown (ffff)' : bdf(id);
}
