/** The recording of faults (VT-d 7.2). Clauses: VT-d specification, revision 5.10. */
import type { VtdCore } from './core.ts';
import { INTERNAL } from './core.ts';
import { FAULT_EVENT, hasUnservicedFault, raiseEvent } from './events.ts';
import { FSTS } from './registers.ts';
import { PAGE_REQUEST, REQUEST } from './request.ts';
import type { Walk } from './walk.ts';

/** What became of a fault. */
export type Recording = 'recorded' | 'overflow' | 'collapsed';

/**
 * Records a fault in the order of VT-d 7.2.1: while PFO is set it is lost; where a fault of the same requester is pending and the
 * implementation collapses those, too; where the next record is in use, PFO is set. Records are used in turn.
 * @param interruptIndex of an interrupt request, whose address is not recorded; 0 where it has none
 */
export function recordFault(core: VtdCore, walk: Walk, interruptIndex = -1): Recording {
  const { regs, has } = core;
  if (regs.get(FSTS, FSTS.PFO) !== 0) return 'overflow';
  if (core.profile.collapsesFaults && hasPendingFault(core, walk.sid)) return 'collapsed';
  const at = core.internal.base + INTERNAL.faultIndex;
  const index = core.arena.words[at];
  const { LO, HI } = has.records[index];
  if (regs.get(HI, HI.F) !== 0) {
    regs.put(FSTS, FSTS.PFO, 1);
    return 'overflow';
  }
  const isNews = !hasUnservicedFault(core);
  // FI is the page address, vpn · 4096; its bits from the widest table's width on are reserved (11.4.7.6).
  const isInterrupt = interruptIndex >= 0;
  regs.force32(LO.offset, isInterrupt ? 0 : (walk.vpnLo << 12) | (walk.vpnHi << 30));
  regs.force32(LO.offset + 4, isInterrupt ? interruptIndex << 16 : (walk.vpnHi >>> 2) & (2 ** (has.widest - 32) - 1));
  regs.force32(HI.offset, walk.sid);
  regs.force32(HI.offset + 4, 0);
  regs.put(HI, HI.FR, recordedReason(core, walk));
  regs.put(HI, HI.T1, walk.access === REQUEST.write || walk.access === PAGE_REQUEST ? 0 : 1);
  regs.put(HI, HI.T2, walk.access === REQUEST.atomic || walk.access === PAGE_REQUEST ? 1 : 0);
  if (core.has.ecap.DT === 1) regs.put(HI, HI.AT, walk.at);
  // Reserved without ECAP.PASID; EXE is about reads.
  if (walk.pasid >= 0 && has.ecap.PASID === 1) {
    regs.put(HI, HI.PV, walk.pasid);
    regs.put(HI, HI.PP, 1);
    regs.put(HI, HI.PRIV, walk.privileged ? 1 : 0);
    regs.put(HI, HI.EXE, walk.execute && walk.access === REQUEST.read ? 1 : 0);
  }
  if (regs.get(FSTS, FSTS.PPF) === 0) regs.put(FSTS, FSTS.FRI, index);
  regs.put(HI, HI.F, 1);
  regs.put(FSTS, FSTS.PPF, 1);
  core.arena.set(at, (index + 1) % has.records.length);
  if (isNews) raiseEvent(core, FAULT_EVENT);
  return 'recorded';
}

/** What FRCD.FR says of the fault of a walk. */
function recordedReason(core: VtdCore, walk: Walk): number {
  const found = core.profile.recordedReasons.find(({ reason }) => reason === walk.fault);
  const { ecap } = core.has;
  if (found === undefined || (found.secondStage === true && ecap.FSTS === 1)) return walk.fault;
  if (found.scalableUnit === true && ecap.SMTS !== 1) return walk.fault;
  return walk.access === REQUEST.write ? found.recorded : (found.ofReads ?? found.recorded);
}

/** Whether a record in use names the requester. */
function hasPendingFault(core: VtdCore, sid: number): boolean {
  for (const { HI } of core.has.records)
    if (core.regs.get(HI, HI.F) !== 0 && core.regs.get(HI, HI.SID) === sid) return true;
  return false;
}

/** PPF is the OR of the records' F bits (VT-d 11.4.7.1). */
export function refreshPending(core: VtdCore): void {
  const { regs } = core;
  regs.put(FSTS, FSTS.PPF, core.has.records.some(({ HI }) => regs.get(HI, HI.F) !== 0) ? 1 : 0);
}
