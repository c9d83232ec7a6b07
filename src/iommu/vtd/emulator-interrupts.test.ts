import { describe, expect, test } from 'vitest';
import { DELIVERY_MODE, INTERRUPT_FAULT, NOT_AN_INTERRUPT, REQUEST, VtdEmulator } from './index.ts';

/** Register offsets and bits (VT-d 11.4), written again on purpose. */
const GCMD = 0x18;
const IQT = 0x88;
const IQA = 0x90;
const IRTA = 0xb8;
const FRCD = 0x220;
const FECTL = 0x38;
const FEDATA = 0x3c;
const FEADDR = 0x40;
const QIE = 2 ** 26;
const IRE = 2 ** 25;
const SIRTP = 2 ** 24;

const DEVICE = 0x0010;
const TABLE = 0x8000;
const QUEUE = 0x9000;

/** A guest with a table of 256 entries: entry 7 sends vector 0x41 to APIC 0x12, level-triggered, for 00:02.0 alone. */
function start() {
  const ram = new Uint8Array(1 << 16);
  const view = new DataView(ram.buffer);
  const put = (at: number, lo: bigint, hi: bigint) => {
    view.setBigUint64(at, lo, true);
    view.setBigUint64(at + 8, hi, true);
  };
  const setEntry = (index: number, vector: number) =>
    put(TABLE + 16 * index, 0x0000_1200_0000_0011n | (BigInt(vector) << 16n), 0x4_0010n);
  setEntry(7, 0x41);
  const messages: [number, number, number][] = [];
  const changes: [number, number][] = [];
  const iommu = new VtdEmulator({
    memory: ram,
    ecap: { IR: 1, EIM: 1, MHMV: 15 },
    message: (...message) => messages.push(message),
    interruptEntriesChanged: (...change) => changes.push(change),
  });
  iommu.write(IRTA, 8, BigInt(TABLE) | 7n);
  iommu.write(GCMD, 4, SIRTP);
  iommu.write(IQA, 8, QUEUE);
  iommu.write(GCMD, 4, QIE);
  iommu.write(GCMD, 4, QIE + IRE);
  messages.length = 0;
  changes.length = 0;
  return { iommu, messages, changes, setEntry, put };
}

/** Handle 7 in remappable format. */
const ADDRESS = 0xfee000f0;

describe('interrupts of a unit that a VMM has', () => {
  test('a device’s interrupt reaches the VMM as the processors get it', () => {
    const { iommu, messages } = start();
    expect(iommu.interrupt(DEVICE, ADDRESS, 0)).toBe(0);
    expect(iommu.interrupt(DEVICE, BigInt(ADDRESS), 0)).toBe(0);
    expect(messages).toEqual([
      [0, 0xfee12000, 0xc041],
      [0, 0xfee12000, 0xc041],
    ]);
    const { destination, vector, deliveryMode, level, asserted, logical, redirectionHint } = iommu.remapped;
    expect([destination, vector, deliveryMode]).toEqual([0x12, 0x41, DELIVERY_MODE.fixed]);
    expect([level, asserted, logical, redirectionHint]).toEqual([true, true, false, false]);
  });

  test('one that is refused goes nowhere and is recorded', () => {
    const { iommu, messages } = start();
    iommu.write(FEADDR, 4, 0xfee00000);
    iommu.write(FEDATA, 4, 0x99);
    iommu.write(FECTL, 4, 0);
    expect(iommu.interrupt(DEVICE + 1, ADDRESS, 0)).toBe(-INTERRUPT_FAULT.sourceId);
    expect(messages).toEqual([[0, 0xfee00000, 0x99]]);
    expect(iommu.read(FRCD + 8, 8)).toBe((0x8000_0026n << 32n) | BigInt(DEVICE + 1));
    expect(iommu.read(FRCD, 8)).toBe(7n << 48n);
    expect(iommu.interrupt(DEVICE, 0xfee12000, 0x41)).toBe(-INTERRUPT_FAULT.compatibilityBlocked);
  });

  test('a route that is set up ahead: asked for without sending, and asked for again when the guest says that it changed', () => {
    const { iommu, messages, changes, setEntry, put } = start();
    expect(iommu.remapInterrupt(DEVICE, ADDRESS, 0)).toBe(0);
    expect([iommu.remapped.addressLo, iommu.remapped.data, messages.length]).toEqual([0xfee12000, 0xc041, 0]);
    setEntry(7, 0x42);
    put(QUEUE, 4n | (1n << 4n) | (7n << 32n), 0n);
    iommu.write(IQT, 4, 16);
    expect(changes).toEqual([[7, 1]]);
    expect(iommu.remapInterrupt(DEVICE, ADDRESS, 0)).toBe(0);
    expect(iommu.remapped.data).toBe(0xc042);
  });

  test.each([
    0,
    0xfedffffc,
    0xfef00000,
    0x1_fee00000,
    -1,
    0.5,
    0xfee00000 + 0.5,
    Number.NaN,
    0x1_0000_0000_fee00000n,
    -1n,
  ])('%d is no address of an interrupt', (address) => {
    const { iommu, messages } = start();
    expect(iommu.interrupt(DEVICE, address, 0)).toBe(NOT_AN_INTERRUPT);
    expect([messages.length, iommu.read(FRCD + 12, 4)]).toEqual([0, 0]);
  });

  test('whatever numbers a device sends as data', () => {
    const { iommu } = start();
    for (const data of [-1, 2 ** 32 + 7, Number.NaN, 0.5, Number.POSITIVE_INFINITY])
      expect(iommu.interrupt(DEVICE, ADDRESS, data)).toBe(0);
  });

  test('translate() answers an interrupt with its own address: it is for interrupt()', () => {
    const { iommu } = start();
    expect(iommu.translate(DEVICE, ADDRESS, REQUEST.write)).toBe(ADDRESS);
    expect(iommu.translate(DEVICE, ADDRESS, REQUEST.longWrite)).toBe(-INTERRUPT_FAULT.notAnInterrupt);
  });

  test('reset, save and restore have it all', () => {
    const { iommu, setEntry } = start();
    iommu.interrupt(DEVICE, ADDRESS, 0);
    setEntry(7, 0x77);
    const state = iommu.save();
    iommu.reset();
    expect(iommu.interrupt(DEVICE, ADDRESS, 5)).toBe(0);
    expect(iommu.remapped.addressLo).toBe(ADDRESS);
    iommu.restore(state);
    expect(iommu.interrupt(DEVICE, ADDRESS, 5)).toBe(0);
    expect(iommu.remapped.data).toBe(0xc041);
  });

  test('without ECAP.IR interrupts pass as they are', () => {
    const messages: [number, number, number][] = [];
    const iommu = new VtdEmulator({ memory: new Uint8Array(4096), message: (...message) => messages.push(message) });
    expect(iommu.interrupt(DEVICE, ADDRESS, 0xffffffff)).toBe(0);
    expect(messages).toEqual([[0, ADDRESS, 0xffffffff]]);
  });

  test('a million interrupts allocate nothing', () => {
    const { iommu } = start();
    const gc = (globalThis as { gc?: () => void }).gc;
    let sum = 0;
    for (let i = 0; i < 100_000; i++) sum += iommu.remapInterrupt(DEVICE, ADDRESS, i);
    gc?.();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 1_000_000; i++) sum += iommu.remapInterrupt(DEVICE, ADDRESS, i);
    expect(sum).toBe(0);
    // Without --expose-gc there is some noise; a single object each would be 16 MB and more.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(4 << 20);
  });
});
