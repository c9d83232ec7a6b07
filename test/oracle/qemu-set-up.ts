/** What software does over qtest to a machine of QEMU before it is used: BARs, the bus behind a root port, the buffer of `edu`. */
import type { QtestClient } from '../../src/bridge/qtest-client.ts';
import { EDU, EDU_BUFFER, EDU_BUFFER_BYTES, EDU_COMMAND } from '../../src/devices/edu.ts';
import type { Access } from './platform.ts';
import { ELAPSE } from './qemu-process.ts';

/** The commands that write 32 bits to a function's configuration space. */
export type WriteConfiguration = (sid: number, offset: number, value: number) => readonly string[];

/** Device and function on a bus, as the option `addr` takes them. */
export const deviceAddress = (sid: number) => `${((sid >> 3) & 31).toString(16)}.${sid & 7}`;

/** Memory decoding, and being a bus master. */
const ENABLE = 6;

/** Sets BAR 0 of a function, and lets it decode memory and be a bus master. */
export function setBar(write: WriteConfiguration, sid: number, bar: number): string[] {
  return [...write(sid, 0x10, bar), ...write(sid, 0x04, ENABLE)];
}

/** A root port, and what software says of the bus behind it. */
export interface Bridge {
  readonly sid: number;
  readonly bus: number;
  /** Its first address. */
  readonly window: number;
}

/** Gives the bus behind a root port its number, and 2 MiB of addresses. */
export function setBridge(write: WriteConfiguration, { sid, bus, window }: Bridge): string[] {
  const [base, limit] = [window, window + 0x100000].map((at) => (at >>> 16) & 0xfff0);
  return [
    ...write(sid, 0x18, (bus << 16) | (bus << 8)),
    ...write(sid, 0x20, ((limit << 16) | base) >>> 0),
    ...write(sid, 0x04, ENABLE),
  ];
}

/** The buffer of `edu` outlives a reset: it reads zeros into it. @param bar of `edu`. @param zeros address of a page of them */
export const clearEdu = (bar: number, zeros: number): string[] => [
  `writeq ${bar + EDU.SOURCE} ${zeros}`,
  `writeq ${bar + EDU.DESTINATION} ${EDU_BUFFER}`,
  `writeq ${bar + EDU.COUNT} ${EDU_BUFFER_BYTES}`,
  `writeq ${bar + EDU.COMMAND} ${EDU_COMMAND.start}`,
  ELAPSE,
];

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
