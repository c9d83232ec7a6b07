import { spawnSync } from 'node:child_process';
import { extname } from 'node:path';
import { transformSync } from '@swc/wasm-typescript';
import { UsageError } from '../usage-error.ts';
import { shown } from './locate.ts';

/** The file's JavaScript with every line where it was: types become blanks. */
export function stripTypes(path: string, source: string): string {
  if (!/^\.m?ts$/.test(extname(path))) return source;
  try {
    return transformSync(source, { mode: 'strip-only', filename: path, module: true }).code;
  } catch (error) {
    throw syntaxUsageError(path, error);
  }
}

function syntaxUsageError(path: string, error: unknown): UsageError {
  const { code, message, startLine } = error as { code?: string; message: string; startLine?: number };
  const at = `${shown(path)}:${startLine ?? 1}`;
  if (code === 'UnsupportedSyntax') {
    const what = message.replace(
      / is not supported in (strip-only|type strip) mode\.?/,
      ' cannot be stripped as a type',
    );
    return new UsageError(
      `${at}: ${what}; write it as JavaScript with types (what TypeScript's erasableSyntaxOnly permits)`,
      {
        cause: error,
      },
    );
  }
  return new UsageError(`${at}: syntax error: ${message}; mend that line`, { cause: error });
}

/**
 * What Node itself says of a module's syntax, null if nothing. V8 reports early errors (a name declared twice, an export
 * of nothing) without a place when a module comes from a URL, so a second Node is asked; only ever after a failure.
 */
export function checkSyntax(code: string): { line: number; message: string } | null {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const node = spawnSync(process.execPath, ['--check', '--input-type=module', '-'], {
    input: code,
    encoding: 'utf8',
    env,
  });
  const line = /^\[stdin\]:(\d+)/m.exec(node.stderr)?.[1];
  const message = /^SyntaxError: (.*)/m.exec(node.stderr)?.[1];
  return line && message ? { line: Number(line), message } : null;
}
