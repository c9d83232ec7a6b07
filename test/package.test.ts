/** The packed package, installed in an empty folder elsewhere: the command, a user's own case, and the library. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
let folder = '';

function run(command: string, args: string[], cwd = folder): { stdout: string; stderr: string; status: number | null } {
  return spawnSync(command, args, { cwd, encoding: 'utf8' });
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pinhole-package-'));
  const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', folder], { cwd: ROOT, encoding: 'utf8' });
  // The build may say something before the JSON.
  const [{ filename }] = JSON.parse(packed.slice(packed.indexOf('[\n')));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  execFileSync('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', join(folder, filename)], {
    cwd: folder,
  });
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('pinhole check D1', () => {
  const { stdout, status } = run('npx', ['pinhole', 'check', 'D1', '--json']);
  const verdicts = JSON.parse(stdout).map((r: { variant: string; verdict: string }) => `${r.variant} ${r.verdict}`);
  expect(verdicts).toEqual(['linux-5.11 violated', 'linux-5.13 violated', 'linux-6.12.117 violated', 'ideal holds']);
  expect(status).toBe(0);
});

test('pinhole new, and the case that it wrote', () => {
  expect(run('npx', ['pinhole', 'new', 'my-driver.ts']).status).toBe(0);
  const { stdout, status } = run('npx', ['pinhole', 'check', 'my-driver.ts', '--json']);
  expect(JSON.parse(stdout).map((r: { verdict: string }) => r.verdict)).toEqual(['violated', 'holds']);
  expect(status).toBe(1);
});

test('runs in threads', () => {
  const { stdout, status } = run('npx', ['pinhole', 'check', 'A', '--json', '--workers', '2']);
  expect(JSON.parse(stdout)).toHaveLength(9);
  expect(status).toBe(0);
});

test('the library: every subpath that package.json exports', () => {
  const code = `
    import { createRequire } from 'node:module';
    const { exports } = createRequire(import.meta.url)('pinhole/package.json');
    for (const path of Object.keys(exports)) if (path !== './package.json') await import('pinhole' + path.slice(1));
    const { CASES, CaseRun, profileNamed } = await import('pinhole');
    const run = new CaseRun(CASES.find((c) => c.id === 'D3'), 'ih-1', profileNamed('spec'));
    console.log(run.finish().verdict);
  `;
  writeFileSync(join(folder, 'use.mjs'), code);
  const { stdout, stderr } = run('node', ['use.mjs']);
  expect(stderr).toBe('');
  expect(stdout.trim()).toBe('violated');
});
