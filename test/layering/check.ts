import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import { BROWSER_PACKAGES, isFor, type Permit, roomOf, rulesOf } from './rooms.ts';
import { scan } from './scan.ts';

/** A broken rule, as `src/…:LINE: what`. */
export type Violation = string;

/** A file past this many lines says at its head why (STYLE, rule 1). */
const LONG = 400;
const HEAD = 15;

// Names of Node's and the DOM's that tell where code believes it runs. The browser tsconfig refuses the rest of them.
const FOREIGN_GLOBALS = [
  ...['document', 'window', 'navigator', 'localStorage', 'sessionStorage', 'HTMLElement', 'XMLHttpRequest'],
  ...['requestAnimationFrame', 'process', 'Buffer', 'require', '__dirname', '__filename', 'setImmediate'],
  ...['clearImmediate', 'Deno', 'Bun'],
];
// Not a property (`x.window`), not a key or a declared member (`window:`).
const FOREIGN = new RegExp(`(?<![.#\\w$])(?:${FOREIGN_GLOBALS.join('|')})\\b(?!\\s*\\??:)`, 'g');

/** All broken rules of one file; `path` is relative to src/, with slashes. */
export function checkSource(path: string, source: string): Violation[] {
  const found = checkLength(`src/${path}`, source);
  if (path.endsWith('.test.ts')) return found;
  const room = roomOf(path);
  if (room === null) return [...found, `src/${path}:1: the design has no such room`];
  const { imports, code } = scan(source);
  for (const { specifier, line } of imports) {
    const what = /^\.{1,2}\//.test(specifier) ? checkRelative(path, room, specifier) : checkPackage(room, specifier);
    if (what) found.push(`src/${path}:${line}: ${what}`);
  }
  if (rulesOf(room).browser) found.push(...checkGlobals(path, code));
  return found;
}

/** `path` is relative to the checkout. */
export function checkLength(path: string, source: string): Violation[] {
  const lines = source.split('\n');
  const count = lines.at(-1) === '' ? lines.length - 1 : lines.length;
  if (count <= LONG || lines.slice(0, HEAD).some((line) => /^\s*(?:\/\/|\/?\*+)\s*Long because\b/.test(line)))
    return [];
  return [`${path}:1: ${count} lines, and no "Long because" in the first ${HEAD}`];
}

function checkRelative(path: string, room: string, specifier: string): string | null {
  const target = posix.join(posix.dirname(path), specifier);
  if (target.startsWith('..')) {
    const packageJson = target === '../package.json' && !rulesOf(room).browser;
    return packageJson ? null : `'${specifier}' is outside src/`;
  }
  if (!target.endsWith('.ts') && room !== 'lab') return `'${specifier}' does not end in .ts`;
  if (target.endsWith('.test.ts')) return `'${specifier}' is a test`;
  const other = roomOf(target);
  if (other === null) return `'${specifier}' is in no room of the design`;
  if (other === room || rulesOf(room).imports.some((permit) => permits(permit, other, target))) return null;
  return `${room} may not import ${other} ('${specifier}')`;
}

function permits(permit: Permit, imported: string, target: string): boolean {
  if (typeof permit === 'string') return isFor(permit, imported);
  return isFor(permit.room, imported) && permit.files.includes(posix.basename(target, '.ts').replace(/^.*-/, ''));
}

function checkPackage(room: string, specifier: string): string | null {
  if (!rulesOf(room).browser) return null;
  if (specifier.startsWith('node:') || isBuiltin(specifier))
    return `'${specifier}' is Node's: ${room} runs in a browser`;
  if (specifier.startsWith('.') || specifier.startsWith('/')) return `'${specifier}' is no file of src/`;
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  return BROWSER_PACKAGES.includes(name) ? null : `package '${name}' is not on the list for browser-side rooms`;
}

function checkGlobals(path: string, code: string): Violation[] {
  return code
    .split('\n')
    .flatMap((text, index) =>
      [...text.matchAll(FOREIGN)].map(([name]) => `src/${path}:${index + 1}: '${name}' is Node's or the DOM's`),
    );
}
