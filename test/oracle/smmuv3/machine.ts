/** The machine of the SMMUv3 oracle: QEMU's `virt` with an SMMU, an `edu` and four `iommu-testdev`s, one of them behind a root port. */

/** Where everything is. The devices' BARs are put there by the back end. */
export const MAP = {
  ram: 0x40000000,
  ramBytes: 32 << 20,
  smmu: 0x0c000000,
  ecam: 0x4010000000,
  edu: 0x10000000,
  testdev: [0x10200000, 0x10201000, 0x10202000, 0x10300000],
} as const;

/** StreamIDs, which are requester ids: bus 0, devices 1, 2, 3 and 30; bus 0x80, behind a root port. */
export const SID = { edu: 0x08, testdev: [0x10, 0x18, 0xf0, 0x8000] } as const;

/** The root port, and what software says of the bus behind it. */
export const BRIDGE = { sid: 0x20, bus: 0x80, window: 0x10300000 } as const;

/** What software may touch between two resets: a reset fills it with zeros. */
export const CLEARED = { from: 0x40100000, bytes: 0xb00000 } as const;

/** Nothing decodes there. */
export const NOWHERE = 0x60_0000_0000n;

/** Flash, which reads as zero: where pointers that software has left 0 lead. */
export const FLASH_BYTES = 0x08000000;

/** Where a script has its structures. `events` is as large as the largest event queue of a script. */
export const LAYOUT = {
  streams: 0x40100000,
  secondStreams: 0x40110000,
  contexts: 0x40180000,
  commands: 0x401e0000,
  events: 0x401f0000,
  eventBytes: 0x4000,
  data: 0x40200000,
  dataBytes: 0x10000,
  tables: 0x40400000,
  tablesEnd: 0x40c00000,
} as const;

/** log2 of the entries of the largest event queue, and of the command queue. */
export const [EVENTS_LOG2, COMMANDS_LOG2] = [9, 4];
