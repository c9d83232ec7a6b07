/** A {@link Report} for people: what happened first, then how to tell the causes apart, then what to fetch. */
import type { CauseId, DecodedStructure, Group, Position, Report, Suspect } from '../../decode/index.ts';
import { bdf, bitsText, CAUSES, patternOf, printable, toCollect, wordsText } from '../../decode/index.ts';
import type { Colours } from '../story.ts';

/** Structures of a finding that are shown: a dump has hundreds. */
const STRUCTURES = 12;
/** Pages of a group that are shown. */
const PAGES = 6;

/** @param all its groups, with what other inputs say of them */
export function say(report: Report, all: readonly Group[], colours: Colours): string[] {
  const errors = all.filter(({ finding }) => finding.severity !== 'info');
  const infos = all.filter(({ finding }) => finding.severity === 'info');
  const groups = [...errors, ...infos];
  return [
    ...groups.flatMap((group) => [...sayGroup(group, colours), '']),
    ...sayCauses(groups, colours),
    ...sayCollect(errors, colours),
    ...sayRest(report, colours),
  ];
}

function sayGroup(group: Group, colours: Colours): string[] {
  const { finding } = group;
  const paint = { error: colours.red, warning: colours.yellow, info: colours.dim }[finding.severity];
  const head = `${paint(finding.severity.toUpperCase())}  ${colours.bold(printable(finding.summary))}`;
  const lines = [head, `  ${colours.dim(where(group))}`];
  const { code, details, requester, structures } = finding;
  if (requester !== null)
    lines.push(
      `  requester  ${printable(requester.text)} (id 0x${requester.id.toString(16).padStart(4, '0')}${requester.pasid === null ? '' : `, PASID 0x${requester.pasid.toString(16)}`})`,
    );
  if (code !== null) {
    const source = code.clause === null ? 'not in the specification' : code.clause;
    lines.push(
      `  ${code.name.padEnd(9)}  ${code.value < 0 ? code.value : `0x${code.value.toString(16)}`}: ${code.meaning} (${source})`,
    );
  }
  lines.push(...sayPages(group));
  for (const [name, value] of details) lines.push(`  ${printable(name).padEnd(9)}  ${printable(value)}`);
  for (const structure of structures.slice(0, STRUCTURES)) lines.push(...sayStructure(structure, colours, '  '));
  if (structures.length > STRUCTURES)
    lines.push(`  and ${structures.length - STRUCTURES} more structures; --json has them all`);
  const { causes } = finding;
  if (causes.length > 0)
    lines.push(...causes.map((suspect) => `  ${colours.dim(suspect.sure.padEnd(9))}  ${titleOf(suspect)}`));
  return lines;
}

function titleOf({ id }: Suspect): string {
  return CAUSES[id].title;
}

/** `12 times, lines 3 to 88 of FILE, at 1.5 to 2.5`. */
function where({ count, first, last }: Group): string {
  const times = count === 1 ? 'once' : `${count.toLocaleString('en')} times`;
  const file = first.input === '-' ? '' : ` of ${printable(first.input)}`;
  const end = last.input === first.input ? String(last.line) : `${last.line} of ${printable(last.input)}`;
  const lines = count === 1 ? `line ${first.line}${file}` : `from line ${first.line}${file} to ${end}`;
  return `${times}, ${lines}${timeText(first, last)}`;
}

function timeText(first: Position, last: Position): string {
  if (first.time === null) return '';
  const from = printable(first.time);
  return last.time === null || last.time === first.time ? `, at ${from}` : `, at ${from} to ${printable(last.time)}`;
}

function sayPages(group: Group): string[] {
  const { finding, otherPages, pages } = group;
  const { address } = finding;
  if (address === null) return [];
  if (address.space === 'interrupt index')
    return pages.length === 1
      ? []
      : [
          `  entries    ${pages
            .slice(0, PAGES)
            .map(({ page, count }) => `${page} (${count})`)
            .join(', ')}`,
        ];
  if (pages.length === 1) return [];
  const hex = (value: bigint) => `0x${value.toString(16)}`;
  if (patternOf(group) === 'run') {
    const values = pages.map(({ page }) => page).sort((a, b) => (a < b ? -1 : 1));
    return [
      `  pages      ${hex(values[0] as bigint)} to ${hex(values.at(-1) as bigint)}, ${values.length} one after another: a device that runs through memory`,
    ];
  }
  const often = [...pages].sort((a, b) => b.count - a.count);
  const shown = often.slice(0, PAGES).map(({ page, count }) => (count === 1 ? hex(page) : `${hex(page)} (${count})`));
  const more = pages.length - shown.length + otherPages;
  return [`  pages      ${shown.join(', ')}${more > 0 ? `, and ${more.toLocaleString('en')} more` : ''}`];
}

