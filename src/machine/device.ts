import { hex } from '../bits/index.ts';
import { ACCESS, PHASE } from './dma.ts';
import type { Machine, SoftwareWord } from './machine.ts';
import type { Program } from './op.ts';
import { bdf } from './requester.ts';
import { splitPages } from './split.ts';

/** A DMA device, as operations for its program or for a driver that starts it and waits. */
export class Device {
  readonly name: string;
  /** Index in `Dma.requesters`. */
  readonly index: number;
  /** Numbers of the pages that it may aim at. */
  readonly aims: ReadonlySet<bigint>;
  private readonly machine: Machine;

  constructor(machine: Machine, name: string, index: number, aims: ReadonlySet<bigint>) {
    this.machine = machine;
    this.name = name;
    this.index = index;
    this.aims = aims;
  }

  /** Sends a DMA and does not wait. */
  *issue(iova: bigint, kind: 'read' | 'write'): Program {
    yield this.issueOp(iova, kind, false);
  }

  /**
   * Sends a DMA of `bytes` bytes and does not wait. It becomes one transaction a page, sent in one step: translated, performed and
   * refused apart from each other, in any order.
   */
  *burst(iova: bigint, bytes: number, kind: 'read' | 'write'): Program {
    const { dma } = this.machine;
    const pieces = splitPages(iova, bytes, dma.slots);
    for (const piece of pieces) this.check(piece.iova);
    yield {
      name: `${this.name} DMA ${kind} ${hex(iova)} + ${bytes}`,
      requester: this.index,
      ready: () => dma.freeSlots() >= pieces.length,
      on: [pieces.length],
      run: () => {
        for (const piece of pieces) dma.issue(this.index, piece.iova, ACCESS[kind], false, piece.words);
      },
    };
  }

  /**
   * Reads a register of the device: a read-back. The completion does not pass posted writes that the device sent before it (PCI
   * Express 2.4.1, ordering rule D2a, without relaxed ordering); it may pass read requests, and waits for nobody's read data.
   * Writes that the device sends between its answer and the answer's arrival need no state of their own: the reader does
   * nothing meanwhile, so they may as well be sent after it.
   * @param reach how far the earlier writes have come when the reader has its answer. `visible`: into memory, whoever translated them.
   * Every driver that reads a status register and then its buffer relies on it, and VT-d 6.5.4 demands it of the device's other
   * pushing message, the ATS invalidation completion. `accepted`: to the IOMMU, and what that has begun is left to its drain;
   * VT-d has no sentence that a read completion does more
   */
  *pushed(reach: 'visible' | 'accepted' = 'visible'): Program {
    const { dma, log } = this.machine;
    const phase = reach === 'visible' ? PHASE.translated : PHASE.issued;
    yield {
      name: `${this.name} read-back`,
      requester: this.index,
      ready: () => !dma.hasWrite(this.index, phase),
      on: [phase],
      run: () => {
        if (!log.on) return;
        const { name, sid } = dma.requesters[this.index];
        const where = reach === 'visible' ? 'visible' : 'no longer queued upstream';
        log.say('driver', `reads a register of ${name} [${bdf(sid)}]: its posted writes are ${where}`);
      },
    };
  }

  /**
   * The device's driver stops it (a terminal condition, VT-d 7.9): what waits for a page is over. Page requests that were sent are on their
   * way, and what arrives for them is discarded.
   */
  *stopWaiting(): Program {
    const { dma, log } = this.machine;
    yield {
      name: `${this.name} stops waiting for pages`,
      requester: this.index,
      run: () => {
        if (log.on) log.say('driver', `stops ${this.name}: what waits for a page is given up`);
        dma.ats?.pages?.forget(this.index);
      },
    };
  }

  /** A DMA that the program waits for, without caring how it ends. */
  *dma(iova: bigint, kind: 'read' | 'write'): Program {
    yield this.issueOp(iova, kind, true);
    yield { ...this.collectOp(), returns: 'nothing' };
  }

  /** A DMA that the program waits for. @returns 1 completed, 0 aborted */
  *dmaStatus(iova: bigint, kind: 'read' | 'write'): Program<number> {
    yield this.issueOp(iova, kind, true);
    return Number(yield this.collectOp());
  }

  /** A stray device: sends so many DMAs, at any time, at any of its addresses, without waiting. */
  stray(iovas: readonly bigint[], kind: 'read' | 'write', times: number): void {
    this.machine.actor(this.name, () => this.strays(iovas, kind, times), 'device');
  }

  /** What a {@link stray} device does. */
  *strays(iovas: readonly bigint[], kind: 'read' | 'write', times: number): Program {
    for (let i = 0; i < times; i++) {
      if (iovas.length === 1) yield this.issueOp(iovas[0], kind, false);
      else yield this.issueAnyOp(iovas, kind);
    }
  }

  /** Waits until nothing of the device is in flight any more, and says so. @param over becomes 1 */
  *idle(over: SoftwareWord): Program {
    const { dma } = this.machine;
    yield {
      name: `${this.name} is idle`,
      requester: this.index,
      ready: () => dma.inFlight(this.index) === 0,
      run: () => {
        over.value = 1;
      },
    };
  }

  private issueOp(iova: bigint, kind: 'read' | 'write', waited: boolean) {
    this.check(iova);
    const { dma } = this.machine;
    return {
      name: `${this.name} DMA ${kind} ${hex(iova)}`,
      requester: this.index,
      ready: () => dma.hasFree(),
      on: [],
      run: () => {
        dma.issue(this.index, iova, ACCESS[kind], waited);
      },
    };
  }

  private issueAnyOp(iovas: readonly bigint[], kind: 'read' | 'write') {
    for (const iova of iovas) this.check(iova);
    const { dma } = this.machine;
    return {
      name: `${this.name} DMA ${kind} to one of ${iovas.map(hex).join(' ')}`,
      requester: this.index,
      ready: () => dma.hasFree(),
      on: [],
      choices: iovas.length,
      run: (choice: number) => {
        dma.issue(this.index, iovas[choice], ACCESS[kind], false);
      },
    };
  }

  private collectOp() {
    const { dma, log } = this.machine;
    return {
      name: `${this.name} DMA done`,
      requester: this.index,
      ready: () => dma.finished(this.index) >= 0,
      on: [],
      returns: 'number' as const,
      results: [0, 1],
      run: () => {
        const ok = dma.collect(dma.finished(this.index));
        if (log.on) log.say('device', `${this.name}: ${ok === 1 ? 'DMA completed' : 'DMA aborted'}`);
        return ok;
      },
    };
  }

  private check(iova: bigint): void {
    if (!this.aims.has(iova >> 12n)) {
      throw new RangeError(`${this.name} does not aim at ${hex(iova)}; list it where the device is declared`);
    }
  }
}
