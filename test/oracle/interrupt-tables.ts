/** Which entry an interrupt of a script is remapped by, as the table is when it is sent (VT-d 5.1.3). */
import type { Op, Script } from './script.ts';

export interface Interrupt {
  /** In compatibility format, which has no entry. */
  readonly isCompatible: boolean;
  /** Handle and subhandle added up: 17 bits. */
  readonly index: number;
  /** Halves of the entry; 0 where there is none. */
  readonly lo: bigint;
  readonly hi: bigint;
  /** x2APIC mode. */
  readonly isExtended: boolean;
}

type Msi = Extract<Op, { readonly op: 'msi' }>;

/** State that software has set up to an operation. */
interface Setup {
  readonly memory: ReadonlyMap<number, bigint>;
  /** IRTA as SIRTP took it. */
  readonly irta: bigint;
  readonly isOn: boolean;
}

function setupOf(script: Script, op: number): Setup {
  const memory = new Map<number, bigint>();
  let irta = 0n;
  let isOn = false;
  for (const each of script.slice(0, op)) {
    if (each.op === 'store') memory.set(each.at, each.value);
    else if (each.op === 'sirtp') irta = each.value;
    else if (each.op === 'ire') isOn = each.on === 1;
  }
  return { memory, irta, isOn };
}

/** Whether interrupts are remapped when an operation is done. */
export function isRemapping(script: Script, op: number): boolean {
  return setupOf(script, op).isOn;
}

/** @returns null where the operation is no interrupt, or interrupts are not remapped */
export function lookInterrupt(script: Script, op: number): Interrupt | null {
  if (script[op]?.op !== 'msi') return null;
  const { address, data } = script[op] as Msi;
  const { memory, irta, isOn } = setupOf(script, op);
  if (!isOn) return null;
  const handle = ((address >>> 5) & 0x7fff) | (((address >>> 2) & 1) << 15);
  const index = (address & 8) !== 0 ? handle + data : handle;
  const at = Number(irta & ~0xfffn) + 16 * index;
  const isCompatible = (address & 0x10) === 0;
  const [lo, hi] = [at, at + 8].map((word) => memory.get(word) ?? 0n);
  return { isCompatible, index, lo, hi, isExtended: (irta & 0x800n) !== 0n };
}
