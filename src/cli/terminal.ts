/** Where output goes, and whether a person reads it. */
import pc from 'picocolors';
import type { Job, Progress } from './job.ts';
import type { Colours } from './story.ts';

/** Milliseconds between two showings of progress. */
const INTERVAL_MS = 100;

export function coloursFor(stream: NodeJS.WriteStream): Colours {
  return pc.createColors(stream.isTTY === true && pc.isColorSupported);
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** A line on standard error that shows how a search goes on; nothing where standard error is no terminal. */
export class ProgressLine {
  private last = 0;
  private readonly shown = process.stderr.isTTY === true;

  show(job: Job, index: number, of: number, { states, depth, frontier, seconds }: Progress): void {
    const now = performance.now();
    if (!this.shown || now - this.last < INTERVAL_MS) return;
    this.last = now;
    const rate = Math.round(states / seconds).toLocaleString('en');
    const figures = `${states.toLocaleString('en')} states, ${rate}/s, depth ${depth}, queue ${frontier.toLocaleString('en')}`;
    const line = `[${index + 1}/${of}] ${job.definition.id} ${job.variant}: ${figures}`;
    process.stderr.write(`\r\u001b[K${line.slice(0, (process.stderr.columns ?? 80) - 1)}`);
  }

  clear(): void {
    if (this.shown && this.last > 0) process.stderr.write('\r\u001b[K');
    this.last = 0;
  }
}
