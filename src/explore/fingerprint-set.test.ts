import { Worker } from 'node:worker_threads';
import { describe, expect, test, vi } from 'vitest';
import { Machine } from '../machine/index.ts';
import { randomFrom } from './conduct.ts';
import { DepthFirst } from './depth-first.ts';
import { FingerprintSet, SharedFingerprintSet } from './fingerprint-set.ts';
import { Instance } from './instance.ts';

/** Slots that both begin with are far fewer, so that they grow some ten times. */
const MANY = 200_000;

function shared(maxStates: number, entries: Int32Array = new Int32Array()): SharedFingerprintSet {
  const set = new SharedFingerprintSet(new SharedArrayBuffer(SharedFingerprintSet.bytesFor(maxStates)));
  set.prepare(1, entries);
  return set;
}

/** Fingerprints, two halves each; every third was there before, and halves are 0 now and then. */
function stream(seed: number, count: number): Int32Array {
  const random = randomFrom(seed);
  const out = new Int32Array(count * 2);
  const half = () => (random(50) === 0 ? 0 : random(2 ** 32) | 0);
  for (let i = 0; i < count; i++) {
    const again = i > 0 && random(3) === 0 ? random(i) : -1;
    out[2 * i] = again < 0 ? half() : out[2 * again];
    out[2 * i + 1] = again < 0 ? half() : out[2 * again + 1];
  }
  return out;
}

/** What an entry is kept as: a half of 0 is 1. */
const keyOf = (a: number, b: number) => `${a || 1} ${b || 1}`;

function keysOf(entries: Int32Array): string[] {
  const keys: string[] = [];
  for (let i = 0; i < entries.length; i += 2) keys.push(`${entries[i]} ${entries[i + 1]}`);
  return keys.sort();
}

describe.each([
  ['FingerprintSet', () => new FingerprintSet()],
  ['SharedFingerprintSet in one thread', () => shared(MANY)],
])('%s', (_, make) => {
  test(`of ${MANY} random fingerprints says which are new, and loses none`, () => {
    const set = make();
    const fingerprints = stream(1, MANY);
    const known = new Set<string>();
    let wrong = 0;
    for (let i = 0; i < fingerprints.length; i += 2) {
      const [a, b] = [fingerprints[i], fingerprints[i + 1]];
      const key = keyOf(a, b);
      if (set.add(a, b) === known.has(key)) wrong++;
      known.add(key);
    }
    expect(wrong).toBe(0);
    expect(known.size).toBeGreaterThan(MANY / 2);
    for (let i = 0; i < fingerprints.length; i += 2) if (set.add(fingerprints[i], fingerprints[i + 1])) wrong++;
    expect(wrong).toBe(0);
    if (set instanceof SharedFingerprintSet) set.settle();
    expect(set.size).toBe(known.size);
    expect(keysOf(set.entries())).toEqual([...known].sort());
  });

  test('a half of 0 is one of 1, and nothing else', () => {
    const set = make();
    expect([set.add(0, 0), set.add(0, 1), set.add(1, 0), set.add(1, 1)]).toEqual([true, false, false, false]);
    expect([set.add(0, 2), set.add(2, 0), set.add(1, 2), set.add(-1, 0)]).toEqual([true, true, false, true]);
  });

  test('once it has grown, an entry takes 10 to 14.4 bytes', () => {
    const set = make();
    const random = randomFrom(2);
    const seen: number[] = [];
    for (let i = 1; i <= MANY / 2; i++) {
      set.add(random(2 ** 32) | 0, random(2 ** 32) | 0);
      if (i < 30_000 || i % 1000 !== 0) continue;
      if (set instanceof SharedFingerprintSet) set.settle();
      seen.push(set.bytes / set.size);
    }
    expect(Math.min(...seen)).toBeGreaterThanOrEqual(9.99);
    expect(Math.max(...seen)).toBeLessThan(14.4);
    expect(Math.max(...seen) - Math.min(...seen)).toBeGreaterThan(2);
  });

  test('what entries() gives, load() takes; into the other kind, too', () => {
    const [set, again] = [make(), make()];
    set.load(stream(3, 20_000));
    const entries = set.entries();
    again.load(entries);
    const other = shared(MANY, entries);
    for (const copy of [again, other]) {
      expect(copy.size).toBe(entries.length / 2);
      expect(keysOf(copy.entries())).toEqual(keysOf(entries));
    }
  });
});

test('a table that is full says so, and says of nothing that it is new; what it has, it has', () => {
  const set = shared(2000);
  const random = randomFrom(4);
  const added: [number, number][] = [];
  while (!set.isFull) {
    const [a, b] = [random(2 ** 32) | 0, random(2 ** 32) | 0];
    if (set.add(a, b)) added.push([a, b]);
    expect(added.length).toBeLessThan(10_000);
  }
  expect(added.length).toBeGreaterThanOrEqual(2000);
  for (let i = 0; i < 10_000; i++) expect(set.add(random(2 ** 32) | 0, random(2 ** 32) | 0)).toBe(false);
  expect(added.filter(([a, b]) => set.add(a, b))).toEqual([]);
  set.settle();
  expect(set.size).toBe(added.length);
});

/** A thread that inserts fingerprints n·odd mod 2^32 for n of a range, in an order of its own, and counts those that were new. */
const THREAD = `
const { workerData, parentPort } = require('node:worker_threads');
const { tsx, module, buffer, from, to, stride, first } = workerData;
import(tsx).then((api) => { api.register(); return import(module); }).then(({ SharedFingerprintSet }) => {
  const set = new SharedFingerprintSet(buffer);
  const ready = new Int32Array(first);
  Atomics.add(ready, 0, 1);
  Atomics.notify(ready, 0);
  while (Atomics.load(ready, 1) === 0) Atomics.wait(ready, 1, 0, 1000);
  let fresh = 0;
  const count = to - from;
  for (let i = 0; i < count; i++) {
    const n = from + ((i * stride) % count);
    if (set.add(Math.imul(n, 0x9e3779b1), Math.imul(n, 0x85ebca6b) ^ 7)) fresh++;
  }
  set.settle();
  set.park();
  parentPort.postMessage(fresh);
});`;

