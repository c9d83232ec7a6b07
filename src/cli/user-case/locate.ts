import { isAbsolute, relative, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export interface Place {
  /** Absolute path. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

// src/ or dist/ of the running package, and bin/ beside it: frames in there are ours, not the user's.
const ours = ['../../', '../../../bin/'].map((folder) => fileURLToPath(new URL(folder, import.meta.url)));

/** Where an error happened: the first stack frame in `file` or in another file of the user's; null if there is none. */
export function locate(error: unknown, file: string): Place | null {
  const stack = error instanceof Error ? error.stack : undefined;
  if (!stack) return null;
  const entry = resolve(file);
  for (const frame of stack.split('\n')) {
    const match = /^\s+at (?:.*\()?(?:async )?(.+?):(\d+):\d+\)?$/.exec(frame);
    if (!match) continue;
    const path = toPath(match[1] as string);
    if (path !== null && (path === entry || isUsers(path))) return { file: path, line: Number(match[2]) };
  }
  return null;
}

/** Whether a file is neither of this package nor of another. */
export function isUsers(path: string): boolean {
  return !ours.some((folder) => path.startsWith(folder)) && !path.includes(`${sep}node_modules${sep}`);
}

/** The path behind a script's name in a stack; null for Node's own modules, `data:` and the like. */
export function toPath(scriptName: string): string | null {
  if (scriptName.startsWith('file://')) return fileURLToPath(scriptName);
  // Whoever formats stacks by himself (Vitest does) shows the module's URL instead of its sourceURL: take that from inside.
  const inline = /^data:text\/javascript;base64,(.+)$/.exec(scriptName)?.[1];
  if (inline) {
    const named = /\n\/\/# sourceURL=(\S+)$/.exec(Buffer.from(inline, 'base64').toString())?.[1];
    return named ? toPath(named) : null;
  }
  return isAbsolute(scriptName) ? scriptName : null;
}

/** The name under which a user's file appears in stacks: its path, or its URL where the path has characters that V8 does not take in a `sourceURL`. */
export function scriptName(path: string): string {
  if (/^[\w./@+,~-]+$/.test(path)) return path;
  return pathToFileURL(path).href.replace(/['()]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
}

/** A path as a message shows it: from the working directory where it is below that. */
export function shown(path: string): string {
  const near = relative(process.cwd(), path);
  return near === '' || near.startsWith('..') || isAbsolute(near) ? path : near;
}

export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let i = text.indexOf('\n'); i >= 0 && i < offset; i = text.indexOf('\n', i + 1)) line++;
  return line;
}
