/** What of the SMMUv3 oracle needs no QEMU: scripts as text, the generator, the machine around the model, the judge. */
import { describe, expect, test } from 'vitest';
import { EVENT } from '../../../src/iommu/smmuv3/index.ts';
import { readFields } from '../judge.ts';
import type { Access, Platform, Value } from '../platform.ts';
import { shrink } from '../shrink.ts';
import { Tally } from '../tally.ts';
import { compare, kindOf } from './compare.ts';
import type { Configuration } from './configurations.ts';
import { CONFIGURATIONS, modelOf } from './configurations.ts';
import { placeText } from './deviation.ts';
import { DEVIATIONS } from './deviations.ts';
import { Generator } from './generate.ts';
import { look } from './look.ts';
import { CLEARED, LAYOUT, MAP, SID } from './machine.ts';
import type { ModelPlatform } from './model-platform.ts';
import type { Script } from './script.ts';
import { lower, parse, print } from './script.ts';

/** IDR0 and IDR3 of QEMU 11.1.3 with each of the options; IDR1, IDR5 and AIDR are the same with all. */
const IDR0 = { 1: 0xd44101a, 2: 0xd441019, nested: 0xd44101b } as const;
const IDR3 = { 1: 0x1404, 2: 0x1414, nested: 0x1414 } as const;

/** What QEMU says of its SMMU, without QEMU. */
function said({ stage }: Configuration): Platform {
  const words: Readonly<Record<number, number>> = {
    ...{ 0: IDR0[stage], 4: 0x2730010, 12: IDR3[stage], 20: 0x74, 28: 1 },
  };
  const run = (program: readonly Access[]): Promise<Value[]> =>
    Promise.resolve(
      program.flatMap((one) => (one.do === 'read' ? [(words[one.at - MAP.smmu] ?? 0).toString(16)] : [])),
    );
  return { name: 'said', reset: () => Promise.resolve(), run, close: () => Promise.resolve() };
}

const modelFor = (configuration: Configuration): Promise<ModelPlatform> => modelOf(said(configuration));
const NAMED = CONFIGURATIONS.map((each) => [each.name, each] as const);
const [STAGE_1] = CONFIGURATIONS;

describe('scripts', () => {
  test('every operation is the same after printing and parsing', () => {
    const seen = new Set<string>();
    for (const each of CONFIGURATIONS) {
      for (let seed = 0; seed < 20; seed++) {
        const script = new Generator(seed, each).script(80);
        expect(parse(script.map(print).join('\n'))).toEqual(script);
        for (const { op } of script) seen.add(op);
      }
    }
    expect([...seen].sort()).toEqual(['cmd', 'dma', 'dump', 'edu', 'reg', 'ste', 'store']);
  });

  test('a seed always gives the same script', () => {
    const text = () => new Generator(7, STAGE_1).script(100).map(print);
    expect(text()).toEqual(text());
  });

  test.each(['store 1', 'ste 0x0 1 2 3', 'dma 0 0x10 4', 'edu push 0 0 4', 'cmd x 0', 'jump 3'])(
    '%s is no operation',
    (line) => {
      expect(() => parse(`dump\n\n# a comment\n${line}`)).toThrow(`line 4: not an operation: ${line}`);
    },
  );

  test('writes nowhere but in the memory that a reset clears, and to devices', () => {
    const end = CLEARED.from + CLEARED.bytes;
    expect(LAYOUT.tablesEnd).toBeLessThanOrEqual(end);
    for (const each of CONFIGURATIONS) {
      for (let seed = 0; seed < 20; seed++) {
        const { program } = lower(new Generator(seed, each).script(50));
        const written = program.accesses.flatMap((one) => (one.do === 'write' && one.at >= MAP.ram ? [one.at] : []));
        expect(written.filter((at) => at < CLEARED.from || at >= end)).toEqual([]);
      }
    }
  });

  // QEMU ends with an assertion.
  test('have no CD with IPS above 48 bits, and no STE with stage 2 and without S2AA64', () => {
    for (const each of CONFIGURATIONS) {
      for (let seed = 0; seed < 100; seed++) {
        const script = new Generator(seed, each).script(50);
        for (const one of script) {
          if (one.op === 'ste' && (one.words[0] & 0xdn) === 0xdn) expect((one.words[2] >> 51n) & 1n).toBe(1n);
          const isCd = one.op === 'store' && one.at >= LAYOUT.contexts && one.at < LAYOUT.commands && one.at % 64 === 0;
          if (isCd) expect(Number((one.value >> 32n) & 7n)).toBeLessThan(6);
        }
      }
    }
  });
});

