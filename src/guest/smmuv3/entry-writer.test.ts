import { describe, expect, test } from 'vitest';
import { QUEUE, SmmuRecorder, wordAt } from '../../../test/smmu-recorder.ts';
import { decode } from '../../bits/index.ts';
import { Instance, runPrompt } from '../../explore/index.ts';
import { CD } from '../../iommu/smmuv3/context-structures.ts';
import { STE } from '../../iommu/smmuv3/structures.ts';
import { Machine } from '../../machine/index.ts';
import { stage1Cd } from './cd.ts';
import { CommandQueue } from './command-queue.ts';
import { SmmuConfiguration } from './configuration.ts';
import type { Entry, EntryConduct } from './entry-writer.ts';
import { ENTRY_WORDS, planOf } from './entry-writer.ts';
import { ABORT_STE, BYPASS_STE, nestedSte, stage1Ste, stage2Ste } from './ste.ts';
import { usedOfCd, usedOfSte } from './used-bits.ts';

const SID = 3;
const TABLE = 0x8000000n;
const INVALID: Entry = ABORT_STE.map(() => 0n);
const S1 = stage1Ste({ cdTable: 0x70000000n });
const S1_OTHER = stage1Ste({ cdTable: 0x71000000n });
const S2 = stage2Ste({ vmid: 5, s2ttb: 0x72000000n });
const S2_OTHER = stage2Ste({ vmid: 6, s2ttb: 0x73000000n });
const NESTED = nestedSte({ cdTable: 0x70000000n }, { vmid: 5, s2ttb: 0x72000000n });

/** What hardware makes of an entry: its words where it looks at them. */
const meaning = (entry: Entry) => entry.map((word, i) => word & usedOfSte(entry)[i]).join();

/** Stores `from` word by word as the plan has it. @returns what memory held when each invalidation was consumed, and the end */
function change(from: Entry, to: Entry, conduct: EntryConduct = {}) {
  const machine = new Machine();
  const kernel = machine.owner('the kernel', 'other');
  const words = Array.from({ length: ENTRY_WORDS }, (_, i) => SID * ENTRY_WORDS + i);
  machine.frame('stream table', TABLE, kernel, words);
  const read = () => words.map((word) => wordAt(machine, TABLE + BigInt(8 * word)));
  words.forEach((word, i) => machine.poke(TABLE + BigInt(8 * word), from[i]));
  const smmu = new SmmuRecorder(machine, 3);
  const seen: Entry[] = [];
  smmu.watch = () => {
    seen.push(read());
    return '';
  };
  const cpu = machine.cpu();
  const queue = new CommandQueue(machine, cpu, { smmu, base: QUEUE, log2size: 3 });
  const configuration = new SmmuConfiguration(cpu, queue, { streamTable: TABLE, conduct });
  machine.actor('driver', () => configuration.writeSte(SID, to));
  const instance = new Instance(machine);
  runPrompt(instance);
  expect(instance.hasWaiting()).toBe(false);
  // Each stage is seen twice: by CMD_CFGI_STE and by CMD_SYNC.
  return {
    end: read(),
    stages: seen.filter((_, i) => i % 2 === 0),
    names: smmu.names,
    fields: smmu.commands[0]?.fields,
  };
}

