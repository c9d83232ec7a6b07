/** AMD-Vi's interrupt remapping, through dumps (AMD-Vi 2.2.5). */
import { get } from '../../../bits/index.ts';
import { INVALID_REQUEST_TEXT } from '../../../iommu/amdvi/events.ts';
import { INTERRUPT_RANGE, IRTE_INDEX } from '../../../iommu/amdvi/interrupt-structures.ts';
import type { DecodedStructure } from '../../structure.ts';
import { bitsText, fieldOf } from '../../structure.ts';
import type { Reader } from '../reader.ts';
import { fail } from '../reader.ts';
import type { WalkAccess, WalkEnd } from '../walk.ts';
import { WalkRefused } from '../walk.ts';
import { EVENT, eventCode, pageFault } from './pages.ts';

/** DTE.IntCtl. */
const INT_CTL = { refused: 0, pass: 1, remapped: 2 } as const;
/** Largest DTE.IntTabLen that is none of the reserved ones. */
const LONGEST = 11;
/** INVALID_DEVICE_REQUEST.Type of a read of the interrupt range, and of a write that IntCtl refuses. */
const INVALID_TYPE = { read: 0, refused: 5 } as const;

export function isInterrupt(address: bigint): boolean {
  return address >= BigInt(INTERRUPT_RANGE.first) && address <= BigInt(INTERRUPT_RANGE.last);
}

/** @param data what the message writes @throws WalkRefused where the entry is found by it and it is not said */
export function interrupt(reader: Reader, dte: DecodedStructure, data: number | null, access: WalkAccess): WalkEnd {
  if (access === 'read') return invalid(INVALID_TYPE.read);
  if (fieldOf(dte, 'IV') === 0n) return { kind: 'interrupt', text: 'the interrupt passes as it is: IV = 0' };
  const control = Number(fieldOf(dte, 'IntCtl'));
  if (control === INT_CTL.refused) return invalid(INVALID_TYPE.refused);
  if (control === INT_CTL.pass) return { kind: 'interrupt', text: 'the interrupt passes as it is: IntCtl = 1' };
  if (control !== INT_CTL.remapped) return fail(eventCode(EVENT.illegalEntry), 'IntCtl 3 is reserved');
  const length = Number(fieldOf(dte, 'IntTabLen'));
  if (length > LONGEST) return fail(eventCode(EVENT.illegalEntry), `IntTabLen ${length} is reserved`);
  if (data === null)
    throw new WalkRefused('the address is of interrupts, whose entry is found by what they write: add --data N');
  const index = get(IRTE_INDEX, [data]);
  if (index >= 2 ** length) pageFault(`the interrupt table has ${2 ** length} entries, and none of number ${index}`);
  return remapped(entryOf(reader, fieldOf(dte, 'InterruptTableRoot'), index));
}

function invalid(type: keyof (typeof INVALID_REQUEST_TEXT)[0] & number): never {
  return fail(eventCode(EVENT.invalidRequest), INVALID_REQUEST_TEXT[0][type] as string);
}

/** Entries have 128 bits with CONTROL.GAEn. */
function entryOf(reader: Reader, table: bigint, index: number): DecodedStructure {
  const control = reader.tables.given.get('amdvi.control');
  if (control === undefined)
    reader.assumed.add('CONTROL.GAEn = 1: interrupt entries of 128 bits; a line "control: 0x…" makes it sure');
  const wide = control === undefined || fieldOf(control, 'GAEn') === 1n;
  const at = table + BigInt(index * (wide ? 16 : 4));
  return reader.read(wide ? 'amdvi.irte-128' : 'amdvi.irte', `interrupt entry ${index}`, at, { valid: 'RemapEn' });
}

function remapped(irte: DecodedStructure): WalkEnd {
  const quiet = fieldOf(irte, 'SupIOPF') === 1n;
  if (fieldOf(irte, 'RemapEn') === 0n) {
    if (quiet) return { kind: 'refused', text: 'refused without an event: RemapEn is 0, and SupIOPF is 1' };
    pageFault('RemapEn is 0');
  }
  const reserved = irte.reserved[0];
  if (reserved !== undefined) pageFault(`bits ${bitsText(reserved)} of the interrupt entry are reserved, and set`);
  const hex = (value: bigint) => `0x${value.toString(16)}`;
  const vector = hex(fieldOf(irte, 'Vector'));
  const narrow = fieldOf(irte, 'Destination');
  const wide = (fieldOf(irte, 'Destination_31_24') << 24n) | fieldOf(irte, 'Destination_23_0');
  const to = hex(irte.kind === 'amdvi.irte' ? narrow : wide);
  if (fieldOf(irte, 'GuestMode') === 1n) {
    if (irte.kind === 'amdvi.irte') pageFault('GuestMode is reserved in interrupt entries of 32 bits');
    const page = hex(fieldOf(irte, 'GuestVirtualAPICTableRoot'));
    return {
      kind: 'interrupt',
      text: `vector ${vector} into the virtual APIC page at ${page}; its processor is ${to}`,
    };
  }
  const named = (name: string) => irte.fields.find((field) => field.name === name)?.meaning ?? '';
  return { kind: 'interrupt', text: `vector ${vector} to APIC ${to} (${named('DM')}, ${named('IntType')})` };
}
