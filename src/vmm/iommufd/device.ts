/** Devices that were given to iommufd, and what they are attached to (drivers/iommu/iommufd/device.c of Linux). */
import type { Iommufd } from './context.ts';
import type { Errno } from './errno.ts';
import { refused } from './errno.ts';
import type { HostDevice } from './hardware.ts';
import { allocatePaging, HwptNested, HwptPaging } from './hwpt.ts';
import type { IoPagetable } from './io-pagetable.ts';
import { Ioas } from './ioas.ts';
import { IommufdObject } from './objects.ts';
import type { Vdevice } from './viommu.ts';

export type AnyHwpt = HwptPaging | HwptNested;

/** Devices of one IOMMU group: all are attached to the same. */
interface Group {
  hwpt: AnyHwpt | null;
  readonly attached: Device[];
}

const groups = new WeakMap<Iommufd, Map<number, Group>>();

function groupOf(fd: Iommufd, number: number): Group {
  let known = groups.get(fd);
  if (known === undefined) {
    known = new Map();
    groups.set(fd, known);
  }
  let group = known.get(number);
  if (group === undefined) {
    group = { hwpt: null, attached: [] };
    known.set(number, group);
  }
  return group;
}

export class Device extends IommufdObject {
  readonly type = 'DEVICE';
  readonly fd: Iommufd;
  readonly host: HostDevice;
  readonly group: Group;
  vdevice: Vdevice | null = null;

  constructor(fd: Iommufd, host: HostDevice) {
    super();
    this.fd = fd;
    this.host = host;
    this.group = groupOf(fd, host.group);
    // The driver (VFIO) is a user until it unbinds: user space cannot destroy the object.
    this.users++;
  }

  get hwpt(): AnyHwpt | null {
    return this.group.attached.includes(this) ? this.group.hwpt : null;
  }

  release(): void {
    this.fd.owners.release(this.host.group);
  }
}

/** VFIO_DEVICE_BIND_IOMMUFD: EPERM where somebody else has the group, or its interrupts are not isolated. */
export function bindDevice(fd: Iommufd, host: HostDevice): Device | Errno {
  if (!host.coherent) return 'EINVAL';
  if (!host.isolatedMsi && !fd.options.allowUnsafeInterrupts) return 'EPERM';
  if (!fd.owners.claim(host.group, fd)) return 'EPERM';
  return fd.objects.add(new Device(fd, host));
}

/** The file of the device is closed: it is detached, and its vDEVICE goes; the id of that stays taken. */
export function unbindDevice(device: Device): void {
  if (device.hwpt !== null) detachDevice(device);
  if (device.vdevice !== null) device.fd.objects.bury(device.vdevice);
  device.users--;
  device.fd.objects.remove(device);
}

/** The IO address space that a page table is of, its own or its parent's. */
const spaceOf = (hwpt: AnyHwpt): IoPagetable => (hwpt instanceof HwptPaging ? hwpt : hwpt.parent).ioas.table;

/** An attachment ends: a page table that was made for it goes with the last one. */
function put(fd: Iommufd, hwpt: AnyHwpt): void {
  hwpt.users--;
  if (hwpt instanceof HwptPaging && hwpt.isAutomatic && hwpt.users === 1) fd.objects.remove(hwpt);
}

function attachTo(device: Device, hwpt: AnyHwpt): Errno | null {
  const { group } = device;
  if (group.attached.includes(device)) return 'EBUSY';
  if (group.hwpt !== null && group.hwpt !== hwpt) return 'EINVAL';
  const space = spaceOf(hwpt);
  const errno = space.reserve(device.host.reserved, device);
  if (errno !== null) return errno;
  if (group.attached.length === 0) {
    const refusal = attachHardware([device], hwpt);
    if (refusal !== null) {
      space.unreserve(device);
      return refusal;
    }
    group.hwpt = hwpt;
  }
  group.attached.push(device);
  hwpt.users++;
  // Pairs with the detachment: a device that is attached is not destroyed.
  device.users++;
  return null;
}

