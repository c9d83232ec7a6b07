/** What went wrong with a user's case, in one line that names file, line and mend. */
import type { Case } from '../../cases/index.ts';
import { DefinitionError } from '../../cases/index.ts';
import { OutsideStateError, ProgramError } from '../../explore/index.ts';
import { Machine } from '../../machine/index.ts';
import { UsageError } from '../usage-error.ts';
import { EndlessError, guarded } from '../watchdog.ts';
import { locate, type Place, shown } from './locate.ts';
import { placeOf } from './suspended.ts';

/**
 * The failure as a UsageError; anything that is not the user's fault is thrown on as it is.
 * @param file the case's file
 */
export function failureOf(error: unknown, file: string): UsageError {
  if (error instanceof UsageError) return error;
  if (error instanceof ProgramError) {
    const { thrown, actor } = error;
    const place = (thrown === undefined ? null : thrownPlace(thrown, file)) ?? placeOfProgram(error.suspended);
    const said = thrown === undefined ? error.message : thrown instanceof EndlessError ? thrown.message : threw(thrown);
    const after = thrown instanceof EndlessError && error.operation !== null ? ` (after '${error.operation}')` : '';
    return refusal(place, file, `actor '${actor}': ${said}${after}`, error);
  }
  if (error instanceof OutsideStateError) {
    const place = placeOfProgram(error.suspended);
    return refusal(place, file, `actor '${error.actor}': ${error.message}`, error);
  }
  const place = locate(error, file);
  if (error instanceof EndlessError) return refusal(null, file, error.message, error);
  if (error instanceof DefinitionError) return refusal(place, file, error.message, error);
  // Thrown by a call of the user's, or in an operation of his: our own checks of arguments, or his own mistake.
  if (place !== null) return refusal(place, file, `it threw: ${message(error)}; mend that line`, error);
  throw error;
}

/** A user's case whose build() is watched: what it throws, and what it returns instead of a machine, is told in one line. */
export function watched(definition: Case, file: string): Case {
  const build: Case['build'] = (setup) => {
    let machine: unknown;
    try {
      machine = guarded(() => definition.build(setup));
    } catch (error) {
      if (!(error instanceof EndlessError)) throw failureOf(error, file);
      throw refusal(placeOf(definition.build), file, 'build() does not return; bound its loop', error);
    }
    if (machine instanceof Machine) return machine;
    throw refusal(placeOf(definition.build), file, "build() returns no machine; end it with 'return machine'", null);
  };
  return { ...definition, build };
}

function threw(thrown: unknown): string {
  const said = message(thrown);
  return said.includes(';') ? said : `it threw: ${said}; mend that line, or catch it`;
}

function message(error: unknown): string {
  if (!(error instanceof Error)) return `a thrown ${typeof error}: ${String(error)}`;
  return error.name === 'Error' || error.name === 'RangeError' ? error.message : `${error.name}: ${error.message}`;
}

function thrownPlace(thrown: unknown, file: string): Place | null {
  return thrown instanceof EndlessError ? null : locate(thrown, file);
}

function placeOfProgram(program: object | null): Place | null {
  return program === null ? null : placeOf(program);
}

function refusal(place: Place | null, file: string, what: string, cause: unknown): UsageError {
  const at = place === null ? shown(file) : `${shown(place.file)}:${place.line}`;
  return new UsageError(`${at}: ${what}`, { cause });
}
