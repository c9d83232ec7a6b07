/** The packed package, installed in an empty folder elsewhere: the command, a user's own case, and the library. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
  expect(JSON.parse(stdout).length).toBeGreaterThanOrEqual(9);
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

test('pinhole bench, which says that it measured what was built', () => {
  const { stdout, status } = run('npx', ['pinhole', 'bench', '--json', 'translate/vtd/hit-1k']);
  expect(JSON.parse(stdout)).toMatchObject([{ name: 'translate/vtd/hit-1k', unit: 'ns', build: 'built' }]);
  expect(status).toBe(0);
});

const README = readFileSync(join(ROOT, 'README.md'), 'utf8');

test("the README's VMM of a few lines", () => {
  const vmm = [...README.matchAll(/```ts\n([\s\S]*?)```/g)]
    .map((m) => m[1])
    .find((code) => code.includes('VtdEmulator'));
  const guest = `
    const messages = [];
    function interrupt(...message) { messages.push(message); }
    const view = new DataView(ram.buffer);
    const entry = (at, value) => view.setBigUint64(at, value, true);
    entry(0x1000, 0x2001n);
    entry(0x2100, 0x3001n);
    entry(0x2108, 0x102n);
    entry(0x3000, 0x4003n);
    entry(0x4000, 0x5003n);
    entry(0x5000, 0x6003n);
    entry(0x6008, 0x1234003n);
    mmioWrite(0x40, 4, 0xfee01000);
    mmioWrite(0x38, 4, 0);
    mmioWrite(RTADDR.offset, 8, 0x1000n);
    mmioWrite(GCMD.offset, 4, 2 ** GCMD.SRTP.lo);
    mmioWrite(GCMD.offset, 4, 2 ** GCMD.TE.lo);
    const landed = dmaWrite(0x10, 0x1008, [1, 2, 3]);
    const refused = dmaWrite(0x10, 0x2008, [1, 2, 3]);
    msi(0x10, 0xfee02000, 7);
    console.log(JSON.stringify([landed, [...ram.slice(0x1234008, 0x123400c)], refused, mmioRead(0x34, 4), messages]));
  `;
  writeFileSync(join(folder, 'vmm.mjs'), `${vmm}${guest}`);
  const { stdout, stderr } = run('node', ['vmm.mjs']);
  expect(stderr).toBe('');
  const messages = [
    [0, 0xfee01000, 0],
    [0, 0xfee02000, 7],
  ];
  expect(JSON.parse(stdout)).toEqual([true, [1, 2, 3, 0], false, 2, messages]);
});
