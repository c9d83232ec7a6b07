import { describe, expect, test } from 'vitest';
import type { Recorded } from '../../../test/smmu-recorder.ts';
import { QUEUE, SmmuRecorder, wordAt } from '../../../test/smmu-recorder.ts';
import { decode } from '../../bits/index.ts';
import { Instance, runPrompt } from '../../explore/index.ts';
import { STAGE1, STAGE2 } from '../../iommu/smmuv3/translation-structures.ts';
import type { Program } from '../../machine/index.ts';
import { Machine } from '../../machine/index.ts';
import type { TableFormat } from '../kit/page-table.ts';
import { CommandQueue } from './command-queue.ts';
import type { SmmuDomainOptions } from './domain.ts';
import { SmmuDomain } from './domain.ts';
import type { SmmuInvalidationOptions } from './invalidation.ts';
import { atcOperands, rangeOperands, SmmuInvalidation } from './invalidation.ts';
import { ArmPageTable, LEVELS_39, STAGE_1, STAGE_2 } from './page-table.ts';
import { SMMU_VERSIONS } from './versions.ts';

const [L1, L2, L3] = [0x1000000n, 0x1001000n, 0x1002000n];
const FRAMES = 0x21d200000n;
const DID = 1;

interface Setting extends Partial<SmmuInvalidationOptions>, Partial<SmmuDomainOptions> {
  readonly format?: TableFormat;
}

function drive(program: (domain: SmmuDomain) => Program, setting: Setting = {}) {
  const { format = STAGE_1, ...options } = setting;
  const machine = new Machine();
  const owner = machine.owner('tables', 'table', DID);
  machine.frame('L1', L1, owner, [0]);
  machine.frame('L2', L2, owner, [0, 1, 2]);
  const tables = [0n, 1n].map((i) => machine.frame(`L3 ${i}`, L3 + i * 0x1000n, 0, [0, 1, 2, 3, 511]));
  machine.poke(L1, L2 | 3n);
  const smmu = new SmmuRecorder(machine, 4);
  smmu.watch = () => (machine.frames.ownerOf(tables[0].index) === 0 ? 'free' : 'in use');
  const cpu = machine.cpu();
  const pool = machine.pool(tables);
  const queue = new CommandQueue(machine, cpu, { smmu, base: QUEUE, log2size: 4 });
  const tag = format === STAGE_1 ? ({ stage: 1, asid: 9 } as const) : ({ stage: 2, vmid: 5 } as const);
  const invalidation = new SmmuInvalidation(queue, { tag, ranges: true, ...options });
  const table = new ArmPageTable(cpu, pool, L1, LEVELS_39, owner, false, format);
  const settings = { did: DID, version: SMMU_VERSIONS.ideal, largestLeaf: 2, ...options };
  const domain = new SmmuDomain(machine, table, invalidation, settings);
  machine.actor('driver', () => program(domain));
  const instance = new Instance(machine);
  runPrompt(instance);
  expect(instance.hasWaiting()).toBe(false);
  return {
    smmu,
    word: (addr: bigint) => wordAt(machine, addr),
    isFree: (i: number) => machine.frames.ownerOf(tables[i].index) === 0,
  };
}

const page = (frame: bigint) => frame | STAGE_1.leaf;

