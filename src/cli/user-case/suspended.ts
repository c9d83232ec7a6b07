/** Where a generator of a user's stands. Only the debugger's interface knows. */
import { Session } from 'node:inspector';
import { isUsers, type Place, toPath } from './locate.ts';

interface Location {
  readonly scriptId: string;
  readonly lineNumber: number;
}

interface Property {
  readonly name: string;
  readonly value?: { readonly value?: Location };
}

/**
 * The line of a suspended generator, or of a function's beginning.
 * @returns null where it stands in a file that is not the user's, or has ended
 */
export function placeOf(subject: object): Place | null {
  const session = new Session();
  const scripts = new Map<string, string>();
  const scope = globalThis as { __pinholeSubject?: object | undefined };
  session.connect();
  try {
    session.on('Debugger.scriptParsed', ({ params }) => scripts.set(params.scriptId, params.url));
    session.post('Debugger.enable');
    scope.__pinholeSubject = subject;
    let found: Location | undefined;
    session.post('Runtime.evaluate', { expression: 'globalThis.__pinholeSubject' }, (_, evaluated) => {
      const { objectId } = evaluated.result;
      if (objectId === undefined) return;
      session.post('Runtime.getProperties', { objectId }, (_error, described) => {
        const internal = (described.internalProperties ?? []) as readonly Property[];
        found = internal.find((p) => /^\[\[(Generator|Function)Location\]\]$/.test(p.name))?.value?.value;
      });
    });
    const script = found === undefined ? undefined : scripts.get(found.scriptId);
    if (found === undefined || script === undefined) return null;
    const file = toPath(script);
    return file === null || !isUsers(file) ? null : { file, line: found.lineNumber + 1 };
  } finally {
    scope.__pinholeSubject = undefined;
    session.disconnect();
  }
}