describe('the plan', () => {
  // As the kernel's own test of it has the number of invalidations (arm-smmu-v3-test.c).
  test.each([
    ['bypass → abort', BYPASS_STE, ABORT_STE, true, 2],
    ['abort → bypass', ABORT_STE, BYPASS_STE, true, 2],
    ['stage 1 → abort', S1, ABORT_STE, true, 2],
    ['abort → stage 1', ABORT_STE, S1, true, 2],
    ['stage 1 → bypass', S1, BYPASS_STE, true, 3],
    ['bypass → stage 1', BYPASS_STE, S1, true, 3],
    ['stage 2 → abort', S2, ABORT_STE, true, 2],
    ['abort → stage 2', ABORT_STE, S2, true, 2],
    ['stage 2 → bypass', S2, BYPASS_STE, true, 2],
    ['bypass → stage 2', BYPASS_STE, S2, true, 2],
    ['stage 1 → another CD table', S1, S1_OTHER, true, 1],
    ['stage 2 → another domain', S2, S2_OTHER, false, 3],
    ['stage 1 → stage 2', S1, S2, false, 3],
    ['stage 2 → nested', S2, NESTED, true, 2],
    ['not valid → stage 2', INVALID, S2, true, 2],
    ['stage 2 → not valid', S2, INVALID, true, 2],
  ])('%s', (_, from, to, hitless, syncs) => {
    expect(planOf(usedOfSte, from, to).hitless).toBe(hitless);
    const { end, stages, names, fields } = change(from, to);
    expect(end).toEqual(to);
    expect(stages).toHaveLength(syncs);
    expect(names.filter((name) => name === 'CMD_CFGI_STE')).toHaveLength(syncs);
    expect(fields).toMatchObject({ StreamID: SID, Leaf: 1 });
    // Whatever was stored means the one, the other, or nothing.
    const known = [meaning(from), meaning(to), ...(hitless ? [] : [meaning(INVALID)])];
    for (const stage of stages) expect(known).toContain(meaning(stage));
  });

  test('any mix of two stages means one of them: words may be read in any order', () => {
    for (const [from, to] of [
      [BYPASS_STE, S2],
      [S2, S2_OTHER],
      [S1, BYPASS_STE],
      [S1, S2],
    ] as const) {
      const { stages } = planOf(usedOfSte, from, to);
      const all = [from, ...stages];
      for (let i = 0; i < stages.length; i++)
        for (let mix = 0; mix < 1 << ENTRY_WORDS; mix++) {
          const entry = all[i].map((word, w) => ((mix >> w) & 1 ? all[i + 1][w] : word));
          expect([meaning(all[i]), meaning(all[i + 1])]).toContain(meaning(entry));
        }
    }
  });

  test('nothing to change: nothing is stored or invalidated', () => {
    expect(change(S2, S2).names).toEqual([]);
  });
});

describe('the mutations', () => {
  test('naive: a mix is there when nothing was invalidated yet', () => {
    const { end, names } = change(S2, S2_OTHER, { order: 'naive' });
    expect(end).toEqual(S2_OTHER);
    expect(names).toEqual(['CMD_CFGI_STE', 'CMD_SYNC']);
  });

  test('no-sync: the stages are the same, with one invalidation', () => {
    const { end, names } = change(S2, S2_OTHER, { order: 'no-sync' });
    expect(end).toEqual(S2_OTHER);
    expect(names).toEqual(['CMD_CFGI_STE', 'CMD_SYNC']);
  });
});

test('a CD is used whole, but for its lower part with EPD0', () => {
  const cd = stage1Cd({ asid: 9, ttb0: 0x70000000n });
  expect(decode(CD, ...cd)).toMatchObject({
    V: 1,
    T0SZ: 25,
    TTB0: 0x70000000n,
    ASID: 9,
    AA64: 1,
    EPD1: 1,
    S: 0,
    R: 1,
    A: 1,
  });
  // Translation is switched off (an address space ends): EPD0 first, in one store, then what it makes hardware ignore.
  const quiet = [(1n << 14n) | (cd[0] & ~0x3fffn), 0n, ...cd.slice(2)];
  const { hitless, stages } = planOf(usedOfCd, cd, quiet);
  expect(hitless).toBe(true);
  expect(stages.map((entry) => entry.slice(0, 2))).toEqual([cd.slice(0, 2), [quiet[0], cd[1]], quiet.slice(0, 2)]);
  expect(() => planOf(usedOfCd, cd, [quiet[0], cd[1], ...cd.slice(2)])).toThrow('bits that hardware ignores');
});

test('STEs say what they are to say', () => {
  expect(decode(STE, ...S2)).toMatchObject({
    V: 1,
    Config: 6,
    S2VMID: 5,
    S2TTB: 0x72000000n,
    S2T0SZ: 25,
    S2SL0: 1,
    S2AA64: 1,
    EATS: 0,
  });
  expect(decode(STE, ...stage1Ste({ cdTable: 0x70000000n }, { ats: true, stalls: true }))).toMatchObject({
    EATS: 1,
    S1STALLD: 0,
  });
  expect(decode(STE, ...NESTED)).toMatchObject({ Config: 7, S1ContextPtr: 0x70000000n, S2VMID: 5 });
});
