/** The command queue (IHI 0070, chapter 4, 7.1): fetching commands, refusing bad ones, doing the others; CMD_SYNC waits for what its clause says. */
import { get, hex64 } from '../../bits/index.ts';
import type { Agent } from '../../machine/index.ts';
import { bdf } from '../../machine/index.ts';
import { ATC_INVALIDATION_STEPS, AtcInvalidations } from '../kit/atc-invalidations.ts';
import { HeldCommands } from '../kit/held-commands.ts';
import { readEntry } from '../kit/words.ts';
import { sendAtcInvalidation } from './atc-command.ts';
import { illegal } from './command-checks.ts';
import {
  CERROR,
  CMD_ATC_INV,
  CMD_PRI_RESP,
  CMD_RESUME,
  CMD_STALL_TERM,
  CMD_SYNC,
  COMMAND_BYTES,
  commandName,
} from './commands.ts';
import type { SmmuCore } from './core.ts';
import { INTERNAL } from './core.ts';
import { isActive, raiseGlobalError } from './global-errors.ts';
import { sendMsi } from './interrupts.ts';
import type { Invalidator } from './invalidator.ts';
import type { PriQueue } from './pri-queue.ts';
import { entriesIn, entryOf, isFull, isInconsistent, next } from './queue-index.ts';
import { entryAddress, log2Of } from './queue-memory.ts';
import { CMDQ_BASE, CMDQ_CONS, CMDQ_PROD } from './queue-registers.ts';
import { CR0ACK, GERROR } from './registers.ts';
import { STALL } from './stalls.ts';

/** CMDQ_CONS.ERR (7.1). */
const ERR = { ill: 1, abort: 2, atcInvSync: 3 } as const;

/** CMD_SYNC.CS (4.7.3). */
const SIGNAL = { irq: 1, sev: 2 } as const;

const OP = {
  ATC_INV: CMD_ATC_INV.OPCODE.fixed,
  PRI_RESP: CMD_PRI_RESP.OPCODE.fixed,
  RESUME: CMD_RESUME.OPCODE.fixed,
  STALL_TERM: CMD_STALL_TERM.OPCODE.fixed,
  SYNC: CMD_SYNC.OPCODE.fixed,
} as const;

/** Halves of a command. */
const HALVES = COMMAND_BYTES / 4;

export interface CommandQueueOptions {
  /** Invalidations that may be consumed before they are done, in steps: they are done in any order, before the next CMD_SYNC (4.7.3). */
  readonly fetchAhead: number;
  /** CMD_ATC_INV that can be under way at once, in steps. */
  readonly atcInvalidations: number;
}

export class CommandQueue {
  readonly agents: readonly Agent[];
  private readonly core: SmmuCore;
  private readonly invalidator: Invalidator;
  private readonly pri: PriQueue | null;
  private readonly command = new Int32Array(HALVES);
  /** Null without IDR0.ATS. */
  private readonly atc: AtcInvalidations | null;
  /** Invalidations that are consumed and not done: they have no order among each other (4.7.3). */
  private readonly consumed: HeldCommands;

  /** @param pri null without IDR0.PRI */
  constructor(core: SmmuCore, invalidator: Invalidator, pri: PriQueue | null, options: CommandQueueOptions) {
    this.core = core;
    this.invalidator = invalidator;
    this.pri = pri;
    this.atc = core.has.idr0.ATS === 1 ? this.makeAtc(options.atcInvalidations) : null;
    const ahead = core.dma === null ? 0 : options.fetchAhead;
    this.consumed = new HeldCommands(core.arena, 'smmu.consumed', HALVES, ahead, false);
    // Each may write an MSI.
    core.dma?.otherWrites.push(() => this.waiting());
    this.agents = [this.agent(), ...(this.atc?.agents ?? [])];
  }

