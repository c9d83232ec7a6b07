import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UsageError } from '../usage-error.ts';
import { loadUserCase, locate } from './load.ts';
import { PUBLIC_MODULES } from './public-modules.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'pinhole-load-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let made = 0;

/** Writes files into a folder of their own; returns the first one's path. */
function files(contents: Record<string, string>): string {
  const home = join(folder, `case-${made++}`);
  for (const [name, text] of Object.entries(contents)) {
    mkdirSync(dirname(join(home, name)), { recursive: true });
    writeFileSync(join(home, name), text);
  }
  return join(home, Object.keys(contents)[0] as string);
}

async function failure(file: string): Promise<string> {
  const error = await loadUserCase(file).then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(UsageError);
  const { message } = error as UsageError;
  expect(message).not.toContain('\n');
  expect(message).not.toContain('base64');
  expect(message).toMatch(/; /);
  return message.replaceAll(dirname(file), '~');
}

describe('what loads', () => {
  test('TypeScript, with types anywhere', async () => {
    const file = files({
      'a.ts': `import { type Stats, statSync } from 'fs';
import type { Nowhere } from './nowhere.ts';
interface Box<T> { readonly value: T }
const box: Box<number> = { value: 7 } satisfies Box<number>;
export const name = 'a' as const;
export default box.value! + (statSync as unknown as (p: string) => Stats).length * 0;
`,
    });
    expect({ ...(await loadUserCase(file)) }).toEqual({ default: 7, name: 'a' });
  });

  test.each(['a.mts', 'a.js', 'a.mjs'])('%s', async (name) => {
    expect((await loadUserCase(files({ [name]: '\uFEFFexport default 1;\n' }))).default).toBe(1);
  });

  test('relative files, recursively, each once', async () => {
    const file = files({
      'a.ts': `import { b } from './lib/b.ts';\nimport { c } from "./c.js";\nconst d = await import('./lib/d.mts');\nexport default [b === c, b === d.d];\n`,
      'lib/b.ts': `import { d } from './d.mts';\nexport const b: object = d;\n`,
      'c.js': `export { d as c } from './lib/d.mts';\n`,
      'lib/d.mts': `export const d: object = {};\n`,
    });
    expect((await loadUserCase(file)).default).toEqual([true, true]);
  });

  test('what only looks like an import is left alone', async () => {
    const file = files({ 'a.ts': `// import './no.ts'\nexport default \`import './no.ts'\`;\n` });
    expect((await loadUserCase(file)).default).toBe("import './no.ts'");
  });

  test('packages beside the file, JSON, and Node', async () => {
    const file = files({
      'a.ts': `import one from 'one';\nimport { two } from '@s/two/sub';\nimport three from './three.json' with { type: 'json' };\nimport { sep } from 'node:path';\nexport default [one, two, three, sep.length];\n`,
      'three.json': '3',
      'node_modules/one/package.json': '{"main": "main.cjs"}',
      'node_modules/one/main.cjs': 'module.exports = 1;',
      'node_modules/@s/two/package.json': '{"type": "module", "exports": {"./sub": "./sub.js"}}',
      'node_modules/@s/two/sub.js': 'export const two = 2;',
    });
    expect((await loadUserCase(file)).default).toEqual([1, 2, 3, 1]);
  });

  test('a changed file is loaded anew', async () => {
    const file = files({ 'a.ts': 'export default 1;' });
    expect((await loadUserCase(file)).default).toBe(1);
    writeFileSync(file, 'export default 2;');
    expect((await loadUserCase(file)).default).toBe(2);
  });
});

