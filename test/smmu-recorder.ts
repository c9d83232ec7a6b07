/** In the place of an SMMU: takes commands from its queue when they are posted, completes CMD_SYNC at once, and remembers what it was told. */
import { decode, hex, join } from '../src/bits/index.ts';
import { CMD_SYNC, COMMANDS } from '../src/iommu/smmuv3/commands.ts';
import { CMDQ_CONS, CMDQ_PROD } from '../src/iommu/smmuv3/queue-registers.ts';
import type { Machine, MmioBlock, Program } from '../src/machine/index.ts';

export const QUEUE = 0x9000000n;

export interface Recorded {
  readonly name: string;
  readonly fields: Readonly<Record<string, number | bigint>>;
  /** What `watch` said when it was consumed. */
  readonly seen: string;
}

export class SmmuRecorder implements MmioBlock {
  readonly name: string;
  readonly commands: Recorded[] = [];
  /** What memory says of something, when a command is consumed. */
  watch: () => string = () => '';
  private readonly machine: Machine;
  private readonly log2size: number;
  private cons = 0;
  private readonly base: bigint;

  /** Declares the queue's page: word by word as many as the commands have. */
  constructor(machine: Machine, log2size: number, base = QUEUE, name = 'recorder') {
    this.machine = machine;
    this.log2size = log2size;
    this.base = base;
    this.name = name;
    const words = Array.from({ length: 2 << log2size }, (_, i) => i);
    machine.frame(`queue of ${name}`, base, machine.owner('the kernel', 'other'), words);
  }

  /** Names of commands, in the order in which they were consumed. */
  get names(): string[] {
    return this.commands.map(({ name }) => name);
  }

  registerName(offset: number): string {
    return hex(offset);
  }

  read(offset: number): { lo: number; hi: number } {
    return { lo: offset === CMDQ_CONS.offset ? this.cons : 0, hi: 0 };
  }

  write(offset: number, _size: 4 | 8, lo: number): void {
    if (offset !== CMDQ_PROD.offset) return;
    const { log2size, machine } = this;
    for (; this.cons !== lo; this.cons = (this.cons + 1) & ((2 << log2size) - 1)) {
      const entry = (this.cons & ((1 << log2size) - 1)) * 2;
      const words = [0, 1].map((i) => wordAt(machine, this.base + BigInt(8 * (entry + i))));
      const of = COMMANDS[Number(words[0] & 0xffn)];
      const fields = decode(of, ...words);
      this.commands.push({ name: of.name, fields, seen: this.watch() });
      if (of !== CMD_SYNC || fields.CS !== 1) continue;
      const address = fields.MSIAddress as bigint;
      const at = machine.memory.locate(Number(address >> 12n), Number(address & 0xfffn) >> 3);
      machine.memory.write(at, Number(fields.MSIData), machine.memory.hi(at));
    }
  }
}

/** A 64-bit word of a case's memory. */
export function wordAt({ memory }: Machine, addr: bigint): bigint {
  const at = memory.locate(Number(addr >> 12n), Number(addr & 0xfffn) >> 3);
  return join(memory.lo(at), memory.hi(at));
}

/** Runs one program by itself, each operation once: what it keeps beside the machine is of that one run. @throws Error where it waits for ever */
export function runAlone<T>(machine: Machine, program: Program<T>): T {
  machine.start();
  let next = program.next();
  while (!next.done) {
    const { name, ready, returns = 'nothing', run } = next.value;
    if (ready?.() === false) throw new Error(`waits for ever: ${name}`);
    const result = Number(run(0));
    const word = returns === 'word' ? join(machine.result.lo, machine.result.hi) : result;
    next = program.next(returns === 'nothing' ? undefined : word);
  }
  return next.value;
}
