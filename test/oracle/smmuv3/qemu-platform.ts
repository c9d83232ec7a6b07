/** The machine of machine.ts in QEMU, over qtest: one process a configuration, a reset between programs. */
import type { Access, Platform, Value } from '../platform.ts';
import type { Qemu, RunningQemu } from '../qemu-process.ts';
import { plainCommands, plainValue, startQemu } from '../qemu-process.ts';
import { answers, clearEdu, deviceAddress, setBar, setBridge } from '../qemu-set-up.ts';
import { BRIDGE, CLEARED, MAP, SID } from './machine.ts';

/** Registers that a reset of QEMU leaves as they are (smmu_reset_hold). */
const KEPT = [0x28, 0x2c, 0x88, 0x68, 0x6c, 0x70, 0x74, 0x80, 0x84, 0x94, 0xa4, 0xb0, 0xb4, 0xb8, 0xbc];

export class QemuPlatform implements Platform {
  readonly name: string;
  private readonly qemu: RunningQemu;

  private constructor(name: string, qemu: RunningQemu) {
    this.name = name;
    this.qemu = qemu;
  }

  /** @param stage option of `-device arm-smmuv3`: 1, 2 or nested */
  static async start(qemu: Qemu, stage: string): Promise<QemuPlatform> {
    const unit = `arm-smmuv3,primary-bus=pcie.0,stage=${stage}`;
    const running = await startQemu(qemu, unit, () => [
      ...['-M', 'virt,acpi=off,gic-version=3', '-cpu', 'max', '-m', `${MAP.ramBytes >> 20}`],
      ...['-device', unit],
      ...['-device', `pcie-root-port,id=bridge,bus=pcie.0,chassis=1,addr=${deviceAddress(BRIDGE.sid)}`],
      ...SID.testdev.flatMap((sid) => ['-device', `iommu-testdev,${place(sid)}`]),
      ...['-device', `edu,${place(SID.edu)},dma_mask=0xffffffffffffffff`],
    ]);
    return new QemuPlatform(`QEMU ${qemu.version}`, running);
  }

  async reset(): Promise<void> {
    await this.qemu.qtest.run(KEPT.map((offset) => `writel ${MAP.smmu + offset} 0`));
    await this.qemu.monitor.systemReset();
    await this.qemu.qtest.run([
      `memset ${CLEARED.from} ${CLEARED.bytes} 0`,
      ...setBridge(config, BRIDGE),
      ...setBar(config, SID.edu, MAP.edu),
      ...SID.testdev.flatMap((sid, i) => setBar(config, sid, MAP.testdev[i])),
      ...clearEdu(MAP.edu, CLEARED.from),
    ]);
  }

  async run(program: readonly Access[]): Promise<Value[]> {
    const found = await answers(this.qemu.qtest, program, (access) => plainCommands(access) ?? []);
    return program.map((access, i) => plainValue(access, found[i])).filter((value) => value !== null);
  }

  async close(): Promise<void> {
    await this.qemu.close();
  }
}

/** Options that put a device where it has a requester id. */
function place(sid: number): string {
  return `bus=${sid >> 8 === BRIDGE.bus ? 'bridge' : 'pcie.0'},addr=${deviceAddress(sid)}`;
}

/** A write to configuration space. */
function config(sid: number, offset: number, value: number): string[] {
  return [`writel ${MAP.ecam + sid * 4096 + offset} ${value >>> 0}`];
}
