import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ToyOptions } from '../toy/toy.ts';

const TOY = fileURLToPath(new URL('toy.pml', import.meta.url));

/** At most so many DMA actors: five have some 700 million states, of which pan prints eight digits. */
export const MAX_ACTORS = 4;

/** Slots of pan's hash table, a power of two, by number of actors: more than there are states, up to 2^26. */
const HASH_BITS = [20, 20, 20, 22, 26] as const;

/** Steps that pan's stack has room for; the toy's longest run has 40. */
const MAX_DEPTH = 10_000;

/** Megabytes that pan may take; four actors take 1,750. */
const MEMORY = 6000;

/** What an exhaustive search by Spin came to. */
export interface SpinRun {
  readonly states: number;
  readonly transitions: number;
  readonly violated: boolean;
  /** Wall clock of the search, as pan prints it (to 10 ms): neither `spin` nor `gcc`. */
  readonly seconds: number;
}

/** Why Spin cannot run here; null if it can. */
export function whyNoSpin(): string | null {
  for (const [program, flag] of [
    ['spin', '-V'],
    ['gcc', '--version'],
  ]) {
    if (spawnSync(program, [flag]).status !== 0) return `${program} is not installed (bench/peers/install.sh does it)`;
  }
  return null;
}

/** `6.5.2` or the like. */
export function spinVersion(): string {
  return /\d+(\.\d+)+/.exec(execFileSync('spin', ['-V'], { encoding: 'utf8' }))?.[0] ?? 'unknown';
}

/**
 * Builds Spin's verifier for the toy and runs it.
 * @param reduced with Spin's partial-order reduction and merged statements, as it does by itself; else every state and transition
 * @throws Error if the search did not come to its end
 */
export function runSpin(options: Omit<ToyOptions, 'symmetric'>, reduced: boolean): SpinRun {
  const { actors, drainReads = true, drainWrites = true, flush = true } = options;
  if (!Number.isInteger(actors) || actors < 1 || actors > MAX_ACTORS)
    throw new RangeError(`Spin is run with 1 to ${MAX_ACTORS} DMA actors`);
  const folder = mkdtempSync(join(tmpdir(), 'pinhole-spin-'));
  try {
    copyFileSync(TOY, join(folder, 'toy.pml'));
    const defines = [`-DN=${actors}`, `-DDR=${+drainReads}`, `-DDW=${+drainWrites}`, `-DFLUSH=${+flush}`];
    run(folder, 'spin', [...defines, '-a', ...(reduced ? [] : ['-o3']), 'toy.pml']);
    const flags = ['-O2', '-w', '-DSAFETY', `-DMEMLIM=${MEMORY}`, ...(reduced ? [] : ['-DNOREDUCE'])];
    run(folder, 'gcc', [...flags, '-o', 'pan', 'pan.c']);
    return parse(run(folder, './pan', [`-m${MAX_DEPTH}`, `-w${HASH_BITS[actors]}`, '-n']));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function run(cwd: string, program: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? `${stderr}${stdout}`.trim()}`);
  return stdout;
}

/** Reads what pan printed. Its first "transition" is the start, which is none; its sum is rounded where its parts are not. */
export function parse(output: string): SpinRun {
  const number = (pattern: RegExp) => {
    const found = pattern.exec(output)?.[1];
    if (found === undefined || found.includes('e')) throw new Error(`pan printed no exact ${pattern}:\n${output}`);
    return Number(found);
  };
  const violated = /assertion violated/.test(output);
  if (!violated && (number(/errors: (\S+)/) !== 0 || /not completed|too small/.test(output)))
    throw new Error(`pan did not come to the end:\n${output}`);
  const states = number(/(\S+) states, stored/);
  return {
    states,
    transitions: states + number(/(\S+) states, matched/) - 1,
    violated,
    seconds: number(/elapsed time (\S+) seconds/),
  };
}
