/** An interrupt as it goes to the processors: a DWORD write in compatibility format (VT-d 5.1.2.1), with what it means. */
export class InterruptMessage {
  /** Bits 63:32 of the address: bits 31:8 of an extended destination, else 0. Unsigned, like the others. */
  addressHi = 0;
  addressLo = 0;
  data = 0;

  set(addressHi: number, addressLo: number, data: number): void {
    this.addressHi = addressHi >>> 0;
    this.addressLo = addressLo >>> 0;
    this.data = data >>> 0;
  }

  /** APIC id, or a set of them where {@link logical}; 8 bits in xAPIC mode, 32 in x2APIC mode. */
  get destination(): number {
    return ((this.addressHi & ~0xff) | ((this.addressLo >>> 12) & 0xff)) >>> 0;
  }

  get logical(): boolean {
    return (this.addressLo & 4) !== 0;
  }

  /** It goes to one of the processors that the destination names. */
  get redirectionHint(): boolean {
    return (this.addressLo & 8) !== 0;
  }

  get vector(): number {
    return this.data & 0xff;
  }

  /** See DELIVERY_MODE. */
  get deliveryMode(): number {
    return (this.data >>> 8) & 7;
  }

  /** Level-triggered; else edge-triggered. */
  get level(): boolean {
    return (this.data & 0x8000) !== 0;
  }

  /** Level-triggered: whether the line is asserted. */
  get asserted(): boolean {
    return (this.data & 0x4000) !== 0;
  }
}
