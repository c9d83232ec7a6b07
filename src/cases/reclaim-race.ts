/** How every reclaim race ends (arguments A): a page is unmapped and freed, somebody else takes it and writes a canary. */
import type { Cpu, Frame, Machine, Program } from '../machine/index.ts';

/** Where the page is mapped, and where it is. */
export const IOVA = 0x1000n;
export const PAGE = 0x21d201000n;

export interface Unmaps {
  unmap(iova: bigint, size: bigint): Program;
}

/** The actors of the driver and of the new owner. @param frame of {@link PAGE} */
export function race(machine: Machine, cpu: Cpu, domain: Unmaps, frame: Frame): void {
  const page = machine.pool([frame]);
  const stranger = machine.owner('another process', 'other');
  machine.actor('driver', function* () {
    yield* domain.unmap(IOVA, 0x1000n);
    yield* page.release(PAGE);
  });
  machine.actor('new owner', function* () {
    yield* page.alloc(stranger);
    yield* cpu.write64(PAGE, 0xc0ffeen, 'writes the canary 0xc0ffee to P[0]');
  });
}
