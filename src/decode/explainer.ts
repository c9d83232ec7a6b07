/** Text in, a {@link Report} out: logs in pieces, of any size. */
import type { Tables } from './dump/tables.ts';
import type { Found, Position } from './finding.ts';
import { LINE_FORMATS } from './formats.ts';
import { LineScanner } from './line-scanner.ts';
import { Report } from './report.ts';

export interface InputSummary {
  readonly name: string;
  readonly lines: number;
}

export class Explainer {
  readonly report = new Report();
  readonly inputs: InputSummary[] = [];
  private readonly scanner: LineScanner;
  private name: string | null = null;

  /** @param tables keeps what dumps say of memory, if it is to be walked */
  constructor(tables: Tables | null = null) {
    const { report } = this;
    const sink = {
      found: (found: Found) => report.add(found),
      unknown: (line: string, at: Position) => report.addUnknown(line, at),
      cut: () => {
        report.cutCount++;
      },
    };
    this.scanner = new LineScanner(LINE_FORMATS, sink, tables);
  }

  /** Another input. @param name as it is told in positions */
  begin(name: string): void {
    this.end();
    this.scanner.begin(name);
    this.name = name;
  }

  /** A piece of text of the input; it may end amid a line. */
  push(text: string): void {
    this.scanner.push(text);
  }

  /** The end of the input, or of all. */
  end(): void {
    this.scanner.end();
    if (this.name !== null) this.inputs.push({ name: this.name, lines: this.scanner.lines });
    this.name = null;
  }
}

/** Explains a text as a whole. */
export function explain(text: string, name = '-'): Report {
  const explainer = new Explainer();
  explainer.begin(name);
  explainer.push(text);
  explainer.end();
  return explainer.report;
}
