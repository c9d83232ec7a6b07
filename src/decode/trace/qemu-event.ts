/**
 * Maps and unmaps of QEMU's `-trace`: of its virtio-iommu (a request to unmap is told first; what was unmapped, by a line a mapping), of VFIO's container and
 * IOMMU notifier, of iommufd, of vDPA, and of pSeries' hypercalls on TCEs. What failed is none of ours: its line is a log's.
 */
import { PAGE_BYTES } from './line-cursor.ts';
import type { EventKind } from './trace-event.ts';
import { DAMAGED, DOMAIN_FREED, MAP, NONE, OTHER, PAGES, TraceEvent, UNMAP } from './trace-event.ts';

/** Ids of domains of different makers, kept apart: each has so many. */
export const DOMAIN_IDS = 2 ** 33;
/** What the ids are, by maker. */
export const DOMAIN_KINDS = ['domain', 'IOAS', 'ASID', 'LIOBN'] as const;
const [, IOAS, ASID, LIOBN] = [0, 1, 2, 3];

/** A bit for reading and one for writing; a TCE without them permits nothing (LoPAR: Page Mapping and Control). */
const TCE_PERMISSIONS = 3;

export class QemuEvent extends TraceEvent {
  /** The event whose name is at the cursor. */
  protected readQemu(): EventKind {
    const name = this.at;
    switch (this.text.charCodeAt(name)) {
      case 0x76:
        if (this.is(name, 'virtio_iommu_')) return this.readVirtio(name);
        if (this.is(name, 'vfio_')) return this.readVfio(name);
        return this.is(name, 'vhost_vdpa_dma_') ? this.readVdpa(name) : NONE;
      case 0x69:
        return this.is(name, 'iommufd_backend_') ? this.readIommufd(name) : NONE;
      case 0x73:
        return this.is(name, 'spapr_iommu_') ? this.readTce(name) : NONE;
      default:
        return NONE;
    }
  }

  private makerIs(name: number, length: number): void {
    this.taskStart = name;
    this.taskEnd = name + length;
  }

  private readVirtio(name: number): EventKind {
    if (this.skipKey('virtio_iommu_put_domain Free domain=')) {
      this.domain = this.readCount();
      return DOMAIN_FREED;
    }
    const isMap = this.skipKey('virtio_iommu_map domain=');
    if (!isMap && !this.skipKey('virtio_iommu_unmap_done domain='))
      return this.is(name, 'virtio_iommu_unmap domain=') ? OTHER : NONE;
    this.domain = this.readCount();
    this.makerIs(name, 'virtio_iommu'.length);
    if (!this.skipKey('virt_start=') || !this.readStart() || !this.skipKey('virt_end=') || !this.readLast())
      return DAMAGED;
    if (!isMap) return UNMAP;
    if (!this.skipKey('phys_start=') || !this.readHex()) return DAMAGED;
    this.target = this.page();
    return MAP;
  }

  /** The events name no container: as with Linux's, there may be several with the same addresses. */
  private readVfio(name: number): EventKind {
    const isRegion = this.skipKey('vfio_listener_region_add_ram region_add [ram]');
    const isMap = isRegion || this.skipKey('vfio_iommu_map_notify iommu MAP @');
    if (
      !isMap &&
      !this.skipKey('vfio_listener_region_del region_del') &&
      !this.skipKey('vfio_iommu_map_notify iommu UNMAP @')
    )
      return NONE;
    this.makerIs(name, 'vfio'.length);
    if (!this.readStart() || !this.skipKey('-') || !this.readLast()) return DAMAGED;
    this.target = -1;
    return isMap ? MAP : UNMAP;
  }

  private readIommufd(name: number): EventKind {
    const isMap = this.skipKey('iommufd_backend_map_dma ') || this.skipKey('iommufd_backend_map_file_dma ');
    if (!isMap && !this.skipKey('iommufd_backend_unmap_dma ')) return NONE;
    if (!this.ends('(0)')) return NONE;
    this.makerIs(name, 'iommufd'.length);
    if (!this.skipTo(' ioas=')) return DAMAGED;
    this.domain = IOAS * DOMAIN_IDS + this.readCount();
    return this.skipKey('iova=') && this.readStart() && this.skipKey('size=') && this.takeSize()
      ? this.mapped(isMap)
      : DAMAGED;
  }

