/** Who has which id at which IOMMU, by a device tree. */

/** Ids of one device, or of the functions of a bus. */
export interface StreamRange {
  /** Name of the node of the IOMMU. */
  readonly unit: string;
  /** Name of the node that has the ids. */
  readonly owner: string;
  /** First id at the IOMMU. */
  readonly out: number;
  readonly count: number;
  /** Bits of an id that the IOMMU does not compare (SMMUv2: the second cell). */
  readonly mask: number;
  /** Requester id that the first becomes; null for a device that is no bus of PCI. */
  readonly requester: number | null;
  /** Bits of a requester id that count (iommu-map-mask). */
  readonly requesterMask: number;
}

/** Requester id that has an id at the IOMMU: null where it is not of the range, and for devices that are not of PCI. */
export function requesterOf({ count, out, requester }: StreamRange, id: number): number | null {
  return requester === null || id < out || id >= out + count ? null : requester + (id - out);
}

export function hasStream({ count, mask, out }: StreamRange, id: number): boolean {
  return count === 1 ? (id & ~mask) === (out & ~mask) : id >= out && id < out + count;
}

/** Whether a node is what Linux calls a device: `iommu@5000000` is `5000000.iommu`. */
export function isUnit(node: string, device: string): boolean {
  const [name, address] = node.split('@');
  return address !== undefined && device.split(':').at(-1) === `${address}.${name}`;
}
