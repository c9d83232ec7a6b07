/** One queue of a CMDQ-V: as the SMMU's own, with an error of its own, and for a guest with fewer commands and the host's ids. */
import { hex64, moved } from '../../bits/index.ts';
import type { Agent, Memory } from '../../machine/index.ts';
import { ATC_INVALIDATION_STEPS } from '../kit/atc-invalidations.ts';
import type { RegisterFile } from '../kit/register-file.ts';
import { readEntry } from '../kit/words.ts';
import * as registers from '../smmuv3/cmdqv-registers.ts';
import { CERROR, COMMAND_BYTES, commandName } from '../smmuv3/commands.ts';
import { entriesIn, entryOf, isInconsistent, next } from '../smmuv3/queue-index.ts';
import { entryAddress, log2Of } from '../smmuv3/queue-memory.ts';
import type { Owners } from './filter.ts';
import { admit, OP } from './filter.ts';
import type { CommandTarget } from './target.ts';

/** VCMDQ_CONS.ERR, as CMDQ_CONS.ERR (IHI 0070, 7.1). */
const ERR = { ill: 1, abort: 2, atcInvSync: 3 } as const;

const PAGE_0 = registers.VCMDQ_CONS.offset;
const PAGE_1 = registers.VCMDQ_BASE.offset;
const CONS = moved(registers.VCMDQ_CONS, registers.VCMDQ_CONS.offset - PAGE_0);
const PROD = moved(registers.VCMDQ_PROD, registers.VCMDQ_PROD.offset - PAGE_0);
const STATUS = moved(registers.VCMDQ_STATUS, registers.VCMDQ_STATUS.offset - PAGE_0);
const GERROR = moved(registers.VCMDQ_GERROR, registers.VCMDQ_GERROR.offset - PAGE_0);
const GERRORN = moved(registers.VCMDQ_GERRORN, registers.VCMDQ_GERRORN.offset - PAGE_0);
const BASE = moved(registers.VCMDQ_BASE, registers.VCMDQ_BASE.offset - PAGE_1);

export class VirtualQueue {
  readonly agent: Agent;
  private readonly regs: RegisterFile;
  private readonly base: RegisterFile;
  private readonly memory: Memory;
  private readonly target: CommandTarget;
  private readonly number: number;
  private readonly owners: Owners;
  private readonly onError: () => void;
  private readonly name: string;
  /** Most entries, as log2 (IDR1.CMDQS). */
  private readonly most: number;
  private readonly command = new Int32Array(COMMAND_BYTES / 4);

  /** @param onError called when it has stopped */
  constructor(
    number: number,
    most: number,
    files: { readonly regs: RegisterFile; readonly base: RegisterFile },
    memory: Memory,
    target: CommandTarget,
    owners: Owners,
    onError: () => void,
  ) {
    this.number = number;
    this.name = `VCMDQ ${number}`;
    this.most = most;
    this.regs = files.regs;
    this.base = files.base;
    this.memory = memory;
    this.target = target;
    this.owners = owners;
    this.onError = onError;
    this.agent = {
      name: this.name,
      lane: 'iommu',
      sparesSoftware: true,
      choices: () => this.choices(),
      left: () => this.waiting() * (1 + ATC_INVALIDATION_STEPS),
      step: () => this.step(),
    };
  }

  /** GERROR and GERRORN differ: nothing is consumed until software has acknowledged. */
  get hasError(): boolean {
    return this.regs.get(GERROR, GERROR.CMDQ_ERR) !== this.regs.get(GERRORN, GERRORN.CMDQ_ERR);
  }

  private log2(): number {
    return log2Of(this.base.read32(BASE.offset), this.most);
  }

  /** Commands that can be consumed. */
  private waiting(): number {
    const { regs } = this;
    if (regs.get(STATUS, STATUS.ENABLED) === 0 || this.hasError || this.owners.vintfOf(this.number) < 0) return 0;
    const [prod, cons, log2] = [regs.get(PROD, PROD.WR), regs.get(CONS, CONS.RD), this.log2()];
    return isInconsistent(prod, cons, log2) ? 0 : entriesIn(prod, cons, log2);
  }

  private choices(): number {
    if (this.waiting() === 0) return 0;
    if (!this.read()) return 1;
    const op = this.command[0] & 0xff;
    if (op === OP.SYNC) return this.target.isHeld() ? 0 : 1;
    return op === OP.ATC_INV && !this.target.hasRoom ? 0 : 1;
  }

  private read(): boolean {
    const { base, regs } = this;
    const log2 = this.log2();
    const entry = entryOf(regs.get(CONS, CONS.RD), log2);
    const [hi, lo] = [base.read32(BASE.offset + 4), base.read32(BASE.offset)];
    // VCMDQ_BASE.ADDR ends with bit 47.
    return readEntry(this.memory, entryAddress(hi, lo, 0xffff, log2, COMMAND_BYTES, entry), this.command);
  }

  private step(): void {
    const { command, target } = this;
    if (!this.read()) return this.error(ERR.abort, 'it could not be read');
    const op = command[0] & 0xff;
    const vintf = this.owners.vintfOf(this.number);
    const refusal = admit(command, this.owners, vintf) ?? target.illegal(command);
    if (refusal !== null) return this.error(ERR.ill, refusal);
    if (op === OP.SYNC && target.takeTimeout())
      return this.error(ERR.atcInvSync, 'CMD_SYNC: an ATC invalidation before it was not completed');
    this.regs.put(CONS, CONS.RD, next(this.regs.get(CONS, CONS.RD), this.log2()));
    if (op === OP.ATC_INV) target.invalidateAtc(command);
    else if (op !== OP.SYNC) target.invalidate(command);
    else if (target.telling) target.say(`${this.name}: CMD_SYNC completes`);
  }

  /** Only this queue stops, at the command. */
  private error(code: number, what: string): void {
    const { regs, target } = this;
    regs.put(CONS, CONS.ERR, code);
    if (target.telling) {
      const { command } = this;
      const raw = `${hex64(command[2], command[3])}:${hex64(command[0], command[1])}`;
      const of = `${commandName(command[0] & 0xff) ?? 'no command'} ${raw}`;
      target.say(`${this.name}: error ${CERROR[code].name} at ${of}: ${what}; VCMDQ_CONS stays`);
    }
    regs.put(GERROR, GERROR.CMDQ_ERR, regs.get(GERRORN, GERRORN.CMDQ_ERR) ^ 1);
    this.onError();
  }
}
