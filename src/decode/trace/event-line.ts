/**
 * One line of a trace, read where it stands in the text: no part of it becomes a string.
 *
 * ftrace: `task-pid [cpu] flags time: event: …`; `trace-cmd report`: the same, the event padded; `perf script`: `task pid [cpu] time: group:event: …`;
 * a console dump of ftrace: `task-pid cpu+flags 123us : event: …`; QEMU's `-trace`: `[pid@time:]event …` (`qemu-event.ts`). Bodies: include/trace/events/iommu.h and drivers/iommu/intel/trace.h of Linux.
 */

import { DmaEvent } from './dma-event.ts';
import { isDigit, PAGE_BYTES, SPACE } from './line-cursor.ts';
import type { EventKind } from './trace-event.ts';
import { ATTACH, DAMAGED, DETACH, FAULT, LOST, MAP, NONE, OTHER, PAGES, QI_SUBMIT, UNMAP } from './trace-event.ts';

/** Of include/linux/iommu.h: drivers give the event this, or 0 for a read. */
const IOMMU_FAULT_WRITE = 1;
const COLON = 0x3a;
const MINUS = 0x2d;
const EQUALS = 0x3d;

export class EventLine extends DmaEvent {
  /** The line says itself who made the event. */
  private hasMaker = false;
  /** The first colon from `colonFrom` on. */
  private colon = -1;
  private colonFrom = 0;
  private timeStart = 0;

  /** The text whose lines are read next. */
  open(text: string): void {
    this.text = text;
    this.colon = -1;
  }

  /** Reads the line at `from` … `to` of the text. */
  read(from: number, to: number): EventKind {
    const { text } = this;
    this.lineStart = from;
    this.last = to;
    this.domain = -1;
    this.hasMaker = false;
    this.deviceStart = this.deviceEnd = 0;
    const colon = this.findTime(from);
    if (colon < 0) {
      const lost = this.readLost(from);
      return lost === NONE ? this.readTraced(from) : lost;
    }
    this.at = colon + 2;
    this.skipSpaces();
    let name = this.at;
    let end = this.nameEnd(name);
    if (end < 0) return NONE;
    // `iommu:map:` of perf.
    if (text.charCodeAt(end + 1) !== SPACE) {
      name = end + 1;
      end = this.nameEnd(name);
      if (end < 0) return NONE;
    }
    this.at = end + 1;
    this.skipSpaces();
    switch (end - name) {
      case 3:
        return this.is(name, 'map') ? this.readMap() : NONE;
      case 5:
        return this.is(name, 'unmap') ? this.readUnmap() : NONE;
      case 9:
        return this.is(name, 'qi_submit') ? this.readSubmit() : this.readOther(name, end);
      case 13:
        return this.is(name, 'io_page_fault') ? this.readFault() : this.readOther(name, end);
      case 23:
        return this.is(name, 'attach_device_to_domain') ? this.readDevice(ATTACH) : NONE;
      case 25:
        return this.is(name, 'detach_device_from_domain') ? this.readDevice(DETACH) : NONE;
      case 10:
        return this.is(name, 'prq_report') ? OTHER : this.readOther(name, end);
      default:
        return this.readOther(name, end);
    }
  }

  private readOther(name: number, end: number): EventKind {
    if (this.is(name, 'dma_')) return this.readDma(name, end);
    return this.is(name, 'cache_tag_') ? OTHER : NONE;
  }

  /** Finds the name of the task, without its number, of the line that was read last. */
  findTask(): void {
    if (this.hasMaker) return;
    const { text, lineStart } = this;
    let at = this.backOverSpaces(this.timeStart);
    if (text.charCodeAt(at - 1) !== 0x5d) at = this.backOverSpaces(this.backOverToken(at));
    if (text.charCodeAt(at - 1) === 0x5d) at = this.backOverSpaces(this.backTo(at, 0x5b));
    // The number of the process, where ftrace was asked for it.
    if (text.charCodeAt(at - 1) === 0x29 && text.charCodeAt(at - 2) !== 0x28) {
      const open = this.backTo(at, 0x28);
      if (open > lineStart && text.charCodeAt(open - 1) === SPACE) at = this.backOverSpaces(open);
    }
    const digitsEnd = at;
    while (at > lineStart && (isDigit(text.charCodeAt(at - 1)) || text.charCodeAt(at - 1) === 0x2f)) at--;
    if (at > lineStart && text.charCodeAt(at - 1) === MINUS) at--;
    else if (at > lineStart && text.charCodeAt(at - 1) === SPACE) at = this.backOverSpaces(at);
    else at = digitsEnd;
    let start = lineStart;
    while (start < at && text.charCodeAt(start) <= SPACE) start++;
    this.taskStart = start;
    this.taskEnd = at;
  }

