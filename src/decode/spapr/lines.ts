/** Linux's lines of TCEs, DMA windows and frozen devices of pSeries (arch/powerpc/platforms/pseries/iommu.c, arch/powerpc/kernel/{iommu,eeh}.c). */
import { HYPERCALLS } from '../../iommu/spapr/commands.ts';
import { RTAS_STATUS } from '../../iommu/spapr/faults.ts';
import { ofCells } from '../../iommu/spapr/structures.ts';
import { suspects } from '../causes.ts';
import type { Detail, Finding } from '../finding.ts';
import { hexNumber, NOTHING, pciRequester } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import { decodedOrNull } from '../structure.ts';
import { SPAPR_TCE } from './kinds.ts';
import { QEMU_TRACE_LINES } from './qemu-trace-lines.ts';
import { codeOf } from './return-code.ts';
import { suspectsOf } from './suspects.ts';

/** Functions of Linux, and the hypercall that each makes. */
const CALL_OF: Readonly<Record<string, number>> = {
  tce_build_pSeriesLP: 0x20,
  tce_buildmulti_pSeriesLP: 0x13c,
  tce_free_pSeriesLP: 0x20,
  tce_freemulti_pSeriesLP: 0x138,
  tce_get_pSeriesLP: 0x1c,
};

/** The lines that follow have the code, where the first has not, and the arguments. */
function hypercall({ by, rc }: Groups, rest: readonly Groups[]): Finding | null {
  const call = HYPERCALLS[CALL_OF[by ?? ''] ?? -1];
  const details: Detail[] = rest.map(({ name, value }) => [name ?? '', value ?? ''] as const);
  const text = rc ?? details.find(([name]) => name === 'rc')?.[1];
  if (call === undefined) return null;
  const code = text === undefined ? null : codeOf(Number(text), call.returns);
  const entry = details.find(([name]) => name === 'tce val' || name === 'tce[0] val')?.[1];
  const word = entry === undefined ? null : hexNumber(entry);
  const structure = word === null ? null : decodedOrNull(SPAPR_TCE, [word]);
  return {
    ...NOTHING,
    kind: 'spapr.hypercall',
    model: 'spapr',
    severity: 'error',
    summary: `${call.name} (${call.text}) failed: ${code?.meaning ?? 'the return code is not in the log'}`,
    code,
    details: details.filter(([name]) => name !== 'rc'),
    structures: structure === null ? [] : [structure],
    causes: code === null ? [] : suspectsOf(code.value),
  };
}

function frozen({ pe, phb }: Groups): Finding {
  return {
    ...NOTHING,
    kind: 'spapr.frozen',
    model: 'spapr',
    severity: 'error',
    summary: `PHB#${phb} PE#${pe}: frozen (EEH): reads give all ones, DMA and writes do not arrive`,
    details: [
      ['PHB', `0x${phb}`],
      ['PE', `0x${pe}`],
    ],
    causes: suspects({
      certain: ['pe-frozen'],
      possible: ['unmap-before-completion', 'never-mapped', 'hardware-error'],
    }),
  };
}

function noRoom({ device, pages }: Groups): Finding {
  return {
    ...NOTHING,
    kind: 'spapr.no-room',
    model: 'spapr',
    severity: 'error',
    summary: `${device ?? 'a device'}: no room in its DMA window for a mapping`,
    requester: device === undefined ? null : pciRequester(device),
    details: [['TCEs', pages ?? '']],
    causes: suspects({ likely: ['window-full'] }),
  };
}

/** `ibm,create-pe-dma-window`: what was asked for, and what came. */
function created({ address_hi, address_lo, device, liobn, page, size, status }: Groups): Finding | null {
  const [high, low] = [address_hi, address_lo].map((cell) => Number.parseInt(cell ?? '', 16));
  const [pageShift, windowShift] = [page, size].map((shift) => Number.parseInt(shift ?? '', 16));
  const value = Number(status);
  const known = RTAS_STATUS[value];
  // Shifts beyond what an address has are none.
  if (high === undefined || low === undefined || Math.max(pageShift ?? 64, windowShift ?? 64) > 63) return null;
  const done = value === 0;
  const base = ofCells(high, low);
  return {
    ...NOTHING,
    kind: 'spapr.window-created',
    model: 'spapr',
    severity: done ? 'info' : 'warning',
    summary: done
      ? `${device}: a DMA window of 2^${windowShift} bytes at 0x${base.toString(16)}, pages of 2^${pageShift} bytes, LIOBN 0x${liobn}`
      : `${device}: no DMA window of 2^${windowShift} bytes with pages of 2^${pageShift} bytes: ${known?.text ?? `status ${value}`}`,
    requester: device === undefined ? null : pciRequester(device),
    code: done
      ? null
      : {
          value,
          name: known?.name ?? 'status',
          meaning: known?.text ?? 'a status that LoPAR has not',
          clause: known?.clause ?? null,
        },
    causes: done ? [] : suspects({ likely: ['window-full'] }),
  };
}

