/**
 * Nested translation with tables as small as the architecture lets them be: the granule of 64 KiB and addresses of 25 bits (T0SZ = 39, the largest), so that
 * each stage is one table. A guest has its first 32 MiB, of which it uses two pages of 64 KiB: one has its CD and its stage-1 table, the other is what its
 * devices aim at.
 */
import { encode, encode64, high, join, low } from '../bits/index.ts';
import { nestedSte, stage1Cd } from '../guest/index.ts';
import { CMD_TLBI_NH_ASID, CMD_TLBI_NH_VA } from '../iommu/smmuv3/commands.ts';
import type { SmmuProfile } from '../iommu/smmuv3/index.ts';
import { REQUEST, SMMU_SLOT_WORDS, STAGE1, STAGE2 } from '../iommu/smmuv3/index.ts';
import type { Cpu, Device, Frame, MachineOptions, Program } from '../machine/index.ts';
import { Machine } from '../machine/index.ts';
import { SmmuUnit, type SmmuUnitSetup } from './smmu-unit.ts';

const GRANULE = 0x10000n;
const T0SZ = 39;
/** TG0 and S2TG of 64 KiB. */
const TG_64K = 1;
/** S2SL0 with the granule of 64 KiB: the walk begins at level 3. */
const FROM_LEVEL_3 = 0;

/** Where a device aims, and where in the guest's memory that is. */
export const IOVA = 0x10000n;
const TABLES_IPA = 0x10000n;
const PAGE_IPA = 0x20000n;
const CD_AT = 0n;
const TABLE_AT = 0x1000n;
/** A table without a word. */
const EMPTY_AT = 0x2000n;
const PAGE_AT = PAGE_IPA - TABLES_IPA;

const LEAF1 = { AttrIndx: 1, AP: 1, SH: 3, AF: 1, nG: 1 } as const;
const LEAF2 = { MemAttr: 15, S2AP: 3, SH: 3, AF: 1 } as const;

/** Pages of 4 KiB under the entry of {@link IOVA}, by which the machine counts. */
export const FIRST = Number(IOVA >> 12n);
export const PAGES = Number(GRANULE >> 12n);

/** Of what holds where CMD_SYNC waits: in QEMU and gem5 it does not, and what was translated before lands after it. */
export const HOLDS = { spec: 'holds', 'qemu-10': 'violated', gem5: 'violated' } as const;

/** Why `sync.overtake` does not fire in many of these cases. */
export const ALL_CONCERNED = 'every transaction in flight is one that the invalidation concerns';

/** A guest: its memory as the host has it, and what its tables are. */
export interface Guest {
  readonly name: string;
  readonly did: number;
  readonly asid: number;
  /** Physical address of its first page that is used. */
  readonly at: bigint;
  /** Physical address of the entry of {@link IOVA} in its stage-1 table. */
  readonly pte: bigint;
  /** The page that its devices aim at. */
  readonly page: Frame;
  readonly pageAt: bigint;
}

/** A stage-2 table of the host for a guest. */
export interface StageTwo {
  readonly vmid: number;
  readonly s2ttb: bigint;
}

export interface NestedSceneOptions {
  readonly profile: SmmuProfile;
  readonly machine?: MachineOptions;
  /** Physical SMMUs; 1 if absent. */
  readonly smmus?: number;
  readonly unit?: SmmuUnitSetup['unit'];
  /** log2 of the commands that the queue of each SMMU holds; 4 if absent: none of these cases comes round to its beginning. */
  readonly commands?: number;
}

/** Streams of the linear table of an SMMU: 32 devices of bus 0. */
const DEVICES_EACH = 4;

export class NestedScene {
  readonly machine: Machine;
  readonly units: readonly SmmuUnit[];
  private readonly kernel: number;

  constructor({ profile, machine: size, smmus = 1, unit = {}, commands = 4 }: NestedSceneOptions) {
    this.machine = new Machine({ translatorWords: SMMU_SLOT_WORDS, ...size });
    this.kernel = this.machine.owner('the host', 'other');
    this.units = Array.from({ length: smmus }, (_, i) => {
      const at = 0x800000000n + BigInt(i) * 0x1000000n;
      const place = {
        name: smmus === 1 ? 'SMMU' : `SMMU ${i}`,
        ...{ streamTable: at, commands: at + 0x10000n, events: at + 0x20000n },
      };
      return new SmmuUnit(this.machine, { profile, place, several: smmus > 1, commands, unit });
    });
  }

  /** StreamID of device `k` behind SMMU `i`: no two are the same, 4 behind each. */
  sid(i: number, k = 0): number {
    return (i * DEVICES_EACH + k + 1) * 8;
  }

