/** Who did it: the columns of a story. */
export type Lane = 'driver' | 'device' | 'iommu' | 'memory';

export interface LogLine {
  readonly lane: Lane;
  readonly text: string;
}

/**
 * What happened, in lines that a kernel engineer would write. Off during a search; on for one run when its story is
 * told. Callers test {@link on} before they build a line.
 */
export class EventLog {
  on = false;
  private lines: LogLine[] = [];

  say(lane: Lane, text: string): void {
    if (this.on) this.lines.push({ lane, text });
  }

  /** Lines since the last call. */
  take(): LogLine[] {
    const lines = this.lines;
    this.lines = [];
    return lines;
  }
}
