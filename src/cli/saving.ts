/** How a run is kept while it goes on. */
import type { SavedRun } from '../cases/index.ts';
import type { CheckpointOf } from './checkpoint.ts';
import { writeCheckpoint } from './checkpoint.ts';
import { UsageError } from './usage-error.ts';

/** Where a run is saved, and how often. */
export interface Checkpoint {
  readonly file: string;
  readonly everyMs: number;
}

/**
 * Saves a run at intervals and at its end. A save that fails ends nothing: the run is worth more than its checkpoint, and the one before is
 * still there. It is told once.
 */
export class Saving {
  /** What is in the file now is what the run had when it was saved last; false where that failed. */
  isKept = false;
  private readonly checkpoint: Checkpoint;
  private readonly of: CheckpointOf;
  private readonly warn: (line: string) => void;
  private savedAt = performance.now();
  private hasWarned = false;

  /** @param warn told of the first save that fails, in a line */
  constructor(checkpoint: Checkpoint, of: CheckpointOf, warn: (line: string) => void) {
    this.checkpoint = checkpoint;
    this.of = of;
    this.warn = warn;
  }

  get file(): string {
    return this.checkpoint.file;
  }

  /** The interval is over. */
  get isDue(): boolean {
    return performance.now() - this.savedAt >= this.checkpoint.everyMs;
  }

  save(run: SavedRun): void {
    try {
      writeCheckpoint(this.file, this.of, run);
      this.isKept = true;
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      this.isKept = false;
      if (!this.hasWarned) this.warn(`${error.message}; the search goes on, and is saved when that is possible again`);
      this.hasWarned = true;
    }
    // From its end on, as it may take long.
    this.savedAt = performance.now();
  }
}
