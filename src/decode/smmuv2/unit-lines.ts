/** Linux's lines of an SMMUv2 as a whole (drivers/iommu/arm/arm-smmu), and Xen's: global faults, streams that nobody mapped, a TLB that does not answer. */
import { decodeHalves } from '../../bits/index.ts';
import { GLOBAL_FAULTS } from '../../iommu/smmuv2/faults.ts';
import { SGFSR, SGFSYNR0, SGFSYNR1 } from '../../iommu/smmuv2/registers.ts';
import { suspects } from '../causes.ts';
import type { AccessKind, Code, Detail, Finding, Requester } from '../finding.ts';
import { hexNumber, NOTHING } from '../finding.ts';
import type { FollowingLines, Groups, LineFormat } from '../line-format.ts';
import { decodeNamed } from '../structure.ts';
import { UNIT } from './fault-lines.ts';
import { globalSuspects } from './suspects.ts';

const BASE = { ...NOTHING, model: 'smmuv2' } as const;
const unitOf = ({ unit }: Groups): Detail[] => (unit === undefined ? [] : [['unit', unit]]);
const hex = (value: number) => `0x${value.toString(16)}`;
const requester = (id: number): Requester => ({ text: `sid ${hex(id)}`, id, pasid: null });

/** Bit of GFSR of a stream that no register knows. */
const USF = SGFSR.USF.lo;

/** Registers of a global fault; those that the line has not are null. */
function globalFault(first: Groups, [registers]: readonly Groups[]): Finding | null {
  const numbers = [registers?.gfsr, registers?.gfsynr0, registers?.gfsynr1].map((text) =>
    text === undefined ? null : Number(hexNumber(text)),
  );
  const [status, syndrome, stream] = numbers as [number | null, number | null, number | null];
  const named = first.sid === undefined ? null : Number(hexNumber(first.sid));
  const id = named ?? (stream === null ? null : decodeHalves(SGFSYNR1, [stream]).StreamID);
  const bits = Object.keys(GLOBAL_FAULTS)
    .map(Number)
    .filter((bit) => (status === null ? bit === USF && named !== null : ((status >>> bit) & 1) === 1));
  const [reason] = bits.map((bit) => GLOBAL_FAULTS[bit]);
  const access = accessOf(syndrome);
  const why = reason?.text ?? 'a global fault, and the log does not have its status';
  return {
    ...BASE,
    kind: named === null ? 'smmuv2.global-fault' : 'smmuv2.unknown-stream',
    severity: 'error',
    summary: `${id === null ? 'the SMMU' : `sid ${hex(id)}`}: ${access ?? 'a request'} refused: ${why}`,
    requester: id === null ? null : requester(id),
    access,
    code: codeOf(status, reason === undefined ? null : `${SGFSR.name}.${reason.name}`, reason?.text ?? null),
    details: [
      ...unitOf(first),
      ...bits.slice(1).map((bit): Detail => ['and', GLOBAL_FAULTS[bit].text]),
      ...multiple(status),
    ],
    structures: [
      ...(status === null ? [] : [decodeNamed('smmuv2.sgfsr', [BigInt(status)])]),
      ...(syndrome === null ? [] : [decodeNamed('smmuv2.sgfsynr0', [BigInt(syndrome)])]),
    ],
    causes: globalSuspects(bits),
  };
}

function codeOf(status: number | null, name: string | null, meaning: string | null): Code | null {
  if (status === null) return null;
  return { value: status, name: name ?? SGFSR.name, meaning: meaning ?? 'no bit of it says why', clause: SGFSR.clause };
}

function accessOf(syndrome: number | null): AccessKind | null {
  if (syndrome === null) return null;
  const { IND, WNR } = decodeHalves(SGFSYNR0, [syndrome]);
  if (WNR === 1) return 'write';
  return IND === 1 ? 'execute' : 'read';
}

function multiple(status: number | null): Detail[] {
  return status !== null && decodeHalves(SGFSR, [status]).MULTI === 1
    ? [['more', 'further faults came while this one was pending (MULTI): they are not told']]
    : [];
}