  /** Finds `seconds.fraction: `, or `123us : `. @returns where its colon is, -1 if nowhere */
  private findTime(from: number): number {
    const { text, last } = this;
    for (let i = this.nextColon(from); i < last - 1; i = this.nextColon(i + 1)) {
      if (i === from || text.charCodeAt(i + 1) !== SPACE) continue;
      if (isDigit(text.charCodeAt(i - 1))) {
        if (this.takeSeconds(i, from)) return i;
      } else if (this.takeMicroseconds(i, from)) return i;
    }
    return -1;
  }

  /** The first colon from `from` on, in this line or a later one: what is known of later ones is not looked for again. */
  private nextColon(from: number): number {
    if (this.colon < from || this.colonFrom > from) {
      const at = this.text.indexOf(':', from);
      this.colon = at < 0 ? Infinity : at;
      this.colonFrom = from;
    }
    return this.colon;
  }

  private takeSeconds(colon: number, from: number): boolean {
    const { text } = this;
    let at = colon;
    let fraction = 0;
    let scale = 1;
    for (; at > from && isDigit(text.charCodeAt(at - 1)); at--) {
      fraction += (text.charCodeAt(at - 1) - 48) * scale;
      scale *= 10;
    }
    if (at === from || text.charCodeAt(at - 1) !== 0x2e || scale > 1e9) return false;
    let seconds = 0;
    let weight = 1;
    for (at--; at > from && isDigit(text.charCodeAt(at - 1)) && weight < 1e12; at--) {
      seconds += (text.charCodeAt(at - 1) - 48) * weight;
      weight *= 10;
    }
    this.time = seconds + fraction / scale;
    this.timeStart = at;
    return weight > 1;
  }

  /** A character that marks a delay stands before the colon. */
  private takeMicroseconds(colon: number, from: number): boolean {
    const { text } = this;
    let at = colon - 3;
    if (at <= from || text.charCodeAt(at) !== 0x75 || text.charCodeAt(at + 1) !== 0x73) return false;
    let micros = 0;
    let weight = 1;
    for (; at > from && isDigit(text.charCodeAt(at - 1)) && weight < 1e15; at--) {
      micros += (text.charCodeAt(at - 1) - 48) * weight;
      weight *= 10;
    }
    this.time = micros / 1e6;
    this.timeStart = at;
    return weight > 1;
  }

  /** Where the colon behind a name is; -1 if it is none. */
  private nameEnd(from: number): number {
    const { text } = this;
    const last = Math.min(this.last, from + 40);
    for (let i = from; i < last; i++) {
      const c = text.charCodeAt(i);
      if (c === COLON) return i === from ? -1 : i;
      if (c <= SPACE) return -1;
    }
    return -1;
  }

  private readMap(): EventKind {
    if (this.readFixedRange() && this.isFixed(this.at + 51, 7) && this.readFixedHex(this.at + 60)) {
      this.target = this.page();
      this.at += 82;
    } else if (!this.readFreeMap()) return DAMAGED;
    const pages = this.readSize();
    this.end = this.start + pages;
    return pages > 0 && this.end <= PAGES ? MAP : DAMAGED;
  }

  /** Of kernels without the end of the range, or with the device. */
  private readFreeMap(): boolean {
    if (!this.readRange() || !this.skipKey('paddr=') || !this.readHex()) return false;
    this.target = this.page();
    return this.skipKey('size=');
  }

  private readUnmap(): EventKind {
    if (this.readFixedRange() && this.isFixed(this.at + 51, 6)) this.at += 57;
    else if (!this.readRange() || !this.skipKey('size=')) return DAMAGED;
    const pages = this.readSize();
    if (!this.skipKey('unmapped_size=')) return DAMAGED;
    this.unmapped = this.readSize();
    this.end = this.start + pages;
    return pages > 0 && this.unmapped >= 0 && this.end <= PAGES && this.start + this.unmapped <= PAGES
      ? UNMAP
      : DAMAGED;
  }

