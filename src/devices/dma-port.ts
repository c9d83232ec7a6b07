/** How a device reaches memory. What stands behind is whoever builds the device in: an IOMMU, or memory itself. */
export interface DmaPort {
  /**
   * Writes bytes from an address on, in the order of addresses.
   * @param addressHi, addressLo halves of the byte address, unsigned
   * @returns false where some of it was refused or went nowhere; the rest is written
   */
  write(addressHi: number, addressLo: number, bytes: Uint8Array): boolean;
  /** Reads likewise; what is refused or comes from nowhere reads as zero. */
  read(addressHi: number, addressLo: number, into: Uint8Array): boolean;
}
