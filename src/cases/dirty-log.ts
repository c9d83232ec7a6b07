/**
 * Who copies a page that devices write to, as a migration does: after each report it copies what is reported, and no page that was written
 * before a report began may be left with what nobody has copied (invariant I7). A write that lands while the report is made may be in this
 * one or in the next.
 */
import { hex } from '../bits/index.ts';
import type { Machine, Program, SoftwareWord } from '../machine/index.ts';
import { FACT } from '../machine/index.ts';

export class DirtyLog {
  private readonly machine: Machine;
  private readonly addr: bigint;
  /** The page held something that was not copied when the report began. */
  private readonly owed: SoftwareWord;

  /** @param addr byte address of the page's word that devices write: not 0 means that it was written since it was copied */
  constructor(machine: Machine, addr: bigint) {
    this.machine = machine;
    this.addr = addr;
    this.owed = machine.word('owed');
  }

  private at(): number {
    return this.machine.memory.locate(Number(this.addr >> 12n), Number(this.addr & 0xfffn) >> 3);
  }

  /** Tracking begins: whatever was there has been copied. */
  begins(): Program {
    const { memory } = this.machine;
    return this.machine.note('tracking begins; the page is copied', 'after', () => memory.write(this.at(), 0, 0));
  }

  /** To be joined to the first step of a report. */
  asked(): Program {
    const { memory } = this.machine;
    return this.machine.note('a report is asked for', 'before', () => {
      this.owed.value = memory.lo(this.at()) === 0 ? 0 : 1;
    });
  }

  /** The report is there. @param reported whether the page is in it */
  *answered(reported: boolean): Program {
    const { facts, log, memory } = this.machine;
    const text = reported
      ? 'the report has the page: it is copied'
      : 'the report does not have the page: what is in it stays as it is';
    yield* this.machine.note('', 'after', () => {
      if (log.on) log.say('driver', text);
      if (reported) memory.write(this.at(), 0, 0);
      else if (this.owed.value === 1) {
        facts.bits |= FACT.lostDirty;
        if (log.on) log.say('memory', `a write to ${hex(this.addr)} that landed before is in no report`);
      }
      this.owed.value = 0;
    });
  }
}
