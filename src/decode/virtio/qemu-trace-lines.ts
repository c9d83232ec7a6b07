/** QEMU's trace of its virtio-iommu (hw/virtio/trace-events); maps and unmaps are the trace analysis's. */
import { FAULT_REASON } from '../../iommu/virtio/faults.ts';
import type { AccessKind } from '../finding.ts';
import { bdf, hexNumber } from '../finding.ts';
import type { LineFormat } from '../line-format.ts';
import type { QemuEvent } from '../qemu-trace.ts';
import { HEX, qemuTraceLines } from '../qemu-trace.ts';
import { suspectsOf } from './suspects.ts';

const MAX_ENDPOINT = 0xffffffff;

/** Bits of a report's flags. */
function accessOf(flags: number): AccessKind | null {
  if ((flags & 2) !== 0) return 'write';
  return (flags & 1) !== 0 ? 'read' : null;
}

const EVENTS: readonly QemuEvent[] = [
  {
    name: 'virtio_iommu_report_fault',
    body: String.raw`FAULT reason=(?<reason>\d{1,3}) flags=(?<flags>\d{1,10}) endpoint=(?<endpoint>\d{1,10}) address ?=${HEX('address')}`,
    example: 'FAULT reason=2 flags=258 endpoint=24 address =0xfd200000',
    say: ({ address, endpoint, flags, reason }) => {
      const [id, value] = [Number(endpoint), hexNumber(address ?? '')];
      const meaning = FAULT_REASON[Number(reason)];
      if (id > MAX_ENDPOINT || value === null || meaning === undefined) return null;
      const access = accessOf(Number(flags));
      return {
        severity: 'error',
        summary: `endpoint ${id}: ${access ?? 'a request'} of 0x${value.toString(16)} refused: ${meaning.text}`,
        requester: { text: `EP ${id}`, id, pasid: null },
        access,
        address: { value, space: 'IOVA' },
        code: { value: Number(reason), name: meaning.name, meaning: meaning.text, clause: meaning.clause },
        details: id > 0xffff ? [] : [['as requester id', `${bdf(id)}, where VIOT numbers endpoints as PCI does`]],
        causes: suspectsOf(Number(reason), { access, address: value, pasid: null }),
      };
    },
  },
];

export const QEMU_TRACE_LINES: readonly LineFormat[] = qemuTraceLines('virtio', 'virtio_iommu_', EVENTS);
