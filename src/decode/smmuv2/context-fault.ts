/** A fault of a context bank of an SMMUv2, as a {@link Finding}. */
import { decodeHalves } from '../../bits/index.ts';
import { CONTEXT_FAULTS } from '../../iommu/smmuv2/faults.ts';
import { CBFRSYNRA, FSR, FSYNR0 } from '../../iommu/smmuv2/registers.ts';
import type { Suspect } from '../causes.ts';
import type { AccessKind, Code, Detail, Finding, Requester } from '../finding.ts';
import { NOTHING } from '../finding.ts';
import type { DecodedStructure } from '../structure.ts';
import { decodeNamed } from '../structure.ts';
import { contextSuspects } from './suspects.ts';

/** What is known of a fault; null is what its lines have not. */
export interface ContextFault {
  /** The SMMU, as the log names it. */
  readonly unit: string | null;
  /** Number of the context bank. */
  readonly bank: number | null;
  readonly address: bigint;
  readonly fsr: number | null;
  readonly fsynr0: number | null;
  /** CBFRSYNRA, or the StreamID alone. */
  readonly cbfrsynra: number | null;
  /** The device, where the log has its name. */
  readonly client: string | null;
  /** What software's own walk of the tables found: 0 for nothing. */
  readonly walked: bigint | null;
  readonly details: readonly Detail[];
}

const hex = (value: bigint | number) => `0x${value.toString(16)}`;

/** Bits of FSR that say why, lowest first: the first one is what is told. */
function reasonsOf(fsr: number): number[] {
  return Object.keys(CONTEXT_FAULTS)
    .map(Number)
    .filter((bit) => ((fsr >>> bit) & 1) === 1);
}

function codeOf(fsr: number): Code {
  const [bit] = reasonsOf(fsr);
  const known = bit === undefined ? undefined : CONTEXT_FAULTS[bit];
  return {
    value: fsr,
    name: known === undefined ? 'FSR' : `FSR.${known.name}`,
    meaning: known?.text ?? 'no bit of it says why',
    clause: known?.clause ?? 'SMMUv2 16.5.9',
  };
}

function accessOf(fsynr0: number | null): AccessKind | null {
  if (fsynr0 === null) return null;
  const { IND, WNR } = decodeHalves(FSYNR0, [fsynr0]);
  if (WNR === 1) return 'write';
  return IND === 1 ? 'execute' : 'read';
}

function requesterOf(cbfrsynra: number | null): Requester | null {
  if (cbfrsynra === null) return null;
  const id = decodeHalves(CBFRSYNRA, [cbfrsynra]).StreamID;
  return { text: `sid ${hex(id)}`, id, pasid: null };
}

export function contextFaultFinding(fault: ContextFault): Finding {
  const { address, bank, cbfrsynra, client, fsr, fsynr0, unit } = fault;
  const access = accessOf(fsynr0);
  const code = fsr === null ? null : codeOf(fsr);
  const requester = requesterOf(cbfrsynra);
  const who = requester?.text ?? client ?? (bank === null ? 'a device' : `context bank ${bank}`);
  const why = code?.meaning ?? 'the fault status is not in the log';
  return {
    ...NOTHING,
    kind: 'smmuv2.context-fault',
    model: 'smmuv2',
    severity: 'error',
    summary: `${who}: ${access ?? 'request'} of ${hex(address)} refused: ${why}`,
    requester,
    access,
    address: { value: address, space: 'IOVA' },
    code,
    details: [
      ...(unit === null ? [] : [['unit', unit] as const]),
      ...(bank === null ? [] : [['bank', String(bank)] as const]),
      ...(client === null ? [] : [['client', client] as const]),
      ...statusDetails(fsr, fsynr0),
      ...walkedDetails(fault),
      ...fault.details,
    ],
    structures: structuresOf(fsr, fsynr0),
    causes: causesOf(fault, access),
  };
}

function statusDetails(fsr: number | null, fsynr0: number | null): Detail[] {
  const details: Detail[] = [];
  if (fsr !== null) {
    const { MULTI, SS } = decodeHalves(FSR, [fsr]);
    for (const bit of reasonsOf(fsr).slice(1)) details.push(['and', CONTEXT_FAULTS[bit].text]);
    if (SS === 1) details.push(['stalled', 'the transaction waits for SMMU_CBn_RESUME (FSR.SS)']);
    if (MULTI === 1) details.push(['more', 'further faults came while this one was pending (FSR.MULTI)']);
  }
  if (fsynr0 !== null && decodeHalves(FSYNR0, [fsynr0]).PTWF === 1)
    details.push(['walk', 'it was the walk of a table that faulted (FSYNR0.PTWF)']);
  return details;
}

/** Qualcomm's driver walks the tables once more, and has the hardware do so. */
function walkedDetails({ walked }: ContextFault): Detail[] {
  if (walked === null) return [];
  const found =
    walked === 0n
      ? 'the tables have no entry for the address'
      : `the tables lead to ${hex(walked)} now: it was mapped since, or a TLB still had it unmapped`;
  return [['in the tables', found]];
}

function structuresOf(fsr: number | null, fsynr0: number | null): DecodedStructure[] {
  return [
    ...(fsr === null ? [] : [decodeNamed('smmuv2.fsr', [BigInt(fsr)])]),
    ...(fsynr0 === null ? [] : [decodeNamed('smmuv2.fsynr0', [BigInt(fsynr0)])]),
  ];
}

function causesOf({ address, fsr, fsynr0 }: ContextFault, access: AccessKind | null): Suspect[] {
  const [bit] = fsr === null ? [TRANSLATION] : reasonsOf(fsr);
  if (bit === undefined) return [];
  const inWalk = fsynr0 !== null && decodeHalves(FSYNR0, [fsynr0]).PTWF === 1;
  const causes = contextSuspects(bit, { access, address, pasid: null, inWalk });
  const stalled = fsr !== null && decodeHalves(FSR, [fsr]).SS === 1;
  return stalled ? [{ id: 'stalled', sure: 'certain' }, ...causes] : causes;
}

/** What a fault without its status most likely is. */
const TRANSLATION = 1;
