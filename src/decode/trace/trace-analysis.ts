/** Events of a trace in, findings out: as they come, and at the end. */
import type { Detail, Finding } from '../finding.ts';
import { NOTHING } from '../finding.ts';
import { bufferFinding } from './buffer-finding.ts';
import { isTaken, refusedDescriptor } from './descriptor-check.ts';
import { DmaBuffers } from './dma-buffers.ts';
import type { EventLine } from './event-line.ts';
import type { Fault } from './fault-finding.ts';
import { faultFinding } from './fault-finding.ts';
import { type FaultMatch, matchFault } from './fault-match.ts';
import { FlushWatch, MAX_DOMAINS } from './flush-watch.ts';
import type { TwiceMapped } from './issues.ts';
import { mappedTwice, reused, unmapsMore, unmapsNothing, unmapsPart } from './issues.ts';
import { leftOverFindings } from './left-over.ts';
import { LAYERS, LiveMappings, SAME_RANGE, SAME_TARGET, TAG_BITS } from './live-mappings.ts';
import { Makers } from './makers.ts';
import {
  ATTACH,
  DAMAGED,
  DETACH,
  DMA_MAP,
  DMA_MAP_FAILED,
  DMA_UNMAP,
  DMA_UNMAP_LIST,
  DOMAIN_FREED,
  type EventKind,
  FAULT,
  LOST,
  MAP,
  OTHER,
  QI_SUBMIT,
  UNMAP,
} from './trace-event.ts';
import { summaryDetails } from './trace-summary.ts';
import { countText, domainText } from './wording.ts';

/** Takes a finding of an event. @param time seconds; @param input where the line is, if not in the trace */
export type Emit = (finding: Finding, line: number, time: number, input?: string) => void;

/** Faults that wait for what comes after them; and faults that are matched at all, as each looks through the last unmaps. */
const MAX_WAITING = 4096;
const MAX_MATCHED = 4096;

export class TraceAnalysis {
  /** Of the domain of the last event; of Linux's and VFIO's events, which name none, there is one only. */
  mappings = new LiveMappings();
  /** By domain. */
  readonly spaces: LiveMappings[] = [this.mappings];
  readonly flushes = new FlushWatch();
  readonly makers = new Makers();
  readonly buffers = new DmaBuffers();
  /** Events by {@link EventKind}. */
  readonly counts = new Float64Array(16);
  /** Unmaps of pages that the trace had not mapped. */
  unseen = 0;
  lost = 0;
  firstTime = -1;
  lastTime = 0;
  lastLine = 0;
  private matched = 0;
  /** Faults beyond those. */
  private unmatched = 0;
  private readonly made = new Float64Array(4096);
  private readonly waiting: Fault[] = [];
  private lastLoss = 0;
  private proved = 0;
  /** Unmaps of nothing whose last unmap was looked for, as for faults. */
  private lookedBack = 0;
  private readonly origin = { time: 0, line: 0, target: -1, tag: 0, other: 0 };
  private readonly emit: Emit;

  constructor(emit: Emit) {
    this.emit = emit;
  }

  /** Events that it has understood. */
  get events(): number {
    const { counts } = this;
    const ofIommu = counts[MAP] + counts[UNMAP] + counts[FAULT] + counts[QI_SUBMIT] + counts[ATTACH] + counts[DETACH];
    return ofIommu + counts[DMA_MAP] + counts[DMA_MAP_FAILED] + counts[DMA_UNMAP] + counts[DMA_UNMAP_LIST];
  }

  /** Whether there are signs of several domains with addresses in common. */
  get severalDomains(): boolean {
    return this.flushes.domains.length > 1 || this.resolved > 0;
  }

  /** Maps of mapped addresses of which both were unmapped, one after the other: they were of two domains. */
  get resolved(): number {
    const [{ layers, met, unlayered }] = this.spaces;
    let open = 0;
    for (let i = 1; i < layers.length; i++) open += layers[i].size;
    return Math.max(0, met - unlayered - this.proved - open);
  }

