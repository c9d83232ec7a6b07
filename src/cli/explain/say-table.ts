/** An ACPI table for people: what is wrong with it, what it says of the machine on one screen, then every field. */
import type { ExplainedTable } from '../../decode/explainer.ts';
import type { AcpiTable, Behind, Region, Remark, TableNode, Unit } from '../../decode/index.ts';
import { printable, remarksOf, segmentText } from '../../decode/index.ts';
import type { Colours } from '../story.ts';
import { sizeText } from './size-text.ts';

const hex = (value: bigint) => `0x${value.toString(16)}`;

export function sayTable({ input, table }: ExplainedTable, colours: Colours): string[] {
  const { bytes, clause, signature, title } = table;
  const from = input === '-' ? '' : `, ${printable(input)}`;
  return [
    `${colours.bold(signature)}  ${title} (${clause}), ${bytes} bytes${from}`,
    '',
    ...sayRemarks(remarksOf(table), colours),
    ...sayTopology(table, colours),
    colours.bold('The table'),
    ...sayNode(table.root, '  ', colours),
    '',
  ];
}

function sayRemarks(remarks: readonly Remark[], colours: Colours): string[] {
  if (remarks.length === 0) return [];
  const paint = { error: colours.red, warning: colours.yellow, info: colours.dim };
  const lines = remarks.flatMap(({ mend, offset, severity, text }) => [
    `${paint[severity](severity.toUpperCase())}  ${printable(text)} ${colours.dim(`(byte 0x${offset.toString(16)})`)}`,
    `  ${colours.dim(printable(mend))}`,
  ]);
  return [...lines, ''];
}

function sayTopology({ topology }: AcpiTable, colours: Colours): string[] {
  const { facts, regions, units, untranslated } = topology;
  const lines = [colours.bold('What it says of the machine'), ...facts.map((fact) => `  ${printable(fact)}`)];
  for (const unit of units) lines.push(...sayUnit(unit, colours));
  if (untranslated.length > 0)
    lines.push(`  ${colours.bold('behind no unit')}`, ...untranslated.map((device) => `    ${deviceText(device, 0)}`));
  if (regions.length > 0) lines.push(`  ${colours.bold('memory reserved for devices')}`, ...regions.map(regionText));
  return [...lines, ''];
}

function sayUnit({ at, base, devices, facts, name, segment }: Unit, colours: Colours): string[] {
  const where = [
    at === null ? null : `${segment === null || segment === 0 ? '' : `${segmentText(segment)}:`}${at}`,
    at === null && segment !== null ? `segment ${segmentText(segment)}` : null,
    base === null ? null : `registers at ${hex(base)}`,
    ...facts,
  ].filter((part) => part !== null);
  const widest = Math.max(0, ...devices.map(({ what }) => what.length));
  return [
    `  ${colours.bold(printable(name))}  ${printable(where.join(', '))}`,
    ...devices.map((device) => `    ${deviceText(device, widest)}`),
  ];
}

function deviceText({ kind, out, what }: Behind, widest: number): string {
  return printable(`${what.padEnd(widest)}  ${kind}${out === null ? '' : `, ${out}`}`.trimEnd());
}

function regionText({ devices, facts, first, kind, last }: Region): string {
  const size = last >= first ? sizeText(last - first + 1n) : 'ends before it begins';
  const asks = facts.length === 0 ? '' : ` (${facts.join(', ')})`;
  return printable(
    `    ${hex(first)} to ${hex(last)}  ${size}  ${kind} of ${devices.length === 0 ? 'no device' : devices.join(', ')}${asks}`,
  );
}

/** Each structure with its fields; what is reserved and zero is left out. */
function sayNode(node: TableNode, indent: string, colours: Colours): string[] {
  const { children, fields, offset, structure } = node;
  const shown = fields.filter(({ reserved, text }) => !reserved || /[^0 ]/.test(text));
  const widest = Math.max(0, ...shown.map(({ name }) => name.length));
  return [
    `${indent}${colours.dim(offset.toString(16).padStart(4, '0'))}  ${colours.bold(structure.id)}  ${structure.title} (${structure.clause})`,
    ...shown.map(
      ({ meaning, name, text }) =>
        `${indent}      ${name.padEnd(widest)}  ${printable(text)}${meaning === null ? '' : `  ${meaning}`}`,
    ),
    ...children.flatMap((child) => sayNode(child, `${indent}  `, colours)),
  ];
}
