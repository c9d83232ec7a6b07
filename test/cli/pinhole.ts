/** Runs the command as a user does. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

const BIN = fileURLToPath(new URL('../../bin/pinhole.js', import.meta.url));
const IN_TURN = fileURLToPath(new URL('./in-turn.ts', import.meta.url));

export interface Ended {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit status; −1 where a signal ended it. */
  readonly status: number;
}

/**
 * @param cwd working directory
 * @param interrupt sends SIGINT once standard error shows this
 */
export function pinhole(args: readonly string[], cwd = tmpdir(), interrupt?: string): Promise<Ended> {
  return run([BIN, ...args], cwd, interrupt);
}

/** Several command lines after each other, in one process. */
export async function pinholeInTurn(commands: readonly (readonly string[])[], cwd: string): Promise<Ended[]> {
  const { stdout, stderr } = await run(
    ['--import', import.meta.resolve('tsx'), IN_TURN, JSON.stringify(commands)],
    cwd,
  );
  if (stderr !== '') throw new Error(stderr);
  return JSON.parse(stdout);
}

function run(args: readonly string[], cwd: string, interrupt?: string): Promise<Ended> {
  const { NODE_OPTIONS: _, VITEST: __, ...env } = process.env;
  const child = spawn(process.execPath, args, { cwd, env });
  child.stdin.end();
  let [stdout, stderr, sent] = ['', '', false];
  child.stdout.on('data', (data) => {
    stdout += data;
  });
  child.stderr.on('data', (data) => {
    stderr += data;
    if (interrupt === undefined || sent || !stderr.includes(interrupt)) return;
    sent = true;
    // After a while in which it has found something.
    setTimeout(() => child.kill('SIGINT'), 300);
  });
  return new Promise((resolve) => child.on('close', (status) => resolve({ stdout, stderr, status: status ?? -1 })));
}

const folders: string[] = [];
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));

/** A folder with these files in it, for the time of one test file. */
export function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'pinhole-cli-'));
  folders.push(folder);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}
