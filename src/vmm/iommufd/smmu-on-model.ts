/**
 * A physical SMMUv3 that is a model with registers and memory: stream table, context descriptors, command and event queue, as Linux's driver has
 * them. Everything is done when a call returns.
 */
import { encode64, encodeHalves, get, high, low } from '../../bits/index.ts';
import { IDR0 } from '../../iommu/smmuv3/capability-registers.ts';
import { CMD_CFGI_CD, CMD_CFGI_STE, COMMAND_BYTES } from '../../iommu/smmuv3/commands.ts';
import { CD } from '../../iommu/smmuv3/context-structures.ts';
import { EVENT_BYTES } from '../../iommu/smmuv3/event-structures.ts';
import * as registers from '../../iommu/smmuv3/queue-registers.ts';
import { CR0, GERROR, GERRORN } from '../../iommu/smmuv3/registers.ts';
import { STE, STE_CONFIG } from '../../iommu/smmuv3/structures.ts';
import type { MmioBlock } from '../../machine/index.ts';
import type { Errno } from './errno.ts';
import type { HostMemory } from './host-memory.ts';
import { LpaeTable } from './lpae-table.ts';
import { abortSte, nestedSte, stage2Ste } from './nested-ste.ts';
import { SYNC } from './range-commands.ts';
import type { CmdqvHardware, HostTable, SmmuHardware, Stream } from './smmu-hardware.ts';
import { COMMAND_HALVES, type CommandFeatures } from './supported-bits.ts';
import { PAGE_SIZE } from './user-memory.ts';

/** An SMMU with its registers; the emulator's or a case's. */
export interface SmmuUnit extends Pick<MmioBlock, 'read' | 'write'> {
  /** Does all that hardware does by itself. */
  settle(): void;
}

export interface SmmuOnModelOptions {
  readonly name: string;
  readonly features: CommandFeatures;
  readonly vmidBits: number;
  /** Bits of StreamIDs in the stream table; 10 if absent. */
  readonly sidBits?: number;
  readonly cmdqv?: CmdqvHardware;
}

const STE_WORDS = STE.width / 64;
const CD_WORDS = CD.width / 64;

/** log2 of a queue's entries: a page of each. */
const QUEUE = { commands: 8, events: 7 } as const;

/** VMSAv8-64 attributes of all the kernel's pages: normal write-back memory (MAIR). */
const WRITE_BACK = 0xff;

/** CMDQ_CONS.ERR of a command that is illegal (IHI 0070, 7.1). */
const CERROR_ILL = 1;

export class SmmuOnModel implements SmmuHardware {
  readonly name: string;
  readonly features: CommandFeatures;
  readonly stages = { s1: true, s2: true };
  /** The model's devices all are. */
  readonly forcesCoherency = true;
  readonly vmidBits: number;
  readonly cmdqv: CmdqvHardware | null;
  /** Commands that were illegal and made way for a CMD_SYNC. */
  skipped = 0;
  readonly queue = { issue: (words: Int32Array, from: number, commands: number) => this.issue(words, from, commands) };
  private readonly unit: SmmuUnit;
  private readonly host: HostMemory;
  private readonly streamTable: number;
  private readonly commandFrame: number;
  private readonly eventFrame: number;
  /** By StreamID: the frame of its CD. */
  private readonly cds = new Map<number, number>();
  /** IDR0.STALL_MODEL: stalling and terminating are both there. */
  private readonly mayStall: boolean;

  constructor(unit: SmmuUnit, host: HostMemory, options: SmmuOnModelOptions) {
    const { cmdqv, features, name, sidBits = 10, vmidBits } = options;
    this.unit = unit;
    this.host = host;
    this.name = name;
    this.features = features;
    this.vmidBits = vmidBits;
    this.cmdqv = cmdqv ?? null;
    this.mayStall = get(IDR0.STALL_MODEL, this.registers) === 0;
    const bytes = 2 ** sidBits * STE_WORDS * 8;
    this.streamTable = host.takeAligned(Math.max(1, bytes / Number(PAGE_SIZE)));
    this.commandFrame = host.take();
    this.eventFrame = host.take();
    for (let sid = 0; sid < 2 ** sidBits; sid++) host.setAll(this.streamTable, sid * STE_WORDS, abortSte());
    this.enable(sidBits);
  }

