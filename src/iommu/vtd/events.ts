/** The messages by which the unit interrupts: the fault event (VT-d 7.3) and the invalidation completion event (6.5.2.10). */
import { hex } from '../../bits/index.ts';
import type { VtdCore } from './core.ts';
import {
  FEADDR,
  FECTL,
  FEDATA,
  FEUADDR,
  FSTS,
  ICS,
  IEADDR,
  IECTL,
  IEDATA,
  IEUADDR,
  PEADDR,
  PECTL,
  PEDATA,
  PEUADDR,
  PRS,
} from './registers.ts';

/** Takes a message: a DWORD write of `data`. Both halves of the address are unsigned. */
export type MessageSink = (addressHi: number, addressLo: number, data: number) => void;

interface EventRegisters {
  readonly name: string;
  readonly control: typeof FECTL | typeof IECTL | typeof PECTL;
  readonly data: typeof FEDATA | typeof IEDATA | typeof PEDATA;
  readonly address: typeof FEADDR | typeof IEADDR | typeof PEADDR;
  readonly upper: typeof FEUADDR | typeof IEUADDR | typeof PEUADDR;
}

export const FAULT_EVENT: EventRegisters = {
  name: 'fault event',
  control: FECTL,
  data: FEDATA,
  address: FEADDR,
  upper: FEUADDR,
};

export const INVALIDATION_EVENT: EventRegisters = {
  name: 'invalidation completion event',
  control: IECTL,
  data: IEDATA,
  address: IEADDR,
  upper: IEUADDR,
};

/** 7.5. */
export const PAGE_REQUEST_EVENT: EventRegisters = {
  name: 'page request event',
  control: PECTL,
  data: PEDATA,
  address: PEADDR,
  upper: PEUADDR,
};

/** Whether FSTS reports something that software has not serviced: no new condition is an event then (7.3). */
export function hasUnservicedFault(core: VtdCore): boolean {
  const { regs } = core;
  return [FSTS.PFO, FSTS.PPF, FSTS.IQE, FSTS.ICE, FSTS.ITE].some((field) => regs.get(FSTS, field) !== 0);
}

/** An interrupt condition: IP is set, and the message goes out unless IM holds it back. */
export function raiseEvent(core: VtdCore, event: EventRegisters): void {
  core.regs.put(event.control, event.control.IP, 1);
  sendPending(core, event);
}

/** Software wrote the control register: with IM clear a message that was held back goes out. */
export function sendPending(core: VtdCore, event: EventRegisters): void {
  const { regs } = core;
  const { control } = event;
  if (regs.get(control, control.IP) === 0 || regs.get(control, control.IM) === 1) return;
  regs.put(control, control.IP, 0);
  const hi = regs.read32(event.upper.offset) >>> 0;
  const lo = regs.read32(event.address.offset) >>> 0;
  const data = regs.read32(event.data.offset);
  if (core.telling) core.say(`${event.name}: writes ${hex(data)} to ${hex(hi * 0x100000000 + lo)}`);
  core.message?.(hi, lo, data);
}

/** Software serviced something: what nobody has to be told any more is not pending either. */
export function settleEvents(core: VtdCore): void {
  const { regs } = core;
  if (regs.get(FECTL, FECTL.IP) === 1 && !hasUnservicedFault(core)) regs.put(FECTL, FECTL.IP, 0);
  if (core.has.ecap.QI === 1 && regs.get(ICS, ICS.IWC) === 0) regs.put(IECTL, IECTL.IP, 0);
  if (core.has.ecap.PRS === 1 && regs.read32(PRS.offset) === 0) regs.put(PECTL, PECTL.IP, 0);
}
