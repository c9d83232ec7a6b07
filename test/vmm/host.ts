/** A host for tests of iommufd: SMMUs that keep what is done to them, devices, and user memory. */
import { join } from '../../src/bits/index.ts';
import type {
  CmdqvHardware,
  CommandFeatures,
  Errno,
  HostDevice,
  HostTable,
  SmmuHardware,
  Stream,
} from '../../src/vmm/iommufd/index.ts';
import {
  ArmSmmu,
  ArmSmmuHost,
  DmaOwners,
  FlatUserMemory,
  Iommufd,
  type IommufdOptions,
  kernelNamed,
  MappingTable,
} from '../../src/vmm/iommufd/index.ts';

export const FEATURES: CommandFeatures = {
  ...{ rangeInvalidation: false, ds: false, ats: true, asidBits: 16, substreamBits: 20 },
};

/** Keeps streams and commands; commands are first words, as numbers in text. */
export class RecordedSmmu implements SmmuHardware {
  readonly name: string;
  readonly features: CommandFeatures;
  readonly stages = { s1: true, s2: true };
  readonly forcesCoherency: boolean;
  readonly vmidBits: number;
  readonly registers = [1, 2, 3, 4, 5, 6, 7, 8];
  readonly cmdqv: CmdqvHardware | null;
  readonly streams = new Map<number, Stream>();
  readonly commands: string[] = [];
  readonly tables: MappingTable[] = [];
  readonly queue = {
    issue: (words: Int32Array, from: number, commands: number): Errno | null => {
      for (let i = 0; i < commands; i++)
        this.commands.push(join(words[from + 4 * i], words[from + 4 * i + 1]).toString(16));
      return null;
    },
  };

  constructor(
    name: string,
    over: Partial<Pick<RecordedSmmu, 'features' | 'forcesCoherency' | 'vmidBits' | 'cmdqv'>> = {},
  ) {
    this.name = name;
    this.features = over.features ?? FEATURES;
    this.forcesCoherency = over.forcesCoherency ?? true;
    this.vmidBits = over.vmidBits ?? 8;
    this.cmdqv = over.cmdqv ?? null;
  }

  table(): HostTable {
    const table = new MappingTable();
    this.tables.push(table);
    return table;
  }

  install(sid: number, stream: Stream): void {
    this.streams.set(sid, stream);
  }

  /** Those since the last time it was asked. */
  takeCommands(): string[] {
    return this.commands.splice(0);
  }
}

export function deviceOf(iommu: ArmSmmu, sid: number, over: Partial<HostDevice> = {}): HostDevice {
  return {
    ...{ name: `device ${sid.toString(16)}`, iommu, group: iommu.name === 'smmu0' ? sid : 0x1_0000 + sid, sid },
    ...{ coherent: true, isolatedMsi: true },
    ...{ dirtyTracking: true, sharedPri: false, reserved: [] },
    ...over,
  };
}

/** User memory of the tests: 1 MiB from here on, in frames from 0x1000 on. */
export const USER = 0x7000_0000n;

export function host(options: Partial<IommufdOptions> = {}, over: ConstructorParameters<typeof RecordedSmmu>[1] = {}) {
  const memory = new FlatUserMemory(USER, 256, 0x1000);
  const arm = new ArmSmmuHost(kernelNamed(options.kernel ?? 'linux-6.18'));
  const [hardware, otherHardware] = [new RecordedSmmu('smmu0', over), new RecordedSmmu('smmu1', over)];
  const [smmu, otherSmmu] = [new ArmSmmu(arm, hardware), new ArmSmmu(arm, otherHardware)];
  const fd = new Iommufd({ memory, owners: new DmaOwners(), ...options });
  return { memory, arm, hardware, otherHardware, smmu, otherSmmu, fd };
}

/** What stands for a refusal in tests, so that a value can be used where it is not one. */
export function taken<T>(answer: T | Errno): T {
  if (typeof answer === 'string') throw new Error(`refused: ${answer}`);
  return answer;
}