function attachHardware(devices: readonly Device[], hwpt: AnyHwpt): Errno | null {
  if (hwpt.faults !== null && devices.some(({ host }) => host.sharedPri)) return 'EINVAL';
  const hosts = devices.map(({ host }) => host);
  return hosts[0].iommu.attach(hosts, hwpt.domain);
}

function replaceBy(device: Device, hwpt: AnyHwpt): Errno | null {
  const { fd, group } = device;
  const old = group.hwpt;
  if (old === null || !group.attached.includes(device)) return 'EINVAL';
  if (old === hwpt) return null;
  const space = spaceOf(hwpt);
  const before = spaceOf(old);
  if (space !== before) {
    for (const one of group.attached) {
      const errno = space.reserve(one.host.reserved, one);
      if (errno === null) continue;
      for (const other of group.attached) space.unreserve(other);
      return errno;
    }
  }
  const refusal = attachHardware(group.attached, hwpt);
  if (refusal !== null) {
    if (space !== before) for (const one of group.attached) space.unreserve(one);
    return refusal;
  }
  old.faults?.abandon(group.attached);
  if (space !== before) for (const one of group.attached) before.unreserve(one);
  group.hwpt = hwpt;
  hwpt.users += group.attached.length;
  old.users -= group.attached.length - 1;
  put(fd, old);
  return null;
}

type Change = (device: Device, hwpt: AnyHwpt) => Errno | null;

/** Any page table of the IOAS that was made so and that the device takes, else a new one. */
function changeToIoas(device: Device, ioas: Ioas, change: Change): AnyHwpt | Errno {
  for (const hwpt of [...ioas.hwpts]) {
    if (!hwpt.isAutomatic) continue;
    const errno = change(device, hwpt);
    if (errno === null) return hwpt;
    // It does not fit this device's IOMMU; anything else is the user's to know.
    if (errno !== 'EINVAL') return errno;
  }
  const hwpt = allocatePaging(ioas, device, 0, null);
  if (refused(hwpt)) return hwpt;
  // Its id is taken before another page table may go.
  device.fd.objects.add(hwpt);
  const errno = change(device, hwpt);
  if (errno !== null) {
    device.fd.objects.remove(hwpt);
    return errno;
  }
  hwpt.isAutomatic = true;
  return hwpt;
}

/** @returns the id of the page table: for an IOAS, the one that was taken or made */
function changePt(device: Device, pt: number, change: Change): number | Errno {
  const on = device.fd.objects.get(pt, IommufdObject);
  if (refused(on)) return on;
  if (on instanceof Ioas) {
    const hwpt = changeToIoas(device, on, change);
    return refused(hwpt) ? hwpt : hwpt.id;
  }
  if (!(on instanceof HwptPaging || on instanceof HwptNested)) return 'EINVAL';
  return change(device, on) ?? on.id;
}

/** VFIO_DEVICE_ATTACH_IOMMUFD_PT of a device that is not attached. */
export function attachDevice(device: Device, pt: number): number | Errno {
  return changePt(device, pt, attachTo);
}

/** VFIO_DEVICE_ATTACH_IOMMUFD_PT of a device that is: on refusal it stays where it was. */
export function replaceDevice(device: Device, pt: number): number | Errno {
  return changePt(device, pt, replaceBy);
}

/** VFIO_DEVICE_DETACH_IOMMUFD_PT: the group's last device leaves it blocked. */
export function detachDevice(device: Device): void {
  const { fd, group, hwpt } = device;
  if (hwpt === null) throw new Error(`${device.host.name} is not attached`);
  group.attached.splice(group.attached.indexOf(device), 1);
  if (group.attached.length === 0) {
    const errno = device.host.iommu.attach([device.host], null);
    if (errno !== null) throw new Error(`${device.host.name} cannot be blocked: ${errno}`);
    hwpt.faults?.abandon([device]);
    group.hwpt = null;
  }
  spaceOf(hwpt).unreserve(device);
  put(fd, hwpt);
  device.users--;
}