test('random scripts do what they are made for', async () => {
  const numbers = new Set<number>();
  for (const each of CONFIGURATIONS) {
    const platform = await modelFor(each);
    const senders = new Set<number>();
    let [arrived, all] = [0, 0];
    for (let seed = 0; seed < 50; seed++) {
      const script = new Generator(seed, each).script(100);
      const { RESULT: results, events: dumps } = await readFields(platform, lower(script), ['RESULT', 'events']);
      const sent = script.filter((op) => op.op === 'dma');
      for (const [i, { device }] of sent.entries()) if (results[i] === '0') senders.add(device);
      arrived += results.filter((result) => result === '0').length;
      all += results.length;
      const [events] = dumps;
      for (let at = 0; at < events.length; at += 64) numbers.add(Number.parseInt(events.slice(at, at + 2), 16));
    }
    expect(arrived / all).toBeGreaterThan(0.3);
    expect(senders.size).toBe(SID.testdev.length);
  }
  for (const name of ['C_BAD_STREAMID', 'F_STE_FETCH', 'C_BAD_STE', 'F_CD_FETCH', 'C_BAD_CD'] as const)
    expect(numbers).toContain(EVENT[name]);
  for (const name of ['F_WALK_EABT', 'F_TRANSLATION', 'F_ADDR_SIZE', 'F_ACCESS', 'F_PERMISSION'] as const)
    expect(numbers).toContain(EVENT[name]);
});

describe('comparing', () => {
  test.each(NAMED)('%s: the model differs in nothing from itself', async (_, configuration) => {
    const pair = { configuration, model: await modelFor(configuration), qemu: await modelFor(configuration) };
    for (let seed = 0; seed < 20; seed++) {
      const { unexplained, tally } = await compare(pair, new Generator(seed, configuration).script(60));
      expect({ unexplained, exemptions: tally.exemptions }).toEqual({ unexplained: null, exemptions: 0 });
      expect(tally.faults([])).toEqual([]);
    }
  });

  test.each(NAMED)('%s: one that forgets invalidations is found out, by a few lines', async (_, configuration) => {
    const theirs = await modelFor(configuration);
    const isTlbi = (each: Access) =>
      each.do === 'write' &&
      each.at >= LAYOUT.commands &&
      each.at < LAYOUT.events &&
      each.at % 16 === 0 &&
      [0x12, 0x13, 0x2a].includes(Number(each.value) & 0xff);
    const deaf: Platform = {
      name: 'deaf',
      reset: () => theirs.reset(),
      // The commands become CMD_SYNCs.
      run: (program) =>
        theirs.run(program.map((each) => (isTlbi(each) ? ({ ...each, value: 0x46n } as Access) : each))),
      close: () => theirs.close(),
    };
    const pair = { configuration, model: await modelFor(configuration), qemu: deaf };
    const judge = async (of: Script) => (await compare(pair, of)).unexplained;
    for (let seed = 0; ; seed++) {
      const script = new Generator(seed, configuration).script(100);
      const found = await judge(script);
      if (found === null || found.field !== 'RESULT') continue;
      const least = await shrink(script, found, judge, kindOf);
      expect(least.length).toBeLessThanOrEqual(30);
      expect(least.some(({ op }) => op === 'cmd')).toBe(true);
      break;
    }
  });

  test('what differs in one value, of a dump too, is found', async () => {
    const script = parse(DEVIATIONS.find(({ name }) => name === 'tbi1-is-tbi0')?.proof ?? '');
    const { program } = lower(script);
    const ours = await modelFor(STAGE_1);
    const theirs = await modelFor(STAGE_1);
    for (let at = 0; at < program.labels.length; at++) {
      if (program.labels[at] === '') continue;
      const qemu: Platform = {
        ...{ name: 'wrong', reset: () => theirs.reset(), close: () => theirs.close() },
        run: async (accesses) =>
          (await theirs.run(accesses)).map((value, i) =>
            i === at ? (value.length > 8 ? `ff${value.slice(2)}` : `${value}1`) : value,
          ),
      };
      const { unexplained } = await compare({ configuration: STAGE_1, model: ours, qemu }, script, []);
      expect(unexplained).not.toBeNull();
    }
  });
});

