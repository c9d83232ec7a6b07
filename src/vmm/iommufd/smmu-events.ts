/** What becomes of an SMMU's events: a guest is told, user space answers, or nobody (arm_smmu_handle_event, arm_smmu_page_response of Linux). */
import { encodeHalves, get, join } from '../../bits/index.ts';
import { CMD_RESUME } from '../../iommu/smmuv3/commands.ts';
import * as events from '../../iommu/smmuv3/event-structures.ts';
import type { ArmVsmmu } from './arm-vsmmu.ts';
import type { Errno } from './errno.ts';
import { PGFAULT_PERM, VEVENTQ_TYPE } from './flags.ts';
import type { HostDevice, HostDomain, PageFault } from './hardware.ts';
import { bytesOf } from './user-array.ts';

const { F_TRANSLATION } = events;
const { EXEC, PRIV, READ, WRITE } = PGFAULT_PERM;

/** Numbers of events that a guest may be told of. */
const GUEST_EVENTS: readonly number[] = [
  ...[events.C_BAD_STE, events.F_STREAM_DISABLED, events.C_BAD_SUBSTREAMID, events.C_BAD_CD],
  ...[events.F_TRANSLATION, events.F_ADDR_SIZE, events.F_ACCESS, events.F_PERMISSION],
].map(({ ID }) => ID.fixed as number);

/** A device that was attached or detached at least once. */
export interface Master {
  readonly device: HostDevice;
  readonly domain: HostDomain | null;
  /** Who has it behind a nested domain. */
  readonly guest: { readonly vsmmu: ArmVsmmu; readonly vsid: number } | null;
}

/**
 * A guest is told of what its own stage 1 has done, under its own StreamID; a stall is a page request.
 * @param event as halves; not changed. @param master of its StreamID; absent: nobody
 * @param run issues commands of the kernel's
 * @returns EOPNOTSUPP for what the host keeps for itself, EINVAL for a stall that nobody takes, and for a StreamID of nobody
 */
export function handleEvent(
  event: Int32Array,
  master: Master | undefined,
  run: (command: Int32Array) => void,
): Errno | null {
  if (!GUEST_EVENTS.includes(event[0] & 0xff)) return 'EOPNOTSUPP';
  if (master === undefined) return 'EINVAL';
  if (get(F_TRANSLATION.Stall, event) === 1) return handleStall(event, master, run);
  const { guest } = master;
  const isStage2 = get(F_TRANSLATION.S2, event) === 1;
  if (guest === null || isStage2) return 'EOPNOTSUPP';
  const copy = Int32Array.from(event);
  copy[1] = guest.vsid | 0;
  return guest.vsmmu.listener?.(VEVENTQ_TYPE.ARM_SMMUV3, bytesOf(copy)) ?? null;
}

/**
 * What nobody takes is aborted. Not where firmware does not say that the device can stall: the driver then sends no CMD_RESUME at all, and the
 * transaction waits for ever, as it does where a guest's CD made it stall.
 */
function handleStall(event: Int32Array, { device, domain }: Master, run: (command: Int32Array) => void): Errno | null {
  const StreamID = device.sid;
  const STAG = get(F_TRANSLATION.STAG, event);
  const respond = (success: boolean) => {
    if (device.stalls === true) run(encodeHalves(CMD_RESUME, { StreamID, STAG, ...(success ? { Ac: 1 } : { Ab: 1 }) }));
  };
  const fault = faultOf(event);
  // SubstreamIDs are a guest's own business only.
  const takes = device.stalls === true && domain !== null && (fault.pasid === null || domain.kind === 'nested');
  if (takes && domain.faultHandler?.({ device, index: STAG, faults: [fault], respond }) === true) return null;
  respond(false);
  return 'EINVAL';
}

function faultOf(event: Int32Array): PageFault {
  const has = (field: typeof F_TRANSLATION.RnW) => get(field, event) === 1;
  const { InD, PnU, RnW, SSV, SubstreamID } = F_TRANSLATION;
  return {
    pasid: has(SSV) ? get(SubstreamID, event) : null,
    address: join(event[4], event[5]),
    perm: (has(RnW) ? READ : WRITE) | (has(InD) ? EXEC : 0) | (has(PnU) ? PRIV : 0),
  };
}
