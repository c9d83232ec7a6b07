/** One search in several threads over one visited set. */
import type { Worker } from 'node:worker_threads';
import type { Decided, SavedSearch, Violation } from '../explore/index.ts';
import { OpenStates, SharedFingerprintSet, SharedWork } from '../explore/index.ts';
import type { Job, Progress } from './job.ts';
import { type Order, orderOf, type Report, startWorker } from './runner.ts';
import { UsageError } from './usage-error.ts';

/** What a thread of a shared search is given beside the order. */
export interface Share {
  readonly visited: SharedArrayBuffer;
  readonly work: SharedArrayBuffer;
  readonly open: SharedArrayBuffer;
  readonly thread: number;
  readonly stacks: number[][];
  /** Properties that are known to be broken. */
  readonly broken: readonly string[];
}

/** What a thread has found, at a stand or at the end. */
export interface Part {
  readonly stacks: number[][];
  readonly violations: readonly Violation[];
  readonly fired: readonly number[];
  readonly reduced: number;
  readonly cyclic: boolean;
}

/** Milliseconds without a transition after which the threads are given up: an operation of a user's does not come back. */
const STUCK_MS = 10_000;

/** Milliseconds between two looks at how far the threads are. */
const LOOK_MS = 50;

export interface SharedHooks {
  onProgress(progress: Pick<Progress, 'states' | 'depth' | 'frontier'>): void;
  isStopped(): boolean;
  /** Whether the search is to be saved now, and what is done with it. */
  wantsSave(): boolean;
  onSave(saved: SavedSearch): void;
}

/** Threads that have made the machine of a job, each for itself, and wait for their part of its search. */
export class Team {
  readonly threads: readonly Worker[];
  readonly ready: Promise<void>;
  private started = false;
  private failure: unknown = null;

  constructor(job: Job, workers: number) {
    this.threads = Array.from({ length: workers }, () => startWorker());
    const order: Order = { ...orderOf(job), joins: true };
    this.ready = Promise.all(this.threads.map((thread) => answered(thread, order, 'ready'))).then(() => {
      this.started = true;
    });
    this.ready.catch((error: unknown) => {
      this.failure = error;
    });
  }

  /** @throws what kept a thread from becoming so */
  get isReady(): boolean {
    if (this.failure !== null) throw this.failure;
    return this.started;
  }

  close(): void {
    for (const thread of this.threads) void thread.terminate();
  }
}

/** What a thread reports of a kind, once it was sent a message. */
function answered<K extends Report['kind']>(
  thread: Worker,
  message: unknown,
  kind: K,
  others: (report: Report) => void = () => {},
): Promise<Extract<Report, { kind: K }>> {
  return new Promise((resolve, reject) => {
    thread.once('error', reject);
    thread.once('exit', () => reject(new Error('a thread ended before its search')));
    thread.on('message', (report: Report) => {
      if (report.kind === kind) resolve(report as Extract<Report, { kind: K }>);
      else if (report.kind === 'refused') reject(new UsageError(report.message));
      else if (report.kind === 'failed') reject(new Error(report.message));
      else others(report);
    });
    thread.postMessage(message);
  });
}

/**
 * Goes on from `saved` in the threads of a team that is ready.
 * @returns the verdict, whose `exhausted` is false where it was stopped, and what was left to do then; null where the threads take no steps any more
 */
export async function decideShared(
  job: Job,
  saved: SavedSearch,
  { threads }: Team,
  hooks: SharedHooks,
): Promise<{ decided: Decided; left: SavedSearch } | null> {
  const workers = threads.length;
  const visited = new SharedFingerprintSet(tableFor(job.maxStates, saved.entries.length / 2));
  visited.prepare(workers, saved.entries);
  const work = new SharedWork(new SharedArrayBuffer(SharedWork.BYTES));
  work.prepare(workers);
  const open = new SharedArrayBuffer(OpenStates.BYTES);
  const parts: (Part | null)[] = threads.map(() => null);
  let stands: (Part | null)[] = threads.map(() => null);
  // Who has ended says nothing new of where it stood before.
  const latest = () => threads.map((_, i) => parts[i] ?? stands[i]).filter((part): part is Part => part !== null);
  const total = () =>
    together(saved, latest(), { ...work.totals(), waiting: work.waiting(), entries: visited.entries() });
  const ended = threads.map(async (thread, i) => {
    const share: Share = {
      visited: visited.buffer,
      work: work.buffer,
      open,
      thread: i,
      stacks: saved.stacks.filter((_, n) => n % workers === i),
      broken: saved.violations.map((v) => v.property),
    };
    const { part } = await answered(thread, share, 'part', (report) => {
      if (report.kind === 'stands') stands[i] = report.part;
    });
    parts[i] = part;
  });
  const all = Promise.all(ended);
  let over = false;
  const finished = all.then(() => {
    over = true;
  });
  // A failure ends the loop below, which then waits for it.
  finished.catch(() => {
    over = true;
  });
  let standing = false;
  let moved = { at: performance.now(), transitions: -1 };
  while (!over) {
    await Promise.race([finished, new Promise((resolve) => setTimeout(resolve, LOOK_MS))]);
    const { depth, transitions } = work.totals();
    if (transitions !== moved.transitions) moved = { at: performance.now(), transitions };
    else if (!over && performance.now() - moved.at > STUCK_MS) return null;
    hooks.onProgress({ states: visited.size, depth, frontier: workers - work.idle });
    if (hooks.isStopped()) work.stop();
    if (!standing && !over && hooks.wantsSave()) {
      standing = true;
      stands = threads.map(() => null);
      work.stand();
    }
    if (standing && latest().length === workers) {
      hooks.onSave(total());
      standing = false;
      // To write it may have taken long.
      moved = { at: performance.now(), transitions };
      work.go();
    }
  }
  await finished;
  const left = total();
  const { entries, ...known } = left;
  const states = entries.length / 2;
  const { expectedCollisions, bytes: used } = visited;
  return {
    decided: { ...known, states, exhausted: !work.isStopped, expectedCollisions, bytesPerState: used / states },
    left,
  };
}

/** What the threads have left in common, beside what each says. */
interface Shared {
  readonly transitions: number;
  readonly depth: number;
  /** Pieces of work that nobody has taken. */
  readonly waiting: readonly number[][];
  readonly entries: Int32Array;
}

/** A search that was shared, as a whole. @param before what it went on from @param parts the latest of each thread */
export function together(before: SavedSearch, parts: readonly Part[], shared: Shared): SavedSearch {
  return {
    stacks: [...parts.flatMap((part) => part.stacks), ...shared.waiting],
    entries: shared.entries,
    transitions: before.transitions + shared.transitions,
    depth: Math.max(before.depth, shared.depth),
    cyclic: before.cyclic || parts.some((part) => part.cyclic),
    reduced: before.reduced + parts.reduce((sum, part) => sum + part.reduced, 0),
    violations: firstOfEach([...before.violations, ...parts.flatMap((part) => part.violations)]),
    fired: before.fired.map((n, i) => n + parts.reduce((sum, part) => sum + part.fired[i], 0)),
  };
}

/** @param known states that are in it from the beginning */
function tableFor(maxStates: number, known: number): SharedArrayBuffer {
  try {
    return SharedFingerprintSet.bufferFor(Math.max(maxStates, known), 2 * known);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(
      `--workers: there is no memory for ${(2 * known).toLocaleString('en')} states in a table that threads share; leave --workers out`,
    );
  }
}

function firstOfEach(violations: readonly Violation[]): Violation[] {
  return violations.filter((v, i) => violations.findIndex((other) => other.property === v.property) === i);
}
