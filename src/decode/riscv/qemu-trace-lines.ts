/** QEMU's trace of its RISC-V IOMMU (hw/riscv/trace-events). */
import { FAULTS } from '../../iommu/riscv/faults.ts';
import { hexNumber } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import type { QemuEvent } from '../qemu-trace.ts';
import { BDF, HEX, numberIn, qemuTraceLines, requesterOfText } from '../qemu-trace.ts';
import { decodedOrNull, kindNamed, reservedText } from '../structure.ts';
import { DESCRIPTOR, OF_PROCESS } from '../suspects.ts';
import { accessOf, suspectsOf } from './suspects.ts';

const UNIT = String.raw`(?<unit>[^\s:]{1,64}): `;

function fault(groups: Groups) {
  const cause = numberIn(groups, 'reason', 12);
  const value = hexNumber(groups.iova ?? '');
  const requester = requesterOfText(groups.device);
  if (cause === null || value === null || requester === null) return null;
  const known = FAULTS[cause];
  const meaning = known?.text ?? 'a cause that the specification has not';
  const access = accessOf(cause);
  return {
    severity: 'error' as const,
    summary: `${requester.text}: ${access ?? 'request'} of 0x${value.toString(16)} refused: ${known?.name ?? `cause ${cause}`}: ${meaning}`,
    ...{ requester, access },
    address: { value, space: 'IOVA' as const },
    code: { value: cause, name: known?.name ?? 'CAUSE', meaning, clause: known?.clause ?? null },
    causes: suspectsOf(cause, { access, address: value, pasid: null, implicit: false }),
  };
}

/** A command that the IOMMU takes from its queue. */
function command({ high, low }: Groups) {
  const words = [hexNumber(low ?? ''), hexNumber(high ?? '')];
  const kind = kindNamed('riscv.cmd');
  if (kind === null || words.some((word) => word === null)) return null;
  const decoded = decodedOrNull(kind, words as bigint[]);
  if (decoded === null)
    return {
      severity: 'error' as const,
      summary: 'the IOMMU takes a command that has no opcode of the specification',
      causes: DESCRIPTOR,
    };
  const reserved = reservedText(decoded);
  return {
    severity: reserved === null ? ('info' as const) : ('error' as const),
    summary: `the IOMMU takes a command: ${decoded.name}${reserved === null ? '' : `; reserved ${reserved} set`}`,
    structures: [decoded],
    causes: reserved === null ? [] : DESCRIPTOR,
  };
}

const EVENTS: readonly QemuEvent[] = [
  {
    name: 'riscv_iommu_flt',
    body: `${UNIT}fault ${BDF('device')} reason: ${HEX('reason')} iova: ${HEX('iova')}`,
    example: 'riscv-iommu0: fault 0000:00.1 reason: 0xd iova: 0xff9bc000',
    say: fault,
  },
  {
    name: 'riscv_iommu_pri',
    body: `${UNIT}page request ${BDF('device')} iova: ${HEX('iova')}`,
    example: 'riscv-iommu0: page request 0001:00.0 iova: 0x7f0000001000',
    say: ({ device, iova }) => {
      const value = hexNumber(iova ?? '');
      const requester = requesterOfText(device);
      if (value === null || requester === null) return null;
      return {
        severity: 'info',
        summary: `${requester.text}: asks for the page at 0x${value.toString(16)}`,
        requester,
        access: 'page request',
        address: { value, space: 'IOVA' },
        causes: OF_PROCESS,
      };
    },
  },
  {
    name: 'riscv_iommu_cmd',
    body: `${UNIT}command ${HEX('low')} ${HEX('high')}`,
    example: 'riscv-iommu0: command 0x2 0x0',
    say: command,
  },
];

export const QEMU_TRACE_LINES: readonly LineFormat[] = qemuTraceLines('riscv', 'riscv_iommu_', EVENTS);
