import { describe, expect, test } from 'vitest';
import { runAlone } from '../../../test/smmu-recorder.ts';
import { Machine } from '../../machine/index.ts';
import { DomainMasters, Master, moveMaster } from './attach.ts';
import { SMMU_VERSIONS } from './versions.ts';

/** M1 has ATS on in the first domain and stays; M2 moves to the second. @returns both counters, and who the first one tells then */
function move(version: keyof typeof SMMU_VERSIONS, was: boolean, is: boolean) {
  const machine = new Machine();
  const [stays, moves] = [new Master(machine, 'M1', 1, true), new Master(machine, 'M2', 2, was)];
  const from = new DomainMasters(machine, 'D0', [stays, moves], [stays, moves]);
  const to = new DomainMasters(machine, 'D1', [moves], []);
  const change = moveMaster(SMMU_VERSIONS[version], moves, { from, to, ats: is }, () => machine.note('STE'));
  runAlone(machine, change);
  const told = runAlone(machine, from.streams());
  expect(moves.ats.value).toBe(is ? 1 : 0);
  return { counters: [from.counter.value, to.counter.value], told };
}

describe('a device that changes its domain is counted where it is', () => {
  test.each([
    [false, false, [1, 0]],
    [true, true, [1, 1]],
    [false, true, [1, 1]],
    [true, false, [1, 0]],
  ])('with the fix, ATS %s → %s', (was, is, counters) => {
    expect(move('linux-6.17', was, is)).toEqual({ counters, told: [1] });
  });

  test('before it, one that gets ATS is counted out though it was not counted in: nobody is told of invalidations', () => {
    expect(move('linux-6.12', false, true)).toEqual({ counters: [0, 1], told: [] });
  });

  test('and one that loses it stays counted', () => {
    expect(move('linux-6.12', true, false)).toEqual({ counters: [2, 0], told: [1] });
  });

  test('who is in no list cannot leave it', () => {
    const machine = new Machine();
    const other = new Master(machine, 'M3', 3, false);
    expect(() => new DomainMasters(machine, 'D0', [], []).remove(other).next()).toThrow('M3 is none of the devices');
  });
});
