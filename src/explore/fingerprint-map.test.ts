import { expect, test } from 'vitest';
import { randomFrom } from './conduct.ts';
import { FingerprintMap } from './fingerprint-map.ts';

test('it is a map, through growth, replacement and halves that are 0', () => {
  const map = new FingerprintMap(4);
  const plain = new Map<string, number>();
  const random = randomFrom(1);
  let wrong = 0;
  for (let i = 0; i < 3000; i++) {
    // Few values of each half, so that fingerprints that share a half, and equal ones, come up often.
    const [a, b] = [random(40) - 20, (random(40) - 20) * 0x1000001];
    if (map.get(a, b) !== (plain.get(`${a} ${b}`) ?? -1)) wrong++;
    map.set(a, b, i);
    plain.set(`${a} ${b}`, i);
    if (map.get(a, b) !== i) wrong++;
  }
  expect(map.size).toBe(plain.size);
  for (const [key, value] of plain) {
    const [a, b] = key.split(' ').map(Number);
    if (map.get(a, b) !== value) wrong++;
  }
  expect(wrong).toBe(0);
});
