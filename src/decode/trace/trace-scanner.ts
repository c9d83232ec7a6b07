/** Finds a trace in text that comes in pieces, and gives its lines to the analysis. */
import type { Found } from '../finding.ts';
import { NeedleSearch } from '../needle-search.ts';
import { EventLine } from './event-line.ts';
import type { Fault } from './fault-finding.ts';
import { TraceAnalysis } from './trace-analysis.ts';
import { NONE } from './trace-event.ts';
import { timeText } from './wording.ts';

/** Characters of a line that are looked at. */
const MAX_LINE = 16384;
/** Faults of logs that are kept for a trace. */
const MAX_FAULTS = 4096;
/** Text of which every trace of these events has one. */
const SIGNS = new NeedleSearch([
  ...[' iova=0x', ': IOMMU: device=', 'qi_submit:', 'virtio_iommu_map domain='],
  ...['region_add [ram] 0x', 'iommu MAP @ 0x', 'vhost_vdpa_dma_map ', ' ioba=0x', ' dma_addr=', ' dma_addrs={'],
]);
/** Seconds that a fault of a log may lie outside the trace. */
const AROUND = 1;

/** What the scanner gives to. */
export interface TraceSink {
  found(found: Found): void;
  /** Whole lines that are no events: a log's, or anything's; the last of an input may lack its end. */
  others(text: string): void;
  /** Events were read: so many lines less for others. */
  skip(lines: number): void;
  /** Whole lines of the input before what comes next. */
  readonly lines: number;
}

export class TraceScanner {
  private readonly sink: TraceSink;
  private readonly event = new EventLine();
  /** Of this input; null until something of a trace was seen in it. */
  private analysis: TraceAnalysis | null = null;
  /** Of the input before: a log may come after the trace. */
  private previous: TraceAnalysis | null = null;
  private readonly faults: Fault[] = [];
  private input = '-';
  private rest = '';

  constructor(sink: TraceSink) {
    this.sink = sink;
  }

  begin(input: string): void {
    this.input = input;
    this.rest = '';
  }

  /** A piece of the input; it may end amid a line. */
  push(text: string): void {
    const first = text.indexOf('\n') + 1;
    if (first === 0) {
      // What is beyond the limit is not looked at, only that there was more.
      if (this.rest.length <= MAX_LINE) this.rest = (this.rest + text).slice(0, MAX_LINE + 1);
      return;
    }
    // A text that was put together, or cut out, is slower to read than one piece: so the line of two pieces goes alone.
    const begun = this.rest !== '';
    if (begun) {
      const line = this.rest + text.slice(0, first);
      this.take(line, 0, line.length);
    }
    const last = text.lastIndexOf('\n') + 1;
    this.rest = text.slice(last, last + MAX_LINE + 1);
    this.take(text, begun ? first : 0, last);
  }

  /** The end of an input: what the trace says as a whole. */
  end(): void {
    this.take(this.rest, 0, this.rest.length);
    this.rest = '';
    const { analysis } = this;
    if (analysis === null) return;
    this.analysis = null;
    if (analysis.events === 0) return;
    const of = this.faults.filter(({ time }) => isWithin(analysis, time));
    this.faults.length = 0;
    analysis.end(of);
    this.previous = analysis;
  }

  /** What the lines of a log say: a fault among it is kept for the trace, or matched with the one before. */
  saw({ at, finding }: Found): void {
    const { access, address, kind, requester, severity } = finding;
    if (address === null || requester === null || severity !== 'error' || !/^\d+\.\d+$/.test(at.time ?? '')) return;
    if (address.space !== 'IOVA' && address.space !== 'unknown') return;
    const page = Number(address.value >> 12n);
    const offset = Number(address.value & 0xfffn);
    const time = Number(at.time);
    const fault = { page, offset, time, input: at.input, line: at.line, device: requester.text, access, kind };
    if (this.analysis === null && this.previous !== null) {
      if (!isWithin(this.previous, time)) return;
      this.previous.matchNow(fault);
    } else if (this.faults.length < MAX_FAULTS) this.faults.push(fault);
  }

  /** The lines at `from` … `to`. */
  private take(text: string, from: number, to: number): void {
    if (from >= to) return;
    if (this.analysis === null && SIGNS.next(text, from) < 0) this.sink.others(text.slice(from, to));
    else this.scan(text, from, to);
  }

  private scan(text: string, from: number, to: number): void {
    const { event, input, sink } = this;
    this.analysis ??= this.begun();
    const { analysis } = this;
    let { lines } = sink;
    event.open(text);
    // What is no event and has not been given away, and what are events and have not been counted, is one behind the other.
    let others = -1;
    let events = 0;
    for (let at = from; at < to; ) {
      let end = text.indexOf('\n', at);
      if (end < 0) end = to;
      lines++;
      const kind = event.read(at, end - at > MAX_LINE ? at + MAX_LINE : end);
      if (kind === NONE) {
        if (others < 0) others = at;
        if (events > 0) sink.skip(events);
        events = 0;
      } else {
        if (others >= 0) sink.others(text.slice(others, at));
        others = -1;
        events++;
        analysis.take(kind, event, text, input, lines);
      }
      at = end + 1;
    }
    if (others >= 0) sink.others(text.slice(others, to));
    if (events > 0) sink.skip(events);
  }

  private begun(): TraceAnalysis {
    const { input } = this;
    return new TraceAnalysis((finding, line, time, of = input) => {
      this.sink.found({ finding, at: { input: of, line, time: timeText(time) } });
    });
  }
}

function isWithin({ firstTime, lastTime }: TraceAnalysis, time: number): boolean {
  return time >= firstTime - AROUND && time <= lastTime + AROUND;
}
