/** Rows of a chunk. */
const CHUNK_ROWS = 4096;

interface Chunk {
  readonly width: number;
  readonly rows: Int32Array;
  count: number;
}

/**
 * The breadth-first frontier: states as rows of their live words, first in, first out. The list of live words only grows; a row
 * has those that were live when its chunk began, all others have their initial value.
 */
export class RowQueue {
  private readonly chunks: Chunk[] = [];
  private head = 0;
  length = 0;

  push(words: Int32Array, live: readonly number[]): void {
    let chunk = this.chunks.at(-1);
    if (chunk === undefined || chunk.count === CHUNK_ROWS || chunk.width !== live.length) {
      chunk = { width: live.length, rows: new Int32Array(CHUNK_ROWS * live.length), count: 0 };
      this.chunks.push(chunk);
    }
    const base = chunk.count++ * chunk.width;
    for (let i = 0; i < chunk.width; i++) chunk.rows[base + i] = words[live[i]];
    this.length++;
  }

  /** Takes the oldest row: calls `put` for every live word. */
  shift(live: readonly number[], initial: Int32Array, put: (offset: number, value: number) => void): void {
    if (this.head === this.chunks[0].count) {
      this.chunks.shift();
      this.head = 0;
    }
    const chunk = this.chunks[0];
    const base = this.head++ * chunk.width;
    for (let i = 0; i < chunk.width; i++) put(live[i], chunk.rows[base + i]);
    for (let i = chunk.width; i < live.length; i++) put(live[i], initial[live[i]]);
    this.length--;
  }
}
