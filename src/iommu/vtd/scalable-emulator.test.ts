import { describe, expect, test } from 'vitest';
import { encode, encode64 } from '../../bits/index.ts';
import { VtdEmulator } from './emulator.ts';
import { GCMD, RTADDR } from './registers.ts';
import { PREFIX, REQUEST } from './request.ts';
import {
  FS_PAGE,
  FS_TABLE,
  PASID_DIRECTORY_ENTRY,
  PASID_TABLE_ENTRY,
  PGTT,
  SM_CONTEXT_ENTRY,
  SM_ROOT_ENTRY,
} from './scalable-structures.ts';
import { SS_PAGE } from './structures.ts';

const DEVICE = 0x08;
const PASID = 5;
const PAGES = 500;

/** Guest memory whose PASID 5 maps 500 pages at `base` to frames from 0x80 on; nested, the second stage maps 1 GiB to itself. */
function start(pgtt: number, base: bigint, pagingStructure = 0, iotlbSets = 2): VtdEmulator {
  const memory = new Uint8Array(4 << 20);
  const view = new DataView(memory.buffer);
  const put = (at: number, words: readonly bigint[]) =>
    words.forEach((word, i) => void view.setBigUint64(at + 8 * i, word, true));
  put(0x1000, encode(SM_ROOT_ENTRY, { LP: 1, LCTP: 0x2000n }));
  put(0x2000 + DEVICE * 32, encode(SM_CONTEXT_ENTRY, { P: 1, PASIDE: 1, PASIDDIRPTR: 0x3000n }));
  put(0x3000, [encode64(PASID_DIRECTORY_ENTRY, { P: 1, SMPTBLPTR: 0x4000n })]);
  const entry = { P: 1, PGTT: pgtt, DID: 7, PWSNP: 1, AW: 1, FSPTPTR: 0x5000n, SSPTPTR: 0x9000n };
  put(0x4000 + PASID * 64, encode(PASID_TABLE_ENTRY, entry));
  put(0x9000, [encode64(SS_PAGE, { R: 1, W: 1, PS: 1, ADDR: 0n })]);
  for (let level = 4; level > 1; level--) {
    const index = Number((base >> BigInt(12 + 9 * (level - 1))) & 511n);
    const table = 0x5000 + (4 - level) * 0x1000;
    put(table + index * 8, [encode64(FS_TABLE, { P: 1, RW: 1, US: 1, ADDR: BigInt(table + 0x1000) })]);
  }
  for (let page = 0; page < PAGES; page++)
    put(0x8000 + page * 8, [encode64(FS_PAGE, { P: 1, RW: 1, US: 1, ADDR: BigInt(0x80 + page) << 12n })]);
  const ecap = { SMTS: 1, FSTS: 1, SSTS: 1, NEST: 1, PASID: 1, PSS: 19, RPS: 1, SRS: 1, SMPWCS: 1 };
  const iommu = new VtdEmulator({ memory, ecap, caches: { iotlbSets, pagingStructure } });
  iommu.write(RTADDR.offset, 8, encode64(RTADDR, { TTM: 1, RTA: 0x1000n }));
  iommu.write(GCMD.offset, 4, encode64(GCMD, { SRTP: 1 }));
  iommu.write(GCMD.offset, 4, encode64(GCMD, { TE: 1 }));
  return iommu;
}

describe('requests with PASID', () => {
  const LOW = 0x7f_1234_4000_0000n;

  test.each([
    ['the lower half', 0x1234_4000_0000n],
    ['the upper half', 0xffff_9234_4000_0000n],
  ])('first stage, %s of the canonical addresses', (_, base) => {
    const iommu = start(PGTT.firstStage, base);
    expect(iommu.translateWithPasid(DEVICE, PASID, base + 0x3456n, REQUEST.write)).toBe(0x83456);
    expect(iommu.translateWithPasid(DEVICE, PASID, base + 0x3456n, REQUEST.read)).toBe(0x83456);
    expect(iommu.translateWithPasid(DEVICE, PASID, base, REQUEST.read, PREFIX.privileged)).toBe(-0x5d);
    expect(iommu.translateWithPasid(DEVICE, PASID + 1, base, REQUEST.read)).toBe(-0x59);
    // Bits 63:48 that are not those of bit 47, one at a time.
    for (let n = 48n; n < 64n; n++)
      expect(iommu.translateWithPasid(DEVICE, PASID, base ^ (1n << n), REQUEST.read), `bit ${n}`).toBe(-0x80);
  });

  test('nested', () => {
    const iommu = start(PGTT.nested, 0x1000_0000n);
    expect(iommu.translateWithPasid(DEVICE, PASID, 0x1000_1008, REQUEST.write)).toBe(0x81008);
  });

  test('in a unit of legacy mode: 0x31; before translation is on they pass', () => {
    const iommu = new VtdEmulator({ memory: new Uint8Array(1 << 20) });
    expect(iommu.translateWithPasid(DEVICE, PASID, LOW, REQUEST.read)).toBe(Number(LOW));
    for (const far of [0xffff_9234_4000_0000n, 0x1fff_9234_4000_0000n])
      expect(iommu.translateWithPasid(DEVICE, PASID, far, REQUEST.read)).toBe(Number(far));
    iommu.write(GCMD.offset, 4, encode64(GCMD, { TE: 1 }));
    expect(iommu.translateWithPasid(DEVICE, PASID, LOW, REQUEST.read)).toBe(-0x31);
  });
});

test.each([
  ['first-stage misses', PGTT.firstStage, 0, 2],
  ['first-stage misses with paging-structure caches', PGTT.firstStage, 4, 2],
  ['nested misses', PGTT.nested, 0, 2],
  ['nested misses with paging-structure caches', PGTT.nested, 4, 2],
  ['hits', PGTT.nested, 0, 1024],
])('%s do not allocate', (_, pgtt, pagingStructure, iotlbSets) => {
  const base = 0x1_4000_0000n;
  const iommu = start(pgtt, base, pagingStructure, iotlbSets);
  let wrong = 0;
  const round = (count: number) => {
    for (let i = 0; i < count; i++) {
      const page = (i * 7) % PAGES;
      const reason = iommu.translatePageWithPasid(DEVICE, PASID, 5, page, REQUEST.write);
      if (reason !== 0 || iommu.frameLo !== 0x80 + page) wrong++;
    }
  };
  for (let i = 0; i < 10; i++) round(20_000);
  // As in emulator.test.ts: an object for each of 100,000 would be 1.2 MB.
  let grown = 0;
  for (let i = 0; i < 5; i++) {
    const before = process.memoryUsage().heapUsed;
    round(100_000);
    grown = Math.max(grown, process.memoryUsage().heapUsed - before);
  }
  expect(wrong).toBe(0);
  expect(grown).toBeLessThan(300_000);
});
