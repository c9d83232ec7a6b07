/**
 * QEMU's `iommu-testdev` (docs/specs/iommu-testdev.rst, QEMU 11.0): writes a pattern through the IOMMU and looks, past the IOMMU, at
 * where it should have arrived. Registers of 32 bits in a BAR of 4 KiB; every access has 4 bytes.
 */
import type { DmaPort } from './dma-port.ts';

/** Offsets in the BAR. Reading TRIGGER runs the DMA, and gives 0. */
export const TESTDEV = {
  TRIGGER: 0x00,
  IOVA_LO: 0x04,
  IOVA_HI: 0x08,
  LEN: 0x0c,
  RESULT: 0x10,
  DBELL: 0x14,
  ATTRS: 0x18,
  GPA_LO: 0x1c,
  GPA_HI: 0x20,
} as const;

/** Values of RESULT. */
export const TESTDEV_RESULT = {
  done: 0,
  badLength: 0xdead0001,
  writeFailed: 0xdead0002,
  readFailed: 0xdead0003,
  mismatch: 0xdead0004,
  notArmed: 0xdead0005,
  badAttributes: 0xdead0006,
  busy: 0xfffffffe,
  idle: 0xffffffff,
} as const;

/** Written byte by byte, lowest first, again and again. */
const PATTERN = [0x78, 0x56, 0x34, 0x12];

/** ATTRS: bit 0 secure, bits 2:1 space (0 secure, 1 non-secure), bit 3 whether the space counts. */
const NON_SECURE = 2;

/** LEN has no limit in QEMU; a transfer here ends at 1 MiB, so that a guest's number cannot take all memory of the host. */
const LONGEST = 1 << 20;

export class IommuTestdev {
  private readonly dma: DmaPort;
  private readonly memory: DmaPort;
  private readonly values = new Uint32Array(16);
  private armed = false;

  /** @param dma its way through the IOMMU. @param memory past it */
  constructor(dma: DmaPort, memory: DmaPort) {
    this.dma = dma;
    this.memory = memory;
    this.reset();
  }

  reset(): void {
    this.values.fill(0);
    this.values[TESTDEV.RESULT / 4] = TESTDEV_RESULT.idle;
    this.values[TESTDEV.ATTRS / 4] = NON_SECURE;
    this.armed = false;
  }

  /** A read of 4 bytes. @returns an unsigned number */
  read32(offset: number): number {
    if (offset === TESTDEV.TRIGGER) {
      this.values[TESTDEV.RESULT / 4] = this.trigger();
      return 0;
    }
    return offset === TESTDEV.DBELL || offset > TESTDEV.GPA_HI ? 0 : this.values[offset / 4];
  }

  write32(offset: number, value: number): void {
    if (offset === TESTDEV.TRIGGER || offset > TESTDEV.GPA_HI) return;
    if (offset === TESTDEV.DBELL) {
      this.armed = (value & 1) === 1;
      this.values[TESTDEV.RESULT / 4] = this.armed ? TESTDEV_RESULT.busy : TESTDEV_RESULT.idle;
    } else this.values[offset / 4] = value;
  }

  private trigger(): number {
    const { values } = this;
    if (!this.armed) return TESTDEV_RESULT.notArmed;
    this.armed = false;
    const length = Math.min(values[TESTDEV.LEN / 4], LONGEST);
    if (length === 0) return TESTDEV_RESULT.badLength;
    const attributes = values[TESTDEV.ATTRS / 4];
    const space = (attributes >>> 1) & 3;
    if ((attributes & 8) !== 0 && space <= 1 && (attributes & 1) !== (space === 0 ? 1 : 0))
      return TESTDEV_RESULT.badAttributes;
    const sent = Uint8Array.from({ length }, (_, i) => PATTERN[i & 3]);
    if (!this.dma.write(values[TESTDEV.IOVA_HI / 4], values[TESTDEV.IOVA_LO / 4], sent))
      return TESTDEV_RESULT.writeFailed;
    const found = new Uint8Array(length);
    if (!this.memory.read(values[TESTDEV.GPA_HI / 4], values[TESTDEV.GPA_LO / 4], found))
      return TESTDEV_RESULT.readFailed;
    return sent.every((byte, i) => byte === found[i]) ? TESTDEV_RESULT.done : TESTDEV_RESULT.mismatch;
  }
}
