import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { parse } from 'es-module-lexer/js';
import { UsageError } from '../usage-error.ts';
import { lineAt, locate, type Place, scriptName, shown, toPath } from './locate.ts';
import { isLoadable, resolveImport } from './resolve.ts';
import { checkSyntax, stripTypes } from './syntax.ts';

export { locate } from './locate.ts';

/** A user's module: what it exports by default is for the caller to check. */
export type UserModule = { readonly default: unknown } & Readonly<Record<string, unknown>>;

/** One file of the user's, ready to be imported. */
interface Unit {
  readonly code: string;
  readonly url: string;
}

/**
 * Loads a user's case file, TypeScript or JavaScript, with the modules of the running package as `pinhole`.
 * Everything that is wrong with the file is thrown as a UsageError.
 */
export async function loadUserCase(file: string): Promise<UserModule> {
  const path = resolve(file);
  const units = new Map<string, Unit>();
  const { url } = compile(path, null, [], units);
  let module: Record<string, unknown>;
  try {
    module = await import(url);
  } catch (error) {
    throw importFailure(error, path, units);
  }
  if (!('default' in module))
    throw refusal({ file: path, line: 1 }, 'has no default export', "end it with 'export default' and the case");
  return module as UserModule;
}

/** All text of a user's that makes a case: of its file, and of every file of his that it imports, without types. */
export function textOf(file: string): string {
  const units = new Map<string, Unit>();
  compile(resolve(file), null, [], units);
  return Array.from(units.values(), ({ code }) => code).join('\n');
}

function refusal(place: Place | string, what: string, mend: string, cause?: unknown): UsageError {
  const at = typeof place === 'string' ? shown(place) : `${shown(place.file)}:${place.line}`;
  return new UsageError(`${at}: ${what}; ${mend}`, { cause });
}

/** The file as a `data:` URL, and before it every file of the user's that it imports. `importers` leads from the entry to here. */
function compile(path: string, from: Place | null, importers: readonly string[], units: Map<string, Unit>): Unit {
  const known = units.get(path);
  if (known) return known;
  if (importers.includes(path)) {
    const cycle = [...importers.slice(importers.indexOf(path)), path].map(shown).join(' -> ');
    throw refusal(from ?? path, `imports form a cycle: ${cycle}`, 'move what they share into a file of its own');
  }
  const code = stripTypes(path, readSource(path, from));
  const linked = rewriteImports(path, code, (specifier, line) => {
    const target = resolveImport(specifier, path);
    if (target.kind === 'refused') throw refusal({ file: path, line }, target.what, target.mend);
    return target.kind === 'url'
      ? target.url
      : compile(target.path, { file: path, line }, [...importers, path], units).url;
  });
  const named = `${linked}\n//# sourceURL=${scriptName(path)}`;
  const unit = { code, url: `data:text/javascript;base64,${Buffer.from(named).toString('base64')}` };
  units.set(path, unit);
  return unit;
}

function readSource(path: string, from: Place | null): string {
  if (!isLoadable(path))
    throw refusal(from ?? path, 'is not a .ts, .mts, .js or .mjs file', 'give it one of these extensions');
  try {
    if (!statSync(path).isFile()) throw refusal(from ?? path, 'is not a file', 'name a case file');
    return readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const what = missing ? 'there is no such file' : `cannot be read (${(error as Error).message})`;
    throw refusal(
      from ?? path,
      what,
      missing ? "mend the path, or make the file with 'pinhole new'" : 'mend its permissions',
      error,
    );
  }
}

/** `code` with every import's specifier replaced by `urlOf` of it. Lines stay where they are. */
function rewriteImports(path: string, code: string, urlOf: (specifier: string, line: number) => string): string {
  let imports: ReturnType<typeof parse>[0];
  try {
    [imports] = parse(code, path);
  } catch (error) {
    const found = checkSyntax(code) ?? {
      line: lineAt(code, (error as { idx?: number }).idx ?? 0),
      message: 'cannot be parsed',
    };
    throw refusal({ file: path, line: found.line }, `syntax error: ${found.message}`, 'mend that line', error);
  }
  let out = '';
  let end = 0;
  for (const found of imports) {
    if (found.d === -2) continue; // import.meta
    const line = lineAt(code, found.s);
    if (found.n === undefined) {
      throw refusal(
        { file: path, line },
        'import() of a computed path cannot be followed',
        'write the path as a plain string',
      );
    }
    const url = urlOf(found.n, line).replaceAll("'", '%27');
    // A static import's span is what stands between the quotes; a dynamic one's includes them.
    out += code.slice(end, found.s) + (found.d >= 0 ? `'${url}'` : url);
    end = found.e;
  }
  return out + code.slice(end);
}

/** Why the import of `entry` failed, in the user's terms. */
function importFailure(error: unknown, entry: string, units: ReadonlyMap<string, Unit>): UsageError {
  const message = readable(error, units);
  const link = linkPlace(error, units);
  if (link) {
    const mend = / does not provide an export named /.test(message)
      ? "mend the name, or write 'import type' if it is a type"
      : 'mend that import';
    return refusal(link, message, mend, error);
  }
  const thrown = locate(error, entry);
  if (thrown) return refusal(thrown, `threw while it was loaded: ${message}`, 'mend that line', error);
  if (error instanceof SyntaxError) {
    for (const [file, { code }] of units) {
      const found = checkSyntax(code);
      if (found) return refusal({ file, line: found.line }, `syntax error: ${found.message}`, 'mend that line', error);
    }
  }
  return refusal(entry, `cannot be loaded: ${message}`, 'mend what it imports', error);
}

/** V8 puts `SCRIPT:LINE` before the stack of an error in linking, and nowhere else. */
function linkPlace(error: unknown, units: ReadonlyMap<string, Unit>): Place | null {
  const head = error instanceof SyntaxError ? /^(.+):(\d+)\n/.exec(error.stack ?? '') : null;
  const file = head && toPath(head[1] as string);
  return head && file && units.has(file) ? { file, line: Number(head[2]) } : null;
}

/** The error's name and first line, with our `data:` URLs turned back into the files behind them. */
function readable(error: unknown, units: ReadonlyMap<string, Unit>): string {
  let text = error instanceof Error ? `${error.name}: ${error.message}` : `a thrown ${typeof error}: ${String(error)}`;
  for (const [path, { url }] of units) text = text.replaceAll(url, shown(path));
  return (text.split('\n')[0] as string)
    .replace(/data:text\/javascript;base64,[\w+/=]+/g, 'a file of yours')
    .slice(0, 400);
}
