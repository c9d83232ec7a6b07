/** Reasons for which interrupt requests are blocked (VT-d 5.1.4.1, table 15). */

export const INTERRUPT_FAULT = {
  requestReserved: 0x20,
  index: 0x21,
  notPresent: 0x22,
  tableAddress: 0x23,
  entryReserved: 0x24,
  compatibilityBlocked: 0x25,
  sourceId: 0x26,
  /** The next two are of posting. */
  descriptorAddress: 0x27,
  descriptorReserved: 0x28,
  /** What goes to the interrupt range and is no interrupt. */
  notAnInterrupt: 0x29,
  /** EIME is 0, and the unit has only extended mode (ECAP.EIMER). */
  modeRequired: 0x2a,
  /** Remapping is off, and the unit requires it (ECAP.IRREQ). */
  remappingRequired: 0x2b,
} as const;

export const INTERRUPT_FAULT_TEXT: Readonly<Record<number, string>> = {
  32: 'reserved bit set in the interrupt request',
  33: 'interrupt index beyond the table, or entry beyond the host address width',
  34: 'interrupt remapping entry not present',
  35: 'the interrupt remapping table could not be read',
  36: 'reserved bit set in the interrupt remapping entry',
  37: 'compatibility format is blocked',
  38: 'the requester may not use the interrupt remapping entry',
  39: 'the posted interrupt descriptor could not be read',
  40: 'reserved bit set in the posted interrupt descriptor',
  41: 'a request to the interrupt range that is no interrupt',
  42: 'extended interrupt mode is required',
  43: 'interrupt remapping is required',
};

/** Reasons that FPD of the entry suppresses (table 15, column "qualified"). */
export function isQualifiedInterrupt(reason: number): boolean {
  return (
    reason === INTERRUPT_FAULT.notPresent ||
    reason === INTERRUPT_FAULT.entryReserved ||
    reason === INTERRUPT_FAULT.sourceId ||
    reason === INTERRUPT_FAULT.descriptorAddress ||
    reason === INTERRUPT_FAULT.descriptorReserved
  );
}

/** Whether FRCD.FI holds the interrupt index; with the other reasons it is undefined (11.4.7.6), here 0. */
export function hasInterruptIndex(reason: number): boolean {
  return (
    reason !== INTERRUPT_FAULT.requestReserved &&
    reason !== INTERRUPT_FAULT.compatibilityBlocked &&
    reason < INTERRUPT_FAULT.notAnInterrupt
  );
}
