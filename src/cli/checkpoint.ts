/** A search that was interrupted, in a file: written at intervals and on Ctrl-C, refused where it is not what was written. */
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import type { Case } from '../cases/index.ts';
import type { Instance, Reduction, SavedSearch } from '../explore/index.ts';
import { UsageError } from './usage-error.ts';

const MAGIC = 'pinhole checkpoint 1\n';
const SUM_BYTES = 32;

/** What a checkpoint is of. */
export interface CheckpointOf {
  /** Version of Pinhole: another one may number states otherwise. */
  readonly pinhole: string;
  readonly case: string;
  readonly file: string | null;
  readonly variant: string;
  readonly profile: string;
  readonly mutant: string | null;
  readonly maxStates: number;
  readonly without: readonly Reduction[];
  /** Hash of the machine at its start and of what makes it ({@link identityOf}). */
  readonly identity: string;
}

/**
 * Hash of a case's machine at its start, its agents, and the text that builds it.
 * @param text all of a user's own case: what its programs do may stand outside `build`, and shows nowhere in the machine's start
 */
export function identityOf(definition: Case, instance: Instance, text: string): string {
  const hash = createHash('sha256');
  const { machine } = instance;
  hash.update(text);
  hash.update(definition.build.toString());
  hash.update(machine.arena.regions.map((r) => `${r.name} ${r.units} ${r.fields.join(' ')}`).join('\n'));
  hash.update(instance.agents.map((agent) => agent.name).join('\n'));
  hash.update(instance.tracker.initial);
  return hash.digest('hex').slice(0, 32);
}

function flat(stacks: readonly number[][]): Int32Array {
  return Int32Array.from(stacks.flatMap((stack) => [stack.length, ...stack]));
}

function bytesOf(words: Int32Array): Buffer {
  return Buffer.from(words.buffer, words.byteOffset, words.byteLength);
}

/** Writes it beside the file and then takes the file's place, so that a crash leaves the one before. */
export function writeCheckpoint(file: string, of: CheckpointOf, saved: SavedSearch): void {
  const { stacks, entries, ...rest } = saved;
  const work = flat(stacks);
  const header = JSON.stringify({ of, ...rest, work: work.length, entries: entries.length });
  const parts = [Buffer.from(`${MAGIC}${header}\n`), bytesOf(work), bytesOf(entries)];
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  const beside = `${file}.part`;
  try {
    const fd = openSync(beside, 'w');
    for (const part of [...parts, hash.digest()]) {
      for (let at = 0; at < part.length; ) at += writeSync(fd, part, at);
    }
    fsyncSync(fd);
    closeSync(fd);
    renameSync(beside, file);
  } catch (error) {
    throw new UsageError(
      `${file}: the checkpoint cannot be written (${(error as Error).message}); name a file that can`,
    );
  }
}

/** @returns what it is of, and the search; everything that is not as it was written is refused */
export function readCheckpoint(file: string): { of: CheckpointOf; saved: SavedSearch } {
  let all: Buffer;
  try {
    all = readFileSync(file);
  } catch (error) {
    throw new UsageError(`${file}: cannot be read (${(error as Error).message}); name a checkpoint`);
  }
  if (!all.subarray(0, MAGIC.length).equals(Buffer.from(MAGIC))) {
    throw new UsageError(
      `${file}: is no checkpoint of this format ('${MAGIC.trim()}'); name one that --checkpoint wrote`,
    );
  }
  const end = all.indexOf('\n', MAGIC.length);
  const header = headerOf(file, all.subarray(MAGIC.length, Math.max(end, MAGIC.length)));
  const body = end + 1;
  const expected = body + 4 * (header.work + header.entries) + SUM_BYTES;
  if (all.length < expected) {
    throw new UsageError(
      `${file}: is cut: ${all.length} bytes of ${expected}; use a whole copy, or begin anew without --resume`,
    );
  }
  const sum = createHash('sha256')
    .update(all.subarray(0, expected - SUM_BYTES))
    .digest();
  if (all.length > expected || !sum.equals(all.subarray(expected - SUM_BYTES))) {
    throw new UsageError(`${file}: was altered (its checksum does not fit); begin anew without --resume`);
  }
  const words = (at: number, count: number) =>
    new Int32Array(all.buffer.slice(all.byteOffset + at, all.byteOffset + at + 4 * count));
  const { of, work, entries, ...rest } = header;
  return { of, saved: { ...rest, stacks: unflat(words(body, work)), entries: words(body + 4 * work, entries) } };
}

type Header = Omit<SavedSearch, 'stacks' | 'entries'> & { of: CheckpointOf; work: number; entries: number };

function headerOf(file: string, text: Buffer): Header {
  try {
    const header = JSON.parse(text.toString()) as Header;
    if (Number.isSafeInteger(header.work) && Number.isSafeInteger(header.entries)) return header;
  } catch {
    // Said below.
  }
  throw new UsageError(`${file}: its header is damaged; use a whole copy, or begin anew without --resume`);
}

function unflat(words: Int32Array): number[][] {
  const out: number[][] = [];
  for (let at = 0; at < words.length; at += 1 + words[at]) out.push([...words.subarray(at + 1, at + 1 + words[at])]);
  return out;
}

/** Refuses a checkpoint of something else than what is about to run. */
export function checkSame(file: string, was: CheckpointOf, is: CheckpointOf): void {
  const refuse = (what: string) => new UsageError(`${file}: ${what}; begin anew without --resume`);
  if (was.pinhole !== is.pinhole) throw refuse(`was written by Pinhole ${was.pinhole}, this is ${is.pinhole}`);
  for (const key of ['case', 'file', 'variant', 'profile', 'mutant'] as const) {
    if (was[key] !== is[key]) throw refuse(`is of ${key} ${was[key] ?? 'none'}, not ${is[key] ?? 'none'}`);
  }
  if (was.without.join() !== is.without.join()) throw refuse(`was searched without ${was.without.join() || 'nothing'}`);
  if (was.identity !== is.identity) throw refuse(`is of another ${was.case}: the case has changed since`);
}
