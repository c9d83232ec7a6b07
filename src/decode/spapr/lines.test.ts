/** Lines of pSeries guests, as reports have them. */
import { describe, expect, test } from 'vitest';
import { only } from '../../../test/explained.ts';
import { HYPERCALLS } from '../../iommu/spapr/commands.ts';
import { suspectsOf } from './suspects.ts';

describe('a hypercall that failed', () => {
  test('with what it was called with: the window is gone (removal of a device)', () => {
    const finding = only(
      '[ 3610.403833] tce_freemulti_pSeriesLP: plpar_tce_stuff failed',
      '[ 3610.403869]  rc      = -4',
      '[ 3610.403872]  index   = 0x70000016',
      '[ 3610.403876]  limit     = 0x1',
      '[ 3610.403879]  tce       = 0x80000061ee00000',
      '[ 3610.403882]  pgshift = 0x10',
      '[ 3610.403884]  npages  = 0x1',
    );
    expect(finding.summary).toMatch(/^H_STUFF_TCE \(sets up to 512 TCEs to one value\) failed: the LIOBN is not one/);
    expect(finding).toMatchObject({ code: { value: -4, name: 'H_Parameter' } });
    expect(finding.details).toContainEqual(['index', '0x70000016']);
  });

  test('with its TCE', () => {
    const finding = only(
      'tce_build_pSeriesLP: plpar_tce_put failed. rc=-4',
      '\tindex   = 0x70000016',
      '\ttcenum  = 0x800',
      '\ttce val = 0x61ee0003',
    );
    const [tce] = finding.structures;
    expect(tce.kind).toBe('spapr.tce');
    expect(tce.fields.map(({ meaning, value }) => meaning ?? value)).toEqual(['read and write', 0x61ee0000n]);
  });

  test('of which only the head is in the log', () => {
    expect(only('tce_freemulti_pSeriesLP: plpar_tce_stuff failed')).toMatchObject({ code: null, causes: [] });
  });

  test('with a code that LoPAR has not', () => {
    expect(only('tce_get_pSeriesLP: plpar_tce_get failed. rc=-999').code).toMatchObject({ clause: null });
  });
});

test('each failure that a call has has suspects', () => {
  const codes = new Set(Object.values(HYPERCALLS).flatMap(({ returns }) => Object.keys(returns).map(Number)));
  const none = [...codes].filter((code) => suspectsOf(code).length === 0);
  // Done, and done in part: H_GET_TCE of a page that is not the caller's.
  expect(none.sort()).toEqual([0, 5]);
});

test('a frozen device', () => {
  const finding = only('[  964.324006] EEH: Frozen PHB#30-PE#10000 detected');
  expect(finding.summary).toContain('PHB#30 PE#10000: frozen');
  expect(finding.causes[0]).toEqual({ id: 'pe-frozen', sure: 'certain' });
});

test('no room for a mapping, with and without a device', () => {
  expect(
    only('Jan 27 14:19:41 linux kernel: iommu_alloc failed, tbl c00000000263c480 vaddr c000000133b00000 npages 10')
      .summary,
  ).toBe('a device: no room in its DMA window for a mapping');
  expect(
    only('lpfc 0002:01:00.0: iommu_alloc failed, tbl (____ptrval____) vaddr c000000133b00000 npages 10'),
  ).toMatchObject({
    requester: { id: 0x100 },
  });
});

test('a window that was made, and one that was not', () => {
  const line = (status: number) =>
    `nvme 0018:01:00.0: ibm,create-pe-dma-window(2027) 10000 8000000 20000018 10 2c returned ${status} (liobn = 0x70000018 starting addr = 8000000 0)`;
  expect(only(line(0))).toMatchObject({
    severity: 'info',
    summary: '0018:01:00.0: a DMA window of 2^44 bytes at 0x800000000000000, pages of 2^16 bytes, LIOBN 0x70000018',
  });
  expect(only(line(-1))).toMatchObject({ severity: 'warning', code: { value: -1, name: 'Hardware error' } });
});
