/** Scripts that show each deviation of deviations.ts, cut as short as the shrinker could. */

/** Root entry, context entries of the devices (`edu` 0x20, test devices 0x28 and 0x30), and the unit switched on. */
const on = (sid: number, context: string, did = '0x102') => `
store 0x100000 0x101001
store ${0x101000 + sid * 16} ${context}
store ${0x101008 + sid * 16} ${did}
srtp 0x100000
te 1`;

export const INTERRUPT_RANGE_BY_PAGE = `${on(0x28, '0x110001')}
store 0x110000 0x111003
store 0x111000 0xc0000083
dma 0 0x204100 4 0x200000`;

export const PASS_THROUGH_WIDTH = `${on(0x28, '0x9')}
dma 0 0x800000000200000 4 0x200000`;

export const PASS_THROUGH_POINTER = `${on(0x28, '0x8000000000000009')}
dma 0 0x200000 4 0x200000`;

/** The right is missing above the leaf: what is cached is the AND over the levels. */
export const CACHED_RIGHT_MISSING = `${on(0x20, '0x110001')}
store 0x110000 0x111003
store 0x111000 0x112001
store 0x112000 0x113003
store 0x113000 0x200003
edu read 0x0 0 4
edu write 0x0 0 4`;

export const CONTEXT_RESERVED_UNQUALIFIED = `${on(0x28, '0x110013')}
dma 0 0x200000 4 0x200000`;

export const EMPTY_WAIT = `
reg 0x90 8 0x1f0000
qie 1
inv 0x5 0x0`;

export const QUEUE_STAYS_STOPPED = `
reg 0x90 8 0x1f0000
qie 1
inv 0xf 0x0
clear`;

export const FOREIGN_DESCRIPTORS = `
reg 0x90 8 0x1f0000
qie 1
inv 0x4 0x0`;

export const FAULT_ADDRESS_WIDE = `${on(0x28, '0x110001')}
dma 0 0x800000000200000 4 0x200000`;

export const NO_IQERCD = `
reg 0x90 8 0x1f0000
qie 1
inv 0xf 0x0`;

export const INTERRUPT_RANGE_SILENT = `${on(0x20, '0x110001')}
edu read 0xfee00000 0 4`;

export const ALL_ONES_UNREADABLE = `${on(0x28, '0x110001')}
store 0x110000 0x111003
store 0x111000 0xffffffffffffffff
dma 0 0x0 4 0x200000`;

/** The unit sends its event with what it has. */
export const EVENT_DATA_WIDE = `
reg 0xa4 4 0x12345678
reg 0xa0 4 0x0
reg 0x90 8 0x1f0000
qie 1
inv 0x15 0x0`;

export const NO_UPPER_EVENT_ADDRESS = `
reg 0x44 4 0x12345678
reg 0x38 4 0x0
srtp 0x100000
te 1
dma 0 0x0 4 0x200000`;

export const QUEUE_STAYS_ON = `
reg 0x90 8 0x1f0000
qie 1
inv 0x12 0x0
qie 0`;

export const REGISTER_INVALIDATION_HANGS = `
reg 0x90 8 0x1f0000
qie 1
reg 0xf8 8 0x9000000000000000`;

export const PENDING_STAYS = `${on(0x28, '0x0')}
dma 0 0x0 4 0x200000
reg 0x22c 4 0x80000000`;

export const SNOOP_NOT_RESERVED = `${on(0x28, '0x110001')}
store 0x110000 0x111003
store 0x111000 0x112003
store 0x112000 0x113003
store 0x113000 0x200803
dma 0 0x0 4 0x200000`;
