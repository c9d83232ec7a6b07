/** The programming interface of an SMMU: registers, command queue and page request queue over its core. */
import type { Agent } from '../../machine/index.ts';
import type { ReadValue } from '../kit/access.ts';
import { Settling } from '../kit/settle.ts';
import { CommandQueue } from './command-queue.ts';
import type { SmmuCore } from './core.ts';
import { GlobalControl } from './global-control.ts';
import { Invalidator } from './invalidator.ts';
import type { PageRequest, PparSource } from './pri-queue.ts';
import { PriQueue } from './pri-queue.ts';
import { PAGE_1, REGISTER_BYTES } from './register-block.ts';
import { RegisterInterface } from './register-interface.ts';
import type { RequestMarks } from './tlb-scope.ts';

export interface InterfaceOptions {
  /**
   * Invalidation commands that may be consumed before they are done; 0 if absent. They are done in any order, before the next CMD_SYNC completes (4.7.3).
   * Where requests are taken in steps only.
   */
  readonly fetchAhead?: number;
  /** CMD_ATC_INV that can be under way at once (IDR0.ATS); 2 if absent. Where requests are taken in steps only. */
  readonly atcInvalidations?: number;
}

export class ProgrammingInterface {
  /** What steps by itself: Updates of registers, the command queue, invalidations under way. */
  readonly agents: readonly Agent[];
  private readonly registers: RegisterInterface;
  private readonly pri: PriQueue | null;
  private readonly settling: Settling;

  /** @param ppar asked for the PASID of answers to page requests that an overflow discards; called with IDR0.PRI only */
  constructor(core: SmmuCore, marks: RequestMarks, ppar: PparSource, options: InterfaceOptions = {}) {
    const control = new GlobalControl(core);
    this.registers = new RegisterInterface(core, control);
    this.pri = core.has.idr0.PRI === 1 ? new PriQueue(core, ppar) : null;
    const { fetchAhead = 0, atcInvalidations = 2 } = options;
    const commands = new CommandQueue(core, new Invalidator(core, marks), this.pri, { fetchAhead, atcInvalidations });
    this.agents = [control.agent, ...commands.agents];
    this.settling = new Settling(this.agents);
  }

  /** Bytes from offset 0 to the end of the last register. */
  get registerBytes(): number {
    return PAGE_1 + REGISTER_BYTES;
  }

  /** Reads registers; see {@link RegisterInterface.read}. */
  read(offset: number, size: number): ReadValue {
    return this.registers.read(offset, size);
  }

  /** Writes registers; see {@link RegisterInterface.write}. What that sets off are steps of {@link agents}. */
  write(offset: number, size: number, lo: number, hi: number): void {
    this.registers.write(offset, size, lo, hi);
  }

  /** Takes all steps that can be taken. */
  settle(): void {
    this.settling.run();
  }

  /** A page request message of a device (chapter 8). @returns whether it is in the page request queue; never without IDR0.PRI */
  pageRequest({ ssid, ...rest }: PageRequest): boolean {
    return this.pri?.receive({ ...rest, pasid: ssid }) === true;
  }
}
