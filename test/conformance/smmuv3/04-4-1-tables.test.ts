/** SMMUv3 4.4, 4.4.1.1: which cached tables (16.2, 3.21.1) an invalidation drops, by Leaf, TTL, TG, range and owner. The model keeps the others, which is a decision. */
import { describe, expect, test } from 'vitest';
import type { Fields, Layout } from '../../../src/bits/index.ts';
import {
  CMD_CFGI_ALL,
  CMD_TLBI_EL2_ALL,
  CMD_TLBI_EL2_ASID,
  CMD_TLBI_EL2_VA,
  CMD_TLBI_EL2_VAA,
  CMD_TLBI_NH_ALL,
  CMD_TLBI_NH_ASID,
  CMD_TLBI_NH_VA,
  CMD_TLBI_NH_VAA,
  CMD_TLBI_NSNH_ALL,
  CMD_TLBI_S2_IPA,
  CMD_TLBI_S12_VMALL,
} from '../../../src/iommu/smmuv3/index.ts';
import { LEAF, TableBench } from './tables.ts';
import { titled } from './titled.ts';

type Command = Layout<Fields>;
/** Of a pair, whose CDs are aligned to both. */
const SID = 2;
const ASID = 1;
const VMID = 5;
const WHO = { VMID, ASID };
const AT = 0x40_0000n;
const [OLD, NEW] = [{ address: 0x8000n }, { address: 0x9000n }];

interface Regime {
  readonly name: string;
  readonly leaf: bigint;
  readonly make: (bench: TableBench) => bigint;
  readonly byAddress: Command;
  /** Fields of it that say whose. */
  readonly who: object;
}

const EL1: Regime = {
  name: 'EL1',
  leaf: LEAF.both,
  // With substreams, of which S1DSS takes the first.
  make: (bench) => bench.stage1(SID, { ASID }, { S1CDMax: 1, S1DSS: 2, S2VMID: VMID }),
  byAddress: CMD_TLBI_NH_VA,
  who: WHO,
};
const EL2: Regime = {
  name: 'EL2',
  leaf: LEAF.both,
  make: (bench) => bench.stage1(SID, {}, { STRW: 2 }),
  byAddress: CMD_TLBI_EL2_VA,
  who: {},
};
const STAGE_2: Regime = {
  name: 'stage 2',
  leaf: LEAF.second,
  make: (bench) => bench.stage2(SID, { S2VMID: VMID }),
  byAddress: CMD_TLBI_S2_IPA,
  who: { VMID },
};
const REGIMES = [EL1, EL2, STAGE_2];

/** Where another page is that the table at a level leads to, and no lower one that was read. */
const besides = (level: number): bigint => AT + (level === 2 ? 0x1000n : 0x20_0000n);

/**
 * Reads the tables for {@link AT}, and has the descriptor of a level lead to another table.
 * @returns what a page that was not read before is translated to after the command
 */
function after({ make, leaf }: Regime, level: number, command: Command, values: object): unknown {
  const bench = new TableBench();
  const table = make(bench);
  const other = besides(level);
  bench.map(table, AT, 0x7000n, leaf);
  bench.map(table, other, 0x8000n, leaf);
  expect(bench.ask(SID, AT)).toEqual({ address: 0x7000n });
  bench.poke(bench.place(table, AT, { level }), bench.table() | 3n);
  bench.map(table, other, 0x9000n, leaf);
  bench.command(command, values);
  return bench.ask(SID, other);
}

describe('4.4.1.1 by address: Leaf and TTL', () => {
  /** TTL; level of the table; whether it goes without Leaf: it does where the leaf is below it. */
  const cases: [number, number, boolean][] = [
    [0, 1, true],
    [0, 2, true],
    [1, 1, false],
    [1, 2, false],
    [2, 1, true],
    [2, 2, false],
    [3, 1, true],
    [3, 2, true],
  ];
  const rows = REGIMES.flatMap((regime) =>
    cases.flatMap(([ttl, level, goes]) =>
      [0, 1].map((leaf): [Regime, number, number, number, boolean] => [regime, ttl, level, leaf, goes && leaf === 0]),
    ),
  );
  test.each(
    titled(rows, ({ name }, ttl, level, leaf, goes) => {
      return `${name}, TTL ${ttl}, Leaf ${leaf}: a table of level ${level} ${goes ? 'goes' : 'stays (decision)'}`;
    }),
  )('%s', (_, regime, TTL, level, Leaf, goes) => {
    const values = { ...regime.who, Address: AT, TG: TTL === 0 ? 0 : 1, TTL, Leaf };
    expect(after(regime, level, regime.byAddress, values)).toEqual(goes ? NEW : OLD);
  });
});