describe('map', () => {
  test('small pages: a table is linked, leaves are read/write, cached and not global; nothing is invalidated', () => {
    const { smmu, word } = drive((domain) => domain.map(0n, FRAMES, 0x2000n));
    expect(word(L2)).toBe(L3 | 3n);
    expect([word(L3), word(L3 + 8n), word(L3 + 16n)]).toEqual([page(FRAMES), page(FRAMES + 0x1000n), 0n]);
    expect(decode(STAGE1[4].leaf[3], word(L3))).toMatchObject({
      ADDR: FRAMES,
      AP: 1,
      AF: 1,
      nG: 1,
      AttrIndx: 1,
      SH: 3,
    });
    expect(smmu.names).toEqual([]);
  });

  test('an aligned 2 MiB range is one block; of stage 2 with the attributes of stage 2', () => {
    const block = (format: TableFormat) => drive((domain) => domain.map(0n, FRAMES, 0x200000n), { format }).word(L2);
    expect(decode(STAGE1[4].leaf[2], block(STAGE_1))).toMatchObject({ ADDR: FRAMES, AP: 1, nT: 0 });
    expect(block(STAGE_1) & 3n).toBe(1n);
    expect(decode(STAGE2[4].leaf[2], block(STAGE_2))).toMatchObject({ ADDR: FRAMES, S2AP: 3, MemAttr: 15, AF: 1 });
  });

  test('a block takes the place of a table: the table is cleared, invalidated and freed before the block is stored', () => {
    const { smmu, word, isFree } = drive(function* (domain) {
      yield* domain.map(0n, FRAMES, 0x1000n);
      yield* domain.unmap(0n, 0x1000n);
      yield* domain.map(0n, FRAMES, 0x200000n);
    });
    expect(word(L2) & 3n).toBe(1n);
    expect(isFree(0)).toBe(true);
    expect(smmu.names).toEqual(['CMD_TLBI_NH_VA', 'CMD_SYNC', 'CMD_TLBI_NH_VA', 'CMD_SYNC']);
    expect(smmu.commands.map(({ fields }) => fields.Leaf)).toEqual([1, undefined, 0, undefined]);
    expect(smmu.commands.map(({ seen }) => seen)).toEqual(['in use', 'in use', 'in use', 'in use']);
  });
});

describe('unmap', () => {
  /** `map`s and `unmap`s; @returns what the unmap had invalidated */
  function unmapped(size: bigint, setting: Setting = {}, at = 0n): readonly Recorded[] {
    return drive(function* (domain) {
      yield* domain.map(0n, FRAMES + 0x1000n, 0x4000n);
      yield* domain.unmap(at, size);
    }, setting).smmu.commands;
  }

  test('neighbours are gathered: one invalidation of leaves, then CMD_SYNC', () => {
    const commands = unmapped(0x3000n);
    expect(commands.map(({ name }) => name)).toEqual(['CMD_TLBI_NH_VA', 'CMD_SYNC']);
    expect(commands[0].fields).toMatchObject({
      ASID: 9,
      VMID: 0,
      Address: 0n,
      SCALE: 0,
      NUM: 2,
      TG: 1,
      TTL: 3,
      Leaf: 1,
    });
  });

  test('stage 2 is invalidated by IPA', () => {
    const commands = unmapped(0x1000n, { format: STAGE_2 });
    expect(commands.map(({ name }) => name)).toEqual(['CMD_TLBI_S2_IPA', 'CMD_SYNC']);
    expect(commands[0].fields).toMatchObject({ VMID: 5, Address: 0n, Leaf: 1 });
  });

  test('without ranges there is a command a page', () => {
    const commands = unmapped(0x3000n, { ranges: false });
    expect(commands.map(({ fields }) => fields.Address)).toEqual([0n, 0x1000n, 0x2000n, undefined]);
    expect(commands[0].fields).toMatchObject({ TG: 0, NUM: 0, SCALE: 0, TTL: 0, Leaf: 1 });
  });

  test('a table that is covered whole goes at once: cleared, invalidated with what leads to it, freed', () => {
    const { smmu, isFree } = drive(function* (domain) {
      yield* domain.map(0n, FRAMES + 0x1000n, 0x4000n);
      yield* domain.unmap(0n, 0x200000n);
    });
    expect(smmu.commands.map(({ name, seen }) => `${name} ${seen}`)).toEqual([
      'CMD_TLBI_NH_VA in use',
      'CMD_SYNC in use',
    ]);
    expect(smmu.commands[0].fields).toMatchObject({ Address: 0n, SCALE: 9, NUM: 0, TTL: 0, Leaf: 0 });
    expect(isFree(0)).toBe(true);
  });

  test('the ATC is invalidated after the TLB, each with a CMD_SYNC of its own', () => {
    const atc = {
      *streams(): Program<number[]> {
        yield* [];
        return [7, 8];
      },
    };
    const commands = unmapped(0x2000n, { atc });
    expect(commands.map(({ name }) => name)).toEqual([
      'CMD_TLBI_NH_VA',
      'CMD_SYNC',
      'CMD_ATC_INV',
      'CMD_ATC_INV',
      'CMD_SYNC',
    ]);
    expect(commands[3].fields).toMatchObject({ StreamID: 8, Address: 0n, Size: 1 });
    expect(unmapped(0x2000n, { atc, order: 'atc-first' })[0].name).toBe('CMD_ATC_INV');
    expect(unmapped(0x2000n, { atc, order: 'tlbi-only' })).toHaveLength(2);
  });

  test('mutants leave out what they say', () => {
    expect(unmapped(0x1000n, { noTlbi: true })).toEqual([]);
    expect(unmapped(0x1000n, { noUnmapFlush: true })).toEqual([]);
    expect(unmapped(0x200000n, { leafOnly: true })[0].fields.Leaf).toBe(1);
    expect(unmapped(0x200000n, { freesFirst: true })[0].seen).toBe('free');
  });
});

