/**
 * Stage 2 of one guest on several SMMUs: who has the tables, which VMIDs there are, and where an invalidation goes. The argument of March 2023
 * ("[PATCH v1 14/14] iommu/arm-smmu-v3: Add arm_smmu_cache_invalidate_user"), what was merged, what was proposed since, and what may not be done.
 */

/** Where a guest's TLB invalidation goes. */
export type Routing =
  /** To the SMMU that the guest's SMMU stands for. */
  | 'its own'
  /** To one of those that the guest's SMMU stands for: the first. */
  | 'the first'
  /** To all of them. */
  | 'all'
  /** To those that have devices behind this guest's SMMU. An ASID is in memory only, so that nothing finer is known. */
  | 'those with devices';

export interface SharingPolicy {
  readonly name: string;
  readonly title: string;
  /** Copies of the guest's memory map as stage-2 tables: one for all, or one an SMMU. */
  readonly tables: 'one' | 'each';
  /** SMMUs that the guest sees: one for all, or one an SMMU. */
  readonly guestSmmus: 'one' | 'each';
  /** VMIDs: one an SMMU; or one for each device, as if each had its own stage 2. */
  readonly vmids: 'each SMMU' | 'each device';
  readonly routing: Routing;
  /** Who sends an invalidation more than once. */
  readonly replicates: 'nobody' | 'VMM' | 'kernel';
  /** What of the architecture or of the argument forbids it; null if nothing does. */
  readonly forbidden: string | null;
}

export const SHARING: readonly SharingPolicy[] = [
  {
    name: 'per-smmu',
    title: 'Linux 6.13 to 6.18: stage 2 belongs to one SMMU, and the guest has an SMMU for each',
    ...{ tables: 'each', guestSmmus: 'each', vmids: 'each SMMU', routing: 'its own', replicates: 'nobody' },
    forbidden: null,
  },
  {
    name: 'replicate-vmm',
    title: 'one SMMU in the guest; the VMM has a stage 2 and a vIOMMU on each, and sends each command to all',
    ...{ tables: 'each', guestSmmus: 'one', vmids: 'each SMMU', routing: 'all', replicates: 'VMM' },
    forbidden: null,
  },
  {
    name: 'replicate-kernel',
    title: 'one stage 2 on all SMMUs; the kernel sends each command to all',
    ...{ tables: 'one', guestSmmus: 'one', vmids: 'each SMMU', routing: 'all', replicates: 'kernel' },
    forbidden: null,
  },
  {
    name: 'by-vsid',
    title: 'one stage 2 on all SMMUs; the kernel sends a command to those that have devices of the guest’s SMMU',
    ...{ tables: 'one', guestSmmus: 'one', vmids: 'each SMMU', routing: 'those with devices', replicates: 'kernel' },
    forbidden: null,
  },
  {
    name: 'children-2023',
    title:
      'Gunthorpe 2023: one paging domain for all; a stage 2 of it for each SMMU, with its VMID; stage 1 is a child of that',
    ...{ tables: 'one', guestSmmus: 'each', vmids: 'each SMMU', routing: 'its own', replicates: 'nobody' },
    forbidden: null,
  },
  {
    name: 'share-2026',
    title:
      'series "Share domain across SMMU/vSMMU instances" (2026): one domain, a tag for each SMMU in it, VMIDs of vSMMUs',
    ...{ tables: 'one', guestSmmus: 'each', vmids: 'each SMMU', routing: 'its own', replicates: 'nobody' },
    forbidden: null,
  },
  {
    name: 'first-only',
    title: 'one SMMU in the guest; commands go to the first only',
    ...{ tables: 'one', guestSmmus: 'one', vmids: 'each SMMU', routing: 'the first', replicates: 'nobody' },
    forbidden: 'devices behind the others keep what was invalidated (SMMUv3 3.17: a command acts on one SMMU)',
  },
  {
    name: 'vmid-per-device',
    title: 'devices behind one guest SMMU with stage 2 of their own; a command gets the VMID of the first',
    ...{ tables: 'each', guestSmmus: 'each', vmids: 'each device', routing: 'its own', replicates: 'nobody' },
    forbidden:
      'every StreamID of a guest’s SMMU must have one VMID: an entry is tagged with that of its STE (SMMUv3 3.17, 4.4.2.2)',
  },
];

