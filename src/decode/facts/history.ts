/** What happened to a machine before its faults: another kernel ran (kdump, kexec), or it slept. Told once an input, with the first fault that it may explain. */
import { type CauseId, suspects } from '../causes.ts';
import type { Finding, Found, Position } from '../finding.ts';
import { NOTHING } from '../finding.ts';

/** Seconds after it woke in which a fault is put down to that. */
const AFTER_WAKING = 60;

/** Wakings that are kept. */
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

  constructor(emit: (found: Found) => void) {
    this.emit = emit;
  }

  begin(input: string): void {
    this.input = input;
    this.taken = null;
    this.woken = [];
  }

  /** The machine woke from sleep. */
  woke(at: Position): void {
    if (this.woken !== null && this.woken.length < MAX) this.woken.push(at);
  }

  saw({ at, finding }: Found): void {
    const { details, kind } = finding;
    if (kind.startsWith('linux.history.') || details.some(([name]) => name.startsWith(CRASH_PARAMETER)))
      this.taken = at;
    if (finding.severity !== 'error' || finding.requester === null || at.input !== this.input) return;
    if (this.taken !== null) this.tell('taken', this.taken, finding, at);
    const woken = this.woken?.findLast((one) => isSoonAfter(one, at));
    if (woken !== undefined) this.tell('woken', woken, finding, at);
  }

  private tell(what: 'taken' | 'woken', before: Position, { model, requester }: Finding, at: Position): void {
    this[what] = null;
    const [text, cause] = SAYS[what];
    this.emit({
      at,
      finding: {
        ...{ ...NOTHING, kind: `facts.${what}`, model, requester, severity: 'info' },
        summary: `${text} (line ${before.line}): the faults from here on may come of that`,
        causes: suspects({ likely: [cause] }),
      },
    });
  }
}

const SAYS: Readonly<Record<'taken' | 'woken', readonly [text: string, cause: CauseId]>> = {
  taken: ['another kernel ran before this one, and devices may still do DMA for it', 'kdump'],
  woken: ['the machine had just woken from sleep', 'resume'],
};

function isSoonAfter(before: Position, at: Position): boolean {
  const span = Number(at.time ?? Number.NaN) - Number(before.time ?? Number.NaN);
  return span >= 0 && span <= AFTER_WAKING;
}