describe('what is refused, in one line', () => {
  const broken: [string, Record<string, string>, string][] = [
    ['syntax', { 'a.ts': '\n\nconst x: number = ;\n' }, '~/a.ts:3: syntax error: Expression expected; mend that line'],
    [
      'syntax of JavaScript',
      { 'a.js': '\nconst x = (;\n' },
      "~/a.js:2: syntax error: Unexpected token ';'; mend that line",
    ],
    [
      'a name declared twice',
      { 'a.ts': "import './b.ts';\nexport default 1;", 'b.ts': '\n\nlet y = 1;\nlet y = 2;' },
      "~/b.ts:4: syntax error: Identifier 'y' has already been declared; mend that line",
    ],
    [
      'an enum',
      { 'a.ts': '\nenum A { B }\n' },
      "~/a.ts:2: TypeScript enum cannot be stripped as a type; write it as JavaScript with types (what TypeScript's erasableSyntaxOnly permits)",
    ],
    [
      'a missing import',
      { 'a.ts': "\nimport './no.ts';" },
      "~/a.ts:2: cannot find the import './no.ts'; mend the path or make that file",
    ],
    [
      'an import without extension',
      { 'a.ts': "import './b';", 'b.ts': '' },
      "~/a.ts:1: cannot find the import './b'; write './b.ts', with the file's own extension",
    ],
    [
      'an import as the build would name it',
      { 'a.ts': "import './b.js';", 'b.ts': '' },
      "~/a.ts:1: cannot find the import './b.js'; write './b.ts', with the file's own extension",
    ],
    [
      'a missing package',
      { 'a.ts': "\n\nimport x from 'no-such-package/x';" },
      "~/a.ts:3: cannot resolve the import 'no-such-package/x'; install it beside ~, or mend its name",
    ],
    [
      'a package that require() may not see',
      {
        'a.ts': "import 'esm';",
        'node_modules/esm/package.json': '{"exports": {"import": "./x.js"}}',
        'node_modules/esm/x.js': '',
      },
      "~/a.ts:1: cannot resolve the import 'esm'; that package does not export it to require(); import its file by a relative path",
    ],
    [
      'no module of ours',
      { 'a.ts': "import 'pinhole/arena';" },
      "~/a.ts:1: 'pinhole/arena' is not a module of pinhole; import one of pinhole, pinhole/bits, pinhole/machine, pinhole/explore, pinhole/guest, pinhole/cases, pinhole/vtd, pinhole/smmuv3, pinhole/iommufd, pinhole/decode",
    ],
    [
      'a cycle',
      { 'a.ts': "import './b.ts';", 'b.ts': "import './c.ts';", 'c.ts': "\nimport './b.ts';" },
      '~/c.ts:2: imports form a cycle: ~/b.ts -> ~/c.ts -> ~/b.ts; move what they share into a file of its own',
    ],
    [
      'a computed import',
      { 'a.ts': 'const x = "./b.ts";\nawait import(x);' },
      '~/a.ts:2: import() of a computed path cannot be followed; write the path as a plain string',
    ],
    [
      'a name that is not exported',
      { 'a.ts': "import './c.ts';\n\nimport { B } from './b.ts';", 'b.ts': 'export interface B {}', 'c.ts': '' },
      "~/a.ts:3: SyntaxError: The requested module '~/b.ts' does not provide an export named 'B'; mend the name, or write 'import type' if it is a type",
    ],
    [
      'a throw',
      { 'a.ts': 'type A = 1;\nfunction f(): never {\n  throw new TypeError("boom\\nand more");\n}\nf();' },
      '~/a.ts:3: threw while it was loaded: TypeError: boom; mend that line',
    ],
    [
      'a throw in an imported file',
      { 'a.ts': "import './b.ts';", 'b.ts': '\nundefined.x;' },
      "~/b.ts:2: threw while it was loaded: TypeError: Cannot read properties of undefined (reading 'x'); mend that line",
    ],
    [
      'a throw of no Error',
      { 'a.ts': "throw 'boom';" },
      '~/a.ts: cannot be loaded: a thrown string: boom; mend what it imports',
    ],
    [
      'no default export',
      { 'a.ts': 'export const a = 1;' },
      "~/a.ts:1: has no default export; end it with 'export default' and the case",
    ],
    [
      'another extension',
      { 'a.cts': '' },
      '~/a.cts: is not a .ts, .mts, .js or .mjs file; give it one of these extensions',
    ],
    ['a folder', { 'd.ts/x': '' }, '~: is not a file; name a case file'],
  ];
  test.each(broken)('%s', async (_, contents, message) => {
    const file = files(contents);
    expect(await failure(file.endsWith('/d.ts/x') ? dirname(file) : file)).toBe(
      message.replace(/^~: is not a f/, '~/d.ts: is not a f'),
    );
  });

  test('a missing file', async () => {
    expect(await failure(join(folder, 'none.ts'))).toBe(
      "~/none.ts: there is no such file; mend the path, or make the file with 'pinhole new'",
    );
  });
});