  get registers(): readonly number[] {
    return [0x0, 0x4, 0x8, 0xc, 0x10, 0x14, 0x18, 0x1c].map((offset) => this.load(offset));
  }

  private enable(sidBits: number): void {
    const at = (frame: number) => BigInt(frame) * PAGE_SIZE;
    this.store64(registers.STRTAB_BASE, encode64(registers.STRTAB_BASE, { ADDR: at(this.streamTable) }));
    this.store(registers.STRTAB_BASE_CFG.offset, encodeHalves(registers.STRTAB_BASE_CFG, { LOG2SIZE: sidBits })[0]);
    const commands = { ADDR: at(this.commandFrame), LOG2SIZE: QUEUE.commands };
    this.store64(registers.CMDQ_BASE, encode64(registers.CMDQ_BASE, commands));
    const events = { ADDR: at(this.eventFrame), LOG2SIZE: QUEUE.events };
    this.store64(registers.EVENTQ_BASE, encode64(registers.EVENTQ_BASE, events));
    this.store(CR0.offset, encodeHalves(CR0, { CMDQEN: 1, EVENTQEN: 1 })[0]);
    this.store(CR0.offset, encodeHalves(CR0, { CMDQEN: 1, EVENTQEN: 1, SMMUEN: 1 })[0]);
  }

  table(stage: 1 | 2, _isParent: boolean, tracksDirty: boolean): HostTable {
    return new LpaeTable(this.host, stage, tracksDirty);
  }

  /** Not valid in between, so that nothing sees a mixture: DMA aborts there, which Linux avoids where it can. */
  install(sid: number, stream: Stream): void {
    const word = sid * STE_WORDS;
    const halves = this.steOf(sid, stream);
    this.host.set(this.streamTable, word, 0, 0);
    this.invalidateSte(sid);
    this.host.setAll(this.streamTable, word + 1, halves.subarray(2));
    this.host.set(this.streamTable, word, halves[0], halves[1]);
    this.invalidateSte(sid);
  }

  private invalidateSte(sid: number): void {
    this.issue(encodeHalves(CMD_CFGI_STE, { StreamID: sid, Leaf: 1 }), 0, 1);
  }

  private steOf(sid: number, stream: Stream): Int32Array {
    if (stream.kind === 'abort') return abortSte();
    if (stream.kind === 'stage 2') return stage2Ste(stream.table.root, stream.vmid, false);
    if (stream.kind === 'nested') {
      const { guest, table, vmid } = stream;
      return nestedSte(guest, table.root, vmid, guest.enablesAts && this.features.ats);
    }
    const frame = this.cdFrameOf(sid);
    const { base } = stream.table as LpaeTable;
    const cd = encodeHalves(CD, {
      ...(stream.table.dirty === null ? {} : { HA: 1, HD: 1 }),
      ...{ V: 1, AA64: 1, T0SZ: 64 - stream.table.bits, TG0: 0, IR0: 1, OR0: 1, SH0: 3, EPD1: 1, IPS: 5 },
      ...{
        S: stream.stalls ? 1 : 0,
        R: 1,
        A: 1,
        ASET: 1,
        ASID: stream.asid,
        TTB0: base,
        MAIR0: WRITE_BACK,
      },
    });
    this.host.setAll(frame, 0, cd);
    this.issue(encodeHalves(CMD_CFGI_CD, { StreamID: sid, Leaf: 1 }), 0, 1);
    const S1ContextPtr = BigInt(frame) * PAGE_SIZE;
    // Nothing that is recorded of a device may wait for software that does not expect it.
    const S1STALLD = this.mayStall && !stream.stalls ? 1 : 0;
    return encodeHalves(STE, {
      V: 1,
      Config: STE_CONFIG.s1,
      S1ContextPtr,
      S1STALLD,
      S1CIR: 1,
      S1COR: 1,
      S1CSH: 3,
      SHCFG: 1,
    });
  }