  /** `IOMMU: iova=0x… - 0x…`, all digits written, as most lines have it; else nothing is read. The end is the sum of the start and the size. */
  private readFixedRange(): boolean {
    const { at, text } = this;
    if (at + 60 > this.last || !this.isFixed(at + 6, 6) || text.charCodeAt(at + 31) !== MINUS) return false;
    if (text.charCodeAt(at + 51) !== SPACE || !this.readFixedHex(at + 14) || (this.low & (PAGE_BYTES - 1)) !== 0)
      return false;
    this.start = this.page();
    return true;
  }

  /** A space, a word of `length` − 2 letters and a `=`. */
  private isFixed(at: number, length: number): boolean {
    return this.text.charCodeAt(at) === SPACE && this.text.charCodeAt(at + length - 1) === EQUALS;
  }

  /** `IOMMU: [dev=NAME ]iova=0x…[ - 0x…]` */
  private readRange(): boolean {
    if (!this.skipKey('IOMMU:')) return false;
    if (this.skipKey('dev=')) this.takeDevice();
    if (!this.skipKey('iova=') || !this.readHex() || (this.low & (PAGE_BYTES - 1)) !== 0) return false;
    this.start = this.page();
    // The end is the sum of the first and the size.
    if (this.text.charCodeAt(this.at + 1) === MINUS) {
      this.at += 2;
      this.skipSpaces();
      if (!this.readHex()) return false;
    }
    return true;
  }

  /** `IOMMU:DRIVER DEVICE iova=0x… flags=0x…` */
  private readFault(): EventKind {
    if (!this.skipKey('IOMMU:')) return DAMAGED;
    this.takeDevice();
    this.skipSpaces();
    // A driver's name may be empty, or have spaces: the last word before the address is the device.
    while (!this.is(this.at, 'iova=')) {
      if (this.at >= this.last) return DAMAGED;
      this.takeDevice();
      this.skipSpaces();
    }
    this.at += 5;
    if (!this.readHex()) return DAMAGED;
    this.start = this.page();
    this.offset = this.low & (PAGE_BYTES - 1);
    this.isWrite = this.skipKey('flags=') && this.readHex() && (this.low & IOMMU_FAULT_WRITE) !== 0;
    return FAULT;
  }

  /** `KIND UNIT: 0x… 0x… 0x… 0x…` */
  private readSubmit(): EventKind {
    const { text, last } = this;
    while (this.at < last && text.charCodeAt(this.at) !== COLON) this.at++;
    this.at++;
    for (let i = 0; i < 4; i++) {
      this.skipSpaces();
      if (!this.readHex()) return DAMAGED;
      this.halves[2 * i] = this.low;
      this.halves[2 * i + 1] = this.high;
    }
    return QI_SUBMIT;
  }

  private readDevice(kind: EventKind): EventKind {
    if (!this.skipKey('IOMMU:') || !this.skipKey('device=')) return DAMAGED;
    this.takeDevice();
    return kind;
  }

  /** `CPU:0 [LOST 12 EVENTS]` of ftrace, `CPU:0 [12 EVENTS DROPPED]` of trace-cmd, and the count of a buffer that ran over. */
  private readLost(from: number): EventKind {
    this.at = from;
    if (this.skipKey('# entries-in-buffer/entries-written:')) {
      const kept = this.readCount();
      this.at++;
      this.lost = this.readCount() - kept;
      return this.lost > 0 ? LOST : NONE;
    }
    if (!this.skipKey('CPU:')) return NONE;
    this.readCount();
    if (!this.skipKey('[')) return NONE;
    const named = this.skipKey('LOST');
    this.lost = Math.max(1, this.readCount());
    return named || this.skipKey('EVENTS DROPPED') ? LOST : NONE;
  }

  /** A line of QEMU's `-trace`, with `pid@time:` before it or not. */
  private readTraced(from: number): EventKind {
    this.at = from;
    if (isDigit(this.text.charCodeAt(from))) {
      const colon = this.nextColon(from);
      if (colon >= this.last || !this.takeSeconds(colon, from)) return NONE;
      this.at = colon + 1;
    }
    this.hasMaker = true;
    return this.readQemu();
  }

  private takeDevice(): void {
    const { text, last } = this;
    this.deviceStart = this.at;
    while (this.at < last && text.charCodeAt(this.at) > SPACE) this.at++;
    this.deviceEnd = this.at;
  }
}
