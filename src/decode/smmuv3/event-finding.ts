/** An SMMUv3 event, from its record or from what a log says of it, as a {@link Finding}. */
import { eventMeaning } from '../../iommu/smmuv3/events.ts';
import type { AccessKind, Address, Code, Detail, Finding, Requester } from '../finding.ts';
import { NOTHING } from '../finding.ts';
import type { DecodedStructure } from '../structure.ts';
import { suspectsOf } from './suspects.ts';

/** What is known of an event; null is what its record, or its line, has not. */
export interface SmmuEventParts {
  readonly kind: string;
  readonly number: number;
  /** The unit that reports it, as the log names it. */
  readonly unit: string | null;
  readonly client: string | null;
  readonly streamId: number | null;
  readonly substreamId: number | null;
  readonly access: AccessKind | null;
  /** What the transaction wanted. */
  readonly input: bigint | null;
  /** What the SMMU could not fetch. */
  readonly fetch: bigint | null;
  /** Of stage 2. */
  readonly ipa: bigint | null;
  /** False where it was the address of a table or of a context descriptor that was refused. */
  readonly ownAddress: boolean;
  readonly stalled: boolean;
  readonly details: readonly Detail[];
  readonly structures: readonly DecodedStructure[];
}

/** Names of events that the specification has not. */
function codeOf(number: number): Code {
  const known = eventMeaning(number);
  return {
    value: number,
    name: known?.name ?? 'event',
    meaning: known?.text ?? 'an event that the specification has not',
    clause: known?.clause ?? null,
  };
}

/** A device of PCI is told by its name, any other by its StreamID. */
function requesterOf({ client, streamId, substreamId }: SmmuEventParts): Requester | null {
  if (streamId === null) return null;
  const isPci = client !== null && /^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/i.test(client);
  return { text: isPci ? client : `sid 0x${streamId.toString(16)}`, id: streamId, pasid: substreamId };
}

const hex = (value: bigint | number) => `0x${value.toString(16)}`;

/** A hint is no error. */
const PAGE_REQUEST = 0x24;

export function smmuEventFinding(parts: SmmuEventParts): Finding {
  const { access, client, fetch, input, ipa, kind, number, ownAddress, stalled, streamId, substreamId, unit } = parts;
  const code = codeOf(number);
  const requester = requesterOf(parts);
  const address: Address | null =
    input !== null ? { value: input, space: 'IOVA' } : fetch !== null ? { value: fetch, space: 'physical' } : null;
  const who =
    requester === null ? 'a device' : `${requester.text}${substreamId === null ? '' : ` PASID ${hex(substreamId)}`}`;
  const what = input === null ? (access ?? 'request') : `${access ?? 'request'} of ${hex(input)}`;
  const details: Detail[] = [
    ...(unit === null ? [] : [['unit', unit] as const]),
    ...(streamId === null ? [] : [['StreamID', hex(streamId)] as const]),
    ...(client === null ? [] : [['client', client] as const]),
    ...(ipa === null ? [] : [['IPA', hex(ipa)] as const]),
    ...(fetch === null ? [] : [['fetched', hex(fetch)] as const]),
    ...(stalled ? [['stalled', 'the transaction waits for CMD_RESUME'] as const] : []),
    ...parts.details,
  ];
  return {
    ...NOTHING,
    kind,
    model: 'smmuv3',
    severity: number === PAGE_REQUEST ? 'info' : 'error',
    summary: `${who}: ${what} refused: ${code.name}: ${code.meaning}`,
    requester,
    access,
    address,
    code,
    details,
    structures: parts.structures,
    causes: suspectsOf(number, { access, pasid: substreamId, address: input, ownAddress, stalled }),
  };
}