describe('several threads insert overlapping ranges in orders of their own', () => {
  const count = 120_000;

  test.each([2, 3, 4])('%i of them: each fingerprint is new once, and none is lost', async (threads) => {
    // What was there before they came is new to nobody.
    const before = new FingerprintSet();
    const halves = (n: number) => [Math.imul(n, 0x9e3779b1), Math.imul(n, 0x85ebca6b) ^ 7] as const;
    for (let n = 0; n < 5000; n++) before.add(...halves(n));
    const set = new SharedFingerprintSet(new SharedArrayBuffer(SharedFingerprintSet.bytesFor(count * 2)));
    set.prepare(threads, before.entries());
    const start = set.bytes;
    const first = new SharedArrayBuffer(8);
    const ready = new Int32Array(first);
    const range = Math.floor(count / 2);
    const reports = Array.from({ length: threads }, (_, i) => {
      const from = Math.floor((i * (count - range)) / (threads - 1));
      const workerData = {
        tsx: import.meta.resolve('tsx/esm/api'),
        module: new URL('./fingerprint-set.ts', import.meta.url).href,
        buffer: set.buffer,
        ...{ from, to: from + range, stride: [7919, 104_729, 1299709, 15_485_863][i], first },
      };
      const worker = new Worker(THREAD, { eval: true, workerData });
      return new Promise<number>((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      });
    });
    const all = Promise.all(reports);
    // They begin together, or the first would be done before the last had started.
    const started = performance.now();
    while (Atomics.load(ready, 0) < threads && performance.now() - started < 30_000) {
      await Promise.race([all, new Promise((resolve) => setTimeout(resolve, 5))]);
    }
    Atomics.store(ready, 1, 1);
    Atomics.notify(ready, 1);
    const fresh = (await all).reduce((sum, n) => sum + n, 0);
    expect(fresh).toBe(count - 5000);
    expect(set.size).toBe(count);
    expect(set.isFull).toBe(false);
    // Some eight times by 1.4.
    expect(set.bytes).toBeGreaterThan(start * 5);
    const expected = new FingerprintSet();
    for (let n = 0; n < count; n++) expected.add(...halves(n));
    expect(keysOf(set.entries())).toEqual(keysOf(expected.entries()));
  });
});

test('a million entries are loaded as fast as they are added', () => {
  const many = new FingerprintSet();
  const random = mulberry(7);
  for (let i = 0; i < 1_000_000; i++) many.add(random() | 0, random() | 0);
  const again = new FingerprintSet();
  // Into a small table, in the order of their slots, this would take hours.
  again.load(many.entries());
  expect(again.size).toBe(many.size);
  expect(again.bytes / again.size).toBeLessThan(14.4);
});

function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return t ^ (t >>> 14);
  };
}

describe('a set that cannot grow any more', () => {
  test('says so, and has room for what is added until somebody asks', () => {
    const set = new FingerprintSet(100, 196);
    const added = (n: number) => set.add(n + 1, n + 1);
    let n = 0;
    while (!set.isFull) expect(added(n++)).toBe(true);
    // 100, 140, 196 slots, each 80 % full.
    expect([set.size, set.bytes]).toEqual([158, 196 * 8]);
    for (let more = 0; more < 30; more++) expect(added(n++)).toBe(true);
    for (let known = 0; known < n; known++) expect(added(known)).toBe(false);
    expect(set.size).toBe(188);
  });

  test('and a search ends there, with no verdict', () => {
    const machine = new Machine({ dmaSlots: 0 });
    const words = [0, 1, 2].map((i) => machine.word(`w${i}`));
    for (const word of words) {
      machine.actor(word.name, function* () {
        for (let i = 1; i < 20; i++) yield* word.set(i);
      });
    }
    const search = new DepthFirst(new Instance(machine), {
      properties: [],
      visited: new FingerprintSet(100, 1000),
      ample: false,
    });
    search.begin();
    while (!search.advance(100)) {}
    expect([search.bounded, search.exhausted]).toEqual([true, false]);
    // It is full at 80 %, and the step that finds it so is the last one.
    expect(search.states - 800).toBeGreaterThanOrEqual(0);
    expect(search.states - 800).toBeLessThan(2);
  });

  test('shared by threads, is as large as there is room for', () => {
    expect(SharedFingerprintSet.bufferFor(1000, 0).byteLength).toBe(SharedFingerprintSet.bytesFor(1000));
    const tried: number[] = [];
    const real = globalThis.SharedArrayBuffer;
    // A machine with room for a thousand bytes.
    vi.stubGlobal(
      'SharedArrayBuffer',
      class {
        constructor(bytes: number) {
          tried.push(bytes);
          if (bytes > 100_000) throw new RangeError('Array buffer allocation failed');
          // biome-ignore lint/correctness/noConstructorReturn: it stands for the real one
          return new real(bytes);
        }
      },
    );
    try {
      expect(SharedFingerprintSet.bufferFor(10_000, 10).byteLength).toBeLessThanOrEqual(100_000);
      expect(tried).toHaveLength(2);
      expect(() => SharedFingerprintSet.bufferFor(10 ** 11, 20_000)).toThrow(RangeError);
      // Never for more than a typed array has, however many are asked for.
      expect(Math.max(...tried)).toBeLessThan(2 ** 34);
    } finally {
      vi.unstubAllGlobals();
    }
  });
});
