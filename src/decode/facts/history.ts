/** What there was to a machine before its faults: another kernel ran (kdump, kexec), it slept, or it uses its IOMMU in a special way. Told once an input, with the first fault that it bears on. */
import { type CauseId, suspects } from '../causes.ts';
import type { Finding, Found, Position } from '../finding.ts';
import { NOTHING } from '../finding.ts';

/** Seconds after it woke in which a fault is put down to that. */
const AFTER_WAKING = 60;

/** Wakings that are kept, at most; at least half as many, the last ones. */
const MAX = 1024;

/** A parameter that only the kernel has which is started after a crash. */
const CRASH_PARAMETER = 'elfcorehdr';

export class History {
  private readonly emit: (found: Found) => void;
  private input = '-';
  /** Where it was seen that another kernel ran before; null if nowhere in this input. */
  private taken: Position | null = null;
  /** Where it woke; null once that was told. */
  private woken: Position[] | null = [];

  /** Where the mode was told; null if it was not, or once it was told with a fault. */
  private lazy: Position | null = null;
  private passthrough: Position | null = null;

  constructor(emit: (found: Found) => void) {
    this.emit = emit;
  }

  begin(input: string): void {
    this.input = input;
    this.taken = null;
    this.woken = [];
    this.lazy = this.passthrough = null;
  }

  /** A waking may still explain a fault. */
  get minds(): boolean {
    return this.woken !== null;
  }

  /** The machine woke from sleep. */
  woke(at: Position): void {
    if (this.woken === null) return;
    if (this.woken.length === MAX) this.woken.splice(0, MAX / 2);
    this.woken.push(at);
  }

  saw({ at, finding }: Found): void {
    const { details, kind } = finding;
    if (kind.startsWith('linux.history.') || details.some(([name]) => name.startsWith(CRASH_PARAMETER)))
      this.taken = at;
    if (kind === 'linux.mode.lazy') this.lazy = at;
    if (kind === 'linux.mode.passthrough') this.passthrough = at;
    if (finding.severity !== 'error' || finding.requester === null || at.input !== this.input) return;
    if (this.lazy !== null && finding.causes.some(({ id }) => id === 'unmap-before-completion'))
      this.tell('lazy', this.lazy, finding, at);
    if (this.passthrough !== null && finding.address?.space === 'IOVA')
      this.tell('passthrough', this.passthrough, finding, at);
    if (this.taken !== null) this.tell('taken', this.taken, finding, at);
    const woken = this.woken?.findLast((one) => isSoonAfter(one, at));
    if (woken !== undefined) this.tell('woken', woken, finding, at);
  }

  private tell(what: keyof typeof SAYS, before: Position, { model, requester }: Finding, at: Position): void {
    this[what] = null;
    const { causes, text } = SAYS[what](before.line);
    this.emit({
      at,
      finding: {
        ...{ ...NOTHING, kind: `facts.${what}`, model, requester, severity: 'info' },
        summary: text,
        causes: suspects({ likely: causes }),
      },
    });
  }
}

interface Said {
  readonly text: string;
  readonly causes: readonly CauseId[];
}

/** @param line where it was told */
const SAYS: Readonly<Record<'taken' | 'woken' | 'lazy' | 'passthrough', (line: number) => Said>> = {
  taken: (line) => ({
    text: `another kernel ran before this one, and devices may still do DMA for it (line ${line}): the faults from here on may come of that`,
    causes: ['kdump'],
  }),
  woken: (line) => ({
    text: `the machine had just woken from sleep (line ${line}): the faults from here on may come of that`,
    causes: ['resume'],
  }),
  lazy: (line) => ({
    text: `pages are flushed some time after they are unmapped (lazy, line ${line}): a fault comes only with the flush, and most DMA that is late gets by; iommu.strict=1 makes each of it fault at once`,
    causes: [],
  }),
  passthrough: (line) => ({
    text: `devices are not translated by default (line ${line}), and one that faults all the same is assigned, untrusted, cannot reach all memory, or has a domain of its own`,
    causes: [],
  }),
};

function isSoonAfter(before: Position, at: Position): boolean {
  const span = Number(at.time ?? Number.NaN) - Number(before.time ?? Number.NaN);
  return span >= 0 && span <= AFTER_WAKING;
}
