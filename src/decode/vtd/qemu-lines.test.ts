/** QEMU's lines of its VT-d unit, as reports have them. */
import { expect, test } from 'vitest';
import { ids, only } from '../../../test/explained.ts';

test('an entry that is not there', () => {
  const finding = only(
    '2023-02-13T07:02:37.074397Z qemu-system-x86_64: vtd_iova_to_slpte: detected slpte permission error (iova=0x1187a9000, level=0x3, slpte=0x0, write=0, pasid=0xffffffff)',
  );
  expect(finding.summary).toBe("QEMU's walk for a read of 0x1187a9000 ended at level 3: the entry is 0");
  expect(finding.structures.map(({ kind }) => kind)).toEqual(['vtd.ss-pdpe']);
  expect(ids(finding).slice(0, 2)).toEqual(['unmap-before-completion', 'never-mapped']);
});

test('an entry that forbids, with PASID; and one with a reserved bit', () => {
  const forbidden = only(
    'qemu-system-x86_64: vtd_iova_to_flpte: detected flpte permission error (iova=0x1000, level=0x1, flpte=0x103f0c025, write=1, pasid=0x5)',
  );
  expect(forbidden.details).toEqual([['PASID', '0x5']]);
  expect(forbidden.structures[0].kind).toBe('vtd.fs-pte');
  expect(ids(forbidden)[0]).toBe('process-memory');
  const reserved = only(
    'qemu-system-x86_64: vtd_iova_to_slpte: detected splte reserve non-zero iova=0xfffff002, level=0x1slpte=0x102681803)',
  );
  expect(reserved.structures[0].fields.find(({ name }) => name === 'SNP')?.value).toBe(1n);
  expect(ids(reserved)).toEqual(['corrupt-entry']);
});

test('a request that was not translated: bus, device and function with colons', () => {
  const finding = only(
    'qemu-system-x86_64: vtd_iommu_translate: detected translation failure (dev=0b:00:03, iova=0x1187a9000)',
  );
  expect(finding).toMatchObject({ requester: { text: '0b:00.3', id: 0xb03 }, address: { value: 0x1187a9000n } });
  expect(ids(finding)).toContain('caching-mode');
});
