import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Arena } from './arena.ts';
import { GRANT, Grants, splitVpn } from './grants.ts';

function grantsOf(...vpns: number[]) {
  const grants = new Grants(new Arena());
  const targets = vpns.map((vpn) => grants.target(0, 1, vpn));
  return { grants, targets };
}

test('a page number of 45 bits splits into halves that join to it and fit 32 bits', () => {
  fc.assert(
    fc.property(
      fc.maxSafeNat().map((n) => n % 2 ** 45),
      (vpn) => {
        const { hi, lo } = splitVpn(vpn);
        return hi * 0x40000 + lo === vpn && hi === (hi | 0) && lo >= 0 && lo < 0x40000;
      },
    ),
  );
});

test('a target is declared once per device and page', () => {
  const grants = new Grants(new Arena());
  const first = grants.target(0, 1, 5);
  expect(grants.target(0, 1, 5)).toBe(first);
  expect(grants.target(1, 1, 5)).not.toBe(first);
  expect([grants.find(0, 5), grants.find(0, 6)]).toEqual([first, -1]);
});

test('at most 32 targets', () => {
  const grants = new Grants(new Arena());
  for (let vpn = 0; vpn < 32; vpn++) grants.target(0, 1, vpn);
  expect(() => grants.target(0, 1, 32)).toThrow('no more than 32 pages');
});

test('a promise goes from nothing over changing to granted, and back', () => {
  const { grants, targets } = grantsOf(5);
  const states = [grants.state(targets[0])];
  grants.begin(1, 5, 1);
  states.push(grants.state(targets[0]));
  grants.granted(1, 5, 1, 0x100);
  states.push(grants.state(targets[0]));
  grants.begin(1, 5, 1);
  grants.revoked(1, 5, 1);
  states.push(grants.state(targets[0]));
  expect(states).toEqual([GRANT.none, GRANT.changing, GRANT.granted, GRANT.none]);
});

test('pages of a range are granted to frames in a row', () => {
  const { grants, targets } = grantsOf(5, 7);
  const pfn = 0x3000fffff;
  grants.granted(1, 5, 3, pfn);
  expect(grants.isFor(targets[0], 0x3000, 0xfffff)).toBe(true);
  expect(grants.isFor(targets[1], 0x3001, 1)).toBe(true);
  expect(grants.isFor(targets[1], 0x3001, 2)).toBe(false);
});

test('a call changes the pages of its range and domain only', () => {
  const { grants, targets } = grantsOf(4, 5, 6, 7);
  const elsewhere = grants.target(1, 2, 5);
  grants.granted(1, 5, 2, 0x100);
  expect(targets.map((t) => grants.state(t))).toEqual([GRANT.none, GRANT.granted, GRANT.granted, GRANT.none]);
  expect(grants.state(elsewhere)).toBe(GRANT.none);
});

test('every change of a promise is told', () => {
  const { grants, targets } = grantsOf(5, 6);
  const told: number[] = [];
  grants.onChange = (target) => told.push(target);
  grants.begin(1, 5, 1);
  grants.granted(1, 5, 1, 0x100);
  grants.revoked(1, 6, 1);
  expect(told).toEqual([targets[0], targets[0], targets[1]]);
});

test('the last call is the last that began, not the last that returned', () => {
  const high = 2 ** 40;
  const { grants, targets } = grantsOf(5, 6, high);
  grants.begin(1, 5, 2);
  expect(targets.map((t) => grants.inLastCall(t))).toEqual([true, true, false]);
  grants.begin(1, high - 1, 2);
  grants.granted(1, 5, 2, 0x100);
  expect(targets.map((t) => grants.inLastCall(t))).toEqual([false, false, true]);
});

test('before the first call no page is in it, page 0 neither', () => {
  const { grants, targets } = grantsOf(0, 1);
  expect(targets.map((t) => grants.inLastCall(t))).toEqual([false, false]);
});