const FOLLOWING: FollowingLines = {
  pattern:
    /GFSR (?<gfsr>0x[0-9a-f]{1,8}), GFSYNR0 (?<gfsynr0>0x[0-9a-f]{1,8}), GFSYNR1 (?<gfsynr1>0x[0-9a-f]{1,8}), GFSYNR2 0x[0-9a-f]{1,8}/,
  count: 1,
  example: ['arm-smmu 5000000.iommu: \tGFSR 0x80000002, GFSYNR0 0x00000002, GFSYNR1 0x00000429, GFSYNR2 0x00000000'],
  decode: globalFault,
};

export const UNIT_LINES: readonly LineFormat[] = [
  {
    id: 'smmuv2.global-fault',
    needle: 'Unexpected global fault, this could be serious',
    pattern: new RegExp(`${UNIT}Unexpected global fault, this could be serious`),
    example: 'arm-smmu 5000000.iommu: Unexpected global fault, this could be serious',
    printedBy: 'Linux, Xen; the registers follow',
    decode: (groups) => globalFault(groups, []),
    follow: FOLLOWING,
  },
  {
    id: 'smmuv2.unknown-stream',
    needle: 'Blocked unknown Stream ID ',
    pattern: new RegExp(`${UNIT}Blocked unknown Stream ID (?<sid>0x[0-9a-f]{1,4});`),
    example:
      'arm-smmu 5000000.iommu: Blocked unknown Stream ID 0x429; boot with "arm-smmu.disable_bypass=0" to allow, but this may have security implications',
    printedBy: 'Linux 5.2 and later; the registers follow',
    decode: (groups) => globalFault(groups, []),
    follow: FOLLOWING,
  },
  {
    id: 'smmuv2.sync-timeout',
    needle: 'TLB sync timed out -- SMMU may be deadlocked',
    pattern: new RegExp(`${UNIT}TLB sync timed out -- SMMU may be deadlocked`),
    example: 'arm-smmu 15000000.iommu: TLB sync timed out -- SMMU may be deadlocked',
    printedBy: 'Linux; what Qualcomm has of its parts follows, since 6.2',
    decode: (groups) => syncTimeout(groups, []),
    follow: {
      pattern:
        /TBU: power_status (?<power>0x[0-9a-f]{1,8}|0) sync_inv_ack (?<ack>0x[0-9a-f]{1,8}|0) sync_inv_progress (?<progress>0x[0-9a-f]{1,8}|0)/,
      count: 1,
      example: ['arm-smmu 15000000.iommu: TBU: power_status 0x1 sync_inv_ack 0x1 sync_inv_progress 0x400000'],
      decode: syncTimeout,
    },
  },
  {
    id: 'smmuv2.stream-range',
    needle: ' out of range for SMMU (0x',
    pattern: new RegExp(
      `${UNIT}(?<what>stream ID|SMR mask) (?<sid>0x[0-9a-f]{1,8}) out of range for SMMU \\((?<most>0x[0-9a-f]{1,8})\\)`,
    ),
    example: 'fsl_mc_bus 80c000000.fsl-mc: stream ID 0x8000 out of range for SMMU (0x7fff)',
    printedBy: 'Linux 4.9 and later: before the device',
    decode: ({ most, sid, unit, what }) => ({
      ...BASE,
      kind: 'smmuv2.stream-range',
      severity: 'error',
      summary: `${unit ?? 'a device'} is not behind its SMMU: firmware gives it the ${what === 'stream ID' ? 'StreamID' : 'mask of StreamIDs'} ${sid}, and the SMMU has none above ${most}`,
      causes: suspects({ certain: ['firmware-ids'] }),
    }),
  },
];

function syncTimeout(first: Groups, [parts]: readonly Groups[]): Finding {
  const details: Detail[] =
    parts === undefined
      ? []
      : [
          ['TBU power', `${parts.power}, a bit for each that is on`],
          ['TBU acknowledged', `${parts.ack}, a bit for each`],
          ['TCU progress', parts.progress ?? ''],
        ];
  return {
    ...BASE,
    kind: 'smmuv2.sync-timeout',
    severity: 'error',
    summary: 'an invalidation of the TLB did not complete in time: what was unmapped may still be used',
    details: [...unitOf(first), ...details],
    causes: suspects({ likely: ['queue-stuck'], possible: ['hardware-error'] }),
  };
}
