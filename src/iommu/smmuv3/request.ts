/** What a request wants of the SMMU (IHI 0070, 3.9.1, 13.1, 13.7). */
import { PRIVILEGED_SHIFT, WRITES } from './cache-entries.ts';
import { RIGHT } from './event-record.ts';

/**
 * Kinds of requests. Bits 1:0: read, write. `instruction` and `privileged` may be added: of PCI Express only with a PASID; of a write `instruction`
 * says nothing.
 */
export const REQUEST = {
  read: 1,
  write: 2,
  /** Far atomics, AtomicOps: need both rights. */
  atomic: 3,
  instruction: 4,
  privileged: 8,
  /** An ATS translation request; what it is answered is in {@link Smmu.completion}. */
  translation: 16 | 3,
  /** The same with NW: the device wants to read only. */
  translationNoWrite: 16 | 1,
  /** Requests with an address that was translated already. */
  translated: 32 | 1,
  translatedWrite: 32 | 2,
  translatedAtomic: 32 | 3,
} as const;

const ASKS = 16;
const TRANSLATED = 32;
/** Bits of all kinds of requests that only ATS has. */
export const ATS = ASKS | TRANSLATED;

export const isTranslationRequest = (kind: number): boolean => (kind & ASKS) !== 0;
export const isTranslatedRequest = (kind: number): boolean => (kind & TRANSLATED) !== 0;

/** Result of a request that is refused without an event. */
export const BLOCKED = -1;

const { read: READ, write: WRITE, instruction: INSTRUCTION, privileged: PRIVILEGED } = REQUEST;
const X = RIGHT.uX;

/** Rights that a request needs. A write is always data (13.1.2); reading an instruction needs the right to execute alone. */
export function rightsOf(kind: number): number {
  let rights = kind & (READ | WRITE);
  if ((kind & (INSTRUCTION | WRITE)) === INSTRUCTION) rights = X;
  return (kind & PRIVILEGED) !== 0 ? rights << PRIVILEGED_SHIFT : rights;
}

/** Of the rights that make a page dirty, those that a request uses. */
export function dirtiesOf(kind: number): number {
  return rightsOf(kind) & WRITES;
}

/** STE.PRIVCFG and STE.INSTCFG (5.2): 2 takes the attribute away, 3 sets it, others keep what the request has. */
const TAKES = 2;
const SETS = 3;

/** The kind of a request with the overrides of its STE. Of a write, which is data always, `instruction` says nothing (13.1.4). */
export function overridden(kind: number, priv: number, inst: number): number {
  let out = kind;
  if (priv === TAKES) out &= ~PRIVILEGED;
  else if (priv === SETS) out |= PRIVILEGED;
  if (inst === TAKES) out &= ~INSTRUCTION;
  else if (inst === SETS) out |= INSTRUCTION;
  return out;
}