describe('where an error happened', () => {
  const body =
    "\nimport { lib } from './lib.ts';\nexport default {\n  here: (): Error => new Error('x'),\n  there: () => lib(),\n};\n";

  test.each(['plain', "blanks, (brackets) and 'quotes' % #"])('in a folder named: %s', async (name) => {
    const file = files({
      [`${name}/a.ts`]: body,
      [`${name}/lib.ts`]: '\n\nexport const lib = () => new Error("x");\n',
    });
    const { here, there } = (await loadUserCase(file)).default as Record<'here' | 'there', () => Error>;
    expect(locate(here(), file)).toEqual({ file, line: 4 });
    expect(locate(there(), file)).toEqual({ file: join(dirname(file), 'lib.ts'), line: 3 });
  });

  test('nowhere of the user’s', () => {
    expect(locate(new Error('ours'), '/x.ts')).toBeNull();
    expect(locate('a string', '/x.ts')).toBeNull();
  });
});

test('the table of public modules is what package.json exports', () => {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, unknown>;
  };
  const expected = Object.entries(PUBLIC_MODULES).map(([specifier, module]) => [
    specifier.replace('pinhole', '.'),
    { types: `./dist/${module}.d.ts`, default: `./dist/${module}.js` },
  ]);
  expect(exports).toEqual({ ...Object.fromEntries(expected), './package.json': './package.json' });
});

// A package of the same shape as ours, with this loader and a stand-in for each public module: run from its sources and as built.
describe('the user’s case meets the modules that run it', () => {
  const copy = join(folder, 'package');
  const main = `import { loadUserCase, locate } from './user-case/load.ts';
import * as running from '../index.ts';
export async function main([file]: string[]): Promise<number> {
  try {
    const { default: make } = await loadUserCase(file as string);
    const { seen, sub, error } = (make as () => { seen: unknown; sub: string; error: Error })();
    console.log(JSON.stringify([seen === running.identity, sub, locate(error, file as string)?.line]));
    return 0;
  } catch (error) {
    console.log((error as Error).message);
    return 2;
  }
}
`;

  beforeAll(() => {
    cpSync(join(root, 'bin'), join(copy, 'bin'), { recursive: true });
    mkdirSync(join(copy, 'src/cli'), { recursive: true });
    // The loader alone: what tells of failures knows the rest of the package.
    const filter = (path: string) => basename(path) !== 'failure.ts' && !path.endsWith('.test.ts');
    cpSync(join(root, 'src/cli/user-case'), join(copy, 'src/cli/user-case'), { recursive: true, filter });
    cpSync(join(root, 'src/cli/usage-error.ts'), join(copy, 'src/cli/usage-error.ts'));
    for (const name of ['package.json', 'tsconfig.json', 'tsconfig.build.json'])
      cpSync(join(root, name), join(copy, name));
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    writeFileSync(join(copy, 'src/cli/main.ts'), main);
    for (const [specifier, module] of Object.entries(PUBLIC_MODULES)) {
      mkdirSync(dirname(join(copy, `src/${module}.ts`)), { recursive: true });
      const text = `export const identity: object = {};\nexport const name: string = '${specifier}';\n`;
      writeFileSync(join(copy, `src/${module}.ts`), text);
    }
  });

  const run = (script: string, file: string) => {
    const { NODE_OPTIONS: _, VITEST: __, ...env } = process.env;
    const { stdout, stderr, status } = spawnSync(process.execPath, [join(copy, script), file], {
      encoding: 'utf8',
      env,
    });
    return { lines: (stdout + stderr).trim(), status };
  };

  const imports = Object.keys(PUBLIC_MODULES).map((specifier, i) => `import { name as n${i} } from '${specifier}';`);
  const good = `${imports.join('\n')}
import { identity } from 'pinhole';
type Unused = { a: 1 };
export default () => ({ seen: identity, sub: [${imports.map((_, i) => `n${i}`).join(', ')}].join(), error: new Error() });
`;
  const both = () => {
    const file = files({ 'case.ts': good, 'bad.ts': "import 'pinhole';\n\nthrow new Error('no');\n" });
    const line = good.split('\n').findIndex((text) => text.startsWith('export default')) + 1;
    const bad = join(dirname(file), 'bad.ts');
    expect(run('bin/pinhole.js', file)).toEqual({
      lines: JSON.stringify([true, Object.keys(PUBLIC_MODULES).join(), line]),
      status: 0,
    });
    expect(run('bin/pinhole.js', bad)).toEqual({
      lines: `${bad}:3: threw while it was loaded: Error: no; mend that line`,
      status: 2,
    });
  };

  test('in a checkout, through tsx', both);

  test('as built, in plain Node', () => {
    const tsc = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', join(copy, 'tsconfig.build.json')], {
      encoding: 'utf8',
    });
    expect(tsc.stdout).toBe('');
    rmSync(join(copy, 'src'), { recursive: true });
    both();
  });
});
