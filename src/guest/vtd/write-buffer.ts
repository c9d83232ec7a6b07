/** The write buffers of the root complex (VT-d 6.8), as `iommu_flush_write_buffer` empties them. */
import { encode64, maskOf } from '../../bits/index.ts';
import { GCMD, GSTS } from '../../iommu/vtd/registers.ts';
import type { Cpu, MmioBlock, Program, SoftwareWord } from '../../machine/index.ts';
import { atomic } from '../../machine/index.ts';
import { spinLock, spinUnlock } from '../kit/lock.ts';

const WBFS = maskOf(GSTS.WBFS, 1)[0];

export class WriteBuffers {
  private readonly unit: MmioBlock;
  private readonly required: boolean;
  private readonly lock: SoftwareWord;
  private readonly state: bigint;

  /**
   * @param required CAP.RWBF
   * @param lock `register_lock`: one command of GCMD at a time (VT-d 6.9)
   * @param state fields of GCMD that are on and stay on (`iommu->gcmd`)
   */
  constructor(unit: MmioBlock, required: boolean, lock: SoftwareWord, state: bigint) {
    this.unit = unit;
    this.required = required;
    this.lock = lock;
    this.state = state;
  }

  /** Sets GCMD.WBF and waits until GSTS.WBFS is clear: from then on walks see what was stored before. */
  *flush(cpu: Cpu): Program {
    if (!this.required) return;
    const { unit, lock, state } = this;
    yield* atomic(function* () {
      yield* spinLock(lock);
      yield* cpu.mmioWrite(unit, GCMD.offset, 4, state | encode64(GCMD, { WBF: 1 }), ': WBF');
    });
    yield* cpu.mmioWait(unit, GSTS.offset, 4, 'WBFS is clear', (lo) => (lo & WBFS) === 0);
    yield* spinUnlock(lock);
  }
}
