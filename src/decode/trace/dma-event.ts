/**
 * Maps, unmaps, allocations and frees of the kernel's DMA API (`dma:` events, include/trace/events/dma.h, Linux 6.12 and later): unlike those of `iommu:`, they name
 * the device, the direction, and the buffer to the byte.
 *
 * Old and new names: `dma_map_page` and `dma_map_resource` until 6.17, `dma_map_phys` since; `dma_alloc_pages` and `dma_alloc_sgt` since 6.13, and with them `dir=` of
 * allocations. Addresses are hexadecimal without `0x`, sizes decimal; lists are `{0x…,0x…}`.
 */
import { QemuEvent } from './qemu-event.ts';
import type { EventKind } from './trace-event.ts';
import { DAMAGED, DMA_MAP, DMA_MAP_FAILED, DMA_UNMAP, DMA_UNMAP_LIST, NONE, OTHER } from './trace-event.ts';

/** As in enum dma_data_direction. */
export const BIDIRECTIONAL = 0;
export const TO_DEVICE = 1;
export const FROM_DEVICE = 2;
const UNKNOWN_DIRECTION = 3;

/** Entries of a list that the events have at most. */
export const MAX_PARTS = 128;

/** Ranges of bytes beyond this are not exact as numbers; no IOMMU translates so much. */
const MAX_ADDRESS = 2 ** 53;

const OPEN = 0x7b;
const CLOSE = 0x7d;
const COMMA = 0x2c;

export abstract class DmaEvent extends QemuEvent {
  /** Of the buffers: {@link BIDIRECTIONAL}, …. */
  direction = BIDIRECTIONAL;
  /** Buffers of the event: bytes `starts[i]` … before `starts[i]` + `sizes[i]`. */
  parts = 0;
  readonly starts = new Float64Array(MAX_PARTS);
  readonly sizes = new Float64Array(MAX_PARTS);
  /** Physical address of the first entry of a list, by which it is unmapped; -1 for none. */
  list = -1;

  /** The event whose name is at `name` … `end`, behind which the cursor is. */
  protected readDma(name: number, end: number): EventKind {
    if (this.is(name, 'dma_sync_')) return OTHER;
    const isMap = this.is(name, 'dma_map_');
    if (isMap || this.is(name, 'dma_alloc')) {
      if (this.is(end - 4, '_err')) return this.readHead() ? DMA_MAP_FAILED : DAMAGED;
      return end - name === 10 && isMap ? this.readListMap() : this.readOne(DMA_MAP);
    }
    if (this.is(name, 'dma_unmap_sg')) return this.readListUnmap();
    return this.is(name, 'dma_unmap_') || this.is(name, 'dma_free') ? this.readOne(DMA_UNMAP) : NONE;
  }

  /** `DEVICE [dir=DIRECTION]` */
  private readHead(): boolean {
    const { text, last } = this;
    this.deviceStart = this.at;
    while (this.at < last && text.charCodeAt(this.at) > 0x20) this.at++;
    this.deviceEnd = this.at;
    this.list = -1;
    this.parts = 0;
    // Allocations are for both, and did not say so at first.
    this.direction = BIDIRECTIONAL;
    if (!this.skipKey('dir=')) return this.deviceEnd > this.deviceStart;
    if (this.skipKey('TO_DEVICE')) this.direction = TO_DEVICE;
    else if (this.skipKey('FROM_DEVICE')) this.direction = FROM_DEVICE;
    else if (!this.skipKey('BIDIRECTIONAL')) {
      this.direction = UNKNOWN_DIRECTION;
      return this.skipKey('NONE');
    }
    return true;
  }

  /** `dma_addr=… size=…`; what could not be mapped has the address of all ones, what could not be allocated that of 0. */
  private readOne(kind: EventKind): EventKind {
    if (!this.readHead() || !this.skipKey('dma_addr=') || !this.readHex()) return DAMAGED;
    const isError = (this.low & this.high) === -1;
    const start = this.number();
    if (!this.skipKey('size=')) return DAMAGED;
    const size = this.readCount();
    if (isError) return DMA_MAP_FAILED;
    if (kind === DMA_MAP && this.skipKey('virt_addr=') && (this.is(this.at, '(n') || this.isZero()))
      return DMA_MAP_FAILED;
    if (size === 0 || start + size > MAX_ADDRESS) return DAMAGED;
    this.parts = 1;
    this.starts[0] = start;
    this.sizes[0] = size;
    return kind;
  }

  /** `nents=… ents=… dma_addrs={…} sizes={…} phys_addrs={…}`, of which early kernels have no counts. A list that goes on beyond what is told is known in part. */
  private readListMap(): EventKind {
    if (!this.readHead() || !this.seekKey('dma_addrs=')) return DAMAGED;
    const count = this.readList(this.starts);
    if (count < 0 || !this.skipKey('sizes=') || this.readList(this.sizes) !== count) return DAMAGED;
    for (let i = 0; i < count; i++) if (this.starts[i] + this.sizes[i] > MAX_ADDRESS) return DAMAGED;
    if (!this.skipKey('phys_addrs=')) return DAMAGED;
    this.list = this.firstOfList();
    this.parts = count;
    return count === 0 ? DMA_MAP_FAILED : DMA_MAP;
  }

  private readListUnmap(): EventKind {
    if (!this.readHead() || !this.skipKey('phys_addrs=')) return DAMAGED;
    this.list = this.firstOfList();
    return this.list < 0 ? DAMAGED : DMA_UNMAP_LIST;
  }

  /** The key anywhere behind the cursor. */
  private seekKey(key: string): boolean {
    const at = this.text.indexOf(key, this.at);
    if (at < 0 || at >= this.last) return false;
    this.at = at + key.length;
    return true;
  }

  /** `{0x…,0x…}`. @returns how many there were; -1 if it is none, or there are too many */
  private readList(into: Float64Array): number {
    const { text } = this;
    if (text.charCodeAt(this.at) !== OPEN) return -1;
    this.at++;
    if (text.charCodeAt(this.at) === CLOSE) {
      this.at++;
      return 0;
    }
    for (let count = 0; count < MAX_PARTS; ) {
      if (!this.readHex()) return -1;
      into[count++] = this.number();
      const c = text.charCodeAt(this.at++);
      if (c === CLOSE) return count;
      if (c !== COMMA) return -1;
    }
    return -1;
  }

  private firstOfList(): number {
    if (this.text.charCodeAt(this.at) !== OPEN) return -1;
    this.at++;
    return this.readHex() ? this.number() : -1;
  }

  private isZero(): boolean {
    return this.readHex() && (this.low | this.high) === 0;
  }

  private number(): number {
    return (this.high >>> 0) * 2 ** 32 + (this.low >>> 0);
  }
}
