/** Protected memory (VT-d 11.4.8): two regions that no DMA reaches while PMEN.EPM is set, whether it is remapped or not. */
import type { VtdCore } from './core.ts';
import { PHMBASE, PHMLIMIT, PLMBASE, PLMLIMIT, PROTECTED_ALIGN_BITS } from './registers.ts';

/** Pages of an aligned block that the base and limit registers can tell apart. */
const BLOCK = 2 ** (PROTECTED_ALIGN_BITS - 12);

/**
 * Whether a page frame lies in a protected region; asked only while EPM is set. A limit register's low bits are taken as ones, a limit
 * below its base leaves the region empty.
 */
export function isProtected(core: VtdCore, pfnHi: number, pfnLo: number): boolean {
  const { regs, has } = core;
  const block = Math.floor((pfnHi * 0x100000 + pfnLo) / BLOCK);
  if (has.cap.PLMR === 1) {
    const first = regs.read32(PLMBASE.offset) >>> PROTECTED_ALIGN_BITS;
    if (block >= first && block <= regs.read32(PLMLIMIT.offset) >>> PROTECTED_ALIGN_BITS) return true;
  }
  return has.cap.PHMR === 1 && block >= blockOf(core, PHMBASE.offset) && block <= blockOf(core, PHMLIMIT.offset);
}

function blockOf(core: VtdCore, offset: number): number {
  const lo = core.regs.read32(offset) >>> PROTECTED_ALIGN_BITS;
  return (core.regs.read32(offset + 4) >>> 0) * 2 ** (32 - PROTECTED_ALIGN_BITS) + lo;
}
