/** Page request group responses to devices (IHI 0070, 4.5.2, 8.3). */

/** CMD_PRI_RESP.Resp; 3 is reserved. */
export const RESP = { failure: 0, invalidRequest: 1, success: 2 } as const;

/** Response code of the message (PCI Express ATS 10.4.2; 8.3). */
export const RESPONSE_CODE = { success: 0, invalidRequest: 1, failure: 15 } as const;

/** By {@link RESP}. */
export const CODE_OF_RESP: readonly number[] = [
  RESPONSE_CODE.failure,
  RESPONSE_CODE.invalidRequest,
  RESPONSE_CODE.success,
];

/** What a device gets back. @param ssid −1: without PASID. @param code see {@link RESPONSE_CODE} */
export type PageResponseSink = (sid: number, ssid: number, group: number, code: number) => void;
