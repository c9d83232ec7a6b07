/** QEMU's trace of hypercalls on TCEs (hw/ppc/trace-events): those that failed. What succeeds is the trace analysis's. */
import { HYPERCALLS } from '../../iommu/spapr/commands.ts';
import { hexNumber } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import type { QemuEvent } from '../qemu-trace.ts';
import { HEX, qemuTraceLines } from '../qemu-trace.ts';
import { decodedOrNull } from '../structure.ts';
import { missingPage } from '../suspects.ts';
import { SPAPR_TCE } from './kinds.ts';
import { codeOf } from './return-code.ts';
import { suspectsOf } from './suspects.ts';

/** Opcodes of the calls. */
const [GET, PUT, STUFF, INDIRECT] = [0x1c, 0x20, 0x138, 0x13c] as const;

function refused(call: number, { ioba, liobn, ret, tce }: Groups) {
  const value = hexNumber(ioba ?? '');
  const { name, returns, text } = HYPERCALLS[call];
  if (value === null) return null;
  const code = codeOf(Number(ret), returns);
  const word = tce === undefined ? null : hexNumber(tce);
  const structure = word === null || word === 0n ? null : decodedOrNull(SPAPR_TCE, [word]);
  return {
    severity: 'error' as const,
    summary: `${name} (${text}) of 0x${value.toString(16)} failed: ${code.meaning}`,
    code,
    address: { value, space: 'IOVA' as const },
    details: [['LIOBN', liobn ?? ''] as const],
    structures: structure === null ? [] : [structure],
    causes: suspectsOf(code.value),
  };
}

/** A failure of it; 0 and busy are none. */
const FAILED = String.raw`ret=(?<ret>-\d{1,5})`;

function failed(name: string, call: number, rest: string, example: string): QemuEvent {
  return {
    name,
    body: `liobn=${HEX('liobn')} ioba=${HEX('ioba')} ${rest}`,
    example: `liobn=0x80000000 ioba=0x1000 ${example}`,
    say: (groups) => refused(call, groups),
  };
}

const TCE = `tce=${HEX('tce')}`;

const EVENTS: readonly QemuEvent[] = [
  ...['', 'pci_'].flatMap((bus): QemuEvent[] => [
    failed(`spapr_iommu_${bus}put`, PUT, `${TCE} ${FAILED}`, 'tce=0x61ee0003 ret=-4'),
    failed(`spapr_iommu_${bus}get`, GET, `${FAILED}`, 'ret=-4 tce=0x0'),
    failed(
      `spapr_iommu_${bus}stuff`,
      STUFF,
      String.raw`tcevalue=0x[0-9a-f]{1,16} npages=(?<pages>\d{1,10}) ${FAILED}`,
      'tcevalue=0x0 npages=16 ret=-4',
    ),
    failed(
      `spapr_iommu_${bus}indirect`,
      INDIRECT,
      `tcelist=0x[0-9a-f]{1,16} iobaN=0x[0-9a-f]{1,16} tceN=0x[0-9a-f]{1,16} ${FAILED}`,
      'tcelist=0x7a000 iobaN=0x1000 tceN=0x0 ret=-4',
    ),
  ]),
  {
    name: 'spapr_iommu_xlate',
    body: `liobn=(?:0x)?(?<liobn>[0-9a-f]{1,16}) ${HEX('ioba')} -> ${HEX('to')} perm=0 mask=`,
    example: 'liobn=80000000 0x1000 -> 0x0 perm=0 mask=fff',
    say: ({ ioba, liobn }) => {
      const value = hexNumber(ioba ?? '');
      if (value === null) return null;
      return {
        severity: 'error',
        summary: `a DMA access of 0x${value.toString(16)} refused: its TCE permits none; real hardware would freeze the device (EEH)`,
        address: { value, space: 'IOVA' },
        details: [['LIOBN', `0x${liobn}`]],
        causes: missingPage({ access: null, address: value, pasid: null }),
      };
    },
  },
];

export const QEMU_TRACE_LINES: readonly LineFormat[] = qemuTraceLines('spapr', 'spapr_iommu_', EVENTS);
