/** Where a finding's requester and address stand in the ACPI tables that are given beside it: which unit has the device, which reserved memory the address. */
import type { Suspect } from '../causes.ts';
import type { Detail, Finding, Model } from '../finding.ts';
import { bdf, pciRequester } from '../finding.ts';
import { hex } from './list.ts';
import type { AcpiTable } from './table.ts';
import type { Behind, IdRange, OwnRange, Region, Topology, Unit } from './topology.ts';
import { segmentText } from './topology.ts';

/** The table that is about the units of a model. */
const TABLE_OF: Readonly<Partial<Record<Model, string>>> = {
  vtd: 'DMAR',
  amdvi: 'IVRS',
  smmuv3: 'IORT',
  smmuv2: 'IORT',
  riscv: 'RIMT',
  virtio: 'VIOT',
};

/** A requester as tables name devices: by PCI, or by the unit's own number. */
interface Asked {
  readonly text: string;
  /** Null where the line does not tell: any may be meant. */
  readonly segment: number | null;
  readonly id: number;
  readonly isPci: boolean;
}

/** What tables add to a finding. */
export interface Placement {
  readonly details: readonly Detail[];
  /** Causes that the tables make likely, or certain. */
  readonly causes: readonly Suspect[];
}

/** @param pages of the findings that are one with it @returns null where no table is of the finding's unit, or says anything of it */
export function placementOf(
  finding: Finding,
  pages: readonly bigint[],
  tables: readonly AcpiTable[],
): Placement | null {
  const mine = tables.filter(({ signature }) => signature === TABLE_OF[finding.model]);
  const asked = askedOf(finding);
  if (mine.length === 0 || (asked === null && finding.address === null)) return null;
  const details: Detail[] = [];
  const causes: Suspect[] = [];
  for (const { signature, topology } of mine) {
    if (asked !== null) details.push([signature, unitText(asked, topology, signature)]);
    for (const region of regionsAt(topology.regions, pages)) {
      const named = asked === null ? null : isOf(region, asked);
      details.push([region.kind, regionText(region, pages, named)]);
      // Memory that firmware has asked to be mapped for the device, and that is not.
      if (named === true && finding.severity === 'error') causes.push({ id: 'reserved-region', sure: 'likely' });
    }
  }
  return details.length === 0 ? null : { details, causes };
}

/** Regions that have any of the pages; a group may have thousands, most of them far from any region. */
function regionsAt(regions: readonly Region[], pages: readonly bigint[]): Region[] {
  if (regions.length === 0 || pages.length === 0) return [];
  const low = pages.reduce((a, b) => (b < a ? b : a));
  const high = pages.reduce((a, b) => (b > a ? b : a));
  return regions.filter(
    (region) => low <= region.last && high + 0xfffn >= region.first && pages.some((page) => isIn(region, page)),
  );
}

const isIn = ({ first, last }: Region, page: bigint) => page <= last && page + 0xfffn >= first;

function askedOf({ model, requester }: Finding): Asked | null {
  if (requester === null) return null;
  const { id, text } = requester;
  const isPci = pciRequester(text) !== null;
  // Units of Arm, RISC-V and virtio number devices themselves; a line may have the device's name all the same.
  if (!isPci && (model === 'vtd' || model === 'amdvi')) return null;
  const segment = /^([0-9a-f]{4,8}):[0-9a-f]{2}:/i.exec(text)?.[1];
  return { text, id, isPci, segment: segment === undefined ? null : Number.parseInt(segment, 16) };
}

const holds = ({ first, last }: OwnRange | IdRange, id: number) => id >= first && id <= last;
const isSegment = (of: number | null | undefined, { segment }: Asked) =>
  of != null && (segment === null || of === segment);
const holdsPci = (range: IdRange | null, asked: Asked) =>
  range !== null && isSegment(range.segment, asked) && holds(range, asked.id);

/** A device by its own id, or by the one that it has at the unit. */
function isDevice({ ids, outIds }: Behind, asked: Asked): boolean {
  return asked.isPci ? holdsPci(ids, asked) : outIds !== undefined && holds(outIds, asked.id);
}

