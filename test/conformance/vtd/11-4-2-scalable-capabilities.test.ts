import { describe, expect, test } from 'vitest';
import { ALL, ScalableBench } from './scalable-unit.ts';
import { Bench, REG } from './unit.ts';

/** ECAP bits (11.4.3), written again on purpose; each with those that it cannot be without. */
const NEEDS: readonly (readonly [name: string, bit: number, needs: readonly string[]])[] = [
  ['NEST', 26, ['SMTS', 'FSTS', 'SSTS']],
  ['SRS', 31, ['SMTS']],
  ['EAFS', 34, ['FSTS', 'SMPWCS']],
  ['PASID', 40, ['SMTS']],
  ['SMTS', 43, ['QI']],
  ['SSADS', 45, ['SMPWCS']],
  ['FSTS', 47, ['SMTS']],
  ['SMPWCS', 48, ['SMTS']],
  ['RPS', 49, ['SMTS']],
  ['RPRIVS', 53, ['SRS']],
  ['MTS', 25, ['SMTS']],
];

describe('11.4.3 ECAP of scalable mode', () => {
  test.each(NEEDS)('%s is bit %i and needs %j', (name, bit, needs) => {
    const off = Object.fromEntries(Object.keys(ALL).map((key) => [key, 0]));
    const closure = (of: string): string[] => [of, ...(NEEDS.find(([n]) => n === of)?.[2] ?? []).flatMap(closure)];
    const on = Object.fromEntries(closure(name).map((key) => [key, 1]));
    const has = new Bench({ ecap: { ...off, ...on } }).read64(REG.ECAP);
    expect((has >> BigInt(bit)) & 1n).toBe(1n);
    for (const need of needs)
      expect(() => new Bench({ ecap: { ...off, ...on, [need]: 0 } }).unit, need).toThrow(/ECAP\.|CAP\./);
  });

  test.each([
    ['PSS without SMTS', {}, { SMTS: 0, PSS: 3 }, /PSS/],
    ['PASIDs of more than 20 bits', {}, { ...ALL, PSS: 20 }, /20 at most/],
    ['RWBF with SMTS', { RWBF: 1 }, ALL, /RWBF/],
    ['ERS, which is deprecated', {}, { ...ALL, ERS: 1 }, /ERS/],
    ['FS1GP without a first stage', { FS1GP: 1 }, {}, /FS1GP/],
    ['FS5LP without a first stage', { FS5LP: 1 }, {}, /FS5LP/],
    ['page requests without device TLBs', {}, { ...ALL, PRS: 1 }, /PRS without ECAP.DT/],
    ['host permission tables without device TLBs', {}, { ...ALL, HPTS: 1 }, /HPTS without ECAP.DT/],
    ['stop markers without page requests', {}, { ...ALL, SMS: 1 }, /SMS without ECAP.PRS/],
    ['performance monitoring without enhanced commands', {}, { ...ALL, PMS: 1 }, /PMS without CAP.ECMDS/],
    ['I/O read and write bits, which the model has not', {}, { ...ALL, SSIRWS: 1 }, /not modelled/],
    ['virtual commands, which the model has not', {}, { ...ALL, VCS: 1 }, /not modelled/],
  ] as const)('refused: %s', (_, cap, ecap, message) => {
    expect(() => new Bench({ cap, ecap }).unit).toThrow(message);
    expect(() => new Bench({ cap, ecap }).unit).toThrow(RangeError);
  });

  test('a unit with all of it says so, and PSS 39:35', () => {
    const has = new ScalableBench({ ecap: ALL }).read64(REG.ECAP);
    expect((has >> 35n) & 31n).toBe(19n);
    for (const [name, bit] of NEEDS) if (name in ALL) expect((has >> BigInt(bit)) & 1n, name).toBe(1n);
  });
});
