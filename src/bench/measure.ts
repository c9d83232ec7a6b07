/** Timing without a library: a benchmark runs wherever the package is installed. */

/** Milliseconds, at least to the microsecond; `performance` is one. */
export interface Clock {
  now(): number;
}

/** One row of a benchmark. */
export interface RowName {
  /** `translate/vtd/hit-1k`, …: scripts rely on it. */
  readonly name: string;
  /** `ns` a call, `/s` calls a second, `MB/s`, `x` a ratio, `B`, `s`. */
  readonly unit: string;
  /** What is measured, for people. */
  readonly what: string;
}

/** What is measured together: one row or several from the same runs. */
export interface Benchmark {
  readonly rows: readonly RowName[];
  /** Builds what is measured; gives a function that takes one run and returns a figure for each row. */
  prepare(clock: Clock): () => readonly number[];
  readonly runs: number;
  /** Runs before the first that counts. */
  readonly warmUp: number;
}

export interface Measured extends RowName {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
}

export function measure(benchmark: Benchmark, clock: Clock): Measured[] {
  const run = benchmark.prepare(clock);
  for (let i = 0; i < benchmark.warmUp; i++) run();
  const samples = Array.from({ length: benchmark.runs }, run);
  return benchmark.rows.map((row, i) => {
    const sorted = samples.map((sample) => sample[i] as number).sort((a, b) => a - b);
    const { length } = sorted;
    return {
      ...row,
      median: ((sorted[(length - 1) >> 1] as number) + (sorted[length >> 1] as number)) / 2,
      min: sorted[0] as number,
      max: sorted[length - 1] as number,
      runs: length,
    };
  });
}

/** What a benchmark computes goes here, so that no compiler finds it useless. */
export const sink = { value: 0 };

/** Nanoseconds a call. @param calls does so many */
export function nanoseconds(clock: Clock, count: number, calls: (count: number) => void): number {
  const start = clock.now();
  calls(count);
  return ((clock.now() - start) * 1e6) / count;
}

/** 0 … n − 1 in an order without a pattern, the same every time (Fisher-Yates over a linear congruential generator). */
export function shuffled(n: number): Int32Array {
  const order = Int32Array.from({ length: n }, (_, i) => i);
  let seed = 12345;
  for (let i = n - 1; i > 0; i--) {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    const j = Math.floor((seed / 0x80000000) * (i + 1));
    const kept = order[i] as number;
    order[i] = order[j] as number;
    order[j] = kept;
  }
  return order;
}
