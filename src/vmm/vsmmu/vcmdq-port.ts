/**
 * A queue of a CMDQ-V as a guest's driver uses it: with the registers of an SMMU's command queue, which lie elsewhere there. No access traps, so that nobody
 * but hardware sees what is in the ring.
 */
import { hex } from '../../bits/index.ts';
import * as cmdqv from '../../iommu/smmuv3/cmdqv-registers.ts';
import { CMDQ_CONS, CMDQ_PROD } from '../../iommu/smmuv3/queue-registers.ts';
import { GERROR, GERRORN } from '../../iommu/smmuv3/registers.ts';
import type { MmioBlock } from '../../machine/index.ts';
import type { Tally } from './tally.ts';

/** Where each is in the page of an interface, by offset in an SMMU. */
const IN_PAGE: Readonly<Record<number, number>> = Object.fromEntries(
  (
    [
      [CMDQ_PROD, cmdqv.VCMDQ_PROD],
      [CMDQ_CONS, cmdqv.VCMDQ_CONS],
      [GERROR, cmdqv.VCMDQ_GERROR],
      [GERRORN, cmdqv.VCMDQ_GERRORN],
    ] as const
  ).map(([from, to]) => [from.offset, to.offset - cmdqv.VCMDQ_CONS.offset]),
);

export class VcmdqPort implements MmioBlock {
  readonly name: string;
  private readonly page: MmioBlock;
  private readonly base: number;
  private readonly tally: Tally | undefined;

  /** @param page the page of the interface. @param lvcmdq the queue's number in it */
  constructor(name: string, page: MmioBlock, lvcmdq: number, tally?: Tally) {
    this.name = name;
    this.page = page;
    this.base = lvcmdq * cmdqv.CMDQV_STRIDE.VCMDQ;
    this.tally = tally;
  }

  registerName(offset: number): string {
    const at = IN_PAGE[offset];
    return at === undefined ? `${this.name}+${hex(offset)}` : this.page.registerName(this.base + at);
  }

  read(offset: number, size: 4 | 8): { lo: number; hi: number } {
    const at = IN_PAGE[offset];
    return at === undefined ? { lo: 0, hi: 0 } : this.page.read(this.base + at, size);
  }

  write(offset: number, size: 4 | 8, lo: number, hi: number): void {
    const at = IN_PAGE[offset];
    if (at === undefined) return;
    if (offset === CMDQ_PROD.offset) this.tally?.write(this.read(offset, 4).lo, lo);
    this.page.write(this.base + at, size, lo, hi);
  }

  /** The guest turns the queue on, which it has for itself. */
  enable(): void {
    this.page.write(this.base + cmdqv.VCMDQ_CONFIG.offset - cmdqv.VCMDQ_CONS.offset, 4, 1, 0);
  }
}
