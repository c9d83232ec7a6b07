/** Page request group responses to devices (IHI 0070, 4.5.2, 8.3). */
import { RESPONSE_CODE } from '../kit/page-requests.ts';

/** CMD_PRI_RESP.Resp; 3 is reserved. */
export const RESP = { failure: 0, invalidRequest: 1, success: 2 } as const;

/** By {@link RESP}. */
export const CODE_OF_RESP: readonly number[] = [
  RESPONSE_CODE.failure,
  RESPONSE_CODE.invalidRequest,
  RESPONSE_CODE.success,
];
