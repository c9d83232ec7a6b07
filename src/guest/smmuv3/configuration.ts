/** Stream table entries and context descriptors in memory, and their invalidation (`arm_smmu_write_ste`, `arm_smmu_write_cd_entry`). */
import { encode } from '../../bits/index.ts';
import { CMD_CFGI_CD, CMD_CFGI_STE } from '../../iommu/smmuv3/commands.ts';
import type { Cpu, Program } from '../../machine/index.ts';
import { bdf } from '../../machine/index.ts';
import type { CommandQueue } from './command-queue.ts';
import type { Entry, EntryConduct, EntryWriter } from './entry-writer.ts';
import { ENTRY_WORDS, writeEntry } from './entry-writer.ts';
import { usedOfCd, usedOfSte } from './used-bits.ts';

const ENTRY_BYTES = BigInt(8 * ENTRY_WORDS);

export interface ConfigurationOptions {
  /** Byte address of a linear stream table. */
  readonly streamTable: bigint;
  readonly conduct?: EntryConduct;
  /** A mutant: nothing that is cached of an STE or CD is invalidated. */
  readonly noInvalidation?: boolean;
}

export class SmmuConfiguration {
  private readonly cpu: Cpu;
  private readonly queue: CommandQueue;
  private readonly options: ConfigurationOptions;

  constructor(cpu: Cpu, queue: CommandQueue, options: ConfigurationOptions) {
    this.cpu = cpu;
    this.queue = queue;
    this.options = options;
  }

  /** Byte address of the STE of a stream. */
  steAt(sid: number): bigint {
    return this.options.streamTable + ENTRY_BYTES * BigInt(sid);
  }

  /** Changes the STE of a stream. */
  *writeSte(sid: number, target: Entry): Program {
    const command = encode(CMD_CFGI_STE, { StreamID: sid, Leaf: 1 });
    yield* this.write(`STE of ${bdf(sid)}`, this.steAt(sid), usedOfSte, target, command, 'CMD_CFGI_STE');
  }

  /** Changes a CD of a linear table. @param table its byte address */
  *writeCd(sid: number, ssid: number, table: bigint, target: Entry): Program {
    const command = encode(CMD_CFGI_CD, { StreamID: sid, SubstreamID: ssid, Leaf: 1 });
    const at = table + ENTRY_BYTES * BigInt(ssid);
    yield* this.write(`CD ${ssid} of ${bdf(sid)}`, at, usedOfCd, target, command, 'CMD_CFGI_CD');
  }

  private *write(
    name: string,
    at: bigint,
    used: EntryWriter['used'],
    target: Entry,
    command: readonly bigint[],
    what: string,
  ): Program {
    const { queue, options } = this;
    function* sync(): Program {
      if (options.noInvalidation !== true) yield* queue.issueWithSync([command], `${what} (${name})`);
    }
    yield* writeEntry(this.cpu, { name, at, used, sync }, target, options.conduct);
  }
}
