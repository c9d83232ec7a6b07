/** The shortest stories of the cases of scalable mode: that they are about what the case is about. */
import { describe, expect, test } from 'vitest';
import { replay } from '../explore/index.ts';
import { PROFILES } from '../iommu/vtd/index.ts';
import { CASES } from './registry.ts';
import { CaseRun } from './run.ts';

/** Lines of the shortest run that breaks an invariant. */
function story(id: string, variant: string, invariant: string, mutant: string | null = null): string[] {
  const definition = CASES.find((c) => c.id === id);
  if (definition === undefined) throw new Error(`no case ${id}`);
  const run = new CaseRun(definition, variant, PROFILES[0], { mutant });
  const found = run.finish().broken.find((b) => b.invariant.id === invariant);
  if (found === undefined) throw new Error(`${id} ${variant} does not break ${invariant}`);
  return replay(run.fresh(), found.run).steps.flatMap((step) => step.lines.map((line) => line.text));
}

/** Lines that contain the parts are there, in this order. */
function inOrder(lines: readonly string[], parts: readonly string[]): void {
  let from = 0;
  for (const part of parts) {
    const at = lines.findIndex((line, i) => i >= from && line.includes(part));
    expect(at, `${part}, behind line ${from} of\n${lines.join('\n')}`).toBeGreaterThanOrEqual(0);
    from = at + 1;
  }
}

describe('dirty bits', () => {
  test('D5: what is in flight when the flags are cleared lands behind the copy, and sets none', () => {
    inOrder(story('D5', 'no-flush', 'I7'), [
      'SSADE is set',
      'exchanges PDE[0]',
      'the report has the page: it is copied',
      'the write of nic lands in page 0',
      'dirty: nothing',
      'is in no report',
    ]);
  });

  test('D5: a store over the old entry loses the flag that hardware has set in it meanwhile', () => {
    const lines = story('D5', 'flush', 'I7', 'stored-over');
    inOrder(lines, [
      'reads the entry of the large page: 0x21d200883',
      'reads SS-PDE 0x21d200883',
      'PDE[0] = 0x1a30a72003',
    ]);
    expect(lines.some((line) => line.startsWith('exchanges'))).toBe(false);
  });
});

test('D6: the walk of a user goes through the freed table, and where the process has forged a leaf', () => {
  inOrder(story('D6', 'no-flush', 'I3'), [
    'clears PDE[0]',
    'frees PT of the process',
    'allocates PT of the process',
    'writes 0x21d300067 into it',
    'which is the process now',
    'lands in secret',
  ]);
});

test('vtd-pasidcache-on-ctx: the old domain is used when the function is in the new one', () => {
  inOrder(story('vtd-pasidcache-on-ctx', 'buggy', 'I6'), [
    'context cache invalidated',
    'IOTLB invalidated',
    'the detach returns',
    'the attach returns',
    'translated for DID 1, and the function is in DID 2',
  ]);
  expect(story('vtd-pasidcache-on-ctx', 'buggy', 'I6').some((line) => line.includes('PASID cache invalidated'))).toBe(
    false,
  );
});

describe('vtd-pasid-torn-replace', () => {
  test('tables of the old domain are cached under the new domain id, which the flush by the old one leaves', () => {
    const lines = story('vtd-pasid-torn-replace', 'buggy', 'I1');
    inOrder(lines, [
      'word 1 = 0x800002',
      'first quarter: DID 2',
      'is a mix of what it was and what it is to be',
      'DID 1, PASID 0x0)',
    ]);
    inOrder(lines, ['the replacement returns']);
  });

  test('an entry that is zeroed at once is torn between its parts', () => {
    inOrder(story('vtd-pasid-torn-replace', 'zeroed-at-once', 'I5'), [
      'first quarter: DID 1',
      'word 0 = 0x0',
      'word 2 = 0x0',
      'its parts were never in memory together',
    ]);
  });

  test('K8: there is a hole, which nobody has promised not to be there', () => {
    inOrder(story('K8', 'fixed', 'I10', 'promised-hitless'), ['P is clear', 'PASID table entry not present']);
  });
});

describe('vtd-nested-parent-did', () => {
  test('the invalidation names the parent, and what is cached for the nested domain serves', () => {
    inOrder(story('vtd-nested-parent-did', 'buggy', 'I1'), [
      'IOTLB invalidate: pages 0x2000 AM 0 IH=1, DID 1',
      'iommu_unmap returns',
      'IOTLB hit: 0x21d202000',
    ]);
  });

  test("without the companion of the fix, the device's own cache serves", () => {
    inOrder(story('vtd-nested-parent-did', 'no-device-tlb/ats', 'I1'), [
      'translation completion: 0x21d202000',
      'IOTLB invalidated (page, DID 2,',
      'iommu_unmap returns',
      'sends a translated write of 0x21d202000',
    ]);
  });
});

test('vtd-prq-fpd-drain: the request of the dead process is handled for the next one; in v7.0 FPD is never set', () => {
  const parts = ['sends a page request', 'stops accel', 'PASID 1 is given to process 2', 'asks process 2 for the page'];
  for (const variant of ['buggy', 'linux-7.0']) inOrder(story('vtd-prq-fpd-drain', variant, 'I8'), parts);
  const hasFpd = (variant: string) => story('vtd-prq-fpd-drain', variant, 'I8').some((line) => line.includes('FPD'));
  expect([hasFpd('buggy'), hasFpd('linux-7.0')]).toEqual([true, false]);
});