  private makeAtc(places: number): AtcInvalidations {
    const { core } = this;
    return new AtcInvalidations(core, {
      ...{ region: 'smmu.atc', name: 'ATC invalidation', sink: core.parts.invalidateAtc, places },
      timesOut: core.atcTimesOut,
      // 3.9.1.4: the next CMD_SYNC tells of it.
      onTimeOut: (sid) => {
        core.setInternal(INTERNAL.atcFailed, 1);
        if (core.telling) core.say(`the ATC invalidation of ${bdf(sid)} has timed out`);
      },
    });
  }

  private agent(): Agent {
    const { core } = this;
    const each = 1 + (this.atc === null ? 0 : ATC_INVALIDATION_STEPS) + (this.consumed.places > 0 ? 1 : 0);
    return {
      name: `${core.name} command queue`,
      lane: 'iommu',
      sparesSoftware: true,
      choices: () => this.fetchChoices() + this.consumed.count,
      left: () => each * this.waiting() + this.consumed.count,
      step: (choice) => {
        const fetches = this.fetchChoices();
        if (choice < fetches) this.fetch(choice > 0);
        else {
          this.consumed.take(choice - fetches, this.command);
          this.execute();
        }
      },
    };
  }

  private log2(): number {
    return log2Of(this.core.regs.read32(CMDQ_BASE.offset), this.core.has.idr1.CMDQS);
  }

  private cons(): number {
    return this.core.regs.get(CMDQ_CONS, CMDQ_CONS.RD);
  }

  /** Commands that can be fetched; none while the indexes are what they cannot be (3.5.1: may stop until they are). */
  private waiting(): number {
    const { core } = this;
    const { regs } = core;
    if (regs.get(CR0ACK, CR0ACK.CMDQEN) === 0 || isActive(core, GERROR.CMDQ_ERR)) return 0;
    const [prod, cons, log2] = [regs.get(CMDQ_PROD, CMDQ_PROD.WR), this.cons(), this.log2()];
    if (core.profile.losesCommandWrap) return (prod - cons) & ((1 << log2) - 1);
    if (core.profile.guardsRegisters && isInconsistent(prod, cons, log2)) return 0;
    return entriesIn(prod, cons, log2);
  }

  /** In how many ways the command at the head can be consumed: it is done at once, or, where there is room, consumed first. */
  private fetchChoices(): number {
    if (this.waiting() === 0) return 0;
    if (!this.read()) return 1;
    const op = this.opcode();
    if (op === OP.SYNC) return this.isSyncHeld() ? 0 : 1;
    if (op === OP.ATC_INV && this.atc?.hasRoom === false && this.core.enabled) return 0;
    return this.mayWait(op) ? 2 : 1;
  }

  private mayWait(op: number): boolean {
    return this.consumed.hasRoom && this.invalidator.takes(op) && this.refusal() === null;
  }

  private isSyncHeld(): boolean {
    if (this.consumed.count > 0) return true;
    return this.core.isHeld() || (this.core.profile.syncWaits && this.atc?.isBusy === true);
  }

  private opcode(): number {
    return this.command[0] & 0xff;
  }

  /** Reads the command at the head. @returns false where nothing decodes */
  private read(): boolean {
    const { core } = this;
    const log2 = this.log2();
    const [hi, lo] = [core.regs.read32(CMDQ_BASE.offset + 4), core.regs.read32(CMDQ_BASE.offset)];
    const address = entryAddress(hi, lo, core.addressHiMask, log2, COMMAND_BYTES, entryOf(this.cons(), log2));
    return readEntry(core.memory, address, this.command);
  }

  private refusal(): string | null {
    const { has, profile } = this.core;
    return profile.ignoredCommands.includes(this.opcode()) ? null : illegal(this.command, has, profile.refuses);
  }