describe('4.4.1.1 by address: which', () => {
  /** Address, range; tables of level 1 and of level 2 that cover any of it go. */
  const cases: [string, object, boolean, boolean][] = [
    ['another page of the same 2 MiB', { Address: AT + 0x1f_f000n }, true, true],
    ['a page of the 2 MiB after', { Address: AT + 0x20_0000n }, true, false],
    ['a page of the 2 MiB before', { Address: AT - 0x1000n }, true, false],
    ['a page of the next GiB', { Address: 0x4000_0000n }, false, false],
    ['a range that ends before', { Address: AT - 0x4000n, TG: 1, NUM: 3 }, true, false],
    ['a range that reaches it', { Address: AT - 0x4000n, TG: 1, NUM: 4 }, true, true],
    ['a range of 16 GiB around', { Address: 0n, TG: 1, NUM: 31, SCALE: 17 }, true, true],
    ['a range of another granule', { Address: AT, TG: 3, NUM: 3 }, false, false],
  ];
  const rows = REGIMES.flatMap((regime) =>
    cases.flatMap(([name, values, first, second]): [Regime, string, object, number, boolean][] => [
      [regime, name, values, 1, first],
      [regime, name, values, 2, second],
    ]),
  );
  test.each(
    titled(rows, (regime, name, _, level, goes) => {
      return `${regime.name}, ${name}: a table of level ${level} ${goes ? 'goes' : 'stays (decision)'}`;
    }),
  )('%s', (_, regime, __, values, level, goes) => {
    expect(after(regime, level, regime.byAddress, { ...regime.who, ...values })).toEqual(goes ? NEW : OLD);
  });
});

describe('4.4.2 – 4.4.4 whose tables', () => {
  const cases: [string, Command, object, Regime[]][] = [
    ['4.4.2.1 NH_ALL', CMD_TLBI_NH_ALL, { VMID }, [EL1]],
    ['4.4.2.1 NH_ALL of another VMID', CMD_TLBI_NH_ALL, { VMID: 6 }, []],
    ['4.4.2.2 NH_ASID', CMD_TLBI_NH_ASID, WHO, [EL1]],
    ['4.4.2.2 NH_ASID of another ASID', CMD_TLBI_NH_ASID, { VMID, ASID: 2 }, []],
    ['4.4.2.3 NH_VAA', CMD_TLBI_NH_VAA, { VMID, Address: AT }, [EL1]],
    ['4.4.2.4 NH_VA', CMD_TLBI_NH_VA, { ...WHO, Address: AT }, [EL1]],
    ['4.4.2.4 NH_VA of another ASID', CMD_TLBI_NH_VA, { VMID, ASID: 2, Address: AT }, []],
    ['4.4.2.6 EL2_ALL', CMD_TLBI_EL2_ALL, {}, [EL2]],
    ['4.4.2.7 EL2_VA', CMD_TLBI_EL2_VA, { Address: AT }, [EL2]],
    ['4.4.2.8 EL2_VAA', CMD_TLBI_EL2_VAA, { Address: AT }, [EL2]],
    ['4.4.2.9 EL2_ASID without E2H', CMD_TLBI_EL2_ASID, { ASID: 9 }, []],
    ['4.4.3.1 S2_IPA', CMD_TLBI_S2_IPA, { VMID, Address: AT }, [STAGE_2]],
    ['4.4.3.1 S2_IPA of another VMID', CMD_TLBI_S2_IPA, { VMID: 6, Address: AT }, []],
    ['4.4.3.2 S12_VMALL', CMD_TLBI_S12_VMALL, { VMID }, [EL1, STAGE_2]],
    ['4.4.3.2 S12_VMALL of another VMID', CMD_TLBI_S12_VMALL, { VMID: 6 }, []],
    ['4.4.4.1 NSNH_ALL', CMD_TLBI_NSNH_ALL, {}, [EL1, STAGE_2]],
    ['4.3.6 CFGI_ALL', CMD_CFGI_ALL, {}, []],
  ];
  const rows = cases.flatMap(([name, command, values, whose]) =>
    REGIMES.map((regime): [string, Command, object, Regime, boolean] => [
      name,
      command,
      values,
      regime,
      whose.includes(regime),
    ]),
  );
  test.each(
    titled(rows, (name, _, __, regime, goes) => `${name}: those of ${regime.name} ${goes ? 'go' : 'stay (decision)'}`),
  )('%s', (_, __, command, values, regime, goes) => {
    expect(after(regime, 2, command, values)).toEqual(goes ? NEW : OLD);
  });
});
