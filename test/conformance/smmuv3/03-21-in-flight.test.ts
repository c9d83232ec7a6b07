/** SMMUv3 3.21.1, 3.21.2, 4.7.3: what invalidations mean for transactions that are under way, and what a CMD_SYNC waits for. */
import { describe, expect, test } from 'vitest';
import { CMD_CFGI_STE, CMD_SYNC, CMD_TLBI_NH_ASID, CMD_TLBI_NH_VA } from '../../../src/iommu/smmuv3/index.ts';
import { Flight } from './flight.ts';
import { TableBench } from './tables.ts';
import { READ } from './unit.ts';

const VA = 0x40_1000n;
/** STE, CD, and the descriptors of levels 1 to 3. */
const STEPS = 5;

function begun(steps: number) {
  const bench = new TableBench({ dmaSlots: 2 });
  const table = bench.stage1(1, { ASID: 3 }, { S2VMID: 7 });
  const at = bench.map(table, VA, 0x8000n);
  const flight = new Flight(bench, 1, VA, READ);
  for (let i = 0; i < steps; i++) flight.step();
  return { bench, table, at, flight };
}

const mine = { VMID: 7, ASID: 3 };

test('a walk takes a step for each structure and descriptor', () => {
  const { flight } = begun(STEPS - 1);
  expect(flight.isTranslated).toBe(false);
  flight.step();
  expect([flight.isTranslated, flight.page]).toEqual([true, 0x8000n]);
});

describe('a CMD_SYNC after an invalidation', () => {
  /** @returns whether the CMD_SYNC waited for the transaction, and its end for nothing else */
  function waits(steps: number, invalidate: (bench: TableBench) => boolean): boolean {
    const { bench, flight } = begun(steps);
    expect(invalidate(bench), 'invalidations wait for nothing').toBe(true);
    const held = !bench.execute(CMD_SYNC);
    flight.walk();
    if (held && flight.isTranslated) flight.end();
    bench.run();
    expect(bench.isIdle, 'the CMD_SYNC ends with the transaction').toBe(true);
    return held;
  }

  const byVa = (bench: TableBench) => bench.execute(CMD_TLBI_NH_VA, { ...mine, Address: VA });
  const byLeaf = (bench: TableBench) => bench.execute(CMD_TLBI_NH_VA, { ...mine, Address: VA, Leaf: 1 });
  const elsewhere = (bench: TableBench) => bench.execute(CMD_TLBI_NH_VA, { ...mine, Address: 0x7f_c000_0000n });
  const byAsid = (bench: TableBench) => bench.execute(CMD_TLBI_NH_ASID, mine);
  const byOther = (bench: TableBench) => bench.execute(CMD_TLBI_NH_ASID, { ...mine, ASID: 4 });
  const bySte = (bench: TableBench) => bench.execute(CMD_CFGI_STE, { StreamID: 1, Leaf: 1 });
  const byOtherSte = (bench: TableBench) => bench.execute(CMD_CFGI_STE, { StreamID: 2, Leaf: 1 });

  test.each([
    ['of the address waits for a walk that has read a table', 3, byVa, true],
    ['of the address waits for what is translated', 5, byVa, true],
    ['of the leaf alone does not wait for a walk that has read tables', 4, byLeaf, false],
    ['of the leaf alone waits for what is translated', 5, byLeaf, true],
    ['of another address does not wait for what is translated', 5, elsewhere, false],
    ['of the ASID waits for a walk', 4, byAsid, true],
    ['of another ASID does not', 4, byOther, false],
    ['of translations does not wait for what has read nothing of them', 2, byAsid, false],
    ['of the STE waits for what has read it', 1, bySte, true],
    ['of the STE waits for what is translated', 5, bySte, true],
    ['of another STE does not', 3, byOtherSte, false],
    ['waits for nobody that has not begun', 0, bySte, false],
  ])('%s', (_, steps, invalidate, held) => {
    expect(waits(steps, invalidate)).toBe(held);
  });
});

describe('what a walk has read before an invalidation', () => {
  test('is not cached after it', () => {
    const { bench, at, flight } = begun(STEPS - 2);
    bench.execute(CMD_TLBI_NH_VA, { ...mine, Address: VA });
    flight.walk();
    expect(flight.isTranslated).toBe(true);
    flight.end();
    expect(bench.unit.caches.describe().filter((line) => line.startsWith('TLB'))).toEqual([]);
    bench.poke(at, bench.peek(at) ^ 0x1000n);
    const next = new Flight(bench, 1, VA, READ);
    next.walk();
    expect(next.page).toBe(0x9000n);
  });

  test('is, without one', () => {
    const { bench, at, flight } = begun(STEPS);
    flight.end();
    bench.poke(at, bench.peek(at) ^ 0x1000n);
    const next = new Flight(bench, 1, VA, READ);
    next.walk();
    expect(next.page).toBe(0x8000n);
  });

  test('an STE is not, either', () => {
    const { bench, flight } = begun(1);
    bench.unit.caches.dropAllConfig();
    bench.execute(CMD_CFGI_STE, { StreamID: 1, Leaf: 1 });
    flight.walk();
    expect(flight.isTranslated).toBe(true);
    expect(bench.unit.caches.describe()).toEqual([]);
  });
});
