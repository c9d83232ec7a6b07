/** The SMMU that a CMDQ-V stands beside: what is taken from its queues is done there. */
import type { Agent } from '../../machine/index.ts';
import { bdf } from '../../machine/index.ts';
import { AtcInvalidations } from '../kit/atc-invalidations.ts';
import { sendAtcInvalidation } from '../smmuv3/atc-command.ts';
import { illegal } from '../smmuv3/command-checks.ts';
import type { SmmuCore } from '../smmuv3/core.ts';
import { Invalidator } from '../smmuv3/invalidator.ts';
import type { RequestMarks } from '../smmuv3/tlb-scope.ts';

export interface CommandTarget {
  /** What steps by itself: invalidations of devices' caches that are under way. */
  readonly agents: readonly Agent[];
  /** Why a command is illegal there, or null (IHI 0070, 4.1.3). */
  illegal(command: Int32Array): string | null;
  /** Does an invalidation of translations. */
  invalidate(command: Int32Array): void;
  /** Sends CMD_ATC_INV; only where {@link hasRoom}. */
  invalidateAtc(command: Int32Array): void;
  readonly hasRoom: boolean;
  /** Whether a CMD_SYNC has to wait (3.21). */
  isHeld(): boolean;
  /** Whether a CMD_ATC_INV was not completed in time; tells of it once (3.9.1.4). */
  takeTimeout(): boolean;
  say(text: string): void;
  readonly telling: boolean;
}

/** Of the SMMU's model. Its own command queue has other places for CMD_ATC_INV: a CMD_SYNC waits for those of its own side only. */
export class SmmuTarget implements CommandTarget {
  readonly agents: readonly Agent[];
  private readonly core: SmmuCore;
  private readonly invalidator: Invalidator;
  private readonly atc: AtcInvalidations;
  /** Word of the state: a CMD_ATC_INV has timed out. */
  private readonly failed: number;

  /** @param places CMD_ATC_INV that can be under way at once, in steps */
  constructor(core: SmmuCore, marks: RequestMarks, places = 2) {
    this.core = core;
    this.invalidator = new Invalidator(core, marks);
    this.failed = core.arena.region(`${core.name}.cmdqv`, ['atcFailed']).base;
    this.atc = new AtcInvalidations(core, {
      ...{
        region: `${core.name}.cmdqv.atc`,
        name: 'ATC invalidation of CMDQ-V',
        sink: core.parts.invalidateAtc,
        places,
      },
      timesOut: core.atcTimesOut,
      onTimeOut: (sid) => {
        core.arena.set(this.failed, 1);
        if (core.telling) core.say(`the ATC invalidation of ${bdf(sid)} has timed out`);
      },
    });
    this.agents = this.atc.agents;
  }

  illegal(command: Int32Array): string | null {
    return illegal(command, this.core.has, this.core.profile.refuses);
  }

  invalidate(command: Int32Array): void {
    this.invalidator.execute(command);
  }

  invalidateAtc(command: Int32Array): void {
    sendAtcInvalidation(this.core, this.atc, command);
  }

  get hasRoom(): boolean {
    return this.atc.hasRoom || !this.core.enabled;
  }

  isHeld(): boolean {
    return this.core.isHeld() || (this.core.profile.syncWaits && this.atc.isBusy);
  }

  takeTimeout(): boolean {
    const { arena } = this.core;
    if (arena.words[this.failed] === 0) return false;
    arena.set(this.failed, 0);
    return true;
  }

  say(text: string): void {
    this.core.say(text);
  }

  get telling(): boolean {
    return this.core.telling;
  }
}