  /** @param kind what `event` read in `text` */
  take(kind: EventKind, event: EventLine, text: string, input: string, line: number): void {
    this.counts[kind]++;
    if (kind === LOST) {
      this.lost += event.lost;
      this.lastLoss = line;
      return;
    }
    if (kind === DAMAGED || kind === OTHER) return;
    if (event.domain !== this.mappings.domain && !this.enter(event.domain)) return;
    if (this.firstTime < 0) this.firstTime = event.time;
    this.lastTime = event.time;
    this.lastLine = line;
    if (kind === MAP) this.map(event, text, line);
    else if (kind === UNMAP) this.unmap(event, text, line);
    else if (kind >= DMA_MAP) this.buffer(kind, event, text, line);
    else if (kind === QI_SUBMIT) {
      this.flushes.submit(event.halves);
      if (!isTaken(event.halves)) this.emit(refusedDescriptor(event.halves), line, event.time);
    } else if (kind === DOMAIN_FREED)
      this.spaces[this.spaces.indexOf(this.mappings)] = this.mappings = new LiveMappings(event.domain);
    else if (kind === FAULT) {
      const device = text.slice(event.deviceStart, event.deviceEnd);
      const { isWrite, offset, start, time } = event;
      this.fault({ page: start, offset, time, input, line, device, access: isWrite ? 'write' : 'read', kind: null });
    }
  }

  /** A fault of the trace, or of a log of the same time. What may become clear only later waits for the end. */
  fault(fault: Fault): void {
    if (this.matched >= MAX_MATCHED) {
      this.unmatched++;
      return;
    }
    const { cause } = this.buffers.match(fault) ?? this.match(fault);
    const isClear = cause === 'mapped' || cause === 'unmapped';
    if (!isClear && this.waiting.length < MAX_WAITING) this.waiting.push(fault);
    else this.tellFault(fault);
  }

  /** Matches a fault with all that the trace had, or has until now. */
  matchNow(fault: Fault): void {
    if (this.matched >= MAX_MATCHED) this.unmatched++;
    else this.tellFault(fault);
  }

  /** The end of the trace. @param faults of logs of the same time */
  end(faults: readonly Fault[] = []): void {
    for (const fault of [...this.waiting, ...faults]) this.matchNow(fault);
    this.waiting.length = 0;
    for (const space of this.spaces) {
      this.mappings = space;
      this.endTwice();
      const of = space.domain < 0 ? '' : ` (${domainText(space.domain)})`;
      const name = (maker: number) => `${this.makers.name(maker)}${of}`;
      const left = leftOverFindings(space, name, (maker) => this.made[maker], this.lastTime);
      for (const { finding, line } of left) this.emit(finding, line, this.lastTime);
    }
    this.mappings = this.spaces[0];
    this.emit(this.summary(), this.lastLine, this.lastTime);
  }

  /** @returns false where there are more domains than are told apart */
  private enter(domain: number): boolean {
    let space = this.spaces.find((one) => one.domain === domain);
    if (space === undefined) {
      if (this.spaces.length > MAX_DOMAINS) return false;
      space = new LiveMappings(domain);
      this.spaces.push(space);
    }
    this.mappings = space;
    return true;
  }

  /** What the domains say, of which any may be the one of the device: the first that knows of the page. */
  private match({ page, time }: Fault): FaultMatch {
    const matches = this.spaces.map((space) => matchFault(space, page, page + 1, time));
    return matches.find(({ cause }) => cause !== 'none') ?? matches[0];
  }

  /** A buffer of the device itself tells more than pages, of which nobody says whose they are. */
  private tellFault(fault: Fault): void {
    this.matched++;
    const { buffers, makers } = this;
    const buffer = buffers.match(fault);
    const match = buffer ?? this.match(fault);
    const maker = makers.name(match.maker);
    const finding =
      buffer === null ? faultFinding(fault, match, maker, buffers.others(fault)) : bufferFinding(fault, buffer, maker);
    this.emit(finding, fault.line, fault.time, fault.input);
  }

  private buffer(kind: EventKind, event: EventLine, text: string, line: number): void {
    if (kind === DMA_MAP_FAILED) {
      this.buffers.failed++;
      return;
    }
    event.findTask();
    const maker = this.makers.intern(text, event.taskStart, event.taskEnd);
    if (kind === DMA_MAP) this.buffers.map(event, text, line, maker);
    else if (kind === DMA_UNMAP) this.buffers.unmap(event, text, line, maker);
    else this.buffers.unmapList(event, text, line, maker);
  }

