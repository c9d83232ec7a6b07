/**
 * What is known of a machine beside its faults: reserved regions, functions of PCI, ids of a device tree. Each fault is held against each fact, whichever came
 * first; what comes of it is told once.
 */
import type { Suspect } from '../causes.ts';
import { suspects } from '../causes.ts';
import type { Finding, Found, Model, Position, Requester } from '../finding.ts';
import { bdf, NOTHING } from '../finding.ts';
import type { PciFunction } from './pci-function.ts';
import { switchesText, virtualFunctionOf } from './pci-function.ts';
import type { StreamRange } from './stream-map.ts';
import { hasStream, isUnit, requesterOf } from './stream-map.ts';

/** A range that Linux keeps out of what it maps for a device (Documentation/ABI, reserved_regions). */
export interface ReservedRegion {
  readonly start: bigint;
  readonly end: bigint;
  readonly type: string;
}

/** Faults, functions, regions and ranges that are kept: more is none of one machine. */
const MAX = 4096;
/** Functions from which on a list of them is taken for whole, if the first function of the machine is among them. */
const WHOLE = 4;

interface Fault {
  readonly finding: Finding;
  readonly at: Position;
}

/** Models whose requester ids are those of an IOMMU, not of PCI. */
const BY_STREAM: ReadonlySet<Model> = new Set<Model>(['smmuv2', 'smmuv3', 'riscv', 'virtio']);

export class Facts {
  private readonly emit: (found: Found) => void;
  private readonly faults: Fault[] = [];
  private readonly regions: ReservedRegion[] = [];
  private readonly functions: PciFunction[] = [];
  private readonly streams: StreamRange[] = [];
  private readonly told = new Set<string>();

  constructor(emit: (found: Found) => void) {
    this.emit = emit;
  }

  /** A finding of a line. */
  saw({ at, finding }: Found): void {
    const region = regionOf(finding);
    if (region !== null) {
      if (this.regions.length < MAX) this.regions.push(region);
      for (const fault of this.faults) this.inRegion(fault, region);
      return;
    }
    if (finding.severity !== 'error' || this.faults.length >= MAX) return;
    const { address, requester } = finding;
    if (address === null && requester === null) return;
    const fault = { finding, at };
    this.faults.push(fault);
    for (const one of this.regions) this.inRegion(fault, one);
    this.byFunction(fault, false);
    this.byStream(fault, false);
  }

  addFunction(of: PciFunction): void {
    if (this.functions.length < MAX) this.functions.push(of);
  }

  addStreams(range: StreamRange): void {
    if (this.streams.length < MAX) this.streams.push(range);
  }

  /** All of an input was read: what is not there is missing now. */
  settle(): void {
    for (const fault of this.faults) {
      this.byFunction(fault, true);
      this.byStream(fault, true);
    }
  }

  private inRegion(fault: Fault, { end, start, type }: ReservedRegion): void {
    const { address } = fault.finding;
    if (address === null || address.space !== 'IOVA' || address.value < start || address.value > end) return;
    this.tell(`region ${start} ${fault.finding.requester?.text}`, fault, {
      kind: 'facts.reserved',
      severity: 'warning',
      summary: `${who(fault.finding.requester)}: the address of its fault, 0x${address.value.toString(16)}, is in a reserved region: ${REGION[type]?.text ?? type}`,
      address,
      causes: REGION[type]?.causes ?? [],
    });
  }

  /** The function that a requester id of PCI is of. */
  private byFunction(fault: Fault, isLast: boolean): void {
    const { model, requester } = fault.finding;
    if (requester === null || this.functions.length === 0) return;
    // An endpoint or a device id is one of PCI only where the line names it so.
    if (BY_STREAM.has(model) && !/^[0-9a-f:]{5,}\.[0-7]$/.test(requester.text)) return;
    const here = this.functions.filter(({ text }) => segmentOf(text) === segmentOf(requester.text));
    const itself = here.find(({ id }) => id === requester.id);
    const physical = here.find((of) => virtualFunctionOf(of, requester.id) !== null);
    if (itself !== undefined) this.tell(`function ${requester.id}`, fault, aboutFunction(fault.finding, itself));
    else if (physical !== undefined)
      this.tell(`function ${requester.id}`, fault, {
        kind: 'facts.function',
        severity: 'info',
        summary: `${requester.text} is virtual function ${virtualFunctionOf(physical, requester.id)} of ${physical.text} (${physical.title})`,
      });
    else if (isLast && here.length >= WHOLE && here.some(({ id }) => id === 0))
      this.tell(`function ${requester.id}`, fault, {
        kind: 'facts.no-function',
        severity: 'warning',
        summary: `${requester.text}: lspci has no such function`,
        causes: suspects({ likely: ['wrong-requester-id'], possible: ['not-attached'] }),
      });
  }

