import { readdirSync, readFileSync } from 'node:fs';
import { relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { checkLength, checkSource } from './layering/check.ts';
import { roomOf } from './layering/rooms.ts';
import { scan } from './layering/scan.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

function sources(folder: string): { path: string; source: string }[] {
  return readdirSync(root + folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => {
      const file = `${entry.parentPath}${sep}${entry.name}`;
      return { path: relative(root + folder, file).replaceAll(sep, '/'), source: readFileSync(file, 'utf8') };
    });
}

describe('this checkout', () => {
  test('src/ keeps the rules of the rooms', () => {
    const files = sources('src');
    expect(files.length).toBeGreaterThan(5);
    expect(files.flatMap(({ path, source }) => checkSource(path, source))).toEqual([]);
  });

  test('long tests say why', () => {
    expect(sources('test').flatMap(({ path, source }) => checkLength(`test/${path}`, source))).toEqual([]);
  });
});

describe('who may import whom', () => {
  // [importer, imported]: each stands for one refusal of the table.
  test.each([
    ['bits/field.ts', 'machine/arena.ts'],
    ['machine/arena.ts', 'iommu/kit/request.ts'],
    ['machine/arena.ts', 'explore/search.ts'],
    ['iommu/kit/request.ts', 'devices/edu.ts'],
    ['iommu/kit/request.ts', 'iommu/vtd/registers.ts'],
    ['iommu/kit/request.ts', 'iommu/models.ts'],
    ['iommu/vtd/model.ts', 'iommu/smmuv3/registers.ts'],
    ['iommu/smmuv3/model.ts', 'iommu/cmdqv/model.ts'],
    ['iommu/cmdqv/model.ts', 'iommu/vtd/model.ts'],
    ['iommu/vtd/model.ts', 'iommu/models.ts'],
    ['iommu/vtd/model.ts', 'guest/vtd/driver.ts'],
    ['devices/edu.ts', 'iommu/vtd/model.ts'],
    ['devices/edu.ts', 'vmm/vfio.ts'],
    ['vmm/vfio.ts', 'guest/vtd/driver.ts'],
    ['vmm/iommufd/firmware.ts', 'decode/acpi/table.ts'],
    ['guest/vtd/driver.ts', 'iommu/vtd/model.ts'],
    ['guest/vtd/driver.ts', 'iommu/vtd/walk.ts'],
    ['guest/vtd/driver.ts', 'iommu/vtd/faults.ts'],
    ['guest/vtd/driver.ts', 'iommu/kit/request.ts'],
    ['guest/vtd/driver.ts', 'explore/search.ts'],
    ['explore/search.ts', 'iommu/kit/request.ts'],
    ['explore/search.ts', 'cases/index.ts'],
    ['explore/search.ts', 'guest/index.ts'],
    ['cases/index.ts', 'decode/dmar.ts'],
    ['cases/index.ts', 'cli/main.ts'],
    ['decode/dmar.ts', 'machine/arena.ts'],
    ['decode/dmar.ts', 'iommu/vtd/model.ts'],
    ['decode/dmar.ts', 'iommu/vtd/fault-records.ts'],
    ['index.ts', 'cli/main.ts'],
    ['index.ts', 'bridge/qtest.ts'],
    ['index.ts', 'lab/app.ts'],
  ])('%s may not import %s', (importer, imported) => {
    const specifier = up(importer) + imported;
    expect(checkSource(importer, `\nimport { x } from '${specifier}';\n`)).toEqual([
      `src/${importer}:2: ${roomOf(importer)} may not import ${roomOf(imported)} ('${specifier}')`,
    ]);
  });

  test.each([
    ['machine/arena.ts', 'bits/index.ts'],
    ['iommu/vtd/model.ts', 'iommu/kit/request.ts'],
    ['iommu/vtd/model.ts', 'iommu/vtd/pasid/table.ts'],
    ['iommu/models.ts', 'iommu/vtd/model.ts'],
    ['iommu/cmdqv/model.ts', 'iommu/smmuv3/core.ts'],
    ['vmm/vfio.ts', 'iommu/cmdqv/model.ts'],
    ['devices/edu.ts', 'iommu/kit/request.ts'],
    ['vmm/vfio.ts', 'devices/edu.ts'],
    ['vmm/iommufd/firmware.ts', 'decode/acpi/iort/structures.ts'],
    ['guest/vtd/driver.ts', 'iommu/vtd/registers.ts'],
    ['guest/vtd/driver.ts', 'iommu/vtd/structures.ts'],
    ['guest/vtd/driver.ts', 'iommu/vtd/commands.ts'],
    ['explore/search.ts', 'machine/arena.ts'],
    ['cases/d1.ts', 'explore/search.ts'],
    ['decode/dmar.ts', 'iommu/vtd/faults.ts'],
    ['decode/dmar.ts', 'iommu/vtd/scalable-structures.ts'],
    ['decode/smmuv3.ts', 'iommu/smmuv3/events.ts'],
    ['bridge/qtest.ts', 'cases/index.ts'],
    ['cli/main.ts', 'bridge/qtest.ts'],
    ['lab/app.ts', 'cases/index.ts'],
    ['index.ts', 'decode/dmar.ts'],
  ])('%s may import %s', (importer, imported) => {
    expect(checkSource(importer, `import { x } from '${up(importer)}${imported}';`)).toEqual([]);
  });

  test.each([
    `import type { X } from '../machine/arena.ts';`,
    `import '../machine/arena.ts';`,
    `export * from '../machine/arena.ts';`,
    `export type { X } from "../machine/arena.ts";`,
    `const x = await import('../machine/arena.ts');`,
    `type X = import('../machine/arena.ts').X;`,
    `import {\n  a,\n  b,\n} from '../machine/arena.ts';`,
  ])('every form of import counts: %s', (source) => {
    expect(checkSource('bits/field.ts', source)).toHaveLength(1);
  });

  test('tests are exempt', () => {
    expect(checkSource('bits/field.test.ts', `import { x } from '../cli/main.ts';\nimport 'node:fs';`)).toEqual([]);
  });

  test.each([
    ['bits/field.ts', './halves', "'./halves' does not end in .ts"],
    ['bits/field.ts', './halves.js', "'./halves.js' does not end in .ts"],
    ['cli/main.ts', './load.test.ts', "'./load.test.ts' is a test"],
    ['bits/field.ts', '../../package.json', "'../../package.json' is outside src/"],
    ['bits/field.ts', '../nowhere/x.ts', "'../nowhere/x.ts' is in no room of the design"],
    ['bits/field.ts', '/bits/x.ts', "'/bits/x.ts' is no file of src/"],
  ])('%s may not import %s', (path, specifier, what) => {
    expect(checkSource(path, `import '${specifier}';`)).toEqual([`src/${path}:1: ${what}`]);
  });

  test.each(['nowhere/x.ts', 'stray.ts'])('src/%s is in no room', (path) => {
    expect(checkSource(path, '')).toEqual([`src/${path}:1: the design has no such room`]);
  });
});

const BROWSER_SIDE = [
  ...['bits/x.ts', 'machine/x.ts', 'iommu/x.ts', 'iommu/kit/x.ts', 'iommu/vtd/x.ts', 'devices/x.ts', 'vmm/x.ts'],
  ...['guest/x.ts', 'explore/x.ts', 'cases/x.ts', 'decode/x.ts', 'index.ts'],
];

describe.each(BROWSER_SIDE)('%s runs in a browser', (path) => {
  test.each(['node:fs', 'fs', 'node:test', 'fs/promises', 'picocolors', '@stricli/core', 'pinhole'])(
    'and may not import %s',
    (specifier) => {
      expect(checkSource(path, `import x from '${specifier}';`)).toHaveLength(1);
    },
  );

  test.each([
    'document.title = a;',
    'window.x()',
    'process.exit(1)',
    'Buffer.from(a)',
    "const a = require('./a.ts')",
    'f(__dirname)',
    'setImmediate(f)',
    'if (typeof process) {}',
    `const a = \`\${process.pid}\`;`,
    'class A extends HTMLElement {}',
  ])('and may not say %s', (source) => {
    expect(checkSource(path, source).filter((violation) => / is Node's or the DOM's$/.test(violation))).toHaveLength(1);
  });
});

test.each(['bridge/x.ts', 'cli/x.ts'])('%s runs on Node', (path) => {
  expect(checkSource(path, `import 'node:fs';\nimport '@stricli/core';\nprocess.exit(Buffer.length);`)).toEqual([]);
});

test.each([
  '// document and process',
  '/* window\n * process.exit()\n */',
  'f(\'process\', "window", `document`)',
  "// import '../machine/arena.ts'",
  `f("import x from 'node:fs'")`,
  'iova.window = { window: 1 };',
  'interface A { window: number; process?: B }',
  'const processed = preprocess(windows);',
  'a = /[\'"`]process/g;',
  'a = b / c; // process\nd = e / f;',
  `a = \`\${b ? \`\${{ c }.c} process\` : '}'} window\`;`,
])('what only looks like a violation: %s', (source) => {
  expect(checkSource('machine/x.ts', source)).toEqual([]);
});

test('a scan keeps lines, and sees code after strings that look like something else', () => {
  const source = `a = \`\n\${f('}')}\n\`;\nb = /[/'"]/.test(c);\nimport d from './d.ts';\n`;
  const { code, imports } = scan(source);
  expect(imports).toEqual([{ specifier: './d.ts', line: 5 }]);
  expect(code.split('\n')).toHaveLength(source.split('\n').length);
  expect(code).toContain('.test(c)');
  expect(code).toContain('f(');
});

describe('length', () => {
  const lines = (count: number, head = '') => `${head}${'x;\n'.repeat(count - head.split('\n').length + 1)}`;

  test('up to 400 lines need no reason', () => {
    expect(checkSource('bits/x.ts', lines(400))).toEqual([]);
  });

  test.each(['bits/x.ts', 'bits/x.test.ts'])('%s past 400 lines needs one', (path) => {
    expect(checkSource(path, lines(401))).toEqual([`src/${path}:1: 401 lines, and no "Long because" in the first 15`]);
  });

  test.each(['// Long because a table\n', '/** Long because a table */\n', '/*\n * Long because a table\n */\n'])(
    'a reason at its head: %j',
    (head) => {
      expect(checkSource('bits/x.ts', lines(401, head))).toEqual([]);
    },
  );

  test.each([`${'\n'.repeat(15)}// Long because late\n`, "const a = 'Long because';\n", '// Not Long because\n'])(
    'no reason at its head: %j',
    (head) => {
      expect(checkSource('bits/x.ts', lines(401, head))).toHaveLength(1);
    },
  );
});

function up(importer: string): string {
  return importer.includes('/') ? '../'.repeat(importer.split('/').length - 1) : './';
}
