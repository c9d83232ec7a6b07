/** A DMA transaction in its slot, step by step. */
import type { Machine } from '../../../src/machine/index.ts';
import { PHASE, SLOT } from '../../../src/machine/index.ts';
import type { Bench } from './unit.ts';

export class Flight {
  readonly slot: number;
  private readonly bench: Bench;

  constructor(bench: Bench, sid: number, address: bigint, access: number, ssid = -1, privileged = false) {
    const { dma } = bench.machine as Machine;
    const pasid = ssid < 0 ? {} : { pasid: ssid };
    let device = dma.requesters.findIndex(
      (r) => r.sid === sid && (r.pasid ?? -1) === ssid && (r.privileged === true) === privileged,
    );
    if (device < 0)
      device = dma.declare({ name: `device ${sid}`, sid, did: 0, ...pasid, ...(privileged ? { privileged } : {}) });
    this.bench = bench;
    this.slot = dma.issue(device, address, access, true);
  }

  private word(field: number): number {
    return (this.bench.machine as Machine).dma.get(this.slot, field);
  }

  get phase(): number {
    return this.word(SLOT.phase);
  }

  /** Bits of MARK. */
  get marks(): number {
    return this.word(SLOT.flags);
  }

  get choices(): number {
    return this.bench.unit.choices(this.slot);
  }

  /** Steps of the translation that it has left, at most. */
  get left(): number {
    return this.bench.unit.left(this.slot);
  }

  step(choice = 0): void {
    this.bench.unit.step(this.slot, choice);
  }

  /** Translates, as far as it can without anybody else. @returns its steps */
  walk(pick: (choices: number) => number = () => 0): number {
    let steps = 0;
    while (this.phase === PHASE.issued || this.phase === PHASE.translating) {
      const { choices } = this;
      if (choices === 0) break;
      this.step(pick(choices));
      steps++;
    }
    return steps;
  }

  get isTranslated(): boolean {
    return this.phase === PHASE.translated;
  }

  /** Byte address of the page that it goes to. */
  get page(): bigint {
    return ((BigInt(this.word(SLOT.pfnHi)) << 20n) | BigInt(this.word(SLOT.pfnLo))) << 12n;
  }

  /** It takes effect, or its status is taken. @returns 1 completed, 0 aborted */
  end(): number {
    const { dma } = this.bench.machine as Machine;
    if (this.isTranslated) dma.abort(this.slot);
    return dma.collect(this.slot);
  }
}
