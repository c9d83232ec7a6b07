/** How an SMMU interrupts (IHI 0070, 3.18): wires, which are pulsed, and MSIs, which are writes of 32 bits. */
import { hex64 } from '../../bits/index.ts';
import { store32 } from '../kit/words.ts';
import type { SmmuCore } from './core.ts';
import { raiseGlobalError } from './global-errors.ts';
import {
  EVENTQ_IRQ_CFG0,
  EVENTQ_IRQ_CFG1,
  GERROR,
  GERROR_IRQ_CFG0,
  GERROR_IRQ_CFG1,
  IRQ_CTRLACK,
  PRIQ_IRQ_CFG0,
  PRIQ_IRQ_CFG1,
} from './registers.ts';

/** A wire of its own each (3.18.2). */
export type InterruptLine = 'gerror' | 'eventq' | 'priq' | 'cmd-sync';

/** Takes an MSI where no memory is: a write of `data`. Both halves of the address are unsigned. @returns whether somebody decodes the address */
export type SmmuMessageSink = (addressHi: number, addressLo: number, data: number) => boolean;

interface Source {
  readonly line: InterruptLine;
  readonly enable: typeof IRQ_CTRLACK.GERROR_IRQEN;
  readonly address: typeof GERROR_IRQ_CFG0 | typeof EVENTQ_IRQ_CFG0 | typeof PRIQ_IRQ_CFG0;
  readonly data: typeof GERROR_IRQ_CFG1 | typeof EVENTQ_IRQ_CFG1 | typeof PRIQ_IRQ_CFG1;
  /** The error that an aborted MSI is. */
  readonly aborted: typeof GERROR.MSI_GERROR_ABT_ERR;
}

export const GERROR_INTERRUPT: Source = {
  line: 'gerror',
  enable: IRQ_CTRLACK.GERROR_IRQEN,
  address: GERROR_IRQ_CFG0,
  data: GERROR_IRQ_CFG1,
  aborted: GERROR.MSI_GERROR_ABT_ERR,
};

export const EVENTQ_INTERRUPT: Source = {
  line: 'eventq',
  enable: IRQ_CTRLACK.EVENTQ_IRQEN,
  address: EVENTQ_IRQ_CFG0,
  data: EVENTQ_IRQ_CFG1,
  aborted: GERROR.MSI_EVENTQ_ABT_ERR,
};

export const PRIQ_INTERRUPT: Source = {
  line: 'priq',
  enable: IRQ_CTRLACK.PRIQ_IRQEN,
  address: PRIQ_IRQ_CFG0,
  data: PRIQ_IRQ_CFG1,
  aborted: GERROR.MSI_PRIQ_ABT_ERR,
};

/** Something happened of which a source tells, if it is enabled: the Update of its enable has completed (6.3.16). */
export function interrupt(core: SmmuCore, source: Source): void {
  const { regs } = core;
  if (regs.get(IRQ_CTRLACK, source.enable) === 0) return;
  const { offset } = source.address;
  core.pulse(source.line);
  sendMsi(
    core,
    source.line,
    regs.read32(offset + 4),
    regs.read32(offset),
    regs.read32(source.data.offset),
    source.aborted,
  );
}

/** The MSI of a source; none where its address is 0. @param hi, lo halves of the field that has the address */
export function sendMsi(
  core: SmmuCore,
  line: InterruptLine,
  hi: number,
  lo: number,
  data: number,
  aborted: Source['aborted'],
): void {
  const [addressHi, addressLo] = [hi & MSI_HI, lo & MSI_LO];
  // The check for 0 is of the whole field, whatever the physical address size (4.7.3).
  if (!core.writesMsis || (addressHi | addressLo) === 0) return;
  const at = addressHi & core.addressHiMask;
  if (core.telling) core.say(`${line} interrupt: writes 0x${(data >>> 0).toString(16)} to ${hex64(addressLo, at)}`);
  const written = store32(core.memory, at, addressLo, data) || core.message?.(at >>> 0, addressLo >>> 0, data) === true;
  if (!written) raiseGlobalError(core, aborted);
}

/** Bits 55:2 of an address. */
const MSI_HI = 0x00ffffff;
const MSI_LO = ~3;