  private cdFrameOf(sid: number): number {
    const known = this.cds.get(sid);
    if (known !== undefined) return known;
    const frame = this.host.take();
    if (CD_WORDS * 8 > Number(PAGE_SIZE)) throw new Error('a CD is larger than a page');
    this.cds.set(sid, frame);
    return frame;
  }

  /** Commands, in as many rounds as the queue needs, and a CMD_SYNC; see `CommandSink.issue`. */
  private issue(words: Int32Array, from: number, commands: number): Errno | null {
    const most = 2 ** QUEUE.commands - 1;
    for (let done = 0; done < commands; ) {
      const count = Math.min(commands - done, most - 1);
      const start = from + done * COMMAND_HALVES;
      this.put(words.subarray(start, start + count * COMMAND_HALVES));
      this.put(SYNC);
      done += count;
      if (!this.complete()) return 'ETIMEDOUT';
    }
    return null;
  }

  private put(words: Int32Array): void {
    const { CMDQ_PROD } = registers;
    let prod = this.load(CMDQ_PROD.offset);
    const per = COMMAND_BYTES / 8;
    for (let i = 0; i < words.length; i += COMMAND_HALVES) {
      const entry = prod % 2 ** QUEUE.commands;
      this.host.setAll(this.commandFrame, entry * per, words.subarray(i, i + COMMAND_HALVES));
      prod = (prod + 1) % 2 ** (QUEUE.commands + 1);
    }
    this.store(CMDQ_PROD.offset, prod);
  }

  /** An illegal command makes way for a CMD_SYNC; other errors stay, and nobody sees the end (__arm_smmu_cmdq_skip_err of Linux). */
  private complete(): boolean {
    const { CMDQ_CONS, CMDQ_PROD } = registers;
    for (;;) {
      const cons = this.load(CMDQ_CONS.offset);
      const index = cons & 0xfffff;
      if (index === this.load(CMDQ_PROD.offset)) return true;
      const isError = ((this.load(GERROR.offset) ^ this.load(GERRORN.offset)) & 1) !== 0;
      if (!isError || ((cons >>> 24) & 0x7f) !== CERROR_ILL) return false;
      const entry = index % 2 ** QUEUE.commands;
      this.host.setAll(this.commandFrame, entry * (COMMAND_BYTES / 8), SYNC);
      this.skipped++;
      this.store(GERRORN.offset, this.load(GERROR.offset));
    }
  }

  /** Events that were recorded, oldest first, as halves; they are taken from the queue. */
  takeEvents(): Int32Array[] {
    const { EVENTQ_CONS, EVENTQ_PROD } = registers;
    const out: Int32Array[] = [];
    const words = EVENT_BYTES / 8;
    let cons = this.load(EVENTQ_CONS.offset);
    const prod = this.load(EVENTQ_PROD.offset);
    for (
      const mask = 2 ** (QUEUE.events + 1) - 1;
      ((cons ^ prod) & mask) !== 0;
      cons = (cons & ~mask) | ((cons + 1) & mask)
    ) {
      const at = (cons % 2 ** QUEUE.events) * words;
      const halves = new Int32Array(2 * words);
      for (let w = 0; w < words; w++) {
        halves[2 * w] = this.host.lo(this.eventFrame, at + w);
        halves[2 * w + 1] = this.host.hi(this.eventFrame, at + w);
      }
      out.push(halves);
    }
    this.store(EVENTQ_CONS.offset, cons);
    return out;
  }

  private load(offset: number): number {
    return this.unit.read(offset, 4).lo >>> 0;
  }

  private store(offset: number, value: number): void {
    this.unit.write(offset, 4, value | 0, 0);
    this.unit.settle();
  }

  private store64({ offset }: { offset: number }, value: bigint): void {
    this.unit.write(offset, 8, low(value), high(value));
    this.unit.settle();
  }
}
