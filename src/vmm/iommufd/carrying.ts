/** How a guest's invalidations come to the hardware, and what that costs: the price list of case C7. */
import { BATCH } from './invalidate.ts';
import type { Layout, SharedDevice } from './sharing.ts';
import { guestTargets } from './sharing.ts';

export interface Carrier {
  readonly name: string;
  readonly title: string;
  /** What a guest's write to the tail of its queue costs the host: an exit, or nothing. */
  readonly traps: boolean;
  /** Commands that one ioctl carries: one, or all that a trap found. */
  readonly perIoctl: 'one' | 'all';
  /** Whether the VMM copies commands to the kernel, or the kernel reads the guest's queue. */
  readonly copies: boolean;
  /** The host cannot drop, delay or reorder what goes this way (case C6). */
  readonly direct: boolean;
  /** Its commands reach one SMMU; to reach several, somebody has to multiply them. */
  readonly reaches: 'one' | 'many';
  /** Whether any hardware or kernel has it. */
  readonly exists: boolean;
}

export const CARRIERS: readonly Carrier[] = [
  {
    name: 'trapped',
    title: 'trapped, an ioctl for each command',
    ...{ traps: true, perIoctl: 'one', copies: true, direct: false, reaches: 'many', exists: true },
  },
  {
    name: 'batched',
    title: 'trapped, all commands up to the tail in one cache_invalidate_user',
    ...{ traps: true, perIoctl: 'all', copies: true, direct: false, reaches: 'many', exists: true },
  },
  {
    name: 'doorbell',
    title: 'a ring that the kernel knows since its setup; the VMM rings when it traps',
    ...{ traps: true, perIoctl: 'all', copies: false, direct: false, reaches: 'many', exists: false },
  },
  {
    name: 'vcmdq',
    title: 'a queue of the guest’s own in hardware (Tegra241 CMDQ-V)',
    ...{ traps: false, perIoctl: 'all', copies: false, direct: true, reaches: 'one', exists: true },
  },
  {
    name: 'vcmdq-multiply',
    title: 'a queue of the guest’s own whose commands hardware multiplies to all SMMUs',
    ...{ traps: false, perIoctl: 'all', copies: false, direct: true, reaches: 'many', exists: false },
  },
];

export function carrierNamed(name: string): Carrier {
  const found = CARRIERS.find((carrier) => carrier.name === name);
  if (found === undefined) throw new RangeError(`no carrier ${name}: ${CARRIERS.map((c) => c.name).join(', ')}`);
  return found;
}

/** What a guest does. */
export interface Workload {
  /** How often it writes commands, a CMD_SYNC and the tail. */
  readonly submits: number;
  /** TLB invalidations of one ASID in each. */
  readonly commands: number;
  /** Of those, how many no queue of a guest's own takes (CFGI, NH_ALL): they go the way of `batched`. */
  readonly unaccelerated: number;
  /** SMMUs of the host whose devices use the ASID, which a guest that sees them has to invalidate one by one. */
  readonly smmusUsed: number;
}

export interface Price {
  readonly tables: number;
  readonly guestSmmus: number;
  readonly vmids: number;
  /** Commands that the guest writes, CMD_SYNCs too. */
  readonly guestCommands: number;
  readonly exits: number;
  readonly ioctls: number;
  /** Bytes of commands that the kernel copies from user memory. */
  readonly copied: number;
  /** Commands that SMMUs execute, CMD_SYNCs too. */
  readonly executed: number;
  /** Why it cannot be done; null if it can. */
  readonly impossible: string | null;
}

const COMMAND_BYTES = 16;

/** What a workload costs with a layout and a carrier. */
export function priceOf(layout: Layout, carrier: Carrier, devices: readonly SharedDevice[], work: Workload): Price {
  const { policy } = layout;
  const sees = policy.guestSmmus === 'each';
  // A guest that sees the SMMUs tells each that uses the ASID; one that sees one tells that one.
  const writes = work.submits * (sees ? work.smmusUsed : 1);
  const targets = sees ? 1 : guestTargets(layout, 0, devices).length;
  const slow = carrier.traps ? work.commands : work.unaccelerated;
  const fast = work.commands - slow;
  const trapped = slow > 0 ? writes : 0;
  // The VMM's replication is an ioctl for each vIOMMU; the kernel's is its own.
  const calls = policy.replicates === 'VMM' ? targets : 1;
  const perTrap = carrier.perIoctl === 'one' ? slow : 1;
  const batches = carrier.perIoctl === 'one' ? slow : Math.ceil(slow / BATCH);
  const executedSlow = trapped * targets * (slow + batches);
  // The guest's own CMD_SYNC is executed there.
  const executedFast = fast > 0 ? writes * targets * (fast + 1) : 0;
  const ioctls = trapped * calls * perTrap;
  return {
    tables: layout.tables.length,
    guestSmmus: layout.guestSmmus.length,
    vmids: layout.vmids.length,
    guestCommands: writes * (work.commands + (fast > 0 && slow > 0 ? 2 : 1)),
    exits: trapped,
    ioctls,
    copied: carrier.copies || !carrier.traps ? trapped * calls * slow * COMMAND_BYTES : 0,
    executed: executedSlow + executedFast,
    impossible: impossibility(layout, carrier),
  };
}

function impossibility({ guestSmmus }: Layout, carrier: Carrier): string | null {
  if (carrier.reaches === 'one' && guestSmmus.some(({ smmus }) => smmus.length > 1))
    return 'a queue belongs to one SMMU: a guest that sees one SMMU for several would have to know the queues of each';
  return carrier.exists ? null : 'nobody has built it';
}

/** Pages of 4 KiB that a stage-2 table of four levels has for so much memory from address 0 on. @param leafBits 12, 21 or 30 */
export function tablePages(bytes: number, leafBits: 12 | 21 | 30): number {
  let pages = 1;
  // A table of a level covers 2^(9 + bits of its entries) bytes; the one of level 0 is always there.
  for (let bits = leafBits + 9; bits < 48; bits += 9) pages += Math.ceil(bytes / 2 ** bits);
  return pages;
}
