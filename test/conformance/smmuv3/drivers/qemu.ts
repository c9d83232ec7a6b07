/** QEMU as a driver of the SMMUv3 conformance tests. */
import type { SmmuCapabilityOptions } from '../../../../src/iommu/smmuv3/index.ts';
import { EVENTS, REQUEST } from '../../../../src/iommu/smmuv3/index.ts';
import type { EduMachine } from '../../drivers/edu-machine.ts';
import { needsModel } from '../../drivers/needs-model.ts';
import { match } from '../../drivers/qemu-process.ts';
import { ToldDriver } from '../../drivers/told-driver.ts';
import type { Answer, Asked, Driver, Wire } from './driver.ts';
import { isMemory, MACHINES, UNIT } from './qemu-machine.ts';
import { compareIdentity, refuseModelOptions, unitOptions } from './qemu-options.ts';

const PLACE = {
  registers: UNIT,
  registerBytes: 0x20000,
  beyond: 'the two pages of registers',
  isMemory,
  usual: [1, 2, 3],
  taken: [],
  owner: 'a virt machine’s',
};

/** A test that asks for more than this asks for more still: it gets one of these numbers of devices at once. */
const MANY = 5;
const BLOCKS = [8, 16, 64];

/** Its interrupts as QEMU numbers them (SMMUIrq). */
const WIRES: readonly Wire[] = ['eventq', 'priq', 'cmd-sync', 'gerror'];

/** Events by QEMU’s names of them, where these are not the specification’s. */
const NAMES: Readonly<Record<string, string>> = { F_TRANS_FORBIDDEN: 'F_TRANSL_FORBIDDEN' };
const NUMBERS = new Map(Object.entries(EVENTS).map(([number, { name }]) => [name, Number(number)]));

export class QemuDriver extends ToldDriver<EduMachine> implements Driver {
  /** Interrupts, in order. */
  private readonly seen: Wire[] = [];
  private readonly options: SmmuCapabilityOptions;

  constructor(asked: SmmuCapabilityOptions) {
    refuseModelOptions(asked);
    super(PLACE);
    this.options = asked;
  }

  read(offset: number, size: number): bigint {
    return this.readRegister(offset, size);
  }

  write(offset: number, size: number, value: bigint): void {
    this.writeRegister(offset, size, value);
  }

  run(): void {}

  /** Interrupts by wire that were pulsed. */
  get pulses(): readonly Wire[] {
    this.ready();
    return this.seen;
  }

  request({ sid, ssid = -1, address, kind }: Asked): Answer {
    if (ssid >= 0) needsModel('request', 'with a SubstreamID');
    if (kind !== REQUEST.read && kind !== REQUEST.write)
      needsModel('request', `kind ${kind}: neither a read nor an ordinary write`);
    const at = BigInt.asUintN(64, address);
    this.wants(sid);
    if (this.sids.size > MANY) {
      const block = BLOCKS.find((size) => sid < size) ?? 0;
      for (let each = 0; each < block; each++) this.wants(each);
    }
    return this.tellAll((machine) => this.transfer(machine, sid, at, kind === REQUEST.write));
  }

  private transfer(machine: EduMachine, sid: number, at: bigint, write: boolean): Answer {
    const bytes = at % 4n === 0n ? 4 : 1;
    const lines = this.listen(machine.dma(sid, at, write, bytes));
    const failed = match(lines, / translation failed for iova=\w+ ?\((?:SMMU_EVT_)?([^)]*)\)/);
    if (failed !== null) return { event: NUMBERS.get(NAMES[failed[1]] ?? failed[1]) ?? 0 };
    if (match(lines, /^smmuv3_translate_abort /) !== null) return { event: 0 };
    const translated = match(lines, /^smmuv3_translate_success .* translated=(\w+) perm=(\w+)/);
    if (translated === null && match(lines, /^smmuv3_translate_(bypass|disable) /) === null)
      throw new Error(`QEMU says nothing of a request of ${sid} to 0x${at.toString(16)}: ${lines.join('; ')}`);
    // QEMU lets pass, and says nothing of it, what has not the right: memory does not get it.
    if (translated !== null && (Number(translated[2]) & (write ? 2 : 1)) === 0) return { event: 0 };
    const to = translated === null ? at : BigInt(translated[1]);
    const where = Number(to);
    if (isMemory(where)) {
      if (match(lines, /^Invalid (read|write) at .*rejected/) !== null) return { event: 0 };
      if (write) this.checkLanded(machine, sid, where, bytes);
    }
    return { address: to };
  }

  protected choose(): EduMachine {
    const machine = MACHINES.with(unitOptions(this.options), [...this.sids]);
    machine.reset();
    compareIdentity(this.options, (offset) => Number(machine.qtest.run([`readl ${UNIT + offset}`])[0]) | 0);
    this.seen.length = 0;
    return machine;
  }

  protected listen(lines: string[]): string[] {
    for (const line of lines) {
      const [, irq] = /^smmuv3_trigger_irq irq=(\d+)/.exec(line) ?? [];
      if (irq !== undefined) this.seen.push(WIRES[Number(irq)]);
    }
    return lines;
  }
}