  private readVdpa(name: number): EventKind {
    const isMap = this.skipKey('vhost_vdpa_dma_map ');
    if (!isMap && !this.skipKey('vhost_vdpa_dma_unmap ')) return NONE;
    this.makerIs(name, 'vhost_vdpa'.length);
    if (!this.skipTo(' asid: ')) return DAMAGED;
    this.domain = ASID * DOMAIN_IDS + this.readCount();
    return this.skipKey('iova:') && this.readStart() && this.skipKey('size:') && this.takeSize()
      ? this.mapped(isMap)
      : DAMAGED;
  }

  /** Pages of a window have the size of its TCEs; only default windows have one that is known, and small: 4 KiB. */
  private readTce(name: number): EventKind {
    const isPut = this.skipKey('spapr_iommu_put ') || this.skipKey('spapr_iommu_pci_put ');
    const isStuff = !isPut && (this.skipKey('spapr_iommu_stuff ') || this.skipKey('spapr_iommu_pci_stuff '));
    const isIndirect =
      !isPut && !isStuff && (this.skipKey('spapr_iommu_indirect ') || this.skipKey('spapr_iommu_pci_indirect '));
    if ((!isPut && !isStuff && !isIndirect) || !this.skipKey('liobn=') || !this.readHex()) return NONE;
    const liobn = this.low >>> 0;
    if (!this.skipKey('ioba=') || !this.readStart()) return DAMAGED;
    this.makerIs(name, 'spapr_iommu'.length);
    this.domain = LIOBN * DOMAIN_IDS + liobn;
    // QEMU numbers a bus's windows in the low byte, the default one first.
    const isSmall = (liobn & 0xff) === 0;
    const kind = isIndirect ? this.readIndirect(isSmall) : this.readTces(isPut, isSmall);
    return this.ends(' ret=0') ? kind : NONE;
  }

  private readTces(isPut: boolean, isSmall: boolean): EventKind {
    if (!this.skipKey(isPut ? 'tce=' : 'tcevalue=') || !this.readHex()) return DAMAGED;
    const isMap = (this.low & TCE_PERMISSIONS) !== 0;
    this.target = this.page();
    const count = isPut ? 1 : this.skipKey('npages=') ? this.readCount() : 0;
    this.end = this.start + count;
    if (count === 0) return DAMAGED;
    return count > 1 && !isSmall ? OTHER : this.mapped(isMap);
  }

  /** From its own address to before the one that it tells last. */
  private readIndirect(isSmall: boolean): EventKind {
    if (!isSmall) return OTHER;
    if (!this.skipTo(' iobaN=') || !this.readHex()) return DAMAGED;
    this.end = this.page();
    this.target = -1;
    return this.mapped(true);
  }

  private mapped(isMap: boolean): EventKind {
    if (this.end <= this.start || this.end > PAGES) return DAMAGED;
    this.unmapped = this.end - this.start;
    return isMap ? MAP : UNMAP;
  }

  /** The address of a first page. */
  private readStart(): boolean {
    this.skipSpaces();
    if (!this.readHex() || (this.low & (PAGE_BYTES - 1)) !== 0) return false;
    this.start = this.page();
    return true;
  }

  /** The address of a last byte. */
  private readLast(): boolean {
    this.skipSpaces();
    if (!this.readHex() || (this.low & (PAGE_BYTES - 1)) !== PAGE_BYTES - 1) return false;
    this.end = this.page() + 1;
    this.unmapped = this.end - this.start;
    return this.end > this.start;
  }

  private takeSize(): boolean {
    const pages = this.readSize();
    this.end = this.start + pages;
    this.target = -1;
    return pages > 0;
  }

  /** To behind the next place of a text in the line. */
  private skipTo(key: string): boolean {
    const at = this.text.indexOf(key, this.at);
    if (at < 0 || at + key.length > this.last) return false;
    this.at = at + key.length;
    return true;
  }

  /** Whether the line ends so. */
  private ends(word: string): boolean {
    let { last } = this;
    while (last > this.at && this.text.charCodeAt(last - 1) <= 0x20) last--;
    return this.is(last - word.length, word);
  }
}