describe('part of a block', () => {
  const part = (version: SmmuDomainOptions['version']) =>
    drive(
      function* (domain) {
        yield* domain.map(0n, FRAMES, 0x200000n);
        yield* domain.unmap(0x1000n, 0x1000n);
      },
      { version },
    );

  test('up to 6.12 it is split in place: the page that goes is not in the table, and it alone is invalidated', () => {
    const { smmu, word } = part(SMMU_VERSIONS['linux-6.12']);
    expect(word(L2)).toBe(L3 | 3n);
    expect([word(L3), word(L3 + 8n), word(L3 + 16n)]).toEqual([page(FRAMES), 0n, page(FRAMES + 0x2000n)]);
    expect(smmu.commands[0].fields).toMatchObject({ Address: 0x1000n, NUM: 0, SCALE: 0, Leaf: 1 });
  });

  test('6.13 refuses it', () => {
    expect(() => part(SMMU_VERSIONS['linux-6.13'])).toThrow('part of a block cannot be unmapped');
  });
});

describe('a live split', () => {
  function split(order: 'bbm' | 'swap' | 'nt') {
    const entries: bigint[] = [];
    const { smmu, word } = drive(function* (domain) {
      yield* domain.map(0n, FRAMES, 0x200000n);
      yield* domain.split(0x1000n, order);
    });
    return { names: smmu.names, entries, word };
  }

  test.each([
    ['bbm', 1],
    ['swap', 1],
    ['nt', 2],
  ] as const)('%s: pages say what the block said; %i invalidations', (order, flushes) => {
    const { names, word } = split(order);
    expect(word(L2)).toBe(L3 | 3n);
    expect([word(L3), word(L3 + 511n * 8n)]).toEqual([page(FRAMES), page(FRAMES + 0x1ff000n)]);
    expect(names.filter((name) => name === 'CMD_SYNC')).toHaveLength(flushes);
  });
});

describe('operands', () => {
  /** Pages of the ranges that commands name, in order. */
  const pagesOf = (first: number, pages: number, leafOnly: boolean) =>
    rangeOperands({ first, pages, level: 1, leafOnly }).map(({ Address, NUM, SCALE }) => [
      Number(Address >> 12n),
      (NUM + 1) * 2 ** SCALE,
    ]);

  test('ranges cover what is asked for, end to end, with operands that fit', () => {
    for (let pages = 1; pages < 3000; pages++) {
      const ranges = pagesOf(5, pages, true);
      let next = 5;
      for (const [first, count] of ranges) {
        expect(first).toBe(next);
        next += count;
      }
      expect(next).toBe(5 + pages);
    }
    for (const { NUM, SCALE } of rangeOperands({ first: 0, pages: 0x7fffffff, level: 1, leafOnly: true })) {
      expect(NUM).toBeLessThan(32);
      expect(SCALE).toBeLessThan(32);
    }
  });

  test('one page with what leads to it is two: SCALE 0 with NUM 0 and TTL 0 is none', () => {
    expect(pagesOf(5, 1, false)).toEqual([[5, 2]]);
    expect(pagesOf(5, 1, true)).toEqual([[5, 1]]);
  });

  test('CMD_ATC_INV takes the smallest aligned block that covers a range', () => {
    expect(atcOperands(3, 1)).toEqual({ Address: 0x3000n, Size: 0 });
    expect(atcOperands(3, 2)).toEqual({ Address: 0n, Size: 3 });
    expect(atcOperands(4, 4)).toEqual({ Address: 0x4000n, Size: 2 });
  });
});
