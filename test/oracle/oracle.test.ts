/** What of the oracle needs no QEMU: the scenarios on the model, scripts as text, the generator, the shrinker, the judge itself. */
import { describe, expect, test } from 'vitest';
import { compare } from './compare.ts';
import type { Configuration } from './configurations.ts';
import { CONFIGURATIONS, modelOf, QEMU_11 } from './configurations.ts';
import { placeText } from './deviation.ts';
import { DEVIATIONS } from './deviations.ts';
import { Generator } from './generate.ts';
import { INTERRUPT_SCENARIOS } from './interrupt-scenarios.ts';
import { readFields } from './judge.ts';
import { ModelPlatform } from './model-platform.ts';
import type { Access, Platform } from './platform.ts';
import { CLEARED, MAP, SID } from './platform.ts';
import { SCALABLE_SCENARIOS } from './scalable-scenarios.ts';
import { SCENARIOS } from './scenarios.ts';
import type { Script } from './script.ts';
import { LAYOUT, lower, parse, print } from './script.ts';
import { shrink } from './shrink.ts';
import { Tally } from './tally.ts';

const configuration = CONFIGURATIONS[0];
const model = () => modelOf(new ModelPlatform({}));

/** A model with what QEMU's unit has under a configuration, as far as tables go. */
function modelFor({ qemu, tables: { haw, mode }, interrupts, deviceTlbs }: Configuration): ModelPlatform {
  const DT = deviceTlbs === true ? 1 : 0;
  if (interrupts !== undefined)
    return new ModelPlatform({
      ecap: { IR: 1, MHMV: 15, EIM: interrupts === 'x2APIC' ? 1 : 0 },
      haw,
      profile: QEMU_11,
    });
  if (mode === 'legacy') return new ModelPlatform({ ecap: { DT }, profile: QEMU_11 });
  const first = mode === 'first';
  const cap = { MGAW: haw - 1, SAGAW: haw === 39 ? 2 : 6, FS1GP: first && !qemu.includes('fs1gp=off') ? 1 : 0 };
  const ecap = { C: 0, SC: 0, DT, SMTS: 1, ...(first ? { FSTS: 1 } : { SSTS: 1, SRS: 1 }) };
  return new ModelPlatform({ cap, ecap, haw, profile: QEMU_11 });
}

describe('what VT-d says, on the model', () => {
  test.each(
    SCALABLE_SCENARIOS.flatMap(([mode, scenarios]) =>
      scenarios.map((each) => [each.clause, each.title, mode, each] as const),
    ),
  )('%s: %s (%s)', async (_c, _t, mode, each) => {
    const of = CONFIGURATIONS.find(({ tables }) => tables.mode === mode) as Configuration;
    expect(await readFields(modelFor(of), lower(parse(each.text)), Object.keys(each.reads))).toEqual(each.reads);
  });

  test.each(
    INTERRUPT_SCENARIOS.flatMap(([interrupts, scenarios]) =>
      scenarios.map((each) => [each.clause, each.title, interrupts, each] as const),
    ),
  )('%s: %s (%s)', async (_c, _t, interrupts, each) => {
    const of = CONFIGURATIONS.find((one) => one.interrupts === interrupts) as Configuration;
    expect(await readFields(modelFor(of), lower(parse(each.text)), Object.keys(each.reads))).toEqual(each.reads);
  });

  test.each(SCENARIOS.map((each) => [each.clause, each.title, each] as const))('%s: %s', async (_c, _t, each) => {
    expect(await readFields(await model(), lower(parse(each.text)), Object.keys(each.reads))).toEqual(each.reads);
  });
});

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
    const tables = ['store', 'srtp', 'te', 'reg', 'qie', 'inv', 'dma', 'edu', 'clear', 'dump'];
    expect([...seen].sort()).toEqual([...tables, 'sirtp', 'ire', 'cfi', 'msi'].sort());
  });

  test('a seed always gives the same script', () => {
    const text = () => new Generator(7, configuration).script(100).map(print);
    expect(text()).toEqual(text());
  });

  test.each(['store 1', 'dma 0 0x10 4', 'edu push 0 0 4', 'te x', 'jump 3'])('%s is no operation', (line) => {
    expect(() => parse(`te 1\n\n# a comment\n${line}`)).toThrow(`line 4: not an operation: ${line}`);
  });

  test('writes nowhere but in the memory that a reset clears', () => {
    const end = CLEARED.from + CLEARED.bytes;
    expect(LAYOUT.data + LAYOUT.dataBytes).toBeLessThanOrEqual(end);
    for (let seed = 0; seed < 100; seed++) {
      for (const { do: what, at } of lower(new Generator(seed, configuration).script(50)).program.accesses as Access[] &
        { at: number }[]) {
        if (what === 'write' && at < MAP.ramBytes) expect(at >= CLEARED.from && at < end).toBe(true);
      }
    }
  });
});

