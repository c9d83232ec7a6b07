import { expect, test } from 'vitest';
import { EDU, EDU_BUFFER, EDU_COMMAND, Edu } from './edu.ts';

function bench() {
  const memory = new Uint8Array(4096).map((_, i) => i & 0xff);
  const device = new Edu({
    write: (_hi, lo, bytes) => {
      memory.set(bytes, lo);
      return true;
    },
    read: (_hi, lo, into) => {
      into.set(memory.subarray(lo, lo + into.length));
      return true;
    },
  });
  const start = (command: number, source: number, destination: number, count: number) => {
    device.write64(EDU.SOURCE, source, 0);
    device.write64(EDU.DESTINATION, destination, 0);
    device.write64(EDU.COUNT, count, 0);
    device.write64(EDU.COMMAND, command, 0);
  };
  return { memory, device, start };
}

test('reads into its buffer and writes from there, when the time has come', () => {
  const { memory, device, start } = bench();
  start(EDU_COMMAND.start, 0x10, EDU_BUFFER + 8, 4);
  expect(device.read64(EDU.COMMAND)).toEqual({ lo: 1, hi: 0 });
  device.elapse();
  expect(device.read64(EDU.COMMAND)).toEqual({ lo: 0, hi: 0 });
  start(EDU_COMMAND.start | EDU_COMMAND.toMemory, EDU_BUFFER + 8, 0x100, 4);
  expect([...memory.subarray(0x100, 0x104)]).toEqual([0, 1, 2, 3]);
  device.elapse();
  expect([...memory.subarray(0x0ff, 0x105)]).toEqual([0xff, 0x10, 0x11, 0x12, 0x13, 4]);
});

test('its registers are its own until then, and a command without start is none', () => {
  const { memory, device, start } = bench();
  start(EDU_COMMAND.start, 0x10, EDU_BUFFER, 4);
  device.write64(EDU.SOURCE, 0x20, 0);
  expect(device.read64(EDU.SOURCE)).toEqual({ lo: 0x10, hi: 0 });
  device.elapse();
  start(EDU_COMMAND.toMemory, EDU_BUFFER, 0x100, 4);
  device.elapse();
  expect(memory[0x100]).toBe(0);
  expect(memory[0x101]).toBe(1);
});

test('a transfer that leaves the buffer throws', () => {
  const { device, start } = bench();
  start(EDU_COMMAND.start, 0, EDU_BUFFER + 4000, 97);
  expect(() => device.elapse()).toThrow(/leave its buffer/);
});
