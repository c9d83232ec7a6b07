import { describe, expect, test } from 'vitest';
import { replay } from '../explore/index.ts';
import { PROFILES } from '../iommu/smmuv3/index.ts';
import { A1_SMMU } from './a1-smmu.ts';
import { A8_SMMU } from './a8-smmu.ts';
import { D4_SMMU } from './d4-smmu.ts';
import type { Case } from './define.ts';
import { GEM5_CMDQ_WRAP } from './gem5-cmdq-wrap.ts';
import { CaseRun } from './run.ts';
import { SMMU_HITLESS_WMB } from './smmu-hitless-wmb.ts';
import { SMMU_NR_ATS } from './smmu-nr-ats.ts';
import { SMMU_STE_ORDER } from './smmu-ste-order.ts';

const [SPEC, QEMU] = PROFILES;

/** The lines of a variant's shortest story, and what it breaks. */
function story(of: Case, variant: string, profile = SPEC) {
  const run = new CaseRun(of, variant, profile);
  const { broken, verdict } = run.finish();
  const { steps } = replay(run.fresh(), broken[0].run);
  const lines = steps.flatMap((step) => step.lines.map((line) => line.text));
  return { lines, verdict, broken: broken.map(({ invariant }) => invariant.id) };
}

/** That the lines have all of these, in this order. */
function inOrder(lines: readonly string[], ...parts: string[]) {
  let from = 0;
  for (const part of parts) {
    const at = lines.findIndex((line, i) => i >= from && line.includes(part));
    expect(at, `${part} after line ${from}`).toBeGreaterThanOrEqual(0);
    from = at + 1;
  }
}

describe('what is complete, and when', () => {
  test('A1: that a command is consumed says nothing: the entry is used once more', () => {
    const { lines } = story(A1_SMMU, 'consumed');
    inOrder(
      lines,
      'queues TLBI_NH_VA 0x1000, 1 page, Leaf=1, ASID 1',
      'CMD_TLBI_NH_VA is consumed, and not done yet',
      'the commands are consumed',
      'iommu_unmap returns',
      'it goes to 0x21d201000',
    );
    expect(lines.some((line) => line.includes('CMD_SYNC'))).toBe(false);
  });

  test('A1 under qemu-10: a CMD_SYNC completes while a write is in flight', () => {
    const { lines } = story(A1_SMMU, 'sync', QEMU);
    inOrder(lines, 'CMD_SYNC completes', 'frees P', 'allocates P', 'owner: another process');
  });

  test('gem5: the full queue looks empty, and nobody ever comes to the CMD_SYNC', () => {
    const { lines, broken } = story(GEM5_CMDQ_WRAP, 'buggy');
    expect(broken).toEqual(['I9']);
    expect(lines.at(-1)).toContain('queues TLBI_NH_VA 0x1000');
    const polls = story(GEM5_CMDQ_WRAP, 'buggy/polls-empty');
    expect(polls.broken).toContain('I1');
    inOrder(polls.lines, 'the queue looks empty', 'iommu_unmap returns', 'the translation is in the cache');
  });
});

describe('who is told', () => {
  test('A8: the device asks again before the TLB is invalidated', () => {
    const { lines } = story(A8_SMMU, 'atc-first');
    inOrder(
      lines,
      'queues ATC_INV 02:00.0',
      'CMD_ATC_INV',
      'queues TLBI',
      'sends a translation request',
      'CMD_TLBI_NH_VA',
    );
  });

  test('smmu-nr-ats: the counter is 0, and no CMD_ATC_INV is sent', () => {
    const { lines } = story(SMMU_NR_ATS, 'buggy');
    inOrder(
      lines,
      'ats_enabled of disk = 1',
      'nr_ats_masters of D0 = 0',
      'iommu_unmap returns',
      'has the translation in its ATC',
    );
    expect(lines.some((line) => line.includes('ATC_INV'))).toBe(false);
  });
});

describe('entries and tables in the order in which they are seen', () => {
  test('smmu-hitless-wmb: the STE becomes visible, the page table entry has not yet', () => {
    const { lines } = story(SMMU_HITLESS_WMB, 'buggy');
    inOrder(lines, 'L3[1] = 0x21d201f47', 'word 0 = 0x8b000000b', 'becomes visible: stream table', 'F_TRANSLATION');
    expect(lines.some((line) => line.includes('becomes visible: L3'))).toBe(false);
  });

  test('smmu-ste-order: tables of the old domain, with the VMID of the new one', () => {
    const { lines, broken } = story(SMMU_STE_ORDER, 'naive/replace');
    expect(broken).toEqual(['I5', 'I4', 'I1']);
    inOrder(lines, 'STE of 02:00.0, word 2', 'the STE is a mix of what it was and what it is to be');
  });
});

describe('D4', () => {
  test('without BBML 2 a swap, and below level 1 nT, is a conflict, and nothing else is wrong', () => {
    for (const variant of ['swap/no-fault/bbml-0', 'swap/no-fault/bbml-1', 'nt/no-fault/bbml-0']) {
      const { lines, verdict, broken } = story(D4_SMMU, variant);
      expect([variant, verdict, broken]).toEqual([variant, 'undefined', ['OPEN']]);
      inOrder(lines, 'L2[0] = 0x8a1002003', 'the TLB has translations of two sizes');
    }
  });

  test('a stalled transaction waits for the split to be over, and is retried', () => {
    const { lines, verdict } = story(D4_SMMU, 'bbm/no-fault/bbml-2');
    expect(verdict).toBe('violated');
    inOrder(lines, 'clears L2[0]', 'F_TRANSLATION');
    const run = new CaseRun(D4_SMMU, 'bbm/fault/bbml-2', SPEC);
    const { verdict: handled, exhausted } = run.finish();
    expect([handled, exhausted]).toEqual(['holds', true]);
  });
});