test('random scripts do what they are made for', async () => {
  const reasons = new Set<number>();
  for (const each of CONFIGURATIONS) {
    const platform = modelFor(each);
    const senders = new Set<number>();
    let arrived = 0;
    let all = 0;
    for (let seed = 0; seed < 150; seed++) {
      const script = new Generator(seed, each).script(100);
      const { RESULT, ...rest } = await readFields(platform, lower(script), ['RESULT', 'FRCD.reason']);
      arrived += RESULT.filter((result) => result === '0').length;
      all += RESULT.length;
      const sent = script.filter((op) => op.op === 'dma');
      for (const [i, { device }] of sent.entries()) if (RESULT[i] === '0') senders.add(device);
      for (const text of rest['FRCD.reason']) reasons.add(Number.parseInt(text, 16) & 0xff);
    }
    // Many of the requests arrive, and where they should.
    expect(arrived / all).toBeGreaterThan(0.3);
    expect(senders.size).toBe(SID.testdev.length);
  }
  // All reasons that these tables can give, as QEMU records them: of legacy mode, PASID tables, the first stage.
  for (const reason of [1, 2, 3, 4, 5, 6, 7, 9, 0xa, 0xb, 0xc, 0xe]) expect(reasons).toContain(reason);
  for (const reason of [0x50, 0x51, 0x58, 0x59, 0x5b]) expect(reasons).toContain(reason);
  // Of interrupts; 0x20 is of writes with more than 16 bits, which no MSI is.
  for (const reason of [0x21, 0x22, 0x23, 0x24, 0x25, 0x26]) expect(reasons).toContain(reason);
  for (const reason of [0x70, 0x71, 0x72, 0x73, 0x80, 0x81, 0x85, 0x87]) expect(reasons).toContain(reason);
});

/** A back end that is the model with something wrong in it. */
function wrong(of: ModelPlatform, spoil: (values: string[], program: readonly Access[]) => void): Platform {
  return {
    name: 'wrong',
    reset: () => of.reset(),
    run: async (program) => {
      const values = await of.run(program);
      spoil(values, program);
      return values;
    },
    close: () => of.close(),
  };
}

const mapped = parse(SCENARIOS[1].text);

describe('comparing', () => {
  test.each(CONFIGURATIONS.map((each) => [each.name, each] as const))(
    '%s: the model differs in nothing from itself',
    async (_, each) => {
      const pair = { configuration: each, model: modelFor(each), qemu: modelFor(each) };
      for (let seed = 0; seed < 20; seed++) {
        const { unexplained, tally } = await compare(pair, new Generator(seed, each).script(60));
        expect({ unexplained, exemptions: tally.exemptions }).toEqual({ unexplained: null, exemptions: 0 });
        expect(tally.faults([])).toEqual([]);
      }
    },
  );

  test('what differs in one value, of a dump too, is found', async () => {
    const { program } = lower(mapped);
    for (let at = 0; at < program.labels.length; at++) {
      if (program.labels[at] === '') continue;
      const qemu = wrong(await model(), (values) => {
        values[at] = values[at].length > 8 ? `ff${values[at].slice(2)}` : `${values[at]}1`;
      });
      const { unexplained } = await compare({ configuration, model: await model(), qemu }, mapped);
      expect(unexplained).not.toBeNull();
    }
  });

  test('a unit that forgets an invalidation is found out, and what shows it is cut down to a few lines', async () => {
    const ours = await model();
    const theirs = await model();
    const deaf: Platform = {
      ...wrong(theirs, () => undefined),
      // IOTLB_REG is not listened to.
      run: (program) => theirs.run(program.filter((each) => !(each.do === 'write' && each.at === MAP.iommu + 0xf8))),
    };
    const judge = async (of: Script) => (await compare({ configuration, model: ours, qemu: deaf }, of)).unexplained;
    let shown = 0;
    for (let seed = 0; shown < 3; seed++) {
      const script = new Generator(seed, configuration).script(150);
      const found = await judge(script);
      if (found === null || found.field.startsWith('register')) continue;
      const least = await shrink(script, found, judge);
      expect(await judge(least)).not.toBeNull();
      expect(least.length).toBeLessThanOrEqual(20);
      expect(least.filter((op) => op.op === 'reg' && op.offset === 0xf8)).toHaveLength(1);
      shown++;
    }
  });
});

