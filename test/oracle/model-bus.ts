/** What a model's machine decodes: memory, devices and the registers of the IOMMU, for the accesses of a program. */
import type { ModelDevices } from './model-devices.ts';
import type { ModelRam } from './model-ram.ts';
import type { Access, Value } from './platform.ts';

/** The registers of an IOMMU, by physical address. */
export interface Registers {
  has(at: number): boolean;
  read(at: number, size: number): number | bigint;
  write(at: number, size: number, value: number | bigint): void;
}

export class ModelBus {
  private readonly ram: ModelRam;
  private readonly devices: ModelDevices;
  private readonly registers: Registers;

  constructor(ram: ModelRam, devices: ModelDevices, registers: Registers) {
    this.ram = ram;
    this.devices = devices;
    this.registers = registers;
  }

  /**
   * @param other does what is no access to an address, and is told when time has passed; null where it reads nothing
   * @returns what was read, in order
   */
  run(program: readonly Access[], other: (access: Access) => Value | null): Value[] {
    return program.map((access) => this.do(access, other)).filter((value) => value !== null);
  }

  private do(access: Access, other: (access: Access) => Value | null): Value | null {
    switch (access.do) {
      case 'write':
        this.store(access.at, access.size, access.value);
        return null;
      case 'read':
        return this.load(access.at, access.size).toString(16);
      case 'dump':
        return this.dump(access.at, access.bytes);
      case 'elapse':
        this.devices.elapse();
        return other(access);
      default:
        return other(access);
    }
  }

  private store(at: number, size: 4 | 8, value: bigint | number): void {
    if (this.ram.has(at, size)) this.ram.store(at, size, value);
    else if (this.registers.has(at)) this.registers.write(at, size, value);
    else this.devices.store(at, value);
  }

  private load(at: number, size: 4 | 8): number | bigint {
    if (this.ram.has(at, size)) return this.ram.load(at, size);
    return this.registers.has(at) ? this.registers.read(at, size) : this.devices.load(at);
  }

  private dump(at: number, bytes: number): Value {
    if (this.ram.has(at, bytes)) return this.ram.dump(at, bytes);
    const registers = Buffer.alloc(bytes);
    for (let i = 0; i < bytes; i += 4) registers.writeUInt32LE(Number(this.registers.read(at + i, 4)), i);
    return registers.toString('hex');
  }
}
