/**
 * An STE or a CD is changed while it may be in use (`arm_smmu_write_entry`, v6.9 on). Hardware reads 64 bits at once and no more (IHI 0070, 3.21.3), so
 * that what it may see is any mix of words that were stored since the last invalidation.
 */
import { hex } from '../../bits/index.ts';
import type { Cpu, Program } from '../../machine/index.ts';

/** 64-bit words of an STE, and of a CD. */
export const ENTRY_WORDS = 8;

export type Entry = readonly bigint[];

export interface EntryWriter {
  /** What it is called in the story. */
  readonly name: string;
  /** Byte address of its first word. */
  readonly at: bigint;
  /** Bits that hardware looks at in an entry that says this: the others it ignores. */
  used(entry: Entry): Entry;
  /** Invalidates what is cached of it, and waits (CMD_CFGI_STE or CMD_CFGI_CD, CMD_SYNC). */
  sync(): Program;
}

export interface EntryConduct {
  /**
   * `kernel`: hitless where one word alone has bits in use to change, through V = 0 otherwise, with an invalidation after each stage. Mutations: `naive`
   * stores word after word, from the first on, and invalidates once; `no-sync` is as `kernel`, and invalidates once, at the end.
   */
  readonly order?: 'kernel' | 'naive' | 'no-sync';
  /** What the entry points at is visible before it is (`dma_wmb` before anything else, added in v7.1 and stable). True if absent. */
  readonly publishes?: boolean;
}

/** How a change goes: what is stored in which stage. */
export interface EntryPlan {
  readonly hitless: boolean;
  /** Whole entries, as memory is to hold them after each stage. */
  readonly stages: readonly Entry[];
}

/** What `arm_smmu_write_entry` makes of a change. @throws Error where the target has bits that its own words make hardware ignore */
export function planOf(used: EntryWriter['used'], entry: Entry, target: Entry): EntryPlan {
  const [usedNow, usedThen] = [used(entry), used(target)];
  const stray = target.findIndex((word, i) => (word & ~usedThen[i]) !== 0n);
  if (stray >= 0) throw new Error(`word ${stray} of the new entry has bits that hardware ignores: they must be 0`);
  // Bits that are ignored now may have their new values.
  const prepared = entry.map((word, i) => (word & usedNow[i]) | (target[i] & ~usedNow[i]));
  const differing = prepared.flatMap((word, i) => ((word & usedThen[i]) === target[i] ? [] : [i]));
  if (differing.length === 0) return { hitless: true, stages: [target] };
  if (differing.length === 1) {
    const [critical] = differing;
    const before = prepared.map((word, i) => (i === critical ? entry[i] : word));
    const after = before.map((word, i) => (i === critical ? target[i] : word));
    // The third stage zeroes what is not in use any more.
    return { hitless: true, stages: [before, after, target] };
  }
  const invalid = entry.map((word, i) => (i === 0 ? 0n : word));
  const filled = target.map((word, i) => (i === 0 ? 0n : word));
  return { hitless: false, stages: [invalid, filled, target] };
}

/** Changes an entry that only this program writes. @param target all of its words */
export function* writeEntry(cpu: Cpu, writer: EntryWriter, target: Entry, conduct: EntryConduct = {}): Program {
  const { order = 'kernel', publishes = true } = conduct;
  if (publishes) yield* cpu.fence();
  let entry: Entry = yield* readEntry(cpu, writer.at);
  const stages = order === 'naive' ? [target] : planOf(writer.used, entry, target).stages;
  let changed = false;
  for (const stage of stages) {
    const stores = stage.flatMap((word, i) => (word === entry[i] ? [] : [i]));
    for (const i of stores) {
      const text = `${writer.name}, word ${i} = ${hex(stage[i])}`;
      yield* cpu.write64(writer.at + BigInt(8 * i), stage[i], text);
    }
    changed ||= stores.length > 0;
    entry = stage;
    if (stores.length > 0 && order === 'kernel') yield* writer.sync();
  }
  if (changed && order !== 'kernel') yield* writer.sync();
}

function* readEntry(cpu: Cpu, at: bigint): Program<bigint[]> {
  const words: bigint[] = [];
  for (let i = 0; i < ENTRY_WORDS; i++) {
    const addr = at + BigInt(8 * i);
    words.push(cpu.named(addr) ? yield* cpu.readOwn64(addr) : 0n);
  }
  return words;
}