  /** Consumes the command at the head. @param later it is an invalidation, and done later */
  private fetch(later: boolean): void {
    if (!this.read()) return this.error(ERR.abort, 'it could not be read');
    const { command, core } = this;
    const refusal = this.refusal();
    if (refusal !== null) {
      const raw = `${hex64(command[2], command[3])}:${hex64(command[0], command[1])}`;
      return this.error(ERR.ill, `${commandName(this.opcode()) ?? 'no command'} ${raw}: ${refusal}`);
    }
    if (this.opcode() === OP.SYNC && core.getInternal(INTERNAL.atcFailed) !== 0 && core.profile.syncWaits) {
      core.setInternal(INTERNAL.atcFailed, 0);
      return this.error(ERR.atcInvSync, 'CMD_SYNC: an ATC invalidation before it was not completed');
    }
    this.advance();
    if (later) return this.keep();
    this.execute();
  }

  private advance(): void {
    const { core } = this;
    const { regs } = core;
    const log2 = this.log2();
    const [prod, cons] = [regs.get(CMDQ_PROD, CMDQ_PROD.WR), this.cons()];
    const behind = next(cons, log2);
    regs.put(CMDQ_CONS, CMDQ_CONS.RD, core.profile.losesCommandWrap ? entryOf(behind, log2) : behind);
    // 4.1.2: who waits for room is woken.
    if (core.has.idr0.SEV === 1 && isFull(prod, cons, log2)) core.parts.sendEvent?.();
  }

  /** Consumption stops at the command; first the code, then the error (7.1). */
  private error(code: number, what: string): void {
    const { core } = this;
    core.regs.put(CMDQ_CONS, CMDQ_CONS.ERR, code);
    if (core.telling) core.say(`command queue error ${CERROR[code].name}: ${what}; CMDQ_CONS stays`);
    raiseGlobalError(core, GERROR.CMDQ_ERR);
  }

  private keep(): void {
    this.consumed.add(this.command);
    if (this.core.telling) this.core.say(`${commandName(this.opcode())} is consumed, and not done yet`);
  }

  private execute(): void {
    const { command, core } = this;
    const op = this.opcode();
    if (core.profile.ignoredCommands.includes(op)) {
      if (core.telling) core.say(`${commandName(op)} is ignored`);
      return;
    }
    if (this.invalidator.takes(op)) return this.invalidator.execute(command);
    if (op === OP.SYNC) return this.sync();
    if (op === OP.ATC_INV) return sendAtcInvalidation(core, this.atc, command);
    if (op === OP.PRI_RESP) return this.pri?.answer(command);
    if (op === OP.RESUME) return this.resume();
    if (op === OP.STALL_TERM) {
      const count = core.stalls.terminate(get(CMD_STALL_TERM.StreamID, command));
      if (core.telling) core.say(`CMD_STALL_TERM: ${count} stalled transactions are terminated`);
    }
    // CMD_PREFETCH_*: nothing has to be prefetched (4.2.1, 4.2.2).
  }

  private resume(): void {
    const { command, core } = this;
    const { Ab, Ac, STAG, StreamID } = CMD_RESUME;
    const aborts = core.has.idr0.TERM_MODEL === 1 || get(Ab, command) === 1;
    const becomes = get(Ac, command) === 1 ? STALL.retry : aborts ? STALL.abort : STALL.razwi;
    const [sid, stag] = [get(StreamID, command), get(STAG, command)];
    const found = core.stalls.resume(sid, stag, becomes);
    if (!core.telling) return;
    const what = becomes === STALL.retry ? 'is retried' : 'is terminated';
    core.say(`CMD_RESUME of ${bdf(sid)}, STAG ${stag}: ${found ? `it ${what}` : 'nothing waits there'}`);
  }

  /** It is complete, and consumed, before it is told of (4.7.3). */
  private sync(): void {
    const { command, core } = this;
    core.noteOvertaken();
    if (core.telling) core.say('CMD_SYNC completes');
    if (!core.profile.signalsSync) return;
    const cs = get(CMD_SYNC.CS, command);
    if ((cs & SIGNAL.irq) !== 0) {
      core.pulse('cmd-sync');
      sendMsi(core, 'cmd-sync', command[3], command[2], command[1], GERROR.MSI_CMDQ_ABT_ERR);
    } else if (cs === SIGNAL.sev && core.has.idr0.SEV === 1) core.parts.sendEvent?.();
  }
}
