/** What a device's translation request is answered (PCI Express ATS 10.2.3), as far as all IOMMUs say the same. */

/** Status of a translation completion. */
export const ANSWER_STATUS = { success: 0, unsupportedRequest: 1, completerAbort: 2 } as const;

/** Always the same object, overwritten by the next request. */
export class TranslationAnswer {
  /** See {@link ANSWER_STATUS}; what follows means something with success only. */
  status: number = ANSWER_STATUS.success;
  read = false;
  write = false;
  privileged = false;

  /** Success, and no access. */
  clear(): void {
    this.status = ANSWER_STATUS.success;
    this.read = false;
    this.write = false;
    this.privileged = false;
  }
}
