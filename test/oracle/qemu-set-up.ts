/** What software does over qtest to a machine of QEMU before it is used: BARs, the bus behind a root port, the buffer of `edu`. */
import type { QtestClient } from '../../src/bridge/qtest-client.ts';
import { EDU, EDU_BUFFER, EDU_BUFFER_BYTES, EDU_COMMAND } from '../../src/devices/edu.ts';
import type { Access } from './platform.ts';
import { ELAPSE } from './qemu-process.ts';

/** The commands that write 32 bits to a function's configuration space. */
export type WriteConfiguration = (sid: number, offset: number, value: number) => readonly string[];

/** By the I/O ports of a PC. */
export const byPorts: WriteConfiguration = (sid, offset, value) => [
  `outl 0xcf8 ${(0x8000_0000 | (sid << 8) | offset) >>> 0}`,
  `outl 0xcfc ${value >>> 0}`,
];

/** Device and function on a bus, as the option `addr` takes them. */
export const deviceAddress = (sid: number) => `${((sid >> 3) & 31).toString(16)}.${sid & 7}`;

/** Memory decoding, and being a bus master. */
const ENABLE = 6;

/** Sets BAR 0 of a function, and lets it decode memory and be a bus master. */
export function setBar(write: WriteConfiguration, sid: number, bar: number): string[] {
  return [...write(sid, 0x10, bar), ...write(sid, 0x04, ENABLE)];
}

/** A root port, and the bus behind it. */
export interface Bridge {
  readonly sid: number;
  readonly bus: number;
  /** Its first address. */
  readonly window: number;
}

/** Gives the bus behind a root port its number, and the whole MiBs up to one with the address `last`: 2 MiB if absent. */
export function setBridge(write: WriteConfiguration, { sid, bus, window }: Bridge, last = window + 0x100000): string[] {
  const [base, limit] = [window, last].map((at) => (at >>> 16) & 0xfff0);
  return [
    ...write(sid, 0x18, (bus << 16) | (bus << 8)),
    ...write(sid, 0x20, ((limit << 16) | base) >>> 0),
    ...write(sid, 0x04, ENABLE),
  ];
}

/** DMA of an `edu`, and the time that it takes. @param bar of the device. @param inside address in its buffer, as it takes them */
export function eduTransfer(bar: number, isWrite: boolean, address: bigint, inside: number, bytes: number): string[] {
  return [
    `writeq ${bar + EDU.SOURCE} ${isWrite ? inside : address}`,
    `writeq ${bar + EDU.DESTINATION} ${isWrite ? address : inside}`,
    `writeq ${bar + EDU.COUNT} ${bytes}`,
    `writeq ${bar + EDU.COMMAND} ${EDU_COMMAND.start | (isWrite ? EDU_COMMAND.toMemory : 0)}`,
    ELAPSE,
  ];
}

/** The buffer of an `edu` outlives a reset: it reads zeros into it. @param zeros address of a page of them */
export const clearEdu = (bar: number, zeros: number): string[] =>
  eduTransfer(bar, false, BigInt(zeros), EDU_BUFFER, EDU_BUFFER_BYTES);

/** Runs accesses as one batch. @param commandsOf those of an access. @returns for each the answer to its first command */
export async function answers(
  qtest: QtestClient,
  program: readonly Access[],
  commandsOf: (access: Access) => readonly string[],
): Promise<string[]> {
  const commands = program.map(commandsOf);
  const all = await qtest.run(commands.flat());
  let next = 0;
  return commands.map(({ length }) => {
    const at = next;
    next += length;
    return all[at];
  });
}