const HEX = (name: string) => `(?<${name}>[0-9a-f]{1,8})`;
const BDF = String.raw`(?<device>[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])`;

export const SPAPR_LINES: readonly LineFormat[] = [
  {
    id: 'spapr.hypercall',
    needle: 'pSeriesLP: plpar_tce_',
    pattern: new RegExp(
      String.raw`(?<by>${Object.keys(CALL_OF).join('|')}): plpar_tce_\w{3,14} failed(?:\. rc=(?<rc>-?\d{1,5}))?`,
    ),
    example: 'tce_build_pSeriesLP: plpar_tce_put failed. rc=-4',
    printedBy: 'Linux as a pSeries guest',
    decode: (groups) => hypercall(groups, []),
    follow: {
      pattern:
        /(?:^|\s)(?<name>rc|index|tcenum|tce val|tce\[0\] val|npages|limit|tce|pgshift)\s{0,6}= (?<value>-?\d{1,5}|0x[0-9a-f]{1,16})\s*$/,
      count: 7,
      example: ['\tindex   = 0x70000016', '\ttcenum  = 0x800', '\ttce val = 0x61ee0003'],
      decode: hypercall,
    },
  },
  {
    id: 'spapr.frozen',
    needle: 'Frozen PHB#',
    pattern: new RegExp(
      String.raw`EEH(?:\(\d{1,10}\))?: (?:\w{1,40}: )?Frozen PHB#${HEX('phb')}-PE#${HEX('pe')} detected`,
      'i',
    ),
    example: 'EEH: Frozen PHB#2-PE#fd detected',
    printedBy: 'Linux 3.11 and later',
    decode: frozen,
  },
  {
    id: 'spapr.frozen.pe-first',
    needle: 'EEH: Frozen PE#',
    pattern: new RegExp(
      `EEH: Frozen PE#${HEX('pe')} (?:on PHB#${HEX('phb')} detected|detected on PHB#${HEX('phb2')})`,
      'i',
    ),
    example: 'EEH: Frozen PE#1fd on PHB#3 detected',
    printedBy: 'Linux on PowerNV; in the other order where the driver saw it first',
    decode: ({ pe, phb, phb2 }) => frozen({ pe, phb: phb ?? phb2 }),
  },
  {
    id: 'spapr.fenced',
    needle: 'EEH: Fenced PHB#',
    pattern: new RegExp(`EEH: Fenced PHB#${HEX('phb')} detected`, 'i'),
    example: 'EEH: Fenced PHB#3 detected, location: U78CB.001.WZS0123-P1-C7',
    printedBy: 'Linux on PowerNV',
    decode: ({ phb }) => ({
      ...NOTHING,
      kind: 'spapr.fenced',
      model: 'spapr',
      severity: 'error',
      summary: `PHB#${phb}: the whole host bridge is fenced off (EEH): all its devices are gone until it is reset`,
      details: [['PHB', `0x${phb}`]],
      causes: suspects({ certain: ['pe-frozen'], possible: ['hardware-error'] }),
    }),
  },
  {
    id: 'spapr.no-room',
    needle: 'iommu_alloc failed, tbl',
    pattern: new RegExp(
      String.raw`(?:${BDF}: )?iommu_alloc failed, tbl [0-9a-fx(){}ptrval_]{1,20} vaddr [0-9a-fx(){}ptrval_]{1,20} npages (?<pages>\d{1,10})`,
    ),
    example: 'lpfc 0002:01:00.0: iommu_alloc failed, tbl c00000000263c480 vaddr c000000133b00000 npages 10',
    printedBy: 'Linux on POWER',
    decode: noRoom,
  },
  {
    id: 'spapr.window-created',
    needle: 'ibm,create-pe-dma-window(',
    pattern: new RegExp(
      String.raw`${BDF}: ibm,create-pe-dma-window\(${HEX('token')}\) ${HEX('config')} ${HEX('buid_hi')} ${HEX('buid_lo')} (?<page>[0-9a-f]{1,2}) (?<size>[0-9a-f]{1,2}) returned (?<status>-?\d{1,5}) \(liobn = 0x${HEX('liobn')} starting addr = ${HEX('address_hi')} ${HEX('address_lo')}\)`,
      'i',
    ),
    example:
      'nvme 0018:01:00.0: ibm,create-pe-dma-window(2027) 10000 8000000 20000018 10 2c returned 0 (liobn = 0x70000018 starting addr = 8000000 0)',
    printedBy: 'Linux 2.6.39 and later',
    decode: created,
  },
  ...QEMU_TRACE_LINES,
];
