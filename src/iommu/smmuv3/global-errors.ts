/** Global errors (IHI 0070, 7.5): active where a bit of GERROR differs from the one of GERRORN. */
import type { BitsField } from '../../bits/index.ts';
import type { SmmuCore } from './core.ts';
import { GLOBAL_ERRORS } from './events.ts';
import { GERROR_INTERRUPT, interrupt } from './interrupts.ts';
import { GERROR, GERRORN } from './registers.ts';

/** @param error a field of GERROR */
export function isActive(core: SmmuCore, error: BitsField): boolean {
  return core.regs.get(GERROR, error) !== core.regs.get(GERRORN, error);
}

/** An error happens: it is toggled and told of, but not where it is active already. */
export function raiseGlobalError(core: SmmuCore, error: BitsField): void {
  if (isActive(core, error)) return;
  core.regs.put(GERROR, error, core.regs.get(GERROR, error) ^ 1);
  if (core.telling) core.say(`GERROR: ${GLOBAL_ERRORS[error.lo].name}: ${GLOBAL_ERRORS[error.lo].text}`);
  // 7.5.1: its own MSI having been aborted, another one to the same address would be, too.
  if (error !== GERROR.MSI_GERROR_ABT_ERR) interrupt(core, GERROR_INTERRUPT);
}
