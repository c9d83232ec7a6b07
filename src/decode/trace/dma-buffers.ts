/** Buffers of the DMA API: what each device may use, to the byte, and what it might. */
import type { DmaEvent } from './dma-event.ts';
import type { Fault } from './fault-finding.ts';
import { type FaultMatch, matchFault } from './fault-match.ts';
import { LiveMappings } from './live-mappings.ts';
import { Makers, OTHERS } from './makers.ts';

const PAGE = 4096;
/** Bytes behind a buffer at which a device that ran over its end is looked for. */
const REACH = 16 * PAGE;
/** Lists of a device whose entries are kept until they are unmapped. */
const MAX_LISTS = 65_536;
const DIRECTIONS = 4;

/** Start and size by turns. */
type List = Float64Array;

interface Device {
  readonly buffers: LiveMappings;
  /** By the physical address of the first entry: the kernel tells no other when it unmaps them. */
  readonly lists: Map<number, List>;
}

/** As a {@link FaultMatch}, in bytes; its maker is a task. */
export interface BufferMatch extends FaultMatch {
  readonly direction: number;
}

export class DmaBuffers {
  maps = 0;
  unmaps = 0;
  failed = 0;
  /** Unmaps of lists that the trace had not mapped. */
  unseen = 0;
  private readonly names = new Makers();
  private readonly devices: Device[] = [];

  /** Devices that have had a buffer. */
  get count(): number {
    return this.devices.filter((device) => device !== undefined).length;
  }

  /** @param maker number of the task */
  map(event: DmaEvent, text: string, line: number, maker: number): void {
    this.maps++;
    const device = this.device(event, text);
    if (device === null) return;
    const { direction, list, parts, sizes, starts, time } = event;
    for (let i = 0; i < parts; i++) {
      if (sizes[i] > 0)
        device.buffers.map(starts[i], starts[i] + sizes[i], -1, time, line, maker * DIRECTIONS + direction);
    }
    if (list < 0 || (device.lists.size >= MAX_LISTS && !device.lists.has(list))) return;
    const entries = new Float64Array(2 * parts);
    for (let i = 0; i < parts; i++) entries.set([starts[i], sizes[i]], 2 * i);
    device.lists.set(list, entries);
  }

  unmap(event: DmaEvent, text: string, line: number, maker: number): void {
    this.unmaps++;
    const device = this.device(event, text);
    if (device === null) return;
    this.drop(device, event, event.starts[0], event.sizes[0], line, maker);
  }

  unmapList(event: DmaEvent, text: string, line: number, maker: number): void {
    this.unmaps++;
    const device = this.device(event, text);
    const list = device?.lists.get(event.list);
    if (device === null || list === undefined) {
      this.unseen++;
      return;
    }
    device.lists.delete(event.list);
    for (let i = 0; i < list.length; i += 2) {
      if (list[i + 1] > 0) this.drop(device, event, list[i], list[i + 1], line, maker);
    }
  }

  /** What the buffers of the device that is in fault say; null if they say nothing, or there are none. */
  match({ device: name, offset, page, time }: Fault): BufferMatch | null {
    const device = this.devices[this.names.find(plainName(name))];
    if (device === undefined) return null;
    const at = page * PAGE + offset;
    const exact = matchFault(device.buffers, at, at + 1, time, REACH);
    // Most units tell the page only: then any buffer in it is meant, if none is where the page begins.
    const isVague = offset === 0 && (exact.cause === 'none' || exact.cause === 'behind');
    const inPage = isVague ? matchFault(device.buffers, at, at + PAGE, time, REACH) : exact;
    const match = inPage.cause === 'none' ? exact : inPage;
    if (match.cause === 'none') return null;
    return { ...match, maker: Math.floor(match.maker / DIRECTIONS), direction: match.maker % DIRECTIONS };
  }

  /** Other devices that had a buffer in the page at the time. */
  others({ device: name, page, time }: Fault): string[] {
    const own = this.names.find(plainName(name));
    return this.devices.flatMap((device, i) => {
      if (device === undefined || i === own) return [];
      const { cause } = matchFault(device.buffers, page * PAGE, (page + 1) * PAGE, time, 0);
      return cause === 'mapped' ? [this.names.name(i)] : [];
    });
  }

  private drop(
    { buffers }: Device,
    { direction, time }: DmaEvent,
    start: number,
    size: number,
    line: number,
    maker: number,
  ): void {
    buffers.unmap(start, size, size, time, line, maker * DIRECTIONS + direction);
  }

  /** Null where there are more devices than are told apart. */
  private device({ deviceEnd, deviceStart }: DmaEvent, text: string): Device | null {
    const from = text.startsWith('0000:', deviceStart) ? deviceStart + 5 : deviceStart;
    const id = this.names.intern(text, from, deviceEnd);
    if (id === OTHERS) return null;
    this.devices[id] ??= { buffers: new LiveMappings(), lists: new Map() };
    return this.devices[id];
  }
}

/** Logs may leave out the segment where it is 0. */
function plainName(name: string): string {
  return name.replace(/^0000:/, '');
}
