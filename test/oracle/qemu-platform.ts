/** The machine of platform.ts in QEMU, over qtest: one process a configuration, a reset between programs. */
import { join } from 'node:path';
import { GCMD, IRTA } from '../../src/iommu/vtd/index.ts';
import type { Access, Platform, Value } from './platform.ts';
import { BRIDGE, CLEARED, MAP, SID } from './platform.ts';
import { MessageLog, TRACED } from './qemu-messages.ts';
import type { Qemu, RunningQemu } from './qemu-process.ts';
import { plainCommands, plainValue, startQemu } from './qemu-process.ts';
import { answers, byPorts, clearEdu, deviceAddress, setBar, setBridge } from './qemu-set-up.ts';

export class QemuPlatform implements Platform {
  readonly name: string;
  private readonly qemu: RunningQemu;
  private readonly log: MessageLog;

  private constructor(name: string, qemu: RunningQemu, log: MessageLog) {
    this.name = name;
    this.qemu = qemu;
    this.log = log;
  }

  /** @param iommu options of `-device intel-iommu`, as `caching-mode=on` */
  static async start(qemu: Qemu, iommu: readonly string[]): Promise<QemuPlatform> {
    const unit = ['intel-iommu', ...iommu].join(',');
    let logPath = '';
    const running = await startQemu(qemu, unit, (folder) => {
      logPath = join(folder, 'log');
      return [
        ...['-M', 'q35', '-m', `${MAP.ramBytes >> 20}`, '-device', unit],
        ...['-D', logPath, ...TRACED.flatMap((event) => ['-trace', event])],
        ...['-device', `pcie-root-port,id=bridge,chassis=1,addr=${deviceAddress(BRIDGE.sid)}`],
        ...SID.testdev.flatMap((sid) => ['-device', `iommu-testdev,${place(sid)}`]),
        ...SID.sender.flatMap((sid) => ['-device', `edu,${place(sid)},dma_mask=0xffffffffffffffff`]),
      ];
    });
    return new QemuPlatform(`QEMU ${qemu.version}`, running, new MessageLog(logPath));
  }

  async reset(): Promise<void> {
    // A reset leaves the interrupt remapping table that was in force.
    await this.qemu.qtest.run([
      `writeq ${MAP.iommu + IRTA.offset} 0`,
      `writel ${MAP.iommu + GCMD.offset} ${1 << GCMD.SIRTP.lo}`,
    ]);
    await this.qemu.monitor.systemReset();
    await this.qemu.qtest.run([
      `memset ${CLEARED.from} ${CLEARED.bytes} 0`,
      ...setBridge(byPorts, BRIDGE),
      ...SID.sender.flatMap((sid, i) => [
        ...setBar(byPorts, sid, MAP.sender[i]),
        ...byPorts(sid, MSI + CONTROL, MSI_ENABLE),
      ]),
      ...SID.testdev.flatMap((sid, i) => setBar(byPorts, sid, MAP.testdev[i])),
      ...clearEdu(MAP.edu, CLEARED.from),
    ]);
  }

  async run(program: readonly Access[]): Promise<Value[]> {
    const found = await answers(this.qemu.qtest, program, commandsOf);
    const messages = this.log.take();
    const values = program.map((access, i) =>
      access.do === 'messages' ? (messages.shift() ?? 'none was logged') : plainValue(access, found[i]),
    );
    return values.filter((value) => value !== null);
  }

  async close(): Promise<void> {
    this.log.close();
    await this.qemu.close();
  }
}

/** The MSI capability of `edu`, its only one, and what is there. */
const MSI = 0x40;
const [CONTROL, ADDRESS_LO, ADDRESS_HI, DATA] = [0, 4, 8, 12];
const MSI_ENABLE = 1 << 16;
/** Registers of `edu`: interrupts are raised by the bits written, and acknowledged. */
const [RAISE, ACKNOWLEDGE] = [0x60, 0x64];

function commandsOf(access: Access): readonly string[] {
  if (access.do === 'msi')
    return msi(SID.sender[access.sender], MAP.sender[access.sender], access.address, access.data);
  return access.do === 'messages' ? MessageLog.MARK : (plainCommands(access) ?? []);
}

function msi(sid: number, bar: number, address: number, data: number): string[] {
  return [
    ...byPorts(sid, MSI + ADDRESS_LO, address),
    ...byPorts(sid, MSI + ADDRESS_HI, 0),
    ...byPorts(sid, MSI + DATA, data),
    `writel ${bar + RAISE} 1`,
    `writel ${bar + ACKNOWLEDGE} 1`,
  ];
}

/** Options that put a device where it has a source id. Function 0 of a device with several is the one that says so. */
function place(sid: number): string {
  const bus = sid >> 8 === BRIDGE.bus ? 'bus=bridge,' : '';
  const several = [...SID.testdev, ...SID.sender].some((other) => other !== sid && other >> 3 === sid >> 3);
  return `${bus}addr=${deviceAddress(sid)}${several ? ',multifunction=on' : ''}`;
}
