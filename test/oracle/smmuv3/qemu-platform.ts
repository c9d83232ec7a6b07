/** The machine of machine.ts in QEMU, over qtest: one process a configuration, a reset between programs. */
import type { Access, Platform, Value } from '../platform.ts';
import type { Qemu, RunningQemu } from '../qemu-process.ts';
import { ELAPSE, plainCommands, plainValue, startQemu } from '../qemu-process.ts';
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
      ...['-device', `pcie-root-port,id=bridge,bus=pcie.0,chassis=1,addr=${address(BRIDGE.sid)}`],
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
      ...configureBridge(),
      ...configure(SID.edu, MAP.edu),
      ...SID.testdev.flatMap((sid, i) => configure(sid, MAP.testdev[i])),
      // The buffer of `edu` outlives a reset: read zeros into it.
      `writeq ${MAP.edu + 0x80} ${CLEARED.from}`,
      `writeq ${MAP.edu + 0x88} ${0x40000}`,
      `writeq ${MAP.edu + 0x90} 4096`,
      `writeq ${MAP.edu + 0x98} 1`,
      ELAPSE,
    ]);
  }

  async run(program: readonly Access[]): Promise<Value[]> {
    const commands = program.map((access) => plainCommands(access) ?? []);
    const answers = await this.qemu.qtest.run(commands.flat());
    const values: Value[] = [];
    for (let i = 0, at = 0; i < program.length; at += commands[i++].length) {
      const value = plainValue(program[i], answers[at]);
      if (value !== null) values.push(value);
    }
    return values;
  }

  async close(): Promise<void> {
    await this.qemu.close();
  }
}

/** Device and function on a bus, as the option `addr` takes them. */
const address = (sid: number) => `${((sid >> 3) & 31).toString(16)}.${sid & 7}`;

/** Options that put a device where it has a requester id. */
function place(sid: number): string {
  return `bus=${sid >> 8 === BRIDGE.bus ? 'bridge' : 'pcie.0'},addr=${address(sid)}`;
}

/** A write to configuration space. */
function config(sid: number, offset: number, value: number): string {
  return `writel ${MAP.ecam + sid * 4096 + offset} ${value >>> 0}`;
}

/** Sets BAR 0 of a function, and lets it decode memory and be a bus master. */
function configure(sid: number, bar: number): string[] {
  return [config(sid, 0x10, bar), config(sid, 0x04, 6)];
}

/** Gives the bus behind the root port its number, and 2 MiB of addresses. */
function configureBridge(): string[] {
  const { sid, bus, window } = BRIDGE;
  const [base, limit] = [window, window + 0x100000].map((at) => (at >>> 16) & 0xfff0);
  return [
    config(sid, 0x18, (bus << 16) | (bus << 8)),
    config(sid, 0x20, ((limit << 16) | base) >>> 0),
    config(sid, 0x04, 6),
  ];
}
