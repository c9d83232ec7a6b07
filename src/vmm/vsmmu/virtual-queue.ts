/**
 * The command queue of a vSMMU as its guest sees it: registers that the VMM emulates. Where the queue lies and how large it is was said before (CMDQ_BASE).
 * An access changes these registers and does nothing else: what it sets off is the VMM's program, on the vCPU that trapped or on a thread.
 */
import { hex, put } from '../../bits/index.ts';
import { COMMAND_BYTES } from '../../iommu/smmuv3/commands.ts';
import { entriesIn, entryOf, isInconsistent, next } from '../../iommu/smmuv3/queue-index.ts';
import { CMDQ_CONS, CMDQ_PROD } from '../../iommu/smmuv3/queue-registers.ts';
import { GERROR, GERRORN } from '../../iommu/smmuv3/registers.ts';
import type { Machine, MmioBlock, SoftwareWord } from '../../machine/index.ts';
import type { Tally } from './tally.ts';

export interface VirtualQueueOptions {
  readonly name: string;
  /** Byte address of its first entry, as the VMM reads it. */
  readonly base: bigint;
  /** log2 of the number of commands that it holds. */
  readonly log2size: number;
}

/** Bits of CMDQ_PROD and CMDQ_CONS that are an index with its wrap bit, at most. */
const INDEX = 0xfffff;

/** CMDQ_CONS.ERR (7.1). */
export const CERROR_ILL = 1;

export class VirtualQueue implements MmioBlock {
  readonly name: string;
  readonly log2size: number;
  readonly prod: SoftwareWord;
  readonly cons: SoftwareWord;
  private readonly gerror: SoftwareWord;
  private readonly gerrorn: SoftwareWord;
  private readonly base: bigint;
  private readonly tally: Tally | undefined;

  constructor(machine: Machine, { name, base, log2size }: VirtualQueueOptions, tally?: Tally) {
    this.name = name;
    this.base = base;
    this.log2size = log2size;
    this.tally = tally;
    const word = (register: string) => machine.word(`${register} of ${name}`);
    this.prod = word('CMDQ_PROD');
    this.cons = word('CMDQ_CONS');
    this.gerror = word('GERROR');
    this.gerrorn = word('GERRORN');
  }

  registerName(offset: number): string {
    return `${this.name} ${REGISTERS.find((register) => register.offset === offset)?.name ?? hex(offset)}`;
  }

  /** A guest's access: it traps. */
  read(offset: number): { lo: number; hi: number } {
    this.tally?.poll();
    return this.peek(offset);
  }

  peek(offset: number): { lo: number; hi: number } {
    return { lo: this.wordOf(offset)?.value ?? 0, hi: 0 };
  }

  /** A guest's access: it traps. Registers that it may not change keep their value. */
  write(offset: number, _size: 4 | 8, lo: number): void {
    if (offset === CMDQ_PROD.offset) {
      this.tally?.doorbell();
      this.tally?.write(this.prod.value, lo);
      this.prod.value = lo & INDEX;
      return;
    }
    this.tally?.poll();
    if (offset === GERRORN.offset) this.gerrorn.value = lo & ALL_ERRORS;
  }

  private wordOf(offset: number): SoftwareWord | null {
    if (offset === CMDQ_PROD.offset) return this.prod;
    if (offset === CMDQ_CONS.offset) return this.cons;
    if (offset === GERROR.offset) return this.gerror;
    return offset === GERRORN.offset ? this.gerrorn : null;
  }

  /** Commands from CMDQ_CONS to CMDQ_PROD; none after an error, or while the indexes are what they cannot be (3.5.1). */
  get waiting(): number {
    const { cons, log2size, prod } = this;
    if (this.hasError || isInconsistent(prod.value, cons.value, log2size)) return 0;
    return entriesIn(prod.value, cons.value & INDEX, log2size);
  }

  get hasError(): boolean {
    return ((this.gerror.value ^ this.gerrorn.value) & CMDQ_ERR) !== 0;
  }

  /** Byte address of the entry that is `n` behind CMDQ_CONS. @param cons CMDQ_CONS.RD */
  entryAt(cons: number, n: number): bigint {
    return this.base + BigInt(entryOf(cons + n, this.log2size) * COMMAND_BYTES);
  }

  /** So many commands are consumed. */
  advance(count: number): void {
    let index = this.cons.value & INDEX;
    for (let i = 0; i < count; i++) index = next(index, this.log2size);
    this.cons.value = index;
  }

  /** Consumption stops at the command of CMDQ_CONS (7.1): first the code, then the error. */
  fail(): void {
    const halves = new Int32Array([this.cons.value]);
    put(CMDQ_CONS.ERR, halves, CERROR_ILL);
    this.cons.value = halves[0];
    this.gerror.value ^= CMDQ_ERR;
  }
}

const REGISTERS = [CMDQ_PROD, CMDQ_CONS, GERROR, GERRORN];
const CMDQ_ERR = 1 << GERROR.CMDQ_ERR.lo;
/** Of GERRORN, what acknowledges errors that there are. */
const ALL_ERRORS = CMDQ_ERR;
