/** A {@link Report} as JSON: addresses and words as hexadecimal text, as no number of JSON holds them. */
import type { DecodedStructure, Explainer, Group } from '../../decode/index.ts';
import { CAUSES, patternOf, toCollect } from '../../decode/index.ts';
import { tableToJson } from './table-json.ts';

const hex = (value: bigint) => `0x${value.toString(16)}`;

export function reportToJson({ acpi, groups, inputs, report }: Explainer) {
  const { cutCount, ungrouped, unknown, unknownCount } = report;
  return {
    inputs,
    findings: groups.map(groupToJson),
    unknown: { count: unknownCount, lines: unknown.map(({ at, line }) => ({ ...at, text: line })) },
    skipped: { cutLines: cutCount, ungrouped },
    acpi: acpi.map(tableToJson),
  };
}

function groupToJson(group: Group) {
  const { count, finding, first, last, otherPages, pages } = group;
  const { access, address, causes, code, details, kind, model, requester, severity, structures, summary } = finding;
  return {
    ...{ kind, model, severity, summary, count, first, last, requester, access, code },
    address: address === null ? null : { value: hex(address.value), space: address.space },
    pages: pages.map(({ page, count: n }) => ({ page: hex(page), count: n })),
    otherPages,
    pattern: patternOf(group),
    details: Object.fromEntries(details),
    structures: structures.map(structureToJson),
    causes: causes.map(({ id, sure }) => ({ id, sure, ...CAUSES[id] })),
    collect: severity === 'info' ? [] : toCollect(model, requester?.text ?? null),
  };
}

export function structureToJson({ clause, fields, kind, name, notes, reserved, words }: DecodedStructure) {
  return {
    ...{ kind, name, clause, notes, reserved },
    words: words.map(hex),
    fields: fields.map(({ stored: _, ...field }) => ({ ...field, value: hex(field.value) })),
  };
}
