/**
 * The driver interface of the oracle: a q35 machine with a VT-d unit, an `edu` and five `iommu-testdev`s. What is to be done is a program of
 * accesses to physical addresses, and what it gives is a list of values: one back end is QEMU, the other the model.
 */
import { EDU } from '../../src/devices/edu.ts';
import { TESTDEV } from '../../src/devices/iommu-testdev.ts';

/** Where everything is. The devices' BARs are put there by the back end. */
export const MAP = {
  ramBytes: 32 << 20,
  iommu: 0xfed90000,
  edu: 0xe0000000,
  sender: [0xe0000000, 0xe0400000],
  testdev: [0xe0200000, 0xe0201000, 0xe0202000, 0xe0203000, 0xe0300000],
} as const;

/** Source ids: bus 0, devices 4, 5 and 6, functions 0 and 3 of device 28, which is in the upper half of a bus; bus 0xa5, behind a bridge. `sender`s are `edu`s, which send interrupts. */
export const SID = { edu: 0x20, testdev: [0x28, 0x30, 0xe0, 0xe3, 0xa500], sender: [0x20, 0xa501] } as const;

/** The root port, and what software says of the bus behind it. */
export const BRIDGE = { sid: 0x38, bus: 0xa5, window: 0xe0300000 } as const;

/** Registers are dumped up to here: QEMU has nothing beyond, and reads as all ones there. */
export const REGISTER_BYTES = 0x230;

/** What software may touch between two resets: a reset fills it with zeros. */
export const CLEARED = { from: 0x100000, bytes: 0x120000 } as const;

/** One access. Values are unsigned; `label` says what a value read is, for whoever compares it. */
export type Access =
  | { readonly do: 'write'; readonly at: number; readonly size: 4 | 8; readonly value: bigint | number }
  | { readonly do: 'read'; readonly at: number; readonly size: 4 | 8; readonly label: string }
  | { readonly do: 'dump'; readonly at: number; readonly bytes: number; readonly label: string }
  /** A device's interrupt (MSI): a write of one DWORD, of which `data` is the lower half. */
  | { readonly do: 'msi'; readonly sender: number; readonly address: number; readonly data: number }
  /** The interrupts that the processors have got since the last access of this kind, in order: {@link messageText}, with blanks between. */
  | { readonly do: 'messages'; readonly label: string }
  /** Lets 100 ms pass, after which an `edu` does what it was told. */
  | { readonly do: 'elapse' };

/** Hexadecimal digits, without leading zeros; of a dump, two for each byte. */
export type Value = string;

/** An interrupt message as it is compared. @param address 64 bits */
export const messageText = (address: bigint, data: number) => `${address.toString(16)}:${(data >>> 0).toString(16)}`;

export interface Platform {
  readonly name: string;
  /** A machine as after power-on, with {@link CLEARED} and the buffer of `edu` filled with zeros. */
  reset(): Promise<void>;
  /** @returns what was read, in order */
  run(program: readonly Access[]): Promise<Value[]>;
  close(): Promise<void>;
}

/** Where devices have their registers. */
export interface Bars {
  readonly edu: number;
  readonly testdev: readonly number[];
}

/** A program as it is put together. */
export class Program {
  private readonly bars: Bars;
  readonly accesses: Access[] = [];
  readonly labels: string[] = [];
  /** Of each label the address of a dump, or −1. */
  readonly dumpedAt: number[] = [];

  /** @param bars those of this machine if absent */
  constructor(bars: Bars = MAP) {
    this.bars = bars;
  }

  write32(at: number, value: number): void {
    this.accesses.push({ do: 'write', at, size: 4, value: value >>> 0 });
  }

  write64(at: number, value: bigint): void {
    this.accesses.push({ do: 'write', at, size: 8, value });
  }

  read32(at: number, label: string): void {
    this.accesses.push({ do: 'read', at, size: 4, label });
    this.expect(label, -1);
  }

  read64(at: number, label: string): void {
    this.accesses.push({ do: 'read', at, size: 8, label });
    this.expect(label, -1);
  }

  private expect(label: string, dumpedAt: number): void {
    this.labels.push(label);
    this.dumpedAt.push(dumpedAt);
  }

  dump(at: number, bytes: number, label: string): void {
    this.accesses.push({ do: 'dump', at, bytes, label });
    this.expect(label, at);
  }

  msi(sender: number, address: number, data: number): void {
    this.accesses.push({ do: 'msi', sender, address, data });
  }

  messages(label: string): void {
    this.accesses.push({ do: 'messages', label });
    this.expect(label, -1);
  }

  elapse(): void {
    this.accesses.push({ do: 'elapse' });
  }

  /** A DMA write of a test device, compared with what is at `gpa` afterwards. */
  testdev(which: number, iova: bigint, length: number, gpa: bigint, label: string): void {
    const base = this.bars.testdev[which];
    this.write32(base + TESTDEV.IOVA_LO, Number(BigInt.asIntN(32, iova)));
    this.write32(base + TESTDEV.IOVA_HI, Number(BigInt.asIntN(32, iova >> 32n)));
    this.write32(base + TESTDEV.LEN, length);
    this.write32(base + TESTDEV.GPA_LO, Number(BigInt.asIntN(32, gpa)));
    this.write32(base + TESTDEV.GPA_HI, Number(BigInt.asIntN(32, gpa >> 32n)));
    this.write32(base + TESTDEV.DBELL, 1);
    this.accesses.push({ do: 'read', at: base + TESTDEV.TRIGGER, size: 4, label: '' });
    this.expect('', -1);
    this.read32(base + TESTDEV.RESULT, label);
  }

  /** @param inside offset in the device's buffer */
  edu(toMemory: boolean, iova: bigint, inside: number, length: number): void {
    const buffer = BigInt(0x40000 + inside);
    this.write64(this.bars.edu + EDU.SOURCE, toMemory ? buffer : iova);
    this.write64(this.bars.edu + EDU.DESTINATION, toMemory ? iova : buffer);
    this.write64(this.bars.edu + EDU.COUNT, BigInt(length));
    this.write64(this.bars.edu + EDU.COMMAND, toMemory ? 3n : 1n);
    this.elapse();
  }
}
