/**
 * One ring that hardware queues of several SMMUs read, behind the registers of one (`vcmdq-multiply`). Nobody has built it; what can be multiplied is the
 * doorbell, and what cannot be is CMDQ_CONS: there is one, and each queue has its own.
 */
import { CMDQ_CONS, CMDQ_PROD } from '../../iommu/smmuv3/queue-registers.ts';
import type { MmioBlock } from '../../machine/index.ts';

export class MultipliedPort implements MmioBlock {
  readonly name = 'the multiplied VCMDQ';
  private readonly ports: readonly MmioBlock[];
  private readonly doorbells: boolean;

  /** @param ports registers of each queue; those of the first are what is read. @param doorbells a write of CMDQ_PROD reaches all */
  constructor(ports: readonly MmioBlock[], doorbells: boolean) {
    this.ports = ports;
    this.doorbells = doorbells;
  }

  registerName(offset: number): string {
    return this.ports[0].registerName(offset);
  }

  read(offset: number, size: 4 | 8): { lo: number; hi: number } {
    return this.ports[0].read(offset, size);
  }

  write(offset: number, size: 4 | 8, lo: number, hi: number): void {
    const to = offset === CMDQ_PROD.offset && this.doorbells ? this.ports : this.ports.slice(0, 1);
    for (const port of to) port.write(offset, size, lo, hi);
  }
}

/** What a guest has to do that knows of the queues behind: wait until each has consumed. @param end CMDQ_PROD as it wrote it */
export function hasConsumed(port: MmioBlock, end: number): boolean {
  return (port.read(CMDQ_CONS.offset, 4).lo & 0xfffff) === end;
}
