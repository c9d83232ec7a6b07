/** Text in, a {@link Report} out: logs in pieces, of any size; ACPI tables, binary or as text. */
import { placementOf, withCauses } from './acpi/placement.ts';
import type { AcpiTable } from './acpi/table.ts';
import { readTable } from './acpi/table.ts';
import type { TableFromText } from './acpi/table-text.ts';
import { TableText } from './acpi/table-text.ts';
import type { Tables } from './dump/tables.ts';
import { FactText } from './facts/fact-text.ts';
import type { Detail, Found, Position } from './finding.ts';
import { LINE_FORMATS } from './formats.ts';
import { LineScanner } from './line-scanner.ts';
import type { Group } from './report.ts';
import { Report } from './report.ts';
import { TraceScanner } from './trace/trace-scanner.ts';

export interface InputSummary {
  readonly name: string;
  readonly lines: number;
}

/** An ACPI table, and the input it came from. */
export interface ExplainedTable {
  readonly input: string;
  readonly table: AcpiTable;
}

export class Explainer {
  readonly report = new Report();
  readonly inputs: InputSummary[] = [];
  readonly acpi: ExplainedTable[] = [];
  private readonly scanner: LineScanner;
  private readonly tableText = new TableText((found) => this.addTextTable(found));
  private readonly traces: TraceScanner;
  private readonly facts: FactText;
  private name: string | null = null;

  /** @param tables keeps what dumps say of memory, if it is to be walked */
  constructor(tables: Tables | null = null) {
    const { report } = this;
    const sink = {
      found: (found: Found) => {
        report.add(found);
        this.traces.saw(found);
        this.facts.saw(found);
      },
      unknown: (line: string, at: Position) => report.addUnknown(line, at),
      cut: () => {
        report.cutCount++;
      },
    };
    const scanner = new LineScanner(LINE_FORMATS, sink, tables);
    this.scanner = scanner;
    this.facts = new FactText((found) => report.add(found));
    this.traces = new TraceScanner({
      found: (found) => report.add(found),
      others: (text) => {
        this.facts.push(text, scanner.lines);
        scanner.push(text);
        this.tableText.push(text);
      },
      skip: (lines) => scanner.skip(lines),
      get lines() {
        return scanner.lines;
      },
    });
  }

  /** Another input. @param name as it is told in positions */
  begin(name: string): void {
    this.end();
    this.scanner.begin(name);
    this.traces.begin(name);
    this.facts.begin(name);
    this.name = name;
  }

  /** A piece of text of the input; it may end amid a line. */
  push(text: string): void {
    this.traces.push(text);
  }

  /** A whole input that is an ACPI table. @returns whether it is one */
  addTable(data: Uint8Array): boolean {
    const table = readTable(data);
    if (table !== null) this.acpi.push({ input: this.name ?? '-', table });
    return table !== null;
  }

  /** The groups of the report, with what the ACPI tables among the inputs say of their requesters and addresses. */
  get groups(): Group[] {
    const tables = this.acpi.map(({ table }) => table);
    if (tables.length === 0) return this.report.groups;
    return this.report.groups.map((group) => {
      const { finding, pages } = group;
      const isMemory = finding.address !== null && finding.address.space !== 'interrupt index';
      const placed = placementOf(finding, isMemory ? pages.map(({ page }) => page) : [], tables);
      if (placed === null) return group;
      const details = joined([...finding.details, ...placed.details]);
      return { ...group, finding: { ...finding, details, causes: withCauses(finding.causes, placed.causes) } };
    });
  }

  private addTextTable({ bytes, differs, missing }: TableFromText): void {
    if (!this.addTable(bytes)) return;
    const { remarks } = (this.acpi.at(-1) as ExplainedTable).table.root;
    if (missing > 0)
      remarks.push({
        severity: 'warning',
        offset: 0,
        text: `${missing} bytes of the table are in no line of the text, and were read as 0`,
        mend: 'give the whole text, or the binary table',
      });
    if (differs)
      remarks.push({
        severity: 'warning',
        offset: 0,
        text: "the text's fields differ from its hexadecimal lines, and the latter were read",
        mend: 'compile the text (iasl FILE.dsl) and give the table that comes out',
      });
  }

  /** The end of the input, or of all. */
  end(): void {
    this.traces.end();
    this.scanner.end();
    this.tableText.end();
    this.facts.end();
    if (this.name !== null) this.inputs.push({ name: this.name, lines: this.scanner.lines });
    this.name = null;
  }
}

/** Details of one name in one. */
function joined(details: readonly Detail[]): Detail[] {
  const byName = new Map<string, string>();
  for (const [name, value] of details) byName.set(name, byName.has(name) ? `${byName.get(name)}; ${value}` : value);
  return [...byName];
}

/** Explains a text as a whole. */
export function explain(text: string, name = '-'): Report {
  const explainer = new Explainer();
  explainer.begin(name);
  explainer.push(text);
  explainer.end();
  return explainer.report;
}