  /** The device that an id of an IOMMU is of, by the device tree. */
  private byStream(fault: Fault, isLast: boolean): void {
    const { details, model, requester } = fault.finding;
    if (requester === null || !BY_STREAM.has(model) || this.streams.length === 0) return;
    const unit = details.find(([name]) => name === 'unit')?.[1];
    const here = this.streams.filter((range) => unit === undefined || isUnit(range.unit, unit));
    const of = here.find((range) => hasStream(range, requester.id));
    const key = `stream ${unit} ${requester.id}`;
    if (of !== undefined) {
      const pci = requesterOf(of, requester.id);
      this.tell(key, fault, {
        kind: 'facts.stream',
        severity: 'info',
        summary: `id 0x${requester.id.toString(16)} of ${of.unit} is ${pci === null ? of.owner : `${bdf(pci)} behind ${of.owner}`}, by the device tree`,
      });
    } else if (isLast && here.length > 0)
      this.tell(key, fault, {
        kind: 'facts.no-stream',
        severity: 'warning',
        summary: `id 0x${requester.id.toString(16)} of ${here[0]?.unit}: no iommus and no iommu-map of the device tree gives it to a device`,
        causes: suspects({ likely: ['firmware-ids'], possible: ['wrong-requester-id'] }),
      });
  }

  private tell(
    key: string,
    { at, finding }: Fault,
    said: Partial<Finding> & Pick<Finding, 'kind' | 'severity' | 'summary'>,
  ): void {
    if (this.told.has(key)) return;
    this.told.add(key);
    const { model, requester } = finding;
    this.emit({ finding: { ...NOTHING, model, requester, ...said }, at });
  }
}

/** Lines without a segment are of the first. */
const segmentOf = (text: string) => Number.parseInt(/^([0-9a-f]{4,8}):[0-9a-f]{2}:/.exec(text)?.[1] ?? '0', 16);

const who = (requester: Requester | null) => requester?.text ?? 'a device';

function regionOf({ details, kind }: Finding): ReservedRegion | null {
  if (kind !== 'linux.reserved-region') return null;
  const values = new Map(details);
  return {
    start: BigInt(values.get('start') ?? 0),
    end: BigInt(values.get('end') ?? 0),
    type: values.get('type') ?? '',
  };
}

/** What a region of a type is, and what a fault in it makes likely. */
export const REGION: Readonly<Record<string, { readonly text: string; readonly causes: readonly Suspect[] }>> = {
  direct: {
    text: "firmware's own, mapped one to one as long as Linux translates for the device",
    causes: suspects({ likely: ['reserved-region'], possible: ['not-attached'] }),
  },
  'direct-relaxable': {
    text: "firmware's own, mapped one to one, and given up when the device is assigned",
    causes: suspects({ likely: ['reserved-region'] }),
  },
  reserved: {
    text: 'never to be mapped: windows of bridges, or ranges that the IOMMU keeps for itself',
    causes: suspects({ likely: ['never-mapped'], possible: ['interrupt-range'] }),
  },
  msi: { text: 'for MSIs', causes: suspects({ likely: ['interrupt-range', 'msi-doorbell'] }) },
};

/** What the function tells of its fault. */
function aboutFunction({ causes, requester }: Finding, of: PciFunction) {
  const blames = causes.some(({ id }) => id === 'request-type-blocked' || id === 'missing-device-tlb-invalidation');
  const switches = switchesText(of);
  const ats = !blames
    ? ''
    : of.ats === true
      ? ': it may send translated requests, which its entry in the IOMMU has to let through'
      : ': it may send no translated request, so the fault is of another function, or lspci is of another time';
  return {
    kind: 'facts.function',
    severity: blames ? ('warning' as const) : ('info' as const),
    summary: `${requester?.text} is ${of.title}${switches.length > 0 ? `; ${switches.join(', ')}` : ''}${ats}`,
    details: [
      ...(of.group === null ? [] : [['group', `IOMMU group ${of.group}`] as const]),
      ...(of.driver === null ? [] : [['driver', of.driver] as const]),
    ],
    causes: blames
      ? suspects(
          of.ats === true
            ? { likely: ['missing-device-tlb-invalidation', 'request-type-blocked'] }
            : { likely: ['wrong-requester-id'] },
        )
      : [],
  };
}
