/** Linux's driver of VT-d in scalable mode as iommufd meets it: page tables of any unit, guests' first stages behind a parent (drivers/iommu/intel of Linux 6.18). */
import { decodeHalves, encodeHalves } from '../../bits/index.ts';
import type { Errno } from './errno.ts';
import { refused } from './errno.ts';
import { HW_INFO_TYPE, HWPT_ALLOC_FLAGS, HWPT_DATA, VTD_S1_FLAGS } from './flags.ts';
import type { HostDevice, HostDomain, HostIommu, PagingDomain } from './hardware.ts';
import type { Attachment, IntelDomain } from './intel-domains.ts';
import { IntelNested, IntelPaging } from './intel-domains.ts';
import { IdAllocator } from './smmu-ids.ts';
import { HW_INFO_VTD, HWPT_VTD_S1 } from './structures.ts';
import type { UserData } from './user-array.ts';
import { bytesOf, copyUserData, halvesOf } from './user-array.ts';
import type { UserMemory } from './user-memory.ts';
import type { VtdHardware } from './vtd-hardware.ts';

const { DIRTY_TRACKING, NEST_PARENT, PASID } = HWPT_ALLOC_FLAGS;

/** Domain id 1 is the driver's own. */
const RESERVED_DIDS = 1;

/** Address widths of a guest's tables, by what its data say. */
const LEVELS: Readonly<Record<number, 4 | 5 | undefined>> = { 48: 4, 57: 5 };

export class IntelIommu implements HostIommu {
  readonly driver = 'intel-iommu';
  readonly hardware: VtdHardware;
  private readonly dids: IdAllocator;
  /** By requester id. */
  private readonly attached = new Map<number, IntelDomain>();

  constructor(hardware: VtdHardware) {
    this.hardware = hardware;
    this.dids = new IdAllocator(hardware.didBits);
    for (let i = 0; i < RESERVED_DIDS; i++) this.dids.allocate();
  }

  get name(): string {
    return this.hardware.name;
  }

  /** The first stage is preferred. */
  allocatePaging(_device: HostDevice, flags: number, data: UserData | null): PagingDomain | Errno {
    const { dirty, firstStage, nested, secondStage } = this.hardware.features;
    if (data !== null) return 'EOPNOTSUPP';
    if ((flags & ~PASID) === 0 && firstStage) return new IntelPaging(this, 1);
    if ((flags & ~(DIRTY_TRACKING | NEST_PARENT | PASID)) !== 0 || !secondStage) return 'EOPNOTSUPP';
    const isParent = (flags & NEST_PARENT) !== 0;
    const canTrackDirty = (flags & DIRTY_TRACKING) !== 0;
    if ((isParent && !nested) || (canTrackDirty && !dirty)) return 'EOPNOTSUPP';
    return new IntelPaging(this, 2, { isParent, canTrackDirty });
  }

  readonly allocateNested = (parent: PagingDomain, flags: number, memory: UserMemory, data: UserData) => {
    if ((flags & ~PASID) !== 0 || data.type !== HWPT_DATA.VTD_S1) return 'EOPNOTSUPP';
    if (!(parent instanceof IntelPaging) || !parent.isParent) return 'EINVAL';
    const bytes = HWPT_VTD_S1.width / 8;
    const given = copyUserData(memory, data, HWPT_DATA.VTD_S1, bytes, bytes);
    if (refused(given)) return given;
    const { addr_width, flags: how, pgtbl_addr } = decodeHalves(HWPT_VTD_S1, halvesOf(given));
    const has = (flag: number) => (how & BigInt(flag)) !== 0n;
    const levels = LEVELS[addr_width];
    // An address width is looked at when a device is attached.
    const guest = {
      table: pgtbl_addr,
      sre: has(VTD_S1_FLAGS.SRE),
      eafe: has(VTD_S1_FLAGS.EAFE),
      wpe: has(VTD_S1_FLAGS.WPE),
    };
    return new IntelNested(parent, levels === undefined ? null : { ...guest, levels });
  };

  supportsViommu(): boolean {
    return false;
  }

  createViommu(): Errno {
    return 'EOPNOTSUPP';
  }

  attach(devices: readonly HostDevice[], domain: HostDomain | null): Errno | null {
    if (domain !== null && !(domain instanceof IntelPaging || domain instanceof IntelNested)) return 'EINVAL';
    const refusal = domain?.refusal(this) ?? null;
    if (refusal !== null) return refusal;
    const known = domain?.attachments.get(this);
    const did = known?.did ?? (domain === null ? 0 : this.dids.allocate());
    if (domain !== null && did === 0) return 'ENOSPC';
    if (domain !== null && known === undefined) domain.attachments.set(this, { did, devices: 0 });
    for (const { sid } of devices) {
      const old = this.attached.get(sid);
      const before = old?.attachments.get(this)?.did ?? null;
      this.hardware.install(sid, domain === null ? { kind: 'blocked' } : domain.translation(did), before);
      if (domain === null) this.attached.delete(sid);
      else {
        this.attached.set(sid, domain);
        (domain.attachments.get(this) as Attachment).devices++;
      }
      if (old !== undefined) this.leave(old);
    }
    return null;
  }

  /** What a domain says has changed. */
  reinstall(domain: IntelDomain): void {
    const { did } = domain.attachments.get(this) as Attachment;
    for (const [sid, one] of this.attached)
      if (one === domain) this.hardware.install(sid, domain.translation(did), did);
  }

  /** The last device of a domain takes its id with it. */
  private leave(domain: IntelDomain): void {
    const attachment = domain.attachments.get(this) as Attachment;
    if (--attachment.devices > 0) return;
    domain.attachments.delete(this);
    this.hardware.flushSecondStage(attachment.did, null);
    this.dids.free(attachment.did);
  }

  info(type: number): { type: number; bytes: Uint8Array } | Errno {
    if (type !== HW_INFO_TYPE.NONE && type !== HW_INFO_TYPE.INTEL_VTD) return 'EOPNOTSUPP';
    const { cap, ecap } = this.hardware;
    const halves = encodeHalves(HW_INFO_VTD, { cap_reg: cap, ecap_reg: ecap });
    return { type: HW_INFO_TYPE.INTEL_VTD, bytes: bytesOf(halves) };
  }
}