  private map(event: EventLine, text: string, line: number): void {
    const { end, start, target, time } = event;
    event.findTask();
    const maker = this.makers.intern(text, event.taskStart, event.taskEnd);
    this.made[maker]++;
    const { pending } = this.flushes;
    if (pending.size > 0 && pending.find(start, end)) {
      this.emit(reused(this.makers.name(maker), start, end, time, pending.found, !this.severalDomains), line, time);
      pending.remove(start, end);
    }
    this.mappings.map(start, end, target, time, line, maker);
  }

  private unmap(event: EventLine, text: string, line: number): void {
    const { end, time, unmapped } = event;
    let { start } = event;
    const size = end - start;
    event.findTask();
    const maker = this.makers.intern(text, event.taskStart, event.taskEnd);
    if (unmapped < size) this.unmapLess(start, size, unmapped, maker, time, line);
    else if (unmapped > size) {
      this.emit(unmapsMore(this.makers.name(maker), start, size, unmapped), line, time);
      // A large page lies at a multiple of its size.
      if (Number.isInteger(Math.log2(unmapped))) start -= start % unmapped;
    }
    if (unmapped === 0) return;
    if (this.mappings.unmap(start, size, unmapped, time, line, maker) === 'unseen') this.unseen++;
    const { flushes, origin } = this;
    if (!flushes.isOn) return;
    origin.time = time;
    origin.line = line;
    origin.tag = maker;
    flushes.unmapped(start, start + unmapped, origin);
  }

  private unmapLess(start: number, size: number, unmapped: number, maker: number, time: number, line: number): void {
    const name = this.makers.name(maker);
    if (unmapped > 0) {
      this.emit(unmapsPart(name, start, size, unmapped), line, time);
      return;
    }
    const { first, history } = this.mappings;
    const end = start + size;
    const met = this.mappings.unmap(start, size, 0, time, line, maker);
    if (met === 'twice') {
      this.proved++;
      this.emit(mappedTwice({ ...this.twice(first, start, end), proved: true }), line, time);
    } else {
      const before = this.lookedBack++ < MAX_MATCHED && history.find(start, end) >= 0 ? history.line : 0;
      this.emit(unmapsNothing(name, start, end, met, first.line, before), line, time);
    }
  }

  /** What is in an upper layer still was mapped twice, or is of another domain. */
  private endTwice(): void {
    const { layers } = this.mappings;
    const found: { line: number; time: number; twice: TwiceMapped }[] = [];
    for (const layer of layers.slice(1)) {
      layer.each(() => {
        const { found: of, foundEnd, foundStart } = layer;
        found.push({ line: of.line, time: of.time, twice: this.twice({ ...of }, foundStart, foundEnd) });
      });
    }
    found.sort((a, b) => a.line - b.line);
    for (const { line, time, twice } of found) this.emit(mappedTwice(twice), line, time);
  }

  private twice(of: TwiceMapped['of'], start: number, end: number): TwiceMapped {
    const how = of.tag % (1 << TAG_BITS);
    const { domain } = this.mappings;
    return {
      ...{
        start,
        end,
        of,
        proved: false,
        domain,
        severalDomains: domain < 0 && this.severalDomains,
        afterLoss: of.other < this.lastLoss,
      },
      maker: this.makers.name(Math.floor(of.tag / (1 << TAG_BITS))),
      sameRange: (how & SAME_RANGE) !== 0,
      sameTarget: (how & SAME_TARGET) !== 0,
    };
  }

  private summary(): Finding {
    const details: Detail[] = summaryDetails(this);
    const { unlayered } = this.mappings;
    if (this.unmatched > 0)
      details.push([
        'not matched',
        `${countText(this.unmatched, 'fault')}: after so many, no more are looked for in the trace`,
      ]);
    if (unlayered > 0)
      details.push([
        'left out',
        `${countText(unlayered, 'map')} of addresses that were mapped ${LAYERS} times already`,
      ]);
    return {
      ...NOTHING,
      kind: 'trace.summary',
      model: 'linux',
      severity: this.lost > 0 ? 'warning' : 'info',
      summary: 'trace of iommu events',
      details,
    };
  }
}
