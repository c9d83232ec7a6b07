/** What a queue that a guest owns takes, and with whose ids it is done (tegra241_guest_vcmdq_supports_cmd of Linux). */
import { get, put } from '../../bits/index.ts';
import { CMD_ATC_INV, CMD_SYNC, CMD_TLBI_NH_ASID, CMD_TLBI_NH_VA } from '../smmuv3/commands.ts';

export const OP = {
  ATC_INV: CMD_ATC_INV.OPCODE.fixed as number,
  SYNC: CMD_SYNC.OPCODE.fixed as number,
} as const;

/** Opcodes that a guest's queue takes; with HYP_OWN all are taken. */
export const GUEST_OPCODES: readonly number[] = [
  CMD_TLBI_NH_ASID.OPCODE.fixed as number,
  CMD_TLBI_NH_VA.OPCODE.fixed as number,
  OP.ATC_INV,
  OP.SYNC,
];

/** Whose queues are: what the registers of interfaces say. */
export interface Owners {
  /** The interface that has a queue, and is on; −1 where none has. */
  vintfOf(queue: number): number;
  /** HYP_OWN: all commands are taken, as they are. */
  isHypervisors(vintf: number): boolean;
  vmidOf(vintf: number): number;
  /** The StreamID that one of the guest's stands for; −1 where no slot has it. */
  sidOf(vintf: number, vsid: number): number;
}

/**
 * Puts the host's ids into a command of an interface, in place.
 * @returns why it is refused, or null; the words are then as they were
 */
export function admit(command: Int32Array, owners: Owners, vintf: number): string | null {
  if (owners.isHypervisors(vintf)) return null;
  const op = command[0] & 0xff;
  if (!GUEST_OPCODES.includes(op)) return 'no command for a queue of a guest’s own';
  if (op === OP.SYNC) return null;
  if (op !== OP.ATC_INV) {
    put(CMD_TLBI_NH_ASID.VMID, command, owners.vmidOf(vintf));
    return null;
  }
  const sid = owners.sidOf(vintf, get(CMD_ATC_INV.StreamID, command));
  if (sid < 0) return 'its StreamID is in no slot of the interface';
  put(CMD_ATC_INV.StreamID, command, sid);
  return null;
}