function unitText(asked: Asked, { units, untranslated }: Topology, signature: string): string {
  const text = asked.text;
  const found = units.flatMap((unit) => unit.devices.filter((of) => isDevice(of, asked)).map((of) => ({ unit, of })));
  const aliases = asked.isPci
    ? units.flatMap((unit) =>
        unit.devices.filter(({ ids, outIds }) => !holdsPci(ids, asked) && seenAs(unit, outIds, asked)),
      )
    : [];
  const also =
    aliases.length === 0 ? '' : `; requests of ${aliases.map(({ what }) => what).join(', ')} are seen as its own`;
  if (found.length > 0)
    return `${text} is under ${found.map(({ of, unit }) => `${nameOf(unit)} (${behindText(of, asked)})`).join(', and under ')}${also}`;
  if (untranslated.some((of) => holdsPci(of.ids, asked))) return `${text} is under no unit, as the table says`;
  const bridges = units.flatMap((unit) =>
    unit.devices.filter(({ beyond }) => isSegment(beyond?.segment, asked)).map((of) => ({ unit, of })),
  );
  const own = bridges.find(({ of }) => of.beyond?.bridge === asked.id && asked.isPci && !of.what.includes('›'));
  if (own !== undefined) return `${text} is under ${nameOf(own.unit)}: the bridge ${own.of.what} itself`;
  const rest = units.find(({ devices }) => devices.some(({ restOf }) => isSegment(restOf, asked)));
  // What is on the bus that a path begins at is behind no bridge of it.
  const possible = bridges.filter(({ of }) => (of.beyond?.bridge ?? 0) >> 8 !== asked.id >> 8);
  const perhaps = possible.map(({ of, unit }) => `${nameOf(unit)} if it is ${behindBridge(of)}`);
  const otherwise =
    rest === undefined
      ? null
      : `${nameOf(rest)}, as all devices of segment ${segmentText(rest.segment ?? 0)} that no other unit names`;
  if (perhaps.length > 0)
    return `${text} is under ${[...perhaps, otherwise === null ? 'no unit otherwise' : `otherwise under ${otherwise}`].join('; ')} (the table has no bus numbers behind bridges)`;
  if (otherwise !== null) return `${text} is under ${otherwise}${also}`;
  if (aliases.length > 0) return `${text} is named by no unit${also}`;
  return `${text} is under no unit of ${signature}: none translates it, or the table lacks it`;
}

/** An alias is of the same segment as its unit. */
function seenAs({ segment }: Unit, outIds: OwnRange | undefined, asked: Asked): boolean {
  return outIds !== undefined && isSegment(segment, asked) && holds(outIds, asked.id);
}

function behindBridge({ kind, what }: Behind): string {
  return kind.startsWith('bridge') ? `behind the bridge ${what}` : what;
}

function nameOf({ at, base, name }: Unit): string {
  return base !== null ? `${name} at ${hex(base)}` : at !== null ? `${name} at ${at}` : name;
}

function behindText({ kind, ids, out, outIds, what }: Behind, asked: Asked): string {
  const parts = [`${what}, ${kind}`];
  if (!asked.isPci && ids !== null && outIds !== undefined && outIds.last - outIds.first === ids.last - ids.first)
    parts.push(`it is ${deviceText(ids.segment, ids.first + asked.id - outIds.first)}`);
  else if (out !== null) parts.push(out);
  return parts.join('; ');
}

function deviceText(segment: number, id: number): string {
  return `${segment === 0 ? '' : `${segmentText(segment)}:`}${bdf(id)}`;
}

/** Null where the region may be of it, and its ids do not tell. */
function isOf({ devices, of }: Region, asked: Asked): boolean | null {
  if (of.all) return true;
  if (asked.isPci ? of.ids.some((range) => holdsPci(range, asked)) : of.outIds.some((range) => holds(range, asked.id)))
    return true;
  const told = asked.isPci ? of.ids.length : of.outIds.length;
  return told < devices.length ? null : false;
}

function regionText(region: Region, pages: readonly bigint[], named: boolean | null): string {
  const { devices, facts, first, kind, last } = region;
  const inside = pages.filter((page) => isIn(region, page)).length;
  const what =
    pages.length === 1
      ? 'the address lies'
      : inside === pages.length
        ? 'all of its pages lie'
        : `${inside} of its ${pages.length} pages lie`;
  const whose = devices.length === 0 ? 'no device' : devices.join(', ');
  const asks = facts.length === 0 ? '' : ` (${facts.join(', ')})`;
  const verdict = { true: '', false: ', which is not this one', null: ', of which this one may be' }[
    String(named) as 'true'
  ];
  return `${what} in the ${kind} ${hex(first)} to ${hex(last)} of ${whose}${verdict}${asks}`;
}

/** Causes of a finding with those of tables put in: each once, the surest first. */
export function withCauses(causes: readonly Suspect[], more: readonly Suspect[]): readonly Suspect[] {
  const order = ['certain', 'likely', 'possible', 'rare'] as const;
  const all = [...more, ...causes].filter((of, i, list) => list.findIndex(({ id }) => id === of.id) === i);
  return all.sort((a, b) => order.indexOf(a.sure) - order.indexOf(b.sure));
}