describe('what a run fails by', () => {
  const one = (name: string, most?: number) => ({ ...DEVIATIONS[0], name, ...(most === undefined ? {} : { most }) });
  const tally = (compared: Record<string, number>, exempted: Record<string, number>, name = 'this') => {
    const of = new Tally();
    of.translations = 1;
    for (const [field, count] of Object.entries(compared)) of.compare(field, count);
    for (const [field, count] of Object.entries(exempted)) of.exempt(name, field, count);
    return of;
  };

  test('it compared nothing', () => {
    expect(new Tally().faults([])).toEqual(['nothing was compared']);
    const noRequests = tally({ RESULT: 1 }, {});
    noRequests.translations = 0;
    expect(noRequests.faults([])).toEqual(['nothing was compared']);
  });

  test('it exempted more than 1 %', () => {
    expect(tally({ RESULT: 1000, FSTS: 1000 }, { RESULT: 10, FSTS: 10 }).faults([one('this')])).toEqual([]);
    expect(tally({ RESULT: 1000, FSTS: 1000 }, { RESULT: 10, FSTS: 11 }).faults([])).toEqual([
      '1.05 % of the comparisons were exempted, more than 1.00 %',
    ]);
  });

  test('one deviation explains more than 1 % of a field, or more than its own share', () => {
    const much = tally({ RESULT: 10_000, FSTS: 1_000_000 }, { RESULT: 200 });
    expect(much.faults([one('this')])).toEqual(['this explains 2.00 % of the comparisons of RESULT, more than 1.00 %']);
    expect(much.faults([one('this', 0.02)])).toEqual([]);
    // As likely as not a matter of chance: three standard deviations are permitted.
    expect(much.faults([one('this', 0.017)])).toEqual([]);
    expect(much.faults([one('this', 0.015)])).toHaveLength(1);
    expect(tally({ RESULT: 100, FSTS: 10_000 }, { RESULT: 5 }).faults([one('this')])).toEqual([]);
    expect(tally({ RESULT: 100, FSTS: 10_000 }, { RESULT: 6 }).faults([one('this')])).toHaveLength(1);
    // Two fields are two conditions.
    expect(tally({ RESULT: 1000, FSTS: 1000 }, { RESULT: 9, FSTS: 9 }).faults([one('this')])).toEqual([]);
  });

  test('tallies add up, field by field', () => {
    const sum = tally({ RESULT: 900, FSTS: 99_000 }, { RESULT: 6 });
    sum.add(tally({ RESULT: 100, IQH: 5 }, { RESULT: 16, IQH: 0 }));
    sum.add(tally({}, { RESULT: 1 }, 'another'));
    expect([sum.translations, sum.comparisons, sum.exemptions, sum.met('this')]).toEqual([3, 100_005, 23, 22]);
    expect(sum.faults([one('this'), one('another')])).toEqual([
      'this explains 2.20 % of the comparisons of RESULT, more than 1.00 %',
    ]);
  });

  test('a deviation that is put in the way of a real difference, and swallows it', async () => {
    const theirs = await model();
    const deaf: Platform = {
      ...wrong(theirs, () => undefined),
      run: (program) => theirs.run(program.filter((each) => !(each.do === 'write' && each.at === MAP.iommu + 0xf8))),
    };
    const greedy = { ...one('greedy'), ends: false, explains: () => true };
    const all = new Tally();
    for (let seed = 0; seed < 40; seed++) {
      const script = new Generator(seed, configuration).script(150);
      const { unexplained, tally: of } = await compare({ configuration, model: await model(), qemu: deaf }, script, [
        greedy,
      ]);
      expect(unexplained).toBeNull();
      all.add(of);
    }
    expect(all.faults([greedy]).join('\n')).toContain('greedy explains');
  });
});

describe('deviations', () => {
  test('have names of their own and proofs that can be read', () => {
    expect(new Set(DEVIATIONS.map(({ name }) => name)).size).toBe(DEVIATIONS.length);
    for (const { proof } of DEVIATIONS) expect(parse(proof).length).toBeGreaterThan(0);
  });

  test.each(DEVIATIONS.map((each) => [each.name, each] as const))(
    '%s says by what clause it is one, and where QEMU has it: file, line and version, function',
    (_, { clause, where, title }) => {
      expect(title).not.toBe('');
      expect(clause).toMatch(/^VT-d \d+(\.\d+)*/);
      expect(where.length).toBeGreaterThan(0);
      for (const place of where)
        expect(placeText(place)).toMatch(/^hw\/\S+\.[ch]:[1-9]\d* \(v\d+\.\d+\.\d+\) [a-z]\w+(, then [a-z]\w+)?$/);
    },
  );

  test('do not explain just anything', () => {
    const script = parse('te 1\ndma 0 0x0 4 0x200000\ninv 0x12 0x0\nire 1\nmsi 0 0xfee00010 0x0\nclear');
    for (const field of [
      'RESULT',
      'FSTS',
      'FRCD.reason',
      'IQH',
      'messages',
      'register 0x8',
      'register 0x228',
      'memory 0x200000',
    ]) {
      for (let op = 0; op <= script.length; op++) {
        const difference = { op, field, model: '0', qemu: 'dead0004' };
        const why = DEVIATIONS.filter((each) => each.explains(difference, script, configuration));
        expect(why.map(({ name }) => name)).toEqual([]);
      }
    }
  });
});
