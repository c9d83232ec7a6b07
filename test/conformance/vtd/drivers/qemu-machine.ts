/** A q35 machine in QEMU with a VT-d unit. */
import { byPorts } from '../../../oracle/qemu-set-up.ts';
import type { Board } from '../../drivers/edu-machine.ts';
import { EduMachine, Machines } from '../../drivers/edu-machine.ts';

export const UNIT = 0xfed90000;
/** 1 GiB, which costs what is touched of it; up to 0x9ffff and from 0x100000 on it is memory. */
export const RAM_BYTES = 0x4000_0000;
/** And as much as this from 4 GiB on: pages that tests map lie there. */
const HIGH_RAM_BASE = 0x1_0000_0000;
const HIGH_RAM_BYTES = 0x2_0000_0000;
const LOW_RAM_BYTES = 0xa0000;

export function isMemory(addr: number): boolean {
  return (
    (addr >= 0 && addr < LOW_RAM_BYTES) ||
    (addr >= 0x10_0000 && addr < RAM_BYTES) ||
    (addr >= HIGH_RAM_BASE && addr < HIGH_RAM_BASE + HIGH_RAM_BYTES)
  );
}

const MSI_CAPABILITY = 0x40;
/** Registers of an `edu` that raise and end its interrupt. */
const RAISE = 0x60;
const ACKNOWLEDGE = 0x64;

const BOARD: Board = {
  qemu: 'x86',
  machine: [
    ...['-M', 'q35', '-m', `size=${RAM_BYTES >> 20}M,slots=1,maxmem=64G`],
    ...['-object', `memory-backend-ram,id=high,size=${HIGH_RAM_BYTES},reserve=off`],
    ...['-device', `pc-dimm,memdev=high,addr=${HIGH_RAM_BASE}`],
  ],
  unit: 'intel-iommu',
  logged: ['invalid_mem'],
  // What tells where a request went, and what the unit said of it.
  traced: [
    ...['vtd_dmar_translate', 'vtd_dmar_fault', 'vtd_fault_disabled', 'vtd_frr_new', 'vtd_irq_generate'],
    'vtd_ir_remap_msi',
  ],
  bars: 0xe000_0000,
  lowFunctions: 0,
  cleared: { from: 0, bytes: LOW_RAM_BYTES },
  configure: byPorts,
  beforeReset: () => [],
};

export class QemuMachine extends EduMachine {
  constructor(unit: string, sids: readonly number[]) {
    super(BOARD, unit, sids);
  }

  /** A message by the MSI capability of a device. @returns what QEMU's log says of it */
  message(sid: number, address: number, data: number): string[] {
    const bar = this.barOf(sid);
    this.told();
    this.qtest.run([
      ...byPorts(sid, MSI_CAPABILITY + 4, address),
      ...byPorts(sid, MSI_CAPABILITY + 8, 0),
      ...byPorts(sid, MSI_CAPABILITY + 12, data),
      ...byPorts(sid, MSI_CAPABILITY, 0x0081_0005),
      ...[`writel ${bar + RAISE} 1`, `writel ${bar + ACKNOWLEDGE} 1`],
      ...byPorts(sid, MSI_CAPABILITY, 0x0080_0005),
    ]);
    return this.told();
  }
}

export const MACHINES = new Machines<QemuMachine>((unit, sids) => new QemuMachine(unit, sids));
