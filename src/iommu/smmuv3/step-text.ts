/** What a step of a translation has read, in words. */
import { hex, hex64 } from '../../bits/index.ts';
import { bdf } from '../../machine/index.ts';
import type { Walker } from './nested.ts';
import type { Translation } from './translation.ts';
import { TASK } from './translation.ts';

/** @param task that was done. @param level of the descriptor that it has read. @param hi where, as halves */
export function textOf(t: Translation, task: number, level: number, hi: number, lo: number, walker: Walker): string {
  const at = hex64(lo, hi);
  const of = `${bdf(t.sid)}${t.ssid < 0 ? '' : ` substream ${hex(t.ssid)}`}`;
  switch (task) {
    case TASK.l1std:
      return `reads the level-1 stream table descriptor at ${at}`;
    case TASK.ste:
      return `reads the STE of ${of} at ${at}: ${hex64(walker.steHalves[0], walker.steHalves[1])}`;
    case TASK.l1cd:
      return `reads the level-1 context descriptor at ${at}`;
    case TASK.cd:
      return `reads the CD of ${of} at ${at}: ASID ${t.id & 0xffff}`;
    case TASK.second:
      return `reads level ${level} of stage 2 at ${at}: ${hex64(t.second.lo, t.second.hi)}`;
    default:
      return `reads level ${level} of stage 1 at ${at}: ${hex64(t.first.lo, t.first.hi)}`;
  }
}
