/** A counterexample in a form that can be kept and replayed: a token for a line of text, or JSON for a file. */
import { createHash } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { InvariantId } from '../cases/index.ts';
import { INVARIANTS } from '../cases/index.ts';
import type { Decision } from '../explore/index.ts';
import { UsageError } from './usage-error.ts';

export interface Trace {
  readonly case: string;
  /** A user's own case: its file, as it was given. */
  readonly file: string | null;
  readonly variant: string;
  readonly profile: string;
  readonly mutant: string | null;
  readonly invariant: InvariantId;
  readonly decisions: readonly Decision[];
  /** Fingerprint of the state that the run ends in, 16 hexadecimal digits. */
  readonly fingerprint: string;
}

const PREFIX = 'ph1.';
/** Of the format of trace files. */
const VERSION = 1;
/** Longest run that a trace may have; the explorer's own are far shorter. */
const MAX_DECISIONS = 100_000;
const MAX_BYTES = 1 << 22;

function checksum(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

export function toToken(trace: Trace): string {
  const decisions = trace.decisions.flatMap((d) => [d.agent, d.choice]);
  const { case: id, file, variant, profile, mutant, invariant, fingerprint } = trace;
  const json = JSON.stringify([id, file, variant, profile, mutant, invariant, fingerprint, decisions]);
  const body = deflateRawSync(json).toString('base64url');
  return `${PREFIX}${checksum(body)}.${body}`;
}

export function isToken(text: string): boolean {
  return text.startsWith(PREFIX);
}

export function fromToken(token: string): Trace {
  const [, sum, body] = token.split('.');
  if (body === undefined || checksum(body) !== sum) {
    throw new UsageError(
      `the replay token is damaged (its checksum does not fit); copy all of it, from '${PREFIX}' to its end`,
    );
  }
  let parts: unknown;
  try {
    parts = JSON.parse(inflateRawSync(Buffer.from(body, 'base64url'), { maxOutputLength: MAX_BYTES }).toString());
  } catch (error) {
    throw new UsageError('the replay token does not hold a trace; take it from a run of this version', {
      cause: error,
    });
  }
  if (!Array.isArray(parts))
    throw new UsageError('the replay token does not hold a trace; take it from a run of this version');
  const [id, file, variant, profile, mutant, invariant, fingerprint, flat] = parts;
  const decisions = Array.isArray(flat) ? flat.flatMap((n, i) => (i % 2 === 0 ? [[n, flat[i + 1]]] : [])) : flat;
  return validated({ case: id, file, variant, profile, mutant, invariant, fingerprint, decisions }, 'the replay token');
}

/** What goes into a trace file. @param steps name of each step's operation, for readers */
export function toJson(trace: Trace, steps: readonly string[]): object {
  const decisions = trace.decisions.map((d) => [d.agent, d.choice]);
  return { format: 'pinhole-trace', version: VERSION, ...trace, decisions, steps };
}

/** The traces of a trace file's text: one, or an array of them. */
export function fromJson(text: string, file: string): Trace[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new UsageError(
      `${file}: is not JSON (${(error as Error).message}); name a file that 'pinhole check --trace' wrote`,
    );
  }
  const list = Array.isArray(parsed) ? parsed : [parsed];
  if (list.length === 0) throw new UsageError(`${file}: holds no trace; nothing was violated when it was written`);
  return list.map((one, i) => {
    const where = list.length > 1 ? `${file}: trace ${i + 1}` : file;
    const { format, version } = (one ?? {}) as { format?: unknown; version?: unknown };
    if (format !== 'pinhole-trace')
      throw new UsageError(`${where}: is no pinhole-trace; name a file that 'pinhole check --trace' wrote`);
    if (version !== VERSION)
      throw new UsageError(
        `${where}: version ${version} of the format is not known here; take the pinhole that wrote it`,
      );
    return validated(one as Record<string, unknown>, where);
  });
}

function validated(raw: Record<string, unknown>, where: string): Trace {
  const bad = (what: string): UsageError =>
    new UsageError(`${where}: ${what}; write the trace anew with 'pinhole check --trace'`);
  for (const key of ['case', 'variant', 'profile'] as const) {
    if (typeof raw[key] !== 'string') throw bad(`'${key}' is not a text`);
  }
  if (!/^[0-9a-f]{16}$/.test(String(raw.fingerprint))) throw bad("'fingerprint' is not 16 hexadecimal digits");
  for (const key of ['file', 'mutant'] as const) {
    if (raw[key] !== null && typeof raw[key] !== 'string') throw bad(`'${key}' is neither a text nor null`);
  }
  if (typeof raw.invariant !== 'string' || !Object.hasOwn(INVARIANTS, raw.invariant))
    throw bad(`there is no invariant ${String(raw.invariant)}`);
  const { decisions } = raw;
  if (!Array.isArray(decisions) || decisions.length > MAX_DECISIONS)
    throw bad(`'decisions' is not a list of at most ${MAX_DECISIONS} steps`);
  const steps = decisions.map((d: unknown, i) => {
    const [agent, choice] = Array.isArray(d) ? d : [];
    const fine =
      Array.isArray(d) &&
      d.length === 2 &&
      Number.isInteger(agent) &&
      Number.isInteger(choice) &&
      agent >= 0 &&
      choice >= 0;
    if (!fine) throw bad(`step ${i + 1} is not a pair of an agent and a choice`);
    return { agent, choice };
  });
  const { case: id, file, variant, profile, mutant, invariant, fingerprint } = raw as unknown as Trace;
  return { case: id, file, variant, profile, mutant, invariant, decisions: steps, fingerprint };
}
