/** A `virt` machine of aarch64 in QEMU with an SMMU. */
import type { Board } from '../../drivers/edu-machine.ts';
import { EduMachine, Machines } from '../../drivers/edu-machine.ts';

export const UNIT = 0x0c00_0000;
const RAM_END = 0x4800_0000;
const ECAM = 0x40_1000_0000;
/** What tests have without saying so: MEMORY of driver.ts, 1024 pages. */
const CLEARED = { from: 0x4200_0000, bytes: 0x40_0000 };
/** Registers that a reset of QEMU leaves as they are (smmu_reset_exit): the reset values of most are unknown by the specification, too. */
const KEPT = [0x28, 0x2c, 0x68, 0x6c, 0x70, 0x74, 0x80, 0x84, 0x88, 0x90, 0x94, 0xa0, 0xa4, 0xb0, 0xb4, 0xb8, 0xbc];

export function isMemory(addr: number): boolean {
  return addr >= CLEARED.from && addr < RAM_END;
}

const BOARD: Board = {
  qemu: 'arm',
  machine: ['-M', 'virt,acpi=off,gic-version=3', '-cpu', 'max', '-m', '128'],
  unit: 'arm-smmuv3,primary-bus=pcie.0',
  // Of a request that is refused it says why, where an event is recorded of it.
  logged: ['invalid_mem', 'guest_errors'],
  traced: [
    ...['smmuv3_translate_success', 'smmuv3_translate_bypass', 'smmuv3_translate_disable', 'smmuv3_translate_abort'],
    ...['smmuv3_trigger_irq', 'smmuv3_cmdq_opcode', 'smmuv3_cmdq_cfgi*', 'smmuv3_cmdq_tlbi*', 'smmuv3_range_inval'],
    ...['smmu_iotlb_inv*', 'smmu_config*_inv*'],
  ],
  bars: 0x1000_0000,
  // Function 0 of the first device is the host bridge, which says that it is its only one.
  lowFunctions: 8,
  cleared: CLEARED,
  configure: (sid, offset, value) => [`writel ${ECAM + sid * 4096 + offset} ${value >>> 0}`],
  beforeReset: () => KEPT.map((offset) => `writel ${UNIT + offset} 0`),
};

const [CMDQ_BASE, CR0, CMDQ_PROD, CMDQEN] = [UNIT + 0x90, UNIT + 0x20, UNIT + 0x98, 8];
const CMD_CFGI_STE = 3n;

/** Whether a command that names a stream is one of a device of this machine to QEMU: it says so then. */
function knows(machine: EduMachine, sid: number): boolean {
  machine.qtest.run([
    `writeq ${CLEARED.from} ${(BigInt(sid) << 32n) | CMD_CFGI_STE}`,
    `writeq ${CMDQ_BASE} ${CLEARED.from}`,
    `writel ${CR0} ${CMDQEN}`,
    `writel ${CMDQ_PROD} 1`,
  ]);
  return machine.told().some((line) => line.startsWith('smmuv3_cmdq_cfgi_ste '));
}

/**
 * Two buses of such a machine have the number 0, so that there are devices for the lowest StreamIDs. Of a StreamID QEMU looks for the device on the
 * bus that it finds first, which is a matter of the addresses of its own objects: it is started again until that is the one with these devices.
 * Commands that name a stream of device 1 or above do nothing then, as to QEMU there is none.
 */
function start(unit: string, sids: readonly number[]): EduMachine {
  // Function 0 of device 0 is on both: the host bridge is one.
  const low = sids.find((sid) => sid > 0 && sid < BOARD.lowFunctions);
  for (let turn = 0; turn < 40; turn++) {
    const machine = new EduMachine(BOARD, unit, sids);
    if (low === undefined || knows(machine, low)) return machine;
    machine.close();
  }
  throw new Error(`QEMU knows no stream ${low}`);
}

export const MACHINES = new Machines<EduMachine>(start);
