/** What the shortest runs of the cases about nested translation tell. */
import { expect, test } from 'vitest';
import { replay } from '../explore/index.ts';
import { PROFILES } from '../iommu/smmuv3/index.ts';
import { C1 } from './c1.ts';
import { C4 } from './c4.ts';
import { C6 } from './c6.ts';
import type { Case } from './define.ts';
import { CaseRun } from './run.ts';

function story(definition: Case, variant: string): string[] {
  const run = new CaseRun(definition, variant, PROFILES[0]);
  const { broken } = run.finish();
  return replay(run.fresh(), broken[0].run).steps.flatMap((step) => step.lines.map((line) => line.text));
}

/** Whether lines with these parts come in this order, each found behind the one before. */
function inOrder(lines: readonly string[], parts: readonly string[]): boolean {
  let from = 0;
  return parts.every((part) => {
    const at = lines.findIndex((line, i) => i >= from && line.includes(part));
    from = at + 1;
    return at >= 0;
  });
}

test('C1: the first SMMU is told, and DMA behind the second goes by what was unmapped', () => {
  const lines = story(C1, 'first-only');
  const parts = ['the VMM has the kernel do CMD_TLBI_NH_ASID on SMMU 0', 'iommu_unmap returns', 'SMMU 1: it goes to'];
  expect(inOrder(lines, parts)).toBe(true);
  expect(lines.some((line) => line.includes('on SMMU 1'))).toBe(false);
});

test('C4: a kernel that counts what it never issued', () => {
  const lines = story(C4, 'vsid/batched-6.18');
  expect(inOrder(lines, ['queues TLBI_NH_ASID, CFGI_CD of 0x99', 'entry_num = 1, and 0 were issued'])).toBe(true);
});

test('C6: what stood before a CMD_SYNC is done behind what stood after it, and a stale CD fills the TLB in between', () => {
  const lines = story(C6, 'trapped/reorders');
  const parts = [
    'the VMM reads CMD_CFGI_CD',
    'the CMD_SYNC is complete',
    'the VMM has the kernel do CMD_TLBI_NH_ASID',
    'the VMM has the kernel do CMD_CFGI_CD',
    'reads level 3 of stage 1',
    'CMD_CFGI_CD: CD 0',
    'iommu_unmap returns',
  ];
  expect(inOrder(lines, parts)).toBe(true);
});
