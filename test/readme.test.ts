/** The README's example is run as it stands, and its two commands are those of package.json. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const BIN = new URL('../bin/pinhole.js', import.meta.url).pathname;

test('the example is violated without the flush and holds with it', () => {
  const example = /```ts\n([\s\S]*?)```/.exec(README)?.[1] ?? '';
  const folder = mkdtempSync(join(tmpdir(), 'pinhole-readme-'));
  try {
    const file = join(folder, 'my-driver.ts');
    writeFileSync(file, example);
    const { stdout, status } = spawnSync(process.execPath, [BIN, 'check', file, '--json'], { encoding: 'utf8' });
    const verdicts = JSON.parse(stdout).map((run: { variant: string; verdict: string }) => [run.variant, run.verdict]);
    expect(verdicts).toEqual([
      ['no-flush', 'violated'],
      ['flush', 'holds'],
    ]);
    expect(status).toBe(1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the pictures are what the commands print, but for the seconds', () => {
  const blocks = [...README.matchAll(/```\n([\s\S]*?)```/g)].map((m) => m[1].trimEnd());
  const [, table, story, fault] = blocks;
  const plain = (text: string) => text.replace(/ *\d+\.\d\d( s)?$/gm, ' T').trimEnd();
  const run = (...args: string[]) => {
    const { stdout } = spawnSync(process.execPath, [BIN, ...args], { encoding: 'utf8' });
    return plain(stdout);
  };
  expect(run('check', '--tag', 'core')).toBe(plain(table));
  expect(run('check', 'vtd-merge-psc', '--variant', 'buggy')).toContain(plain(story));
  const { stdout } = spawnSync(process.execPath, [BIN, 'explain', 'examples/edu-fault.log'], { encoding: 'utf8' });
  expect(stdout).toContain(`${fault}\n`);
});

test('npm start and npm test exist', () => {
  const { scripts } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  expect(README).toContain('npm ci && npm start');
  expect(README).toContain('npm ci && npm test');
  expect(scripts.start).toBe('node bin/pinhole.js check --tag core');
  expect(scripts.test).toBeDefined();
  expect(execFileSync(process.execPath, [BIN, '--version'], { encoding: 'utf8' }).trim()).toMatch(/^\d+\.\d+\.\d+$/);
});
