/** Bytes of a file or of a pipe, packed or not, as text in pieces. */
import { createReadStream, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { UsageError } from '../usage-error.ts';
import { STOPPED } from './reading.ts';
import { TableInput } from './table-input.ts';

const PIECE = 1 << 20;

/** How files begin that have to be unpacked by something else. */
const PACKED: readonly { readonly magic: readonly number[]; readonly by: string }[] = [
  { magic: [0xfd, 0x37, 0x7a, 0x58], by: 'xzcat' },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], by: 'zstdcat' },
  { magic: [0x42, 0x5a, 0x68], by: 'bzcat' },
  { magic: [0x50, 0x4b, 0x03, 0x04], by: 'unzip -p' },
];
const GZIP = [0x1f, 0x8b];
const UTF_16 = [0xff, 0xfe];

/**
 * Reads a whole input.
 * @param name of a file, or `-` for standard input
 * @param take each piece of text, in order
 * @param takeTable an input that is an ACPI table, whole
 * @throws UsageError where it cannot be read, or not to its end
 */
export async function readInput(
  name: string,
  take: (text: string) => void,
  takeTable: (bytes: Uint8Array) => void,
): Promise<void> {
  try {
    const source = (name === '-' ? process.stdin : createReadStream(name, { highWaterMark: PIECE }))[
      Symbol.asyncIterator
    ]();
    const { value: first, done } = await source.next();
    if (done === true) return;
    const begin = first as Uint8Array;
    refusePacked(name, begin);
    const whole = from(begin, source);
    const bytes = begins(begin, GZIP) ? Readable.from(whole).pipe(createGunzip()) : whole;
    const decoder = new TextDecoder(begins(begin, UTF_16) ? 'utf-16le' : 'utf-8');
    const table = new TableInput();
    for await (const piece of bytes as AsyncIterable<Uint8Array>)
      if (!table.take(piece)) take(decoder.decode(piece, { stream: true }));
    take(decoder.decode());
    const binary = table.whole();
    if (binary !== null) takeTable(binary);
  } catch (error) {
    if (error instanceof UsageError || error === STOPPED) throw error;
    throw new UsageError(
      `${name}: cannot be read to its end (${(error as Error).message}); name a file that can, or - for a pipe`,
    );
  }
}

async function* from(first: Uint8Array, rest: AsyncIterator<unknown>): AsyncGenerator<Uint8Array> {
  yield first;
  for (;;) {
    const { value, done } = await rest.next();
    if (done === true) return;
    yield value as Uint8Array;
  }
}

function begins(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, i) => bytes[i] === byte);
}

function refusePacked(name: string, bytes: Uint8Array): void {
  const packed = PACKED.find(({ magic }) => begins(bytes, magic));
  if (packed !== undefined)
    throw new UsageError(`${name} is packed; unpack it: ${packed.by} ${name} | pinhole explain -`);
}

/** Names of inputs: those with wildcards in their last part that the shell has left are looked up. */
export function inputsOf(names: readonly string[]): string[] {
  return names.flatMap((name) => {
    if (name === '-' || !/[*?]/.test(basename(name)) || exists(name)) return [name];
    const folder = dirname(name);
    const pattern = new RegExp(
      `^${basename(name)
        .replace(/[.+^${}()|[\]\\]/g, '\\$&')
        .replaceAll('*', '.*')
        .replaceAll('?', '.')}$`,
    );
    const found = listed(folder)
      .filter((entry) => pattern.test(entry))
      .sort();
    if (found.length === 0) throw new UsageError(`${name} matches no file; name one, or - for what is piped in`);
    return found.map((entry) => join(folder, entry));
  });
}

function exists(name: string): boolean {
  return statSync(name, { throwIfNoEntry: false }) !== undefined;
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map(({ name }) => name);
  } catch {
    return [];
  }
}
