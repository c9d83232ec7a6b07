/**
 * Interrupt requests among a device's transactions: DWORD writes to the interrupt range, which keep the order of posted writes. An interrupt is
 * seen only when all that its device wrote before it has landed (PCI Express 2.4.1, ordering rule A2a; VT-d 5.2.4); what was
 * written after it may land before it.
 */
import { hex } from '../bits/index.ts';
import type { Dma } from './dma.ts';
import { ACCESS, PHASE, SLOT } from './dma.ts';
import { MARK } from './marks.ts';
import { bdf } from './requester.ts';

/** Takes interrupts when they take effect. */
export interface Messages {
  /** The slot is that of the message as the processors get it; see {@link messageAddress}. */
  deliver(slot: number): void;
}

/** Bits 31:0 of the address of a write to one DWORD. Of a transaction that says 64-bit words: of the first half. */
export function messageAddress(dma: Dma, slot: number): number {
  const dword = dma.get(slot, SLOT.word) * ((dma.get(slot, SLOT.flags) & MARK.message) !== 0 ? 1 : 2);
  return ((dma.get(slot, SLOT.vpnHi) << 30) | (dma.get(slot, SLOT.vpnLo) << 12) | (dword << 2)) >>> 0;
}

export function messageData(dma: Dma, slot: number): number {
  return dma.get(slot, SLOT.data) >>> 0;
}

/**
 * A device sends an interrupt request. A slot has to be free.
 * @param address byte address below 2^32, a multiple of 4. @param data 32 bits
 * @param waited the device will ask for the status ({@link Dma.finished})
 */
export function sendMessage(dma: Dma, requester: number, address: number, data: number, waited: boolean): number {
  const slot = dma.freeSlot();
  if (slot < 0) throw new Error('no free DMA slot');
  if (dma.log.on) {
    const { name, sid } = dma.requesters[requester];
    dma.log.say('device', `${name} [${bdf(sid)}] interrupt: writes ${hex(data >>> 0)} to ${hex(address >>> 0)}`);
  }
  dma.set(slot, SLOT.phase, PHASE.issued);
  dma.set(slot, SLOT.device, requester);
  dma.set(slot, SLOT.access, ACCESS.write);
  dma.set(slot, SLOT.vpnHi, address >>> 30);
  dma.set(slot, SLOT.vpnLo, (address >>> 12) & 0x3ffff);
  dma.set(slot, SLOT.word, (address & 0xfff) >>> 2);
  dma.set(slot, SLOT.data, data | 0);
  placeInOrder(dma, slot);
  dma.set(slot, SLOT.flags, MARK.message | (waited ? MARK.waited : 0));
  if (dma.immediate) dma.performAtOnce(slot);
  return slot;
}

/** Whether the device's transaction is on its way. */
function isInFlight(dma: Dma, slot: number, device: number): boolean {
  const phase = dma.get(slot, SLOT.phase);
  return phase !== PHASE.free && phase < PHASE.completed && dma.get(slot, SLOT.device) === device;
}

function isMessage(dma: Dma, slot: number): boolean {
  return (dma.get(slot, SLOT.flags) & MARK.message) !== 0;
}

/** A write is sent: it is behind the interrupts of its device that are on their way. Only where there are any this is not 0. */
export function placeInOrder(dma: Dma, slot: number): void {
  if (dma.get(slot, SLOT.access) !== ACCESS.write) return;
  const device = dma.get(slot, SLOT.device);
  let ahead = 0;
  for (let i = 0; i < dma.slots; i++) {
    const other = dma.at(i);
    if (other !== slot && isMessage(dma, other) && isInFlight(dma, other, device)) ahead++;
  }
  if (ahead > 0) dma.set(slot, SLOT.order, ahead);
}

/** An interrupt is over, seen or refused: those behind it have one less ahead of them. */
export function leaveOrder(dma: Dma, slot: number): void {
  if (!isMessage(dma, slot)) return;
  const device = dma.get(slot, SLOT.device);
  const order = dma.get(slot, SLOT.order);
  for (let i = 0; i < dma.slots; i++) {
    const other = dma.at(i);
    const behind = dma.get(other, SLOT.order) > order;
    if (other !== slot && behind && isInFlight(dma, other, device))
      dma.set(other, SLOT.order, dma.get(other, SLOT.order) - 1);
  }
}

/** Whether an interrupt has to wait for what its device wrote before it. */
export function isBehind(dma: Dma, slot: number): boolean {
  if (!isMessage(dma, slot)) return false;
  const order = dma.get(slot, SLOT.order);
  if (order > 0) return true;
  const device = dma.get(slot, SLOT.device);
  for (let i = 0; i < dma.slots; i++) {
    const other = dma.at(i);
    if (other === slot || isMessage(dma, other) || dma.get(other, SLOT.access) !== ACCESS.write) continue;
    if (isInFlight(dma, other, device) && dma.get(other, SLOT.order) === 0) return true;
  }
  return false;
}
