/** Each fault reason that VT-d has makes something likely. */
import { expect, test } from 'vitest';
import { FAULT_TEXT } from '../../iommu/vtd/faults.ts';
import { suspectsOf } from './suspects.ts';

test('each reason has suspects; one that revision 5.10 has not has none', () => {
  for (const [reason, text] of Object.entries(FAULT_TEXT))
    expect(suspectsOf(Number(reason), null, 0x9000n, 'write').length, text).toBeGreaterThan(0);
  expect(suspectsOf(0xee, null, 0x9000n, 'write')).toEqual([]);
});

test('address, PASID and access tell more than the reason', () => {
  const first = (pasid: number | null, address: bigint, access: 'read' | 'write') =>
    suspectsOf(5, pasid, address, access).map(({ id }) => id);
  expect(first(null, 0x9c000000n, 'write').slice(0, 3)).toEqual([
    'unmap-before-completion',
    'never-mapped',
    'direction',
  ]);
  expect(first(null, 0x9c000000n, 'read')).not.toContain('direction');
  expect(first(null, 0n, 'write')[0]).toBe('never-mapped');
  expect(first(null, 0xfee00000n, 'write')[0]).toBe('interrupt-range');
  expect(first(3, 0x9c000000n, 'write')[0]).toBe('process-memory');
});