  /** Declares a guest with one page mapped by stage 1. @param did by which the machine knows what is granted to it */
  guest(name: string, did: number, { asid = 1, words = [] as readonly number[] } = {}): Guest {
    const { machine } = this;
    const at = 0x880000000n + BigInt(did) * 0x1000000n;
    const tables = machine.owner(`tables of ${name}`, 'table', did);
    machine.frame(`CD of ${name}`, at + CD_AT, tables);
    machine.frame(`stage 1 of ${name}`, at + TABLE_AT, tables);
    machine.frame(`empty stage 1 of ${name}`, at + EMPTY_AT, tables);
    const ttb0 = TABLES_IPA + TABLE_AT;
    this.words(at + CD_AT, stage1Cd({ asid, ttb0, geometry: { T0SZ, TG0: TG_64K } }));
    const pte = at + TABLE_AT + 8n * (IOVA / GRANULE);
    machine.poke(pte, encode64(STAGE1[64].leaf[3], { ...LEAF1, ADDR: PAGE_IPA }));
    const pageAt = at + PAGE_AT;
    const page = machine.frame(`P of ${name}`, pageAt, machine.owner(`DMA buffer of ${name}`, 'buffer', did), words);
    machine.onStart(() => {
      machine.grants.begin(did, FIRST, PAGES);
      machine.grants.granted(did, FIRST, PAGES, Number(pageAt >> 12n));
    });
    return { name, did, asid, at, pte, page, pageAt };
  }

  /** Declares a stage-2 table of a guest. @param n tells the tables of one guest apart */
  stageTwo(guest: Guest, vmid: number, n = 0): StageTwo {
    const { machine } = this;
    const s2ttb = 0x870000000n + BigInt(guest.did) * 0x100000n + BigInt(n) * 0x1000n;
    const name = n === 0 ? `stage 2 of ${guest.name}` : `stage 2 (${n + 1}) of ${guest.name}`;
    machine.frame(name, s2ttb, machine.owner(`tables of ${guest.name}`, 'table', guest.did));
    for (const ipa of [TABLES_IPA, PAGE_IPA]) {
      const pa = guest.at + ipa - TABLES_IPA;
      machine.poke(s2ttb + 8n * (ipa / GRANULE), encode64(STAGE2[64].leaf[3], { ...LEAF2, ADDR: pa }));
    }
    return { vmid, s2ttb };
  }

  /** The STE of a device of a guest. */
  ste({ vmid, s2ttb }: StageTwo, ats = false): readonly bigint[] {
    const geometry = { S2T0SZ: T0SZ, S2SL0: FROM_LEVEL_3, S2TG: TG_64K };
    return nestedSte({ cdTable: TABLES_IPA + CD_AT }, { vmid, s2ttb, geometry }, { ats });
  }

  /** Declares a device of a guest behind SMMU `i`, attached from the start. @param ats it has translations of its own */
  device(name: string, guest: Guest, i: number, stageTwo: StageTwo, k = 0, ats = false): Device {
    const sid = this.sid(i, k);
    this.units[i].stream(sid, this.ste(stageTwo, ats));
    const translator = this.units.length > 1 ? { translator: this.units[i].smmu } : {};
    return this.machine.device(name, sid, guest.did, [IOVA], { ...translator, ...(ats ? { ats } : {}) });
  }

  /**
   * What an earlier use of a VMID has left in an SMMU: a translation of {@link IOVA}, cached under it. The STE is as it was before.
   * @param device whose stream it was
   */
  warm(i: number, k: number, stageTwo: StageTwo): void {
    const { smmu } = this.units[i];
    const [sid, at] = [this.sid(i, k), this.units[i].steAt(this.sid(i, k))];
    const { memory } = this.machine;
    const before = this.ste(stageTwo).map((_, w) => {
      const handle = memory.locate(Number((at + BigInt(8 * w)) >> 12n), Number((at + BigInt(8 * w)) & 0xfffn) >> 3);
      return join(memory.lo(handle), memory.hi(handle));
    });
    this.words(at, this.ste(stageTwo));
    if (smmu.translate(sid, -1, high(IOVA), low(IOVA), REQUEST.write) !== 0) throw new Error('the page is not mapped');
    this.words(at, before);
    smmu.caches.dropAllConfig();
  }

  /** Has a guest change TTB0 of its CD to a table that maps nothing: one store, which hardware sees whole (IHI 0070, 3.21.3). */
  *emptiesTable(cpu: Cpu, guest: Guest): Program {
    const empty = stage1Cd({ asid: guest.asid, ttb0: TABLES_IPA + EMPTY_AT });
    yield* cpu.write64(guest.at + CD_AT + 8n, empty[1], `${guest.name} changes TTB0 of its CD to an empty table`);
  }

  /** A guest's ring for so many commands, as log2. @returns its byte address */
  ring(guest: Guest, log2size: number, n = 0): bigint {
    const at = guest.at + 0x100000n + BigInt(n) * 0x1000n;
    const words = Array.from({ length: 2 << log2size }, (_, i) => i);
    this.machine.frame(`ring${n === 0 ? '' : ` ${n + 1}`} of ${guest.name}`, at, this.kernel, words);
    return at;
  }

  cpu(name: string): Cpu {
    return this.machine.cpu(name);
  }

  private words(addr: bigint, entry: readonly bigint[]): void {
    entry.forEach((word, i) => this.machine.poke(addr + 8n * BigInt(i), word));
  }
}

/** What a guest's driver invalidates when the page of {@link IOVA} is unmapped; the VMID is no affair of its own. */
export const tlbiOf = {
  asid: ({ asid }: Guest, VMID = 0) => encode(CMD_TLBI_NH_ASID, { ASID: asid, VMID }),
  /** @param n which page of a buffer that begins there */
  va: ({ asid }: Guest, VMID = 0, n = 0) =>
    encode(CMD_TLBI_NH_VA, { ASID: asid, VMID, Address: IOVA + BigInt(n) * GRANULE, Leaf: 1 }),
};