/** A structure field by field; what is zero and says nothing by it is left out where the words are of a log. */
export function sayStructure(structure: DecodedStructure, colours: Colours, indent = ''): string[] {
  const { clause, fields, kind, name, notes, reserved, wordBits, words } = structure;
  const lines = [
    `${indent}${colours.bold(kind)}  ${name} (${clause})`,
    `${indent}  ${colours.dim(wordsText(words, wordBits))}`,
  ];
  const shown = fields.filter(({ ignored, value }) => !ignored || value !== 0n);
  const widest = Math.max(0, ...shown.map((field) => field.name.length));
  const bitsWidest = Math.max(0, ...shown.map((field) => bitsText(field).length));
  for (const field of shown) {
    const value = field.hi === field.lo ? String(field.value) : `0x${field.value.toString(16)}`;
    const said = field.ignored ? 'ignored by hardware' : (field.meaning ?? requesterText(field.name, field.value));
    const text = `${indent}  ${bitsText(field).padStart(bitsWidest)}  ${field.name.padEnd(widest)}  ${value}${said === null ? '' : `  ${said}`}`;
    lines.push(field.value === 0n || field.ignored ? colours.dim(text) : text);
  }
  for (const run of reserved)
    lines.push(`${indent}  ${bitsText(run).padStart(bitsWidest)}  ${colours.red('reserved, and set')}`);
  for (const note of notes) lines.push(`${indent}  ${colours.yellow(note)}`);
  return lines;
}

/** Requester ids are read as bus:device.function. */
function requesterText(name: string, value: bigint): string | null {
  return /^(SID|RID|ITESID|ICESID)$/.test(name) ? bdf(Number(value)) : null;
}

function sayCauses(groups: readonly Group[], colours: Colours): string[] {
  const ids = [...new Set(groups.flatMap(({ finding }) => finding.causes.map(({ id }) => id)))] as CauseId[];
  if (ids.length === 0) return [];
  return [
    colours.bold('How to tell which, and what to do'),
    ...ids.flatMap((id) => {
      const { mend, tell, title } = CAUSES[id];
      return [`  ${title}`, `    ${colours.dim('tell')}  ${tell}`, `    ${colours.dim('mend')}  ${mend}`];
    }),
    '',
  ];
}

function sayCollect(errors: readonly Group[], colours: Colours): string[] {
  const first = errors.find(({ finding }) => finding.requester !== null) ?? errors[0];
  if (first === undefined) return [];
  const what = toCollect(first.finding.model, first.finding.requester?.text ?? null);
  return [colours.bold('What to collect next'), ...what.map((line) => `  ${printable(line)}`), ''];
}

function sayRest({ cutCount, unknown, unknownCount, ungrouped }: Report, colours: Colours): string[] {
  const lines: string[] = [];
  if (unknownCount > 0) {
    lines.push(
      colours.bold(
        `${unknownCount.toLocaleString('en')} ${unknownCount === 1 ? 'line looks' : 'lines look'} like a fault and ${unknownCount === 1 ? 'is' : 'are'} of no known format`,
      ),
      ...unknown.map(({ at, line }) => `  line ${at.line}: ${printable(line).slice(0, 200)}`),
      "  Please report them: 'unknown IOMMU log line', with these lines, the kernel's version (uname -r) and the machine.",
      '',
    );
  }
  if (cutCount > 0)
    lines.push(`${cutCount.toLocaleString('en')} lines were longer than a log has them, and were read in part.`, '');
  if (ungrouped > 0)
    lines.push(`${ungrouped.toLocaleString('en')} findings are left out: there are too many different ones.`, '');
  return lines;
}
