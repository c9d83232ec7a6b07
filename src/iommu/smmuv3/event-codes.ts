/** Event numbers by name (IHI 0070, 7.3), for what raises them. */
import { EVENTS } from './events.ts';

type EventName =
  | 'F_UUT'
  | 'C_BAD_STREAMID'
  | 'F_STE_FETCH'
  | 'C_BAD_STE'
  | 'F_BAD_ATS_TREQ'
  | 'F_STREAM_DISABLED'
  | 'F_TRANSL_FORBIDDEN'
  | 'C_BAD_SUBSTREAMID'
  | 'F_CD_FETCH'
  | 'C_BAD_CD'
  | 'F_WALK_EABT'
  | 'F_TRANSLATION'
  | 'F_ADDR_SIZE'
  | 'F_ACCESS'
  | 'F_PERMISSION'
  | 'F_TLB_CONFLICT'
  | 'F_CFG_CONFLICT'
  | 'E_PAGE_REQUEST'
  | 'F_VMS_FETCH';

export const EVENT = Object.fromEntries(
  Object.entries(EVENTS).map(([number, event]) => [event.name, Number(number)]),
) as Readonly<Record<EventName, number>>;

/** The four that CD.{A,R,S} and STE.{S2R,S2S} decide about (3.12, 5.5). */
export function isTranslationRelated(event: number): boolean {
  return event >= EVENT.F_TRANSLATION && event <= EVENT.F_PERMISSION;
}
