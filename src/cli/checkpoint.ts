/** A search that was interrupted, in a file: written at intervals and on Ctrl-C, refused where it is not what was written. */
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import type { Case, SavedRun } from '../cases/index.ts';
import type { Decided, Instance, Reduction, SavedSearch, SavedShortest } from '../explore/index.ts';
import { UsageError } from './usage-error.ts';

const MAGIC = 'pinhole checkpoint 2\n';
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

/** Where a checkpoint is written before it takes the file's place. */
function besideOf(file: string): string {
  return `${file}.part`;
}

function notWritable(file: string, error: unknown): UsageError {
  return new UsageError(
    `${file}: the checkpoint cannot be written (${(error as Error).message}); name a file that can`,
  );
}

/** Fails before a long search, not at the first save. */
export function refuseUnwritable(file: string): void {
  try {
    if (statSync(file, { throwIfNoEntry: false })?.isDirectory()) throw new Error('it is a folder');
    closeSync(openSync(besideOf(file), 'w'));
    rmSync(besideOf(file));
  } catch (error) {
    throw notWritable(file, error);
  }
}

/** What a run that was saved has of numbers, in two parts, and the rest of it. */
function partsOf(run: SavedRun): { rest: Rest; first: Int32Array; second: Int32Array } {
  if (run.phase === 'deciding') {
    const { stacks, entries, ...search } = run.search;
    return { rest: { phase: run.phase, search }, first: flat(stacks), second: entries };
  }
  const { phase, decided } = run;
  const none = new Int32Array();
  if (run.shortest === null) return { rest: { phase, decided, shortest: null }, first: none, second: none };
  const { parents, decisions, ...shortest } = run.shortest;
  return { rest: { phase, decided, shortest }, first: parents, second: decisions };
}

function runOf(rest: Rest, first: Int32Array, second: Int32Array): SavedRun {
  if (rest.phase === 'deciding')
    return { phase: rest.phase, search: { ...rest.search, stacks: unflat(first), entries: second } };
  const { phase, decided, shortest } = rest;
  return { phase, decided, shortest: shortest && { ...shortest, parents: first, decisions: second } };
}

/** Writes it beside the file and then takes the file's place, so that a crash leaves the one before. */
export function writeCheckpoint(file: string, of: CheckpointOf, run: SavedRun): void {
  const { rest, first, second } = partsOf(run);
  const header = JSON.stringify({ of, ...rest, lengths: [first.length, second.length] });
  const parts = [Buffer.from(`${MAGIC}${header}\n`), bytesOf(first), bytesOf(second)];
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  const beside = besideOf(file);
  try {
    const fd = openSync(beside, 'w');
    try {
      for (const part of [...parts, hash.digest()]) {
        for (let at = 0; at < part.length; ) at += writeSync(fd, part, at);
      }
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(beside, file);
  } catch (error) {
    throw notWritable(file, error);
  }
}

/** @returns what it is of, and the run; everything that is not as it was written is refused */
export function readCheckpoint(file: string): { of: CheckpointOf; saved: SavedRun } {
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
  const { of, lengths, ...rest } = headerOf(file, all.subarray(MAGIC.length, Math.max(end, MAGIC.length)));
  const [first, second] = lengths;
  const body = end + 1;
  const expected = body + 4 * (first + second) + SUM_BYTES;
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
  return { of, saved: runOf(rest, words(body, first), words(body + 4 * first, second)) };
}

/** A run without its numbers, as the header has it. */
type Rest =
  | { readonly phase: 'deciding'; readonly search: Omit<SavedSearch, 'stacks' | 'entries'> }
  | {
      readonly phase: 'telling';
      readonly decided: Decided;
      readonly shortest: Omit<SavedShortest, 'parents' | 'decisions'> | null;
    };

type Header = Rest & { readonly of: CheckpointOf; readonly lengths: readonly [number, number] };

function headerOf(file: string, text: Buffer): Header {
  try {
    const header = JSON.parse(text.toString()) as Header;
    const isWhole = header.lengths.length === 2 && header.lengths.every((n) => Number.isSafeInteger(n) && n >= 0);
    if (isWhole && (header.phase === 'deciding' || header.phase === 'telling')) return header;
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
