/** The machine of machine.ts out of this repository's parts. */
import type { SmmuUnitOptions } from '../../../src/iommu/smmuv3/index.ts';
import { REQUEST, SmmuEmulator } from '../../../src/iommu/smmuv3/index.ts';
import { ModelBus } from '../model-bus.ts';
import type { Memory } from '../model-devices.ts';
import { ModelDevices } from '../model-devices.ts';
import { ModelRam } from '../model-ram.ts';
import type { Access, Platform, Value } from '../platform.ts';
import { CLEARED, FLASH_BYTES, MAP, SID } from './machine.ts';

/** Whether an address is in the upper window of PCI Express, where nothing has a BAR: reads are all ones, and no error. */
const isWindow = (at: number) => at >= 512 * 2 ** 30 && at < 1024 * 2 ** 30;

export class ModelPlatform implements Platform {
  readonly name = 'model';
  readonly smmu: SmmuEmulator;
  private readonly ram = new ModelRam(MAP.ram, MAP.ramBytes);
  private readonly devices: ModelDevices;
  private readonly bus: ModelBus;

  constructor(options: SmmuUnitOptions) {
    const { ram } = this;
    const memory = {
      has: (at: number) => at < FLASH_BYTES || ram.has(at, 8),
      read32: (at: number) => (at < FLASH_BYTES ? 0 : ram.view.getInt32(at - MAP.ram, true)),
      write32: (at: number, value: number) => {
        if (at >= MAP.ram) ram.view.setInt32(at - MAP.ram, value, true);
      },
    };
    this.smmu = new SmmuEmulator({ ...options, memory });
    const physical = physicalMemory(ram);
    this.devices = new ModelDevices(MAP, SID, physical, (sid) => (iova, bytes, isWrite) => {
      const to = this.smmu.translate(sid, -1, iova, isWrite ? REQUEST.write : REQUEST.read);
      return to >= 0 && (isWrite ? physical.write(to, bytes) : physical.read(to, bytes));
    });
    this.bus = new ModelBus(ram, this.devices, {
      has: (at) => at < MAP.edu,
      read: (at, size) => this.smmu.read(at - MAP.smmu, size),
      write: (at, size, value) => this.smmu.write(at - MAP.smmu, size, value),
    });
  }

  reset(): Promise<void> {
    this.smmu.reset();
    this.ram.clear(CLEARED.from, CLEARED.bytes);
    this.devices.reset(CLEARED.from);
    return Promise.resolve();
  }

  run(program: readonly Access[]): Promise<Value[]> {
    return Promise.resolve(this.bus.run(program, () => null));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** What decodes besides RAM. */
function physicalMemory(ram: ModelRam): Memory {
  return {
    // Flash takes writes for commands.
    write: (at, bytes) => at + bytes.length <= FLASH_BYTES || isWindow(at) || ram.write(at, bytes),
    read: (at, into) => {
      if (ram.read(at, into)) return true;
      if (isWindow(at)) into.fill(0xff);
      return at + into.length <= FLASH_BYTES || isWindow(at);
    },
  };
}
