/**
 * NVIDIA's CMDQ-V beside an SMMUv3 (Tegra241): command queues that a guest may have for itself. There is no public specification; Linux's
 * driver is the source. Interfaces (VINTF), their queues (LVCMDQ) and all queues (VCMDQ) are numbered from 0: a register of number n lies n
 * strides behind the one that is declared (`moved`).
 */
import { address, bit, bits, named, namesOf, register, ro } from '../../bits/index.ts';
import { CERROR } from './commands.ts';

const SOURCE = 'Linux tegra241-cmdqv';

/** Bytes from the registers of one interface to those of the next, and of one queue; from one word of a map to the next. */
export const CMDQV_STRIDE = {
  VINTF: 0x100,
  VCMDQ: 0x80,
  CMDQ_ERR_MAP: 4,
  CMDQ_ALLOC: 4,
  SID: 4,
  VINTF_PAGES: 0x20000,
} as const;

/** Where the two pages of 64 KiB begin that each interface has for its own queues: the first is all that a guest sees. */
export const CMDQV_PAGES = { VINTF: 0x30000 } as const;

export const CMDQV_CONFIG = register('CMDQV_CONFIG', 0x0, SOURCE, { CMDQV_EN: bit(0) });

export const CMDQV_PARAM = register('CMDQV_PARAM', 0x4, SOURCE, {
  VER: ro(bits(3, 0)),
  NUM_VCMDQ_LOG2: ro(bits(7, 4)),
  NUM_VINTF_LOG2: ro(bits(11, 8)),
  NUM_SID_PER_VM_LOG2: ro(bits(15, 12)),
});

export const CMDQV_STATUS = register('CMDQV_STATUS', 0x8, SOURCE, { CMDQV_ENABLED: ro(bit(0)) });

/** A bit for each interface, in two words, read one by one; this is the lower, 31 to 0. */
export const CMDQV_VINTF_ERR_MAP = register('CMDQV_VINTF_ERR_MAP', 0x14, SOURCE, { MAP: ro(bits(31, 0)) });
export const CMDQV_VINTF_INT_MASK = register('CMDQV_VINTF_INT_MASK', 0x1c, SOURCE, { MASK: bits(31, 0) });

/** A bit for each queue; word n has the queues 32n to 32n + 31. */
export const CMDQV_CMDQ_ERR_MAP = register('CMDQV_CMDQ_ERR_MAP', 0x24, SOURCE, { MAP: ro(bits(31, 0)) });

/** Whose a queue is. */
export const CMDQV_CMDQ_ALLOC = register('CMDQV_CMDQ_ALLOC', 0x200, SOURCE, {
  ALLOCATED: bit(0),
  /** The queue's number in its interface. */
  LVCMDQ: bits(7, 1),
  VINTF: bits(20, 15),
});

export const VINTF_CONFIG = register('VINTF_CONFIG', 0x1000, SOURCE, {
  EN: bit(0),
  VMID: bits(16, 1),
  /** The queues are the hypervisor's: all commands are permitted. */
  HYP_OWN: bit(17),
});

export const VINTF_STATUS = register('VINTF_STATUS', 0x1004, SOURCE, {
  ENABLED: ro(bit(0)),
  STATUS: ro(bits(3, 1)),
});

/** Slot n: a StreamID as the guest has it, and the one that it stands for. */
export const VINTF_SID_MATCH = register('VINTF_SID_MATCH', 0x1040, SOURCE, {
  VALID: bit(0),
  /** Up to bit 31, as its driver writes it: a StreamID of 31 bits. */
  SID: bits(31, 1),
});
export const VINTF_SID_REPLACE = register('VINTF_SID_REPLACE', 0x1080, SOURCE, { SID: bits(31, 0) });

/** A bit for each of the interface's queues, 63 to 0; the next 64 bits are those from 64 on. */
export const VINTF_LVCMDQ_ERR_MAP = register('VINTF_LVCMDQ_ERR_MAP', 0x10c0, SOURCE, { MAP: ro(address(63, 0)) }, 64);

/** Page 0 of a queue: all that a guest reads and writes while it runs. */
export const VCMDQ_CONS = register('VCMDQ_CONS', 0x10000, SOURCE, {
  RD: bits(19, 0),
  ERR: named(bits(30, 24), namesOf(CERROR)),
});
export const VCMDQ_PROD = register('VCMDQ_PROD', 0x10004, SOURCE, { WR: bits(19, 0) });
export const VCMDQ_CONFIG = register('VCMDQ_CONFIG', 0x10008, SOURCE, { EN: bit(0) });
export const VCMDQ_STATUS = register('VCMDQ_STATUS', 0x1000c, SOURCE, { ENABLED: ro(bit(0)) });

/** As GERROR and GERRORN, of the queue. */
export const VCMDQ_GERROR = register('VCMDQ_GERROR', 0x10010, SOURCE, { CMDQ_ERR: ro(bit(0)) });
export const VCMDQ_GERRORN = register('VCMDQ_GERRORN', 0x10014, SOURCE, { CMDQ_ERR: bit(0) });

/** Page 1 of a queue: where it lies. */
export const VCMDQ_BASE = register('VCMDQ_BASE', 0x20000, SOURCE, { LOG2SIZE: bits(4, 0), ADDR: address(47, 5) }, 64);
export const VCMDQ_CONS_INDX_BASE = register('VCMDQ_CONS_INDX_BASE', 0x20008, SOURCE, { ADDR: address(63, 0) }, 64);