describe('deviations', () => {
  test('have names of their own and proofs that can be read', () => {
    expect(new Set(DEVIATIONS.map(({ name }) => name)).size).toBe(DEVIATIONS.length);
    for (const { proof } of DEVIATIONS) expect(parse(proof).length).toBeGreaterThan(0);
  });

  test.each(DEVIATIONS.map((each) => [each.name, each] as const))(
    '%s says by what clause it is one, and where QEMU has it: file, version, function',
    (_, { clause, where, title }) => {
      expect(title).not.toBe('');
      expect(clause).toMatch(/^(SMMUv3 \d+(\.\d+)*|DDI 0487 D8)/);
      expect(where.length).toBeGreaterThan(0);
      for (const place of where) expect(placeText(place)).toMatch(/^hw\/arm\/smmu[\w-]+\.c \(v\d+\.\d+-rc\) [a-z]\w+$/);
    },
  );

  test('do not explain just anything', async () => {
    const script = parse(`
store 0x40180000 0x6204c0000027
store 0x40180008 0x40400000
ste 0x40100400 0x4018000b 0x100000000000 0x0 0x0
store 0x40400000 0x40200445
reg 0x80 8 0x40100000
reg 0x88 4 0x8
reg 0x20 4 0xd
dma 0 0x100 4 0x40200100
cmd 0x46 0x0`);
    expect(await readFields(await modelFor(STAGE_1), lower(script), ['RESULT'])).toEqual({ RESULT: ['0'] });
    expect(look(script, 7)?.first.map(({ kind }) => kind)).toEqual(['block']);
    const dump = '00'.repeat(LAYOUT.eventBytes);
    for (const field of ['RESULT', 'EVENTQ_PROD', 'GERROR', 'CMDQ_CONS', 'register 0x4', 'memory 0x40200100']) {
      for (let op = 0; op <= script.length; op++) {
        const difference = { op, field, model: '0', qemu: 'dead0004' };
        const why = DEVIATIONS.filter((each) => each.explains(difference, script, STAGE_1, dump, dump));
        expect(why.map(({ name }) => name)).toEqual([]);
      }
    }
  });

  test('that explain everything are found out by how much', async () => {
    const theirs = await modelFor(STAGE_1);
    const deaf: Platform = {
      ...{ name: 'deaf', reset: () => theirs.reset(), close: () => theirs.close() },
      // All STEs are gone.
      run: (program) =>
        theirs.run(program.filter((each) => !(each.do === 'write' && each.at >> 16 === LAYOUT.streams >> 16))),
    };
    const greedy = { ...DEVIATIONS[0], name: 'greedy', ends: false, explains: () => true };
    const all = new Tally();
    const pair = { configuration: STAGE_1, model: await modelFor(STAGE_1), qemu: deaf };
    for (let seed = 0; seed < 20; seed++) {
      const { unexplained, tally } = await compare(pair, new Generator(seed, STAGE_1).script(60), [greedy]);
      expect(unexplained).toBeNull();
      all.add(tally);
    }
    expect(all.faults([{ name: 'greedy' }]).join('\n')).toContain('greedy explains');
  });
});