export function sharingNamed(name: string): SharingPolicy {
  const found = SHARING.find((policy) => policy.name === name);
  if (found === undefined) throw new RangeError(`no sharing policy ${name}: ${SHARING.map((p) => p.name).join(', ')}`);
  return found;
}

/** A device of the guest, and behind which SMMU of the host it is. */
export interface SharedDevice {
  readonly smmu: number;
  readonly sid: number;
  readonly vsid: number;
}

/** One SMMU that the guest sees. */
export interface GuestSmmu {
  /** SMMUs of the host that it stands for. */
  readonly smmus: readonly number[];
  /** Indexes of devices. */
  readonly devices: readonly number[];
}

/** Translations with a tag on an SMMU: where a command acts. */
export interface Target {
  readonly smmu: number;
  readonly vmid: number;
}

export interface Layout {
  readonly policy: SharingPolicy;
  /** Stage-2 tables: for each, the SMMUs that walk it. */
  readonly tables: readonly (readonly number[])[];
  readonly guestSmmus: readonly GuestSmmu[];
  /** By device: the VMID in its STE. */
  readonly vmidOf: readonly number[];
  /** All VMIDs that are in use. */
  readonly vmids: readonly Target[];
}

/**
 * What there is for one guest.
 * @param vmidFrom by SMMU: the first VMID that is free there; others have those below, which is why they differ
 */
export function layoutOf(
  policy: SharingPolicy,
  smmus: number,
  devices: readonly SharedDevice[],
  vmidFrom: readonly number[] = [],
): Layout {
  const all = Array.from({ length: smmus }, (_, i) => i);
  const from = (smmu: number) => vmidFrom[smmu] ?? 1;
  const guests = policy.guestSmmus === 'one' ? [all] : all.map((smmu) => [smmu]);
  // By device: how many of its SMMU stand before it.
  const order = devices.map(({ smmu }, i) => devices.slice(0, i).filter((other) => other.smmu === smmu).length);
  const vmidOf = devices.map(({ smmu }, i) => from(smmu) + (policy.vmids === 'each device' ? order[i] : 0));
  const vmids = all.flatMap((smmu) => {
    const own = devices.flatMap((device, i) => (device.smmu === smmu ? [vmidOf[i]] : []));
    return [...new Set([from(smmu), ...own])].map((vmid) => ({ smmu, vmid }));
  });
  return {
    ...{ policy, vmidOf, vmids },
    tables:
      policy.tables === 'one'
        ? [all]
        : policy.vmids === 'each SMMU'
          ? all.map((smmu) => [smmu])
          : vmids.map(({ smmu }) => [smmu]),
    guestSmmus: guests.map((of) => ({
      smmus: of,
      devices: devices.flatMap((device, i) => (of.includes(device.smmu) ? [i] : [])),
    })),
  };
}

/** Where a command of a guest's SMMU that names translations (TLBI) acts. */
export function guestTargets(layout: Layout, guest: number, devices: readonly SharedDevice[]): Target[] {
  const { devices: own, smmus } = layout.guestSmmus[guest];
  const { routing } = layout.policy;
  const chosen = smmus.filter((smmu, i) => {
    if (routing === 'the first') return i === 0;
    return routing !== 'those with devices' || own.some((device) => devices[device].smmu === smmu);
  });
  return chosen.map((smmu) => layout.vmids.find((target) => target.smmu === smmu) as Target);
}

/** Where the kernel invalidates when it changes a table of stage 2: every tag of every SMMU that walks it. */
export function hostTargets(layout: Layout, table: number): Target[] {
  const { policy, tables, vmids } = layout;
  if (policy.vmids === 'each device') return [vmids[table]];
  return vmids.filter(({ smmu }) => tables[table].includes(smmu));
}

/** Devices whose translations a guest's invalidation is to reach, and does not: a layout that has some is unsound. */
export function unreached(layout: Layout, guest: number, devices: readonly SharedDevice[]): number[] {
  const targets = guestTargets(layout, guest, devices);
  return layout.guestSmmus[guest].devices.filter(
    (device) => !targets.some(({ smmu, vmid }) => smmu === devices[device].smmu && vmid === layout.vmidOf[device]),
  );
}
